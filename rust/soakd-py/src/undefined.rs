//! What a rule that does not apply evaluates to. Not `None`, not `False`: those are values.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

#[pyclass(frozen, module = "soakd._native", name = "UndefinedType")]
pub(crate) struct Undefined;

#[expect(clippy::unused_self, reason = "the signatures that Python asks for")]
#[pymethods]
impl Undefined {
    fn __bool__(&self) -> bool {
        false
    }

    fn __repr__(&self) -> &'static str {
        "UNDEFINED"
    }

    /// Pickled and copied by name, so that it stays the only one.
    fn __reduce__(&self) -> &'static str {
        "UNDEFINED"
    }
}

/// The only instance.
pub(crate) fn undefined(py: Python<'_>) -> PyResult<Py<PyAny>> {
    static UNDEFINED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let only = UNDEFINED.get_or_try_init(py, || Ok::<_, PyErr>(Py::new(py, Undefined)?.into_any()))?;
    Ok(only.clone_ref(py))
}
