//! Tables: the answers of statements, as plain data, and the stages of a pipe applied to them.
//!
//! Invariant: the columns that a pipe names are checked before anything runs ([`check`]).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::statement::{Comparison, Item, Predicate, Stage, Term};
use crate::error::{ErrorCode, SessionError};

/// The greatest printed width of a column, in characters.
const WIDTH_MAX: usize = 48;

/// One value of a table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Columns and rows. `Display` prints it as a table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows; each has one cell per column.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// The index of a column.
    ///
    /// # Errors
    /// `SEMANTIC` if there is no column of that name.
    pub fn column(&self, name: &str) -> Result<usize, SessionError> {
        place(&self.columns, name)
    }

    /// The value of a term in a row.
    ///
    /// # Errors
    /// `SEMANTIC` for a column that does not exist.
    pub fn value(&self, row: &[Cell], term: &Term) -> Result<Cell, SessionError> {
        Ok(match term {
            Term::Text(text) => Cell::Text(text.clone()),
            Term::Number(number) => Cell::Number(*number),
            Term::Column(name) => row.get(self.column(name)?).cloned().unwrap_or(Cell::Null),
        })
    }

    /// The table after a stage. Stages that kill are run elsewhere and change nothing here.
    ///
    /// # Errors
    /// `SEMANTIC` for a column that does not exist, or for texts compared with numbers.
    pub fn through(mut self, stage: &Stage) -> Result<Self, SessionError> {
        match stage {
            Stage::Yield { items, filter } => {
                let mut chosen = Self { columns: names(items), rows: Vec::new() };
                for row in &self.rows {
                    let keeps = filter.as_ref().map_or(Ok(true), |filter| self.holds(row, filter))?;
                    if keeps {
                        let cells: Result<Vec<Cell>, _> =
                            items.iter().map(|item| self.value(row, &item.term)).collect();
                        chosen.rows.push(cells?);
                    }
                }
                return Ok(chosen);
            }
            Stage::OrderBy { column, descending } => {
                let at = self.column(column)?;
                self.order(at, *descending);
            }
            Stage::Limit(limit) => self.rows.truncate(usize::try_from(*limit).unwrap_or(usize::MAX)),
            Stage::KillSession(_) | Stage::KillQuery { .. } => {}
        }
        Ok(self)
    }

    /// Sorts the rows by a column. The sort is stable.
    pub fn order(&mut self, at: usize, descending: bool) {
        let cell = |place: u32| self.rows.get(place as usize).and_then(|row| row.get(at));
        let later = |one: u32, other: u32| {
            let order = cell(one).cmp(&cell(other));
            order == if descending { Ordering::Less } else { Ordering::Greater }
        };
        // A bottom-up merge sort: the library's sort is ten times as much code.
        let (mut places, mut merged): (Vec<u32>, Vec<u32>) = ((0..self.rows.len() as u32).collect(), Vec::new());
        let mut width = 1;
        while width < places.len() {
            merged.clear();
            for pair in places.chunks(2 * width) {
                let (mut one, mut other) = pair.split_at(width.min(pair.len()));
                while let ([first, ones @ ..], [second, others @ ..]) = (one, other) {
                    if later(*first, *second) {
                        merged.push(*second);
                        other = others;
                    } else {
                        merged.push(*first);
                        one = ones;
                    }
                }
                merged.extend_from_slice(one);
                merged.extend_from_slice(other);
            }
            core::mem::swap(&mut places, &mut merged);
            width *= 2;
        }
        let mut rows = core::mem::take(&mut self.rows);
        let row = |place: u32| rows.get_mut(place as usize).map(core::mem::take);
        self.rows = places.into_iter().filter_map(row).collect();
    }

    fn holds(&self, row: &[Cell], predicate: &Predicate) -> Result<bool, SessionError> {
        Ok(match predicate {
            Predicate::Not(inner) => !self.holds(row, inner)?,
            Predicate::And(parts) => {
                for part in parts {
                    if !self.holds(row, part)? {
                        return Ok(false);
                    }
                }
                true
            }
            Predicate::Or(parts) => {
                for part in parts {
                    if self.holds(row, part)? {
                        return Ok(true);
                    }
                }
                false
            }
            Predicate::Compare(left, how, right) => compare(&self.value(row, left)?, *how, &self.value(row, right)?)?,
        })
    }
}

fn compare(left: &Cell, how: Comparison, right: &Cell) -> Result<bool, SessionError> {
    let order = match (left, right) {
        (Cell::Text(left), Cell::Text(right)) => {
            match how {
                Comparison::Contains => return Ok(left.contains(right.as_str())),
                Comparison::StartsWith => return Ok(left.starts_with(right.as_str())),
                Comparison::Equal
                | Comparison::NotEqual
                | Comparison::Less
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::GreaterOrEqual => {}
            }
            left.cmp(right)
        }
        (Cell::Number(left), Cell::Number(right)) => left.cmp(right),
        // Null equals only null, and is neither less nor greater than anything.
        (Cell::Null, _) | (_, Cell::Null) => {
            let equal = left == right;
            return Ok(match how {
                Comparison::Equal => equal,
                Comparison::NotEqual => !equal,
                Comparison::Less
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::GreaterOrEqual
                | Comparison::Contains
                | Comparison::StartsWith => false,
            });
        }
        (Cell::Text(_), Cell::Number(_)) | (Cell::Number(_), Cell::Text(_)) => {
            return Err(semantic("a text and a number cannot be compared"));
        }
    };
    Ok(match how {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Contains | Comparison::StartsWith => {
            return Err(semantic("CONTAINS and STARTS WITH are for texts"));
        }
    })
}

/// A `SEMANTIC` error.
#[must_use]
pub fn semantic(cause: impl Into<alloc::borrow::Cow<'static, str>>) -> SessionError {
    SessionError::new(ErrorCode::Semantic, cause)
}

fn place(columns: &[String], name: &str) -> Result<usize, SessionError> {
    let found = columns.iter().position(|column| column == name);
    found.ok_or_else(|| semantic(format!("the column does not exist; there are {}", columns.join(", "))))
}

fn names(items: &[Item]) -> Vec<String> {
    let name = |item: &Item| match (&item.alias, &item.term) {
        (Some(alias), _) => alias.clone(),
        (None, Term::Column(name)) => name.clone(),
        (None, term) => term.to_string(),
    };
    items.iter().map(name).collect()
}

/// Checks the stages before any of them runs.
///
/// # Errors
/// `SEMANTIC` for a column that will not exist.
pub fn check(columns: &[&str], stages: &[Stage]) -> Result<(), SessionError> {
    let mut columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    for stage in stages {
        let known = |term: &Term| match term {
            Term::Column(name) => place(&columns, name).map(drop),
            Term::Text(_) | Term::Number(_) => Ok(()),
        };
        match stage {
            Stage::Yield { items, filter } => {
                items.iter().try_for_each(|item| known(&item.term))?;
                filter.as_ref().map_or(Ok(()), |filter| check_terms(filter, &known))?;
                columns = names(items);
            }
            Stage::OrderBy { column, .. } => drop(place(&columns, column)?),
            Stage::Limit(_) => {}
            Stage::KillSession(id) => {
                known(id)?;
                columns = alloc::vec![KILLED.to_owned()];
            }
            Stage::KillQuery { session, plan } => {
                session.as_ref().map_or(Ok(()), known)?;
                known(plan)?;
                columns.clear();
            }
        }
    }
    Ok(())
}

fn check_terms(predicate: &Predicate, known: &dyn Fn(&Term) -> Result<(), SessionError>) -> Result<(), SessionError> {
    match predicate {
        Predicate::Compare(left, _, right) => known(left).and_then(|()| known(right)),
        Predicate::Not(inner) => check_terms(inner, known),
        Predicate::And(parts) | Predicate::Or(parts) => parts.iter().try_for_each(|part| check_terms(part, known)),
    }
}

/// The column of the result of `KILL SESSION`.
pub const KILLED: &str = "Number of session killed";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: String| -> String {
            let plain = text.replace(['\n', '\r', '\t'], " ");
            if plain.chars().count() <= WIDTH_MAX {
                plain
            } else {
                plain.chars().take(WIDTH_MAX - 1).chain(['…']).collect()
            }
        };
        let mut lines: Vec<Vec<String>> = alloc::vec![self.columns.iter().cloned().map(cut).collect()];
        lines.extend(self.rows.iter().map(|row| row.iter().map(|cell| cut(cell.to_string())).collect()));
        let width = |at: usize| lines.iter().filter_map(|line| line.get(at)).map(|text| text.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| width(at).unwrap_or(0)).collect();
        let rule = |f: &mut fmt::Formatter<'_>| {
            widths.iter().try_for_each(|width| write!(f, "+{:-<1$}", "", width + 2))?;
            f.write_str("+\n")
        };
        for (at, line) in lines.iter().enumerate() {
            if at < 2 {
                rule(f)?;
            }
            for (text, width) in line.iter().zip(&widths) {
                write!(f, "| {text:<width$} ")?;
            }
            f.write_str("|\n")?;
        }
        if lines.len() < 2 {
            rule(f)?;
        }
        rule(f)
    }
}
