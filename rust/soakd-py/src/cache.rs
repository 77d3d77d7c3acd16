//! `Cache`.

use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use soakd_cache::{Displaced, Error, Lookup, MAX_CAPACITY, NEVER};

use crate::clock::now_ns;
use crate::errors::guarded;
use crate::gil_cell::GilCell;
use crate::key::{Key, Probe, text};
use crate::pages::{prefer_huge, prefetch};

const NANOSECONDS: f64 = 1e9;

type Entries = soakd_cache::Cache<Key, Py<PyAny>>;
type Object<'py> = Bound<'py, PyAny>;

/// Nothing that leaves `inner` is dropped while it is borrowed: a `__del__` may call back.
#[pyclass(frozen, module = "soakd._native")]
pub(crate) struct Cache {
    inner: GilCell<Inner>,
    /// Nanoseconds.
    ttl: u64,
}

struct Inner {
    entries: Entries,
    /// Whether a value that can be in a cycle was set since the cache was empty: else a collection need not walk a million
    /// strings.
    cyclic: bool,
}

impl Inner {
    fn clear(&mut self) -> impl Iterator<Item = (Key, Py<PyAny>)> + use<> {
        self.cyclic = false;
        self.entries.clear()
    }
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
            let entries = Entries::with_advice(entries, prefer_huge).map_err(|error| match error {
                Error::Capacity(_) => {
                    PyValueError::new_err(format!("capacity: must be between 1 and {MAX_CAPACITY}, got {capacity}"))
                }
                Error::Memory => PyMemoryError::new_err(error.to_string()),
            })?;
            let inner = GilCell::new(Inner { entries, cyclic: false });
            Ok(Self { inner, ttl: ttl_s.map_or(Ok(NEVER), nanoseconds)? })
        })
    }

    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(&self, key: &Object<'py>, default: Option<&Object<'py>>) -> PyResult<Option<Object<'py>>> {
        let py = key.py();
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let (found, expired) =
            self.inner.with(py, |inner| match inner.entries.get(probe.hash, now_ns, |key| probe.is(key)) {
                Lookup::Hit(value) => (Some(value.bind(py).clone()), None),
                Lookup::Expired(key, value) => (None, Some((key, value))),
                Lookup::Miss => (None, None),
            })?;
        drop(expired);
        Ok(found.or_else(|| default.cloned()))
    }

    #[pyo3(signature = (key, value, ttl_s = None))]
    fn set(&self, key: &Object<'_>, value: Py<PyAny>, ttl_s: Option<f64>) -> PyResult<()> {
        let py = key.py();
        let ttl = match ttl_s {
            None => self.ttl,
            Some(ttl_s) => nanoseconds(ttl_s)?,
        };
        let expires_at = if ttl == NEVER { NEVER } else { now_ns().saturating_add(ttl) };
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let displaced = self.inner.with(py, |inner| {
            let kind = Kind::of(&value);
            let is_key = |key: &Key| probe.is(key);
            let displaced =
                inner.entries.insert(probe.hash, || probe.key(), value, expires_at, is_key, Key::hash_of)?;
            // Where a value took the place of another of its type, nothing is new.
            let known = match &displaced {
                Displaced::Updated(old) | Displaced::Evicted(_, old) => Kind::of(old) == kind,
                Displaced::Nothing => false,
            };
            inner.cyclic = inner.cyclic || (!known && kind.has_cycles(py));
            if matches!(displaced, Displaced::Evicted(..))
                && let Some((key, value)) = inner.entries.oldest()
            {
                // The next to go: its head is written when it does.
                key.prefetch();
                prefetch(value.as_ptr());
            }
            Ok::<_, Error>(displaced)
        })?;
        match displaced {
            Ok(Displaced::Nothing) => {}
            Ok(Displaced::Updated(value)) => value.drop_ref(py),
            Ok(Displaced::Evicted(key, value)) => {
                key.drop_ref(py);
                value.drop_ref(py);
            }
            Err(error) => {
                return Err(PyMemoryError::new_err(error.to_string()));
            }
        }
        Ok(())
    }

    fn delete(&self, key: &Object<'_>) -> PyResult<bool> {
        let py = key.py();
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        let removed = self.inner.with(py, |inner| inner.entries.remove(probe.hash, |key| probe.is(key)))?;
        let Some((key, value)) = removed else { return Ok(false) };
        key.drop_ref(py);
        value.drop_ref(py);
        Ok(true)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.inner.with(py, |inner| inner.entries.len())
    }

    fn __contains__(&self, key: &Object<'_>) -> PyResult<bool> {
        let mut copy = None;
        let probe = Probe::new(text(key, &mut copy)?);
        self.inner.with(key.py(), |inner| inner.entries.contains(probe.hash, now_ns, |key| probe.is(key)))
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let removed = self.inner.with(py, Inner::clear)?;
        removed.for_each(drop);
        Ok(())
    }

    #[pyo3(signature = (max_entries = 64))]
    fn sweep(&self, py: Python<'_>, max_entries: usize) -> PyResult<usize> {
        let mut removed = Vec::new();
        self.inner.with(py, |inner| {
            inner.entries.sweep(now_ns(), max_entries, Key::hash_of, &mut removed);
        })?;
        Ok(removed.len())
    }

    #[getter]
    fn capacity(&self, py: Python<'_>) -> PyResult<usize> {
        self.inner.with(py, |inner| inner.entries.capacity())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (stats, entries, bytes) = self
            .inner
            .with(py, |inner| (inner.entries.stats(), inner.entries.len(), inner.entries.structure_bytes()))?;
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
        let visit_all = |inner: &mut Inner| inner.entries.values().try_for_each(|value| visit.call(value));
        self.inner.peek(|inner| if inner.cyclic { visit_all(inner) } else { Ok(()) }).unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        if let Some(removed) = self.inner.peek(Inner::clear) {
            removed.for_each(drop);
        }
    }
}

/// The type of a value that the cache or its caller holds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind(*mut ffi::PyTypeObject);

impl Kind {
    #[inline]
    fn of(value: &Py<PyAny>) -> Self {
        // SAFETY: `value` is a live object.
        Self(unsafe { ffi::Py_TYPE(value.as_ptr()) })
    }

    /// Whether its values can be in a reference cycle: whether the type takes part in garbage collection at all.
    #[inline]
    fn has_cycles(self, _gil: Python<'_>) -> bool {
        // SAFETY: a type lives as long as its values, and the one that this was taken from is in the cache by now.
        let flags = unsafe { ffi::PyType_GetFlags(self.0) };
        flags & ffi::Py_TPFLAGS_HAVE_GC != 0
    }
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
