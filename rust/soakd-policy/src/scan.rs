//! What a source would cost the parser, found before it is parsed.
//!
//! regorus parses by recursive descent, without a limit for brackets, calls and signs, and it tries every literal that
//! starts with `[` or `{` as a comprehension first: what stands in the first place of such a literal is parsed twice, at
//! each level. A hundred thousand brackets overflow the stack; thirty take hours.

use crate::Error;

/// Deepest nesting of brackets of any kind, and longest run of signs.
const MAX_NESTING: usize = 64;

/// Most characters that are parsed, each counted as often as it is. Four times the largest module.
const MAX_WORK: u64 = 40 * 1024 * 1024;

/// Words after which `{` opens a set or an object; after any other it opens a body.
const BEFORE_LITERAL: [&[u8]; 7] = [b"in", b"contains", b"some", b"every", b"not", b"with", b"as"];

struct Bracket {
    /// Whether it may be parsed twice.
    literal: bool,
    /// Whether what follows is its first place still.
    first: bool,
}

struct Scan<'a> {
    file: &'a str,
    source: &'a [u8],
    at: usize,
    open: Vec<Bracket>,
    signs: usize,
    work: u64,
    /// The last character that is neither space nor comment, and the word that it ends, if it ends one.
    last: u8,
    word: &'a [u8],
}

/// Refuse a module that would overflow the stack of the parser, or take it forever.
pub(crate) fn check(file: &str, source: &str) -> Result<(), Error> {
    let mut scan =
        Scan { file, source: source.as_bytes(), at: 0, open: Vec::new(), signs: 0, work: 0, last: 0, word: b"" };
    while scan.at < scan.source.len() {
        scan.step()?;
    }
    Ok(())
}

impl Scan<'_> {
    fn step(&mut self) -> Result<(), Error> {
        let start = self.at;
        let byte = self.source[start];
        self.at = match byte {
            b'#' => self.skip_past(start, b'\n', false),
            b'"' => self.skip_past(start + 1, b'"', true),
            b'`' => self.skip_past(start + 1, b'`', false),
            byte if is_word(byte) => self.skip_word(start),
            _ => start + 1,
        };
        if byte.is_ascii_whitespace() || byte == b'#' {
            return Ok(());
        }
        self.work += ((self.at - start) as u64).saturating_mul(self.times_parsed());
        if self.work > MAX_WORK {
            return Err(self.error(start, "too many literals within the first place of one another"));
        }
        self.signs = if byte == b'-' { self.signs + 1 } else { 0 };
        match byte {
            b'(' | b'[' | b'{' => self.open.push(Bracket { literal: self.opens_literal(byte), first: true }),
            b')' | b']' | b'}' => drop(self.open.pop()),
            b',' | b'|' => self.open.iter_mut().last().into_iter().for_each(|bracket| bracket.first = false),
            _ => {}
        }
        if self.open.len() > MAX_NESTING || self.signs > MAX_NESTING {
            return Err(self.error(start, &format!("nested deeper than {MAX_NESTING} levels")));
        }
        self.last = byte;
        self.word = if is_word(byte) { &self.source[start..self.at] } else { b"" };
        Ok(())
    }

    fn times_parsed(&self) -> u64 {
        let doubled = self.open.iter().filter(|bracket| bracket.literal && bracket.first).count();
        1 << doubled.min(40)
    }

    fn opens_literal(&self, bracket: u8) -> bool {
        let after_term = is_word(self.last) || matches!(self.last, b')' | b']' | b'}' | b'"' | b'`');
        match bracket {
            b'[' | b'{' => !after_term || BEFORE_LITERAL.contains(&self.word),
            _ => false,
        }
    }

    fn skip_past(&self, from: usize, end: u8, escapes: bool) -> usize {
        let mut at = from;
        while let Some(&byte) = self.source.get(at) {
            at += if escapes && byte == b'\\' { 2 } else { 1 };
            if byte == end {
                break;
            }
        }
        at.min(self.source.len())
    }

    fn skip_word(&self, from: usize) -> usize {
        from + self.source[from..].iter().take_while(|byte| is_word(**byte)).count()
    }

    fn error(&self, at: usize, message: &str) -> Error {
        let lines = self.source[..at].split(|byte| *byte == b'\n');
        let (line, column) = lines.fold((0, 1), |(line, _), text| (line + 1, characters(text) + 1));
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Error::at(self.file, number(line), number(column), message)
    }
}

/// Of UTF-8: every byte but those that go on with a character.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_brackets_are_refused_with_their_place() {
        let source = format!("package p\n\nx := {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let error = check("deep.rego", &source).map_err(|error| error.to_string());
        assert_eq!(error, Err("deep.rego:3:31: too many literals within the first place of one another".into()));
    }

    #[test]
    fn a_column_is_counted_in_characters() {
        let source = format!("package p\nx := [\"äöü\", {}1", "- ".repeat(65));
        let place = check("p.rego", &source).map_err(|error| (error.line, error.column));
        assert_eq!(place, Err((Some(2), Some(14 + 2 * 64))));
    }

    #[test]
    fn thirty_nested_literals_would_take_hours_and_are_refused() {
        for (open, close) in [("[", "]"), ("{", "}"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let source = format!("package p\nx := {}1{}", open.repeat(30), close.repeat(30));
            assert!(check("p.rego", &source).is_err(), "{open}");
        }
    }

    #[test]
    fn bodies_and_later_places_are_parsed_once() {
        let bodies = format!("package p\nx if {{ {} true {} }}", "every y in [1] {".repeat(50), "}".repeat(50));
        let later = format!("package p\nx := {}1{}", "[1, ".repeat(50), "]".repeat(50));
        assert_eq!((check("p.rego", &bodies), check("p.rego", &later)), (Ok(()), Ok(())));
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let deep = "[".repeat(1000);
        let source = format!("package p # {deep}\nx := \"\\\"{deep}\"\ny := `\\{deep}`\n");
        assert_eq!(check("p.rego", &source), Ok(()));
    }

    #[test]
    fn a_run_of_signs_is_refused() {
        assert!(check("p.rego", &format!("package p\nx := {}1", "- ".repeat(65))).is_err());
    }
}
