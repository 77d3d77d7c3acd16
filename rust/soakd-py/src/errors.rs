//! Rust errors and panics as Python exceptions.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use soakd_policy::{MAX_MESSAGE, one_line};

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

thread_local! {
    /// Whether a panic of this thread becomes an exception.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Keep panics that become exceptions from writing to stderr too: the exception says what there is to say.
pub(crate) fn keep_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = take_hook();
        set_hook(Box::new(move |info| {
            if !CAUGHT.try_with(Cell::get).unwrap_or_default() {
                loud(info);
            }
        }));
    });
}

/// Run `body`; a panic, which is a bug here or in a library, becomes RuntimeError rather than PanicException, which no
/// `except Exception` would catch.
#[inline]
pub(crate) fn guarded<R>(body: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let outer = CAUGHT.replace(true);
    let caught = catch_unwind(AssertUnwindSafe(body));
    CAUGHT.set(outer);
    caught.unwrap_or_else(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown reason");
        Err(PyRuntimeError::new_err(format!("internal error: {}", one_line(text, MAX_MESSAGE))))
    })
}
