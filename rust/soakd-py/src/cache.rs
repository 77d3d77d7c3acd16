//! `Cache`.

use std::sync::OnceLock;
use std::time::Instant;

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soakd_cache::{Error, Lookup, MAX_CAPACITY, NEVER};

use crate::errors::guarded;
use crate::gil_cell::GilCell;
use crate::key::{Key, Probe, text};

const NANOSECONDS: f64 = 1e9;

type Inner = soakd_cache::Cache<Key, Py<PyAny>>;
type Object<'py> = Bound<'py, PyAny>;

/// Nothing that leaves `inner` is dropped while it is borrowed: a `__del__` may call back.
#[pyclass(frozen, module = "soakd._native")]
pub(crate) struct Cache {
    inner: GilCell<Inner>,
    /// Nanoseconds.
    ttl: u64,
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (capacity, ttl_s = None))]
    fn new(capacity: &Object<'_>, ttl_s: Option<f64>) -> PyResult<Self> {
        guarded(|| {
            let entries = capacity.extract::<usize>().or_else(|error| {
                // A negative or huge int is a bad value; anything else is a bad type.
                if capacity.is_instance_of::<pyo3::types::PyInt>() { Ok(0) } else { Err(error) }
            })?;
            let inner = Inner::new(entries).map_err(|error| match error {
                Error::Capacity(_) => {
                    PyValueError::new_err(format!("capacity: must be between 1 and {MAX_CAPACITY}, got {capacity}"))
                }
                Error::Memory => PyMemoryError::new_err(error.to_string()),
            })?;
            Ok(Self { inner: GilCell::new(inner), ttl: ttl_s.map_or(Ok(NEVER), nanoseconds)? })
        })
    }

    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(&self, key: &Object<'py>, default: Option<Object<'py>>) -> PyResult<Option<Object<'py>>> {
        let py = key.py();
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let (found, expired) =
            self.inner.with(py, |cache| match cache.get(probe.hash, now, |key| probe.is(key), Key::hash_of) {
                Lookup::Hit(value) => (Some(value.bind(py).clone()), None),
                Lookup::Expired(key, value) => (None, Some((key, value))),
                Lookup::Miss => (None, None),
            })?;
        drop(expired);
        Ok(found.or(default))
    }

    #[pyo3(signature = (key, value, ttl_s = None))]
    fn set(&self, key: &Object<'_>, value: Py<PyAny>, ttl_s: Option<f64>) -> PyResult<()> {
        let py = key.py();
        let ttl = ttl_s.map_or(Ok(self.ttl), nanoseconds)?;
        let expires_at = if ttl == NEVER { NEVER } else { now().saturating_add(ttl) };
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let displaced = self.inner.with(py, |cache| {
            cache.insert(probe.hash, probe.key(), value, expires_at, |key| probe.is(key), Key::hash_of)
        })?;
        displaced.map(drop).map_err(|error| PyMemoryError::new_err(error.to_string()))
    }

    fn delete(&self, key: &Object<'_>) -> PyResult<bool> {
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let removed = self.inner.with(key.py(), |cache| cache.remove(probe.hash, |key| probe.is(key), Key::hash_of))?;
        Ok(removed.is_some())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.inner.with(py, |cache| cache.len())
    }

    fn __contains__(&self, key: &Object<'_>) -> PyResult<bool> {
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        self.inner.with(key.py(), |cache| cache.contains(probe.hash, now, |key| probe.is(key)))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let removed = self.inner.with(py, Inner::clear)?;
        removed.for_each(drop);
        Ok(())
    }

    #[pyo3(signature = (max_entries = 64))]
    fn sweep(&self, py: Python<'_>, max_entries: usize) -> PyResult<usize> {
        let mut removed = Vec::new();
        self.inner.with(py, |cache| cache.sweep(now(), max_entries, Key::hash_of, &mut removed))?;
        Ok(removed.len())
    }

    #[getter]
    fn capacity(&self, py: Python<'_>) -> PyResult<usize> {
        self.inner.with(py, |cache| cache.capacity())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, entries, bytes) =
            self.inner.with(py, |cache| (cache.stats(), cache.len(), cache.structure_bytes()))?;
        let dict = PyDict::new(py);
        dict.set_item("hits", stats.hits)?;
        dict.set_item("misses", stats.misses)?;
        dict.set_item("inserts", stats.inserts)?;
        dict.set_item("updates", stats.updates)?;
        dict.set_item("evictions", stats.evictions)?;
        dict.set_item("expirations", stats.expirations)?;
        dict.set_item("deletes", stats.deletes)?;
        dict.set_item("entries", entries)?;
        dict.set_item("structure_bytes", bytes)?;
        Ok(dict)
    }

    /// Values only: a key is a `str`, which cannot be in a cycle. In the order of memory, not of use.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.inner.peek(|cache| cache.values().try_for_each(|value| visit.call(value))).unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        if let Some(removed) = self.inner.peek(Inner::clear) {
            removed.for_each(drop);
        }
    }
}

/// Nanoseconds of a monotonic clock, from the first time anybody asked.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(NEVER)
}

/// A time to live in nanoseconds; more than u64 holds (584 years) is never.
fn nanoseconds(ttl_s: f64) -> PyResult<u64> {
    if ttl_s > 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; saturates at NEVER")]
        let ttl = (ttl_s * NANOSECONDS) as u64;
        Ok(ttl.max(1))
    } else {
        Err(PyValueError::new_err(format!("ttl_s: must be above 0, got {ttl_s}")))
    }
}
