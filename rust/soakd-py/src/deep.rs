//! Conversion without recursion, of what is nested too deep for a thread with little stack.
//!
//! Nor is it done on another stack: this runs Python code, and CPython 3.14 takes a foreign stack for an overflow.

use std::collections::BTreeMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::types::{dict::BoundDictIterator, list::BoundListIterator, tuple::BoundTupleIterator};
use soakd_policy::{Document, MAX_DEPTH, Members, Value};

use crate::convert::{Fault, Object, Step, Walk, key_text, no_key, refused, scalar, whole};

/// A container in the making, and what is still to come of it.
enum Container<'py> {
    Object { rest: BoundDictIterator<'py>, key: Value, fields: BTreeMap<Value, Value> },
    List { rest: BoundListIterator<'py>, values: Vec<Value> },
    Tuple { rest: BoundTupleIterator<'py>, values: Vec<Value> },
}

impl<'py> Container<'py> {
    fn of(object: &Object<'py>) -> Option<Self> {
        if let Ok(dict) = object.cast::<PyDict>() {
            Some(Self::Object { rest: dict.iter(), key: Value::Undefined, fields: BTreeMap::new() })
        } else if let Ok(list) = object.cast::<PyList>() {
            Some(Self::List { rest: list.iter(), values: Vec::with_capacity(list.len()) })
        } else if let Ok(tuple) = object.cast::<PyTuple>() {
            Some(Self::Tuple { rest: tuple.iter(), values: Vec::with_capacity(tuple.len()) })
        } else {
            None
        }
    }

    /// The next object to convert; the one before it has been added.
    fn next(&mut self) -> PyResult<Option<Object<'py>>> {
        match self {
            Self::Object { rest, key, .. } => {
                let Some((name, value)) = rest.next() else { return Ok(None) };
                *key = Value::Undefined;
                let Ok(name) = name.cast::<PyString>() else { return Err(no_key(&name)) };
                *key = Value::from(name.to_str()?);
                Ok(Some(value))
            }
            Self::List { rest, .. } => Ok(rest.next()),
            Self::Tuple { rest, .. } => Ok(rest.next()),
        }
    }

    fn add(&mut self, value: Value) {
        match self {
            Self::Object { key, fields, .. } => drop(fields.insert(std::mem::replace(key, Value::Undefined), value)),
            Self::List { values, .. } | Self::Tuple { values, .. } => values.push(value),
        }
    }

    fn finish(self) -> Value {
        match self {
            Self::Object { fields, .. } => Value::from(fields),
            Self::List { values, .. } | Self::Tuple { values, .. } => Value::from(values),
        }
    }

    /// The step from this container to what it is at.
    fn step(&self) -> Option<Step> {
        match self {
            Self::Object { key: Value::String(key), .. } => Some(Step::Key(key.to_string())),
            Self::Object { .. } => None,
            Self::List { values, .. } | Self::Tuple { values, .. } => Some(Step::Index(values.len())),
        }
    }
}

/// The containers on the way to what is converted. What an error leaves of them may be as deep as any document.
struct Open<'py>(Vec<Container<'py>>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        for container in self.0.drain(..) {
            drop(Document::from(container.finish()));
        }
    }
}

/// As [`Walk::value`], for a container.
pub(crate) fn from_python(walk: &mut Walk, object: &Object<'_>) -> Result<Value, Fault> {
    let mut open = Open(Container::of(object).into_iter().collect());
    fill(walk, &mut open).map_err(|error| {
        let way = open.0.iter().rev().filter_map(Container::step).collect();
        Fault { error, way }
    })
}

fn fill(walk: &mut Walk, open: &mut Open<'_>) -> PyResult<Value> {
    while let Some(container) = open.0.last_mut() {
        let Some(object) = container.next()? else {
            let value = open.0.pop().map_or(Value::Undefined, Container::finish);
            match open.0.last_mut() {
                Some(outer) => outer.add(value),
                None => return Ok(value),
            }
            continue;
        };
        walk.count()?;
        if let Some(value) = scalar(&object)? {
            container.add(value);
        } else if walk.depth + open.0.len() >= MAX_DEPTH {
            return Err(too_deep());
        } else {
            open.0.push(Container::of(&object).ok_or_else(|| refused(&object))?);
        }
    }
    Ok(Value::Undefined)
}

fn too_deep() -> PyErr {
    PyValueError::new_err(format!("nested deeper than {MAX_DEPTH} levels, or within itself"))
}

/// A container in the making, the other way.
enum Filled<'py> {
    Dict(Bound<'py, PyDict>),
    List(Bound<'py, PyList>),
}

impl<'py> Filled<'py> {
    /// An empty one; `None` for a value that holds no others.
    fn new<'a>(py: Python<'py>, value: &'a Value) -> Option<(Self, Members<'a>)> {
        let members = Members::of(value)?;
        let filled = if matches!(members, Members::Object(_)) {
            Self::Dict(PyDict::new(py))
        } else {
            Self::List(PyList::empty(py))
        };
        Some((filled, members))
    }

    fn object(&self) -> &Object<'py> {
        match self {
            Self::Dict(dict) => dict.as_any(),
            Self::List(list) => list.as_any(),
        }
    }

    fn put(&self, key: Option<&Value>, object: &Object<'py>) -> PyResult<()> {
        match (self, key) {
            (Self::Dict(dict), Some(Value::String(name))) => dict.set_item(&**name, object),
            (Self::Dict(dict), Some(key)) => dict.set_item(key_text(key)?, object),
            (Self::Dict(_), None) => Ok(()),
            (Self::List(list), _) => list.append(object),
        }
    }
}

/// As [`crate::convert::to_python`], for a container.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Object<'py>> {
    let Some((outer, members)) = Filled::new(py, value) else { return whole(py, value) };
    let root = outer.object().clone();
    let mut open = vec![(outer, members)];
    while let Some((container, members)) = open.last_mut() {
        let mut inner = None;
        for (key, held) in members {
            inner = Filled::new(py, held);
            if let Some((filled, _)) = &inner {
                container.put(key, filled.object())?;
                break;
            }
            container.put(key, &whole(py, held)?)?;
        }
        match inner {
            Some(inner) => open.push(inner),
            None => drop(open.pop()),
        }
    }
    Ok(root)
}
