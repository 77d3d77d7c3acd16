//! Rego policies, evaluated by regorus, behind one type.
#![forbid(unsafe_code)]

mod error;
mod policy;

pub use error::Error;
pub use policy::{Decision, Options, Policy};
pub use regorus::Value;
