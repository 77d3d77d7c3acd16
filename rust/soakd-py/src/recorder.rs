//! `LatencyRecorder`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::guarded;
use crate::gil_cell::GilCell;

#[pyclass(frozen, module = "soakd._native")]
#[derive(Default)]
pub(crate) struct LatencyRecorder {
    inner: GilCell<soakd_latency::Recorder>,
}

type Encoded<'py> = Bound<'py, PyBytes>;

#[pymethods]
impl LatencyRecorder {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[pyo3(signature = (intended_ns, start_ns, end_ns, /))]
    fn record(&self, py: Python<'_>, intended_ns: i64, start_ns: i64, end_ns: i64) -> PyResult<()> {
        self.inner.with(py, |recorder| recorder.record(intended_ns, start_ns, end_ns))
    }

    fn take<'py>(&self, py: Python<'py>) -> PyResult<(Encoded<'py>, Encoded<'py>, Encoded<'py>)> {
        guarded(|| {
            let taken = self.inner.with(py, soakd_latency::Recorder::take)?;
            let bytes = |encoded: &[u8]| PyBytes::new(py, encoded);
            Ok((bytes(&taken.service), bytes(&taken.response), bytes(&taken.lateness)))
        })
    }

    #[getter]
    fn count(&self, py: Python<'_>) -> PyResult<u64> {
        self.inner.with(py, |recorder| recorder.count())
    }
}
