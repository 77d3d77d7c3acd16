//! Rust errors and panics as Python exceptions.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    soakd._native,
    PolicyError,
    PyValueError,
    "A policy does not compile or a decision failed; has the attributes file, line, column and message."
);

pub(crate) fn policy_error(py: Python<'_>, error: &soakd_policy::Error) -> PyErr {
    let raised = PolicyError::new_err(error.to_string());
    let value = raised.value(py);
    let named = value
        .setattr("file", error.file.as_deref())
        .and_then(|()| value.setattr("line", error.line))
        .and_then(|()| value.setattr("column", error.column))
        .and_then(|()| value.setattr("message", &error.message));
    match named {
        Ok(()) => raised,
        Err(error) => error,
    }
}

/// Run `body`; a panic, which is a bug here or in a library, becomes RuntimeError rather than PanicException, which no
/// `except Exception` would catch.
#[inline]
pub(crate) fn guarded<R>(body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown reason");
        Err(PyRuntimeError::new_err(format!("internal error: {text}")))
    })
}
