//! `Policy`.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soakd_policy::{DEFAULT_MEMORY_BYTES, Decision, Document, Options};

use crate::convert::{from_python, to_python};
use crate::errors::{guarded, policy_error};
use crate::gil_cell::GilCell;
use crate::undefined::undefined;

#[pyclass(frozen, module = "soakd._native")]
pub(crate) struct Policy {
    inner: GilCell<soakd_policy::Policy>,
    rule: String,
    options: Options,
}

#[pymethods]
impl Policy {
    #[new]
    #[pyo3(
        signature = (modules, rule, data = None, *, timeout_s = Some(1.0), memory_bytes = DEFAULT_MEMORY_BYTES),
        text_signature = "(modules, rule, data=None, *, timeout_s=1.0, memory_bytes=536870912)"
    )]
    fn new(
        modules: &Bound<'_, PyDict>,
        rule: String,
        data: Option<&Bound<'_, PyAny>>,
        timeout_s: Option<f64>,
        memory_bytes: usize,
    ) -> PyResult<Self> {
        guarded(|| {
            let options = Options { timeout: timeout_s.map(duration).transpose()?, memory_bytes };
            let inner = GilCell::new(compile(modules, &rule, data, options)?);
            Ok(Self { inner, rule, options })
        })
    }

    fn decide<'py>(&self, py: Python<'py>, input: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let input = from_python(input)?;
            match self.inner.with(py, |policy| policy.decide(input.into_value()))? {
                Ok(Decision::Value(value)) => to_python(py, &Document::from(value)),
                Ok(Decision::Undefined) => Ok(undefined(py)?.into_bound(py)),
                Err(error) => Err(policy_error(py, &error)),
            }
        })
    }

    #[pyo3(signature = (modules, data = None))]
    fn reload(&self, py: Python<'_>, modules: &Bound<'_, PyDict>, data: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        guarded(|| {
            let next = compile(modules, &self.rule, data, self.options)?;
            let last = self.inner.with(py, |policy| std::mem::replace(policy, next))?;
            py.detach(|| drop(last));
            Ok(())
        })
    }

    #[getter]
    fn rule(&self) -> &str {
        &self.rule
    }
}

/// Compile without the GIL: 10 MB of modules take seconds.
fn compile(
    modules: &Bound<'_, PyDict>,
    rule: &str,
    data: Option<&Bound<'_, PyAny>>,
    options: Options,
) -> PyResult<soakd_policy::Policy> {
    let py = modules.py();
    let modules: Vec<(String, String)> =
        modules.iter().map(|(name, source)| Ok((name.extract()?, source.extract()?))).collect::<PyResult<_>>()?;
    let data: Option<Document> = data.map(from_python).transpose()?;
    let borrowed = modules.iter().map(|(name, source)| (name.as_str(), source.as_str()));
    py.detach(|| soakd_policy::Policy::new(borrowed, rule, data.map(Document::into_value), options))
        .map_err(|error| policy_error(py, &error))
}

fn duration(timeout_s: f64) -> PyResult<Duration> {
    let duration = Duration::try_from_secs_f64(timeout_s).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| PyValueError::new_err(format!("timeout_s: must be above 0 and finite, got {timeout_s}")))
}
