//! The Python module `soakd._native`: conversion, the GIL and error mapping, and nothing else.

use pyo3::prelude::*;

mod allocator;
mod cache;
mod clock;
mod convert;
mod deep;
mod errors;
mod floor;
mod gil_cell;
mod key;
mod leaks;
mod pages;
mod policy;
mod recorder;
mod undefined;

/// Rust engines and recorders of soakd.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::allocator::rust_bytes;
    #[pymodule_export]
    use super::cache::Cache;
    #[pymodule_export]
    use super::errors::PolicyError;
    #[pymodule_export]
    use super::floor::nothing;
    #[pymodule_export]
    use super::leaks::{leak_box, leak_reference};
    #[pymodule_export]
    use super::policy::Policy;
    #[pymodule_export]
    use super::recorder::LatencyRecorder;
    #[pymodule_export]
    use super::undefined::Undefined;
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::errors::keep_quiet();
        module.add("UNDEFINED", super::undefined::undefined(module.py())?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
