//! Python strings as cache keys: the hash that CPython keeps in them, and identity before equality.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::pages::prefetch;

/// An exact `str`. Hashing and comparing one runs no Python code.
#[derive(Debug)]
pub(crate) struct Key(Py<PyString>);

impl Key {
    /// The hash; a `str` computes it once.
    #[inline]
    pub(crate) fn hash_of(&self) -> u64 {
        // SAFETY: the pointer is to a live `str`, which this key owns, and keys are hashed with the GIL held only (the
        // cell that the cache is in asks for it). Hashing an exact `str` cannot fail.
        let hash = unsafe { ffi::PyObject_Hash(self.0.as_ptr()) };
        hash.cast_unsigned() as u64
    }

    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch(self.0.as_ptr());
    }

    /// As dropping it, without asking whether the GIL is held.
    #[inline]
    pub(crate) fn drop_ref(self, py: Python<'_>) {
        self.0.drop_ref(py);
    }
}

/// A key that is looked up: borrowed from the caller, with its hash.
pub(crate) struct Probe<'a, 'py> {
    text: &'a Bound<'py, PyString>,
    pub(crate) hash: u64,
}

impl<'a, 'py> Probe<'a, 'py> {
    #[inline]
    pub(crate) fn new(text: &'a Bound<'py, PyString>) -> Self {
        // SAFETY: the pointer is to a live `str`, and the GIL is held. Hashing an exact `str` cannot fail.
        let hash = unsafe { ffi::PyObject_Hash(text.as_ptr()) };
        Self { text, hash: hash.cast_unsigned() as u64 }
    }

    #[inline]
    pub(crate) fn is(&self, key: &Key) -> bool {
        let (ours, theirs) = (self.text.as_ptr(), key.0.as_ptr());
        // SAFETY: both point to live `str` objects and the GIL is held; comparing two of them cannot fail.
        ours == theirs || unsafe { ffi::PyUnicode_Compare(ours, theirs) } == 0
    }

    pub(crate) fn key(&self) -> Key {
        Key(self.text.clone().unbind())
    }
}

/// The key as an exact `str`: itself, or what a subclass (an enum member, say) holds. Methods that the subclass overrides
/// do not count.
#[inline]
pub(crate) fn text<'a, 'py>(
    key: &'a Bound<'py, PyAny>,
    copy: &'a mut Option<Bound<'py, PyString>>,
) -> PyResult<&'a Bound<'py, PyString>> {
    match key.cast_exact::<PyString>() {
        Ok(text) => Ok(text),
        Err(_) => Ok(copy.insert(exact(key)?)),
    }
}

#[cold]
#[inline(never)]
fn exact<'py>(key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let text = key
        .cast::<PyString>()
        .map_err(|_| PyTypeError::new_err(format!("key: must be str, got {}", type_name(key))))?;
    // SAFETY: `text` is a live instance of a subclass of `str` and the GIL is held; the call returns a new reference or
    // sets an exception.
    let exact = unsafe { Bound::from_owned_ptr_or_err(key.py(), ffi::PyUnicode_FromObject(text.as_ptr())) }?;
    Ok(exact.cast_into()?)
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}
