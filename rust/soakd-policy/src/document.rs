//! Values that come from outside, nested as deep as they may be, on threads that have little stack.
//!
//! regorus drops, compares and writes values by recursion, for which a thread may have too little stack: one of musl has
//! 128 KiB, and Python can be told to start one with 32.

use std::fmt::Write as _;

use regorus::Value;
use regorus::value::{ArrayIter, Iter as ObjectIter};

use crate::Error;

/// Deepest nesting of an input, a data document or a result, in containers.
pub const MAX_DEPTH: usize = 512;

/// Measured: half a KiB a level at most in a release build, by `sprintf("%v", ...)`; four times that is given.
pub(crate) const STACK_BYTES: usize = MAX_DEPTH * if cfg!(debug_assertions) { 8 * 1024 } else { 2 * 1024 };

/// The longest integer that a float may hold too.
const MAX_INTEGER_BITS: u64 = 1024;

/// Run `body`, which may drop or write any document, on a stack that is large enough.
pub(crate) fn on_deep_stack<R>(body: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES, body)
}

/// A value that can be dropped on any stack.
#[derive(Debug)]
pub struct Document(Value);

impl Document {
    /// The value, which is to be dropped on a deep stack.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The value, for whoever drops it on a deep stack: [`crate::Policy`] does.
    pub fn into_value(mut self) -> Value {
        std::mem::replace(&mut self.0, Value::Undefined)
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        if matches!(self.0, Value::Array(_) | Value::Set(_) | Value::Object(_)) {
            let value = std::mem::replace(&mut self.0, Value::Undefined);
            on_deep_stack(|| drop(value));
        }
    }
}

/// What a container holds, in ascending order: the key, where it has keys, and the value.
pub enum Members<'a> {
    /// Of an array.
    Array(ArrayIter<'a>),
    /// Of a set.
    Set(Box<dyn Iterator<Item = &'a Value> + 'a>),
    /// Of an object.
    Object(ObjectIter<'a>),
}

impl<'a> Members<'a> {
    /// `None` for what holds nothing.
    #[inline]
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Array(items) => Some(Self::Array(items.iter())),
            Value::Set(items) => Some(Self::Set(Box::new(items.iter_sorted()))),
            Value::Object(fields) => Some(Self::Object(fields.iter_sorted())),
            _ => None,
        }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Option<&'a Value>, &'a Value);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Array(items) => items.next().map(|item| (None, item)),
            Self::Set(items) => items.next().map(|item| (None, item)),
            Self::Object(fields) => fields.next().map(|(key, value)| (Some(key), value)),
        }
    }
}

/// What is too much of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    Depth,
    Values,
}

/// How deep a value is nested; what is referred to twice is counted twice. To be called on a deep stack: it recurses down to
/// `max_depth` levels.
pub(crate) fn depth(value: &Value, max_depth: usize, max_values: usize) -> Result<usize, Excess> {
    levels(value, max_depth, &mut max_values.clone())
}

fn levels(value: &Value, left: usize, values: &mut usize) -> Result<usize, Excess> {
    *values = values.checked_sub(1).ok_or(Excess::Values)?;
    if !matches!(value, Value::Array(_) | Value::Set(_) | Value::Object(_)) {
        return Ok(0);
    }
    let left = left.checked_sub(1).ok_or(Excess::Depth)?;
    let mut below = 0;
    let mut see = |held| levels(held, left, values).map(|levels| below = below.max(levels));
    match value {
        Value::Array(items) => items.iter().try_for_each(see)?,
        Value::Set(items) => items.iter().try_for_each(see)?,
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| see(key).and_then(|()| see(value)))?,
        _ => {}
    }
    Ok(below + 1)
}

/// A value as JSON; a set as an array.
///
/// # Errors
///
/// It holds a number that JSON cannot carry.
pub fn json(value: &Value) -> Result<String, Error> {
    on_deep_stack(|| {
        let mut text = String::new();
        match write!(text, "{value}") {
            Ok(()) => Ok(text),
            Err(_) => Err(Error::new(UNWRITABLE)),
        }
    })
}

/// Said of numbers that regorus cannot write down. serde_json takes the largest floats for infinity already.
pub(crate) const UNWRITABLE: &str = "a number that cannot be written as JSON: about 1.8e308 or beyond";

const TOO_LARGE: &str = "an integer beyond 1.8e308: neither a float nor JSON can carry it";

/// An integer, exactly.
///
/// # Errors
///
/// The text is no number, or one that no float can come near.
pub fn integer(digits: &str) -> Result<Value, Error> {
    if digits.parse().is_ok_and(f64::is_infinite) {
        return Err(Error::new(TOO_LARGE));
    }
    Value::from_numeric_string(digits).map_err(|error| Error::new(error.to_string()))
}

/// Refuse an integer of so many bits without looking at its digits.
///
/// # Errors
///
/// It has more than a float can hold.
pub fn check_bits(bits: u64) -> Result<(), Error> {
    if bits > MAX_INTEGER_BITS { Err(Error::new(TOO_LARGE)) } else { Ok(()) }
}
