//! Parses the stages of a pipe: columns, conditions, order, limits, kills.
//!
//! Invariant: conditions nest to a limited depth, so that no text exhausts the stack.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::words::{Input, Parsed, column, first, maybe, miss, name, number, sign, term, word, words};
use super::{Comparison, Item, Predicate, Stage, Term};

/// How deep conditions may nest.
const DEPTH_MAX: u32 = 32;

/// `| stage | stage …`
pub(super) fn stages(input: &mut Input<'_>) -> Parsed<Vec<Stage>> {
    let mut stages = Vec::new();
    while maybe(input, |input| sign(input, "|")).is_some() {
        stages.push(first(input, &[columns, order, limit, kill_session_stage, kill_query_stage])?);
    }
    Ok(stages)
}

fn columns(input: &mut Input<'_>) -> Parsed<Stage> {
    word(input, "YIELD")?;
    let mut items = Vec::new();
    loop {
        let term = term(input)?;
        let alias = match maybe(input, |input| word(input, "AS")) {
            Some(()) => Some(name(input)?),
            None => None,
        };
        items.push(Item { term, alias });
        if maybe(input, |input| sign(input, ",")).is_none() {
            break;
        }
    }
    let filter = match maybe(input, |input| word(input, "WHERE")) {
        Some(()) => Some(predicate(input, 0)?),
        None => None,
    };
    Ok(Stage::Yield { items, filter })
}

fn order(input: &mut Input<'_>) -> Parsed<Stage> {
    words(input, &["ORDER", "BY"])?;
    let column = column(input)?;
    let ascending = maybe(input, |input| word(input, "ASC")).is_some();
    let descending = !ascending && maybe(input, |input| word(input, "DESC")).is_some();
    Ok(Stage::OrderBy { column, descending })
}

fn limit(input: &mut Input<'_>) -> Parsed<Stage> {
    word(input, "LIMIT")?;
    let limit = number(input)?;
    u64::try_from(limit).map(Stage::Limit).or_else(|_| miss(input, "a number that is not negative"))
}

fn kill_session_stage(input: &mut Input<'_>) -> Parsed<Stage> {
    kill_session(input).map(Stage::KillSession)
}

fn kill_query_stage(input: &mut Input<'_>) -> Parsed<Stage> {
    kill_query(input).map(|(session, plan)| Stage::KillQuery { session, plan })
}

/// `KILL SESSION …`
pub(super) fn kill_session(input: &mut Input<'_>) -> Parsed<Term> {
    word(input, "KILL")?;
    first(input, &[|input| word(input, "SESSIONS"), |input| word(input, "SESSION")])?;
    term(input)
}

/// `KILL QUERY (SESSION = …, PLAN = …)`, in either order, the session optional.
pub(super) fn kill_query(input: &mut Input<'_>) -> Parsed<(Option<Term>, Term)> {
    words(input, &["KILL", "QUERY"])?;
    sign(input, "(")?;
    let session = |input: &mut Input<'_>| {
        word(input, "SESSION")?;
        sign(input, "=")?;
        term(input)
    };
    let plan = |input: &mut Input<'_>| {
        word(input, "PLAN")?;
        sign(input, "=")?;
        term(input)
    };
    let asked = match maybe(input, session) {
        Some(session) => {
            sign(input, ",")?;
            (Some(session), plan(input)?)
        }
        None => {
            let plan = plan(input)?;
            match maybe(input, |input| sign(input, ",")) {
                Some(()) => (Some(session(input)?), plan),
                None => (None, plan),
            }
        }
    };
    sign(input, ")")?;
    Ok(asked)
}

/// `a OR b`, which binds least.
fn predicate(input: &mut Input<'_>, depth: u32) -> Parsed<Predicate> {
    several(input, depth, "OR", conjunction, Predicate::Or)
}

fn conjunction(input: &mut Input<'_>, depth: u32) -> Parsed<Predicate> {
    several(input, depth, "AND", condition, Predicate::And)
}

/// One part, or several joined by the keyword `between`.
fn several(
    input: &mut Input<'_>,
    depth: u32,
    between: &'static str,
    part: fn(&mut Input<'_>, u32) -> Parsed<Predicate>,
    join: fn(Vec<Predicate>) -> Predicate,
) -> Parsed<Predicate> {
    let one = part(input, depth)?;
    if maybe(input, |input| word(input, between)).is_none() {
        return Ok(one);
    }
    let mut parts = alloc::vec![one, part(input, depth)?];
    while maybe(input, |input| word(input, between)).is_some() {
        parts.push(part(input, depth)?);
    }
    Ok(join(parts))
}

fn condition(input: &mut Input<'_>, depth: u32) -> Parsed<Predicate> {
    if depth >= DEPTH_MAX {
        return miss(input, "fewer conditions within each other");
    }
    if maybe(input, |input| word(input, "NOT")).is_some() {
        return Ok(Predicate::Not(Box::new(condition(input, depth + 1)?)));
    }
    if maybe(input, |input| sign(input, "(")).is_some() {
        let inner = predicate(input, depth + 1)?;
        sign(input, ")")?;
        return Ok(inner);
    }
    let left = term(input)?;
    let how = comparison(input)?;
    Ok(Predicate::Compare(left, how, term(input)?))
}

fn comparison(input: &mut Input<'_>) -> Parsed<Comparison> {
    first(
        input,
        &[
            |input| sign(input, "==").map(|()| Comparison::Equal),
            |input| sign(input, "!=").map(|()| Comparison::NotEqual),
            |input| sign(input, "<=").map(|()| Comparison::LessOrEqual),
            |input| sign(input, ">=").map(|()| Comparison::GreaterOrEqual),
            |input| sign(input, "<").map(|()| Comparison::Less),
            |input| sign(input, ">").map(|()| Comparison::Greater),
            |input| word(input, "CONTAINS").map(|()| Comparison::Contains),
            |input| words(input, &["STARTS", "WITH"]).map(|()| Comparison::StartsWith),
        ],
    )
}
