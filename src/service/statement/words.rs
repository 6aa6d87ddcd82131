//! The tokens of the grammar: keywords, names, strings, numbers, signs. Records where parsing failed and what was
//! expected.
//!
//! Invariants: every failure records how far the text was understood and what would have been accepted there. A keyword
//! is one only where the grammar expects it, and a name everywhere else.

use alloc::string::String;
use alloc::vec::Vec;

use winnow::Parser;
use winnow::ascii::{digit1, multispace0};
use winnow::error::EmptyError;
use winnow::stream::{Stateful, Stream};
use winnow::token::{any, one_of, take, take_till, take_while};

use super::Term;

/// The furthest position that any attempt has reached, and what was expected there.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// How many bytes were left.
    pub(super) left: usize,
    /// What was expected there.
    pub(super) expected: Vec<&'static str>,
}

pub(super) type Input<'t> = Stateful<&'t str, Trace>;
pub(super) type Parsed<T> = Result<T, EmptyError>;

/// A grammar rule, as a value.
pub(super) type Rule<T> = fn(&mut Input<'_>) -> Parsed<T>;

/// Fails, and records that `what` was expected here.
pub(super) fn miss<T>(input: &mut Input<'_>, what: &'static str) -> Parsed<T> {
    let left = input.input.len();
    if left < input.state.left || input.state.expected.is_empty() {
        input.state = Trace { left, expected: Vec::new() };
    }
    if left == input.state.left && !input.state.expected.contains(&what) {
        input.state.expected.push(what);
    }
    Err(EmptyError)
}

/// Skips white space and comments (`-- …` and `# …` to the end of the line).
pub(super) fn gap(input: &mut Input<'_>) {
    loop {
        let _: Parsed<&str> = multispace0.parse_next(input);
        if !input.input.starts_with("--") && !input.input.starts_with('#') {
            return;
        }
        let _: Parsed<&str> = take_till(0.., '\n').parse_next(input);
    }
}

/// Runs `rule` after a gap; on failure the input is unchanged.
fn token<T>(input: &mut Input<'_>, what: &'static str, rule: impl FnOnce(&mut Input<'_>) -> Parsed<T>) -> Parsed<T> {
    let before = input.checkpoint();
    gap(input);
    let start = input.checkpoint();
    match rule(input) {
        Ok(found) => Ok(found),
        Err(EmptyError) => {
            input.reset(&start);
            let missed = miss(input, what);
            input.reset(&before);
            missed
        }
    }
}

/// The result of the first rule that succeeds; if none does, the input is unchanged.
pub(super) fn first<T>(input: &mut Input<'_>, rules: &[Rule<T>]) -> Parsed<T> {
    let before = input.checkpoint();
    for rule in rules {
        if let Ok(found) = rule(input) {
            return Ok(found);
        }
        input.reset(&before);
    }
    Err(EmptyError)
}

/// The result of a rule; if it fails, the input is unchanged.
pub(super) fn maybe<T>(input: &mut Input<'_>, rule: impl FnOnce(&mut Input<'_>) -> Parsed<T>) -> Option<T> {
    let before = input.checkpoint();
    let found = rule(input).ok();
    if found.is_none() {
        input.reset(&before);
    }
    found
}

fn is_label(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn label<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    (one_of(|c: char| c.is_ascii_alphabetic() || c == '_'), take_while(0.., is_label)).take().parse_next(input)
}

/// A keyword, in any case.
pub(super) fn word(input: &mut Input<'_>, keyword: &'static str) -> Parsed<()> {
    token(input, keyword, |input| {
        let found = label(input)?;
        if found.eq_ignore_ascii_case(keyword) { Ok(()) } else { Err(EmptyError) }
    })
}

/// A sequence of keywords.
pub(super) fn words(input: &mut Input<'_>, keywords: &[&'static str]) -> Parsed<()> {
    keywords.iter().try_for_each(|keyword| word(input, keyword))
}

/// A sign.
pub(super) fn sign(input: &mut Input<'_>, sign: &'static str) -> Parsed<()> {
    token(input, sign, |input| sign.void().parse_next(input))
}

/// The end of the text.
pub(super) fn end(input: &mut Input<'_>) -> Parsed<()> {
    token(input, "the end", |input| if input.input.is_empty() { Ok(()) } else { Err(EmptyError) })
}

/// A name: a label, or anything in backquotes (a doubled one is a backquote).
pub(super) fn name(input: &mut Input<'_>) -> Parsed<String> {
    token(input, "a name", |input| {
        if maybe(input, |input| '`'.void().parse_next(input)).is_none() {
            return label(input).map(String::from);
        }
        let mut name = String::new();
        loop {
            let piece: &str = take_till(0.., '`').parse_next(input)?;
            name.push_str(piece);
            '`'.void().parse_next(input)?;
            if maybe(input, |input| '`'.void().parse_next(input)).is_none() {
                return if name.is_empty() { Err(EmptyError) } else { Ok(name) };
            }
            name.push('`');
        }
    })
}

/// A string between double or single quotes, with escapes.
pub(super) fn string(input: &mut Input<'_>) -> Parsed<String> {
    token(input, "a string", |input| {
        let quote: char = one_of(['"', '\'']).parse_next(input)?;
        let mut text = String::new();
        loop {
            let c: char = any.parse_next(input)?;
            match c {
                '\\' => text.push(escape(input)?),
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    })
}

/// The character after a backslash. Characters without a special meaning stand for themselves.
fn escape(input: &mut Input<'_>) -> Parsed<char> {
    let c: char = any.parse_next(input)?;
    Ok(match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        '0' => '\0',
        'u' => {
            let high = unit(input)?;
            let code = match high {
                0xd800..0xdc00 => {
                    "\\u".void().parse_next(input)?;
                    let low = unit(input)?.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(EmptyError)?;
                    0x10000 + ((high - 0xd800) << 10) + low
                }
                code => code,
            };
            char::from_u32(code).ok_or(EmptyError)?
        }
        c => c,
    })
}

fn unit(input: &mut Input<'_>) -> Parsed<u32> {
    let digits: &str = take(4_usize).parse_next(input)?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain).ok_or(EmptyError)
}

/// An integer.
pub(super) fn number(input: &mut Input<'_>) -> Parsed<i64> {
    token(input, "an integer", |input| {
        let text: &str = (maybe_minus, digit1).take().parse_next(input)?;
        // `12abc` is not a number followed by a name.
        if input.input.starts_with(|c: char| is_label(c) || c == '.') {
            return Err(EmptyError);
        }
        text.parse().or_else(|_| miss(input, "an integer of 64 bits"))
    })
}

fn maybe_minus(input: &mut Input<'_>) -> Parsed<()> {
    _ = maybe(input, |input| '-'.void().parse_next(input));
    Ok(())
}

/// A column of the previous table: `$-.Name`.
pub(super) fn column(input: &mut Input<'_>) -> Parsed<String> {
    let start = input.checkpoint();
    sign(input, "$-.")?;
    name(input).inspect_err(|_| input.reset(&start))
}

/// A string, an integer, or a column.
pub(super) fn term(input: &mut Input<'_>) -> Parsed<Term> {
    first(
        input,
        &[
            |input| string(input).map(Term::Text),
            |input| number(input).map(Term::Number),
            |input| column(input).map(Term::Column),
        ],
    )
}
