//! Prints statements. `Display` is for people and logs and hides passwords; [`Statement::text`] includes them.

use alloc::string::String;
use core::fmt::{self, Display, Write};

use super::{Comparison, Item, Password, Predicate, Show, Stage, Statement, Term};

/// A name as written: in backquotes unless it is a label.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if plain && !self.0.starts_with(|c: char| c.is_ascii_digit()) && !self.0.is_empty() {
            return f.write_str(self.0);
        }
        f.write_char('`')?;
        for c in self.0.chars() {
            f.write_str(if c == '`' { "`" } else { "" })?;
            f.write_char(c)?;
        }
        f.write_char('`')
    }
}

fn quoted(f: &mut impl Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// A password, and whether to show it.
struct Secret<'a>(&'a Password, bool);

impl Display for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1 { quoted(f, &self.0.0) } else { f.write_str("'***'") }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(f, text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Column(name) => write!(f, "$-.{}", Name(name)),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Contains => "CONTAINS",
            Self::StartsWith => "STARTS WITH",
        })
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parts that bind no stronger than the whole are parenthesised.
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str, bare: fn(&Self) -> bool| {
            for (at, part) in parts.iter().enumerate() {
                f.write_str(if at > 0 { between } else { "" })?;
                if bare(part) { write!(f, "{part}")? } else { write!(f, "({part})")? }
            }
            Ok(())
        };
        let simple: fn(&Self) -> bool = |part| matches!(part, Self::Compare(..) | Self::Not(_));
        match self {
            Self::Compare(left, how, right) => write!(f, "{left} {how} {right}"),
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                join(f, core::slice::from_ref(inner), "", simple)
            }
            Self::And(parts) => join(f, parts, " AND ", simple),
            Self::Or(parts) => join(f, parts, " OR ", |part| !matches!(part, Self::Or(_))),
        }
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.term)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {}", Name(alias)))
    }
}

fn kill_query(f: &mut fmt::Formatter<'_>, session: Option<&Term>, plan: &Term) -> fmt::Result {
    f.write_str("KILL QUERY (")?;
    if let Some(session) = session {
        write!(f, "SESSION = {session}, ")?;
    }
    write!(f, "PLAN = {plan})")
}

impl Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yield { items, filter } => {
                f.write_str("YIELD ")?;
                for (at, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
                }
                filter.as_ref().map_or(Ok(()), |filter| write!(f, " WHERE {filter}"))
            }
            Self::OrderBy { column, descending } => {
                write!(f, "ORDER BY $-.{}{}", Name(column), if *descending { " DESC" } else { "" })
            }
            Self::Limit(limit) => write!(f, "LIMIT {limit}"),
            Self::KillSession(id) => write!(f, "KILL SESSION {id}"),
            Self::KillQuery { session, plan } => kill_query(f, session.as_ref(), plan),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sessions { local } => f.write_str(if *local { "LOCAL SESSIONS" } else { "SESSIONS" }),
            Self::Session(id) => write!(f, "SESSION {id}"),
            Self::Queries { local } => f.write_str(if *local { "LOCAL QUERIES" } else { "QUERIES" }),
            Self::Users => f.write_str("USERS"),
            Self::Spaces => f.write_str("SPACES"),
            Self::Grants => f.write_str("GRANTS"),
            Self::Roles(space) => write!(f, "ROLES IN {}", Name(space)),
        }
    }
}

/// A statement, and whether to show its passwords.
struct Text<'a>(&'a Statement, bool);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(statement, whole) = self;
        let not_exists = |lenient: bool| if lenient { "IF NOT EXISTS " } else { "" };
        let exists = |lenient: bool| if lenient { "IF EXISTS " } else { "" };
        match statement {
            Statement::Show(show, stages) => {
                write!(f, "SHOW {show}")?;
                stages.iter().try_for_each(|stage| write!(f, " | {stage}"))
            }
            Statement::KillSession(id) => write!(f, "KILL SESSION {id}"),
            Statement::KillQuery { session, plan } => kill_query(f, session.as_ref(), plan),
            Statement::CreateUser { name, lenient, password } => {
                write!(f, "CREATE USER {}{}", not_exists(*lenient), Name(name))?;
                password.as_ref().map_or(Ok(()), |it| write!(f, " WITH PASSWORD {}", Secret(it, *whole)))
            }
            Statement::AlterUser { name, password } => {
                write!(f, "ALTER USER {} WITH PASSWORD {}", Name(name), Secret(password, *whole))
            }
            Statement::DropUser { name, lenient } => write!(f, "DROP USER {}{}", exists(*lenient), Name(name)),
            Statement::ChangePassword { name, from, to } => {
                let (from, to) = (Secret(from, *whole), Secret(to, *whole));
                write!(f, "CHANGE PASSWORD {} FROM {from} TO {to}", Name(name))
            }
            Statement::DescribeUser(name) => write!(f, "DESCRIBE USER {}", Name(name)),
            Statement::Grant { role, space, user } => {
                write!(f, "GRANT ROLE {role} ON {} TO {}", Name(space), Name(user))
            }
            Statement::Revoke { role, space, user } => {
                write!(f, "REVOKE ROLE {role} ON {} FROM {}", Name(space), Name(user))
            }
            Statement::CreateSpace { name, lenient } => {
                write!(f, "CREATE SPACE {}{}", not_exists(*lenient), Name(name))
            }
            Statement::DropSpace { name, lenient } => write!(f, "DROP SPACE {}{}", exists(*lenient), Name(name)),
            Statement::Use(space) => write!(f, "USE {}", Name(space)),
        }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(self, false).fmt(f)
    }
}

impl Statement {
    /// The statement with its passwords: to send it to where it runs, never for a log or a list.
    #[must_use]
    pub fn text(&self) -> String {
        alloc::format!("{}", Text(self, true))
    }
}
