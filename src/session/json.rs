//! The JSON of a token's claims (RFC 8259): a strict reader and a plain writer.
//!
//! Invariant: what is read is one whole JSON text, nested at most [`DEPTH_MAX`] deep. Skipped values are checked as
//! strictly as used ones.
//!
//! Written by hand, because a general JSON parser was an eighth of the module, mostly for numbers with a fraction,
//! which no own claim has. Knows nothing of claims.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::session::scan;

/// The nesting limit. The JSON written here is two levels deep; claims of other minters may be a little deeper.
const DEPTH_MAX: u32 = 4;

/// Reads one JSON text from its beginning. `None` means that the text is not what was asked for, and is final. Outside
/// of strings only ASCII occurs; UTF-8 is checked when a string is read.
pub(super) struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    depth: u32,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(json: &'t [u8]) -> Self {
        Self { text: json, at: 0, depth: 0 }
    }

    /// The current position.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    /// The text that was read since `place`.
    pub(super) fn since(&self, place: usize) -> &'t [u8] {
        self.text.get(place..self.at).unwrap_or_default()
    }

    /// Reads an object; `field` reads each value, given its name.
    pub(super) fn object(&mut self, mut field: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.enter(b'{')?;
        if !self.next_is(b'}') {
            loop {
                let name = self.string()?;
                self.must(b':')?;
                field(self, &name)?;
                if self.next_is(b'}') {
                    break;
                }
                self.must(b',')?;
            }
        }
        self.depth -= 1;
        Some(())
    }

    /// Reads a string.
    pub(super) fn string(&mut self) -> Option<Cow<'t, str>> {
        Some(match self.bytes()? {
            Cow::Borrowed(bytes) => Cow::Borrowed(core::str::from_utf8(bytes).ok()?),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
        })
    }

    /// Reads a string as bytes, for callers that accept only ASCII.
    pub(super) fn bytes(&mut self) -> Option<Cow<'t, [u8]>> {
        self.must(b'"')?;
        let mut whole: Option<Vec<u8>> = None;
        loop {
            let left = self.text.get(self.at..)?;
            let count = scan::special(left)?;
            let part = left.get(..count)?;
            self.at += count;
            let byte = self.byte().filter(|byte| *byte >= b' ')?;
            if byte == b'"' {
                return Some(match whole {
                    None => Cow::Borrowed(part),
                    Some(whole) => Cow::Owned([&whole, part].concat()),
                });
            }
            let whole = whole.get_or_insert_default();
            whole.extend_from_slice(part);
            whole.extend_from_slice(self.escaped()?.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Reads a whole number that is not negative.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.space();
        let left = self.text.get(self.at..)?;
        let mut number = 0_u64;
        let mut count = 0;
        for byte in left {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        let whole = !matches!(left.get(count), Some(b'.' | b'e' | b'E'));
        if count == 0 || (count > 1 && left.first() == Some(&b'0')) || !whole {
            return None;
        }
        self.at += count;
        // Fewer than 19 digits always fit.
        if count < 19 { Some(number) } else { core::str::from_utf8(left.get(..count)?).ok()?.parse().ok() }
    }

    /// Skips one value of any kind.
    pub(super) fn skip(&mut self) -> Option<()> {
        self.space();
        match self.peek()? {
            b'{' => self.object(|own, _| own.skip()),
            b'[' => self.skip_array(),
            b'"' => self.string().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.digits().map(drop),
        }
    }

    /// Whether only whitespace is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.space();
        self.at == self.text.len()
    }

    fn skip_array(&mut self) -> Option<()> {
        self.enter(b'[')?;
        if !self.next_is(b']') {
            loop {
                self.skip()?;
                if self.next_is(b']') {
                    break;
                }
                self.must(b',')?;
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn enter(&mut self, bracket: u8) -> Option<()> {
        self.must(bracket)?;
        self.depth += 1;
        (self.depth <= DEPTH_MAX).then_some(())
    }

    /// The character that an escape stands for; the backslash is already read.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.byte()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                match unit {
                    0xd800..=0xdbff => {
                        self.word("\\u")?;
                        let low = self.unit().filter(|low| (0xdc00..=0xdfff).contains(low))?;
                        char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?
                    }
                    _ => char::from_u32(unit)?,
                }
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.byte()?).to_digit(16)?;
        }
        Some(unit)
    }

    /// Reads a number. Returns its text, and whether it is whole and not negative.
    fn digits(&mut self) -> Option<(&'t [u8], bool)> {
        self.space();
        let from = self.at;
        let negative = self.eat(b'-');
        if !self.eat(b'0') {
            self.run_of_digits()?;
        }
        let fraction = self.eat(b'.');
        if fraction {
            self.run_of_digits()?;
        }
        let exponent = self.eat(b'e') || self.eat(b'E');
        if exponent {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.run_of_digits()?;
        }
        Some((self.text.get(from..self.at)?, !(negative || fraction || exponent)))
    }

    fn run_of_digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    /// Reads `word` if it comes next, without skipping whitespace.
    #[inline]
    pub(super) fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word.as_bytes()).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn must(&mut self, byte: u8) -> Option<()> {
        self.next_is(byte).then_some(())
    }

    /// Reads `byte` if it comes next after whitespace.
    fn next_is(&mut self, byte: u8) -> bool {
        self.space();
        self.eat(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}

/// Appends `text` as a string.
pub(super) fn write_string(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    if scan::special(text.as_bytes()).is_none() {
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            0..b' ' => {
                let digit = |bits: u8| if bits < 10 { b'0' + bits } else { b'a' - 10 + bits };
                json.extend_from_slice(b"\\u00");
                json.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}

/// Appends a number.
pub(super) fn write_number(mut number: u64, json: &mut Vec<u8>) {
    // From the last digit. Numbers of 32 bits divide in a fraction of the time.
    let mut digits = [0; 20];
    let mut from = digits.len();
    for slot in digits.iter_mut().rev() {
        let digit = match u32::try_from(number) {
            Ok(short) => {
                number = u64::from(short / 10);
                (short % 10) as u8
            }
            Err(_) => {
                let digit = (number % 10) as u8;
                number /= 10;
                digit
            }
        };
        *slot = b'0' + digit;
        from -= 1;
        if number == 0 {
            break;
        }
    }
    json.extend_from_slice(digits.get(from..).unwrap_or_default());
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    fn is_json(text: &str) -> bool {
        let mut own = Reader::new(text.as_bytes());
        own.skip().is_some() && own.is_done()
    }

    fn depth(value: &Value) -> u32 {
        match value {
            Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    proptest! {
        /// Texts that are almost JSON: pieces of it in any order.
        #[test]
        fn it_is_json_where_others_read_it_and_it_is_not_deep(
            pieces in prop::collection::vec(prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just(","), Just(":"), Just("\"a\""), Just("\"\\u00e9\""),
                Just("\"\\ud834\\udd1e\""), Just("\"\\ud834\""), Just("\"\\x\""), Just("\"\n\""), Just("0"), Just("-1"), Just("01"),
                Just("1.5"), Just("1."), Just("2e5"), Just("2e"), Just("true"), Just("null"), Just("nul"), Just(" "), Just("\t"),
                Just("{\"a\":"), Just("[1,"),
            ], 0..12)
        ) {
            let text: String = pieces.concat();
            let other = serde_json::from_str::<Value>(&text);
            // The other parser also refuses numbers out of range: pieces may join to one of 500 digits.
            prop_assume!(!other.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")));
            prop_assert_eq!(is_json(&text), other.is_ok_and(|value| depth(&value) <= DEPTH_MAX), "{}", text);
        }

        #[test]
        fn a_string_comes_back_and_others_read_it_too(text: String) {
            let mut json = Vec::new();
            write_string(&text, &mut json);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text.clone());
            let read = Reader::new(&json).string().unwrap().into_owned();
            prop_assert_eq!(&read, &text);
            // As others write it, with the short escapes.
            let other = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Reader::new(other.as_bytes()).string().unwrap(), text);
        }

        #[test]
        fn a_number_comes_back(number: u64) {
            let mut json = Vec::new();
            write_number(number, &mut json);
            prop_assert_eq!(&json, &number.to_string().into_bytes());
            prop_assert_eq!(Reader::new(&json).number(), Some(number));
        }
    }

    #[test]
    fn a_number_that_is_not_whole_is_none() {
        for text in ["-1", "-0", "1.0", "1e3", "01", "", "\"1\"", "18446744073709551616"] {
            let mut own = Reader::new(text.as_bytes());
            let number = own.number().filter(|_| own.is_done());
            assert_eq!(number, None, "{text}");
        }
    }
}
