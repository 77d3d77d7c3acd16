//! Rego policies, evaluated by regorus, behind one type.
#![forbid(unsafe_code)]

mod depth;
mod document;
mod error;
mod guard;
mod nesting;
mod policy;
mod scan;
mod walk;

#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod tests;

pub use document::{Document, MAX_DEPTH, Members, check_bits, integer, json};
pub use error::{Error, MAX_MESSAGE, one_line};
pub use policy::{DEFAULT_MEMORY_BYTES, Decision, MAX_MODULE_BYTES, Options, Policy};
pub use regorus::Value;
