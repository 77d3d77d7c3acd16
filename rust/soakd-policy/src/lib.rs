//! Rego policies, evaluated by regorus, behind one type.
#![forbid(unsafe_code)]

mod depth;
mod error;
mod guard;
mod policy;
mod scan;
mod walk;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use policy::{DEFAULT_MEMORY_BYTES, Decision, MAX_MODULE_BYTES, Options, Policy};
pub use regorus::Value;
