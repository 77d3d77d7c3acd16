//! What regorus reports, taken apart: file, line and column are in the text of its messages only.

use std::fmt;

/// Most characters of a message: regorus quotes operands in it, whatever their size.
pub const MAX_MESSAGE: usize = 500;

/// Why a policy cannot be loaded or a decision not be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Error {
    /// The name of the module, where the fault has a place.
    pub file: Option<String>,
    /// Line of the fault, from 1.
    pub line: Option<u32>,
    /// Column of the fault, from 1, in characters.
    pub column: Option<u32>,
    /// What is wrong, in one line of at most [`MAX_MESSAGE`] characters.
    pub message: String,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: one_line(&message.into(), MAX_MESSAGE), ..Self::default() }
    }

    pub(crate) fn at(file: &str, line: u32, column: u32, message: impl Into<String>) -> Self {
        let place = Self { file: Some(file.to_owned()), line: Some(line), column: Some(column), ..Self::default() };
        Self { message: one_line(&message.into(), MAX_MESSAGE), ..place }
    }

    /// Take apart `--> FILE:LINE:COLUMN`, a source excerpt, and `error: MESSAGE`; the first place is the one that counts.
    pub(crate) fn from_report(report: &str) -> Self {
        let place = report.lines().find_map(|line| line.strip_prefix("--> "));
        let Some((file, line, column)) = place.and_then(split_place) else {
            return Self::new(report.trim());
        };
        let message = report.split_once("\nerror: ").map_or(report, |(_, message)| message);
        let message = message.split("\n-->").next().unwrap_or(message);
        Self::at(file, line, column, message.trim().trim_end_matches(':'))
    }
}

/// The text on one line of at most `longest` characters, three dots in the place of what is left out.
#[must_use]
pub fn one_line(text: &str, longest: usize) -> String {
    const DOTS: &str = "...";
    let ends_line = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let parts = text.split(ends_line).map(str::trim).filter(|part| !part.is_empty());
    let mut characters = parts.flat_map(|part| std::iter::once(' ').chain(part.chars())).skip(1);
    let line: String = characters.by_ref().take(longest).collect();
    if characters.next().is_none() {
        return line;
    }
    line.chars().take(longest.saturating_sub(DOTS.len())).chain(DOTS.chars()).collect()
}

fn split_place(place: &str) -> Option<(&str, u32, u32)> {
    let (rest, column) = place.trim_end().rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{file}:")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(out, "{line}:{column}:")?;
        }
        if self.file.is_some() {
            write!(out, " ")?;
        }
        write!(out, "{}", self.message)
    }
}

impl std::error::Error for Error {}
