//! Planted leaks, for demonstrations and for the controls of a soak.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

/// Allocate `size_bytes` and never give them back. The pages are written, so that they count as resident.
#[pyfunction]
#[inline(never)]
pub(crate) fn leak_box(size_bytes: usize) -> PyResult<()> {
    let mut block = Vec::new();
    block
        .try_reserve_exact(size_bytes)
        .map_err(|_| PyMemoryError::new_err(format!("leak_box: cannot allocate {size_bytes} bytes")))?;
    block.resize(size_bytes, 0xA5_u8);
    Box::leak(block.into_boxed_slice());
    Ok(())
}

/// Take a reference and never drop it.
#[pyfunction]
#[inline(never)]
pub(crate) fn leak_reference(obj: Py<PyAny>) {
    std::mem::forget(obj);
}
