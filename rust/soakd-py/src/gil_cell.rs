//! A cell that the GIL protects, and a flag that keeps re-entrant calls out.

use std::cell::{Cell, UnsafeCell};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// A value that is borrowed by one caller at a time; cheaper than a mutex, because the GIL is held anyway.
#[derive(Debug, Default)]
pub(crate) struct GilCell<T> {
    borrowed: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: `borrowed` and `value` are reached through `with` and `peek` only. `with` asks for a `Python` token, `peek` is
// called by the garbage collector: either way the GIL is held (the module declares `gil_used`), so that no two threads
// are in here at once, and another thread sees what the last one wrote.
unsafe impl<T: Send> Sync for GilCell<T> {}

/// Gives the borrow back, after a panic too.
struct Release<'a>(&'a Cell<bool>);

impl Drop for Release<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<T> GilCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { borrowed: Cell::new(false), value: UnsafeCell::new(value) }
    }

    /// Run `body` on the value. It should run no Python code and drop no Python object: while it runs, every other
    /// call raises RuntimeError.
    #[inline]
    pub(crate) fn with<R>(&self, _gil: Python<'_>, body: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        self.peek(body).ok_or_else(|| PyRuntimeError::new_err("called again from within one of its own calls"))
    }

    /// As [`GilCell::with`], for the garbage collector, which has no token. `None` when the value is borrowed.
    #[inline]
    pub(crate) fn peek<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.borrowed.replace(true) {
            return None;
        }
        let _release = Release(&self.borrowed);
        // SAFETY: `borrowed` was false, so no other reference to the value exists, and it stays true until this one
        // has ended.
        Some(body(unsafe { &mut *self.value.get() }))
    }
}
