//! Python objects to Rego values and back, without JSON in between.
//!
//! A few levels by recursion, which is the fastest; what is deeper, by `deep`.

use std::collections::BTreeMap;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use soakd_policy::{Document, Value, check_bits, integer as exact, json, one_line};

use crate::deep;

/// Levels that are converted by recursion: each takes up to a kilobyte of stack.
const SHALLOW: usize = 8;

/// Most values in one document. One list that is in many places is walked at each: without this, forty lists could make
/// 2**40 values.
const MAX_VALUES: usize = 10_000_000;

/// Up to here a float is one integer only; beyond, regorus saturates where it makes an i64 of one.
const EXACT: u64 = 1 << 53;

pub(crate) type Object<'py> = Bound<'py, PyAny>;

/// Dicts, lists, tuples, str, int, float, bool and None, and their subclasses.
pub(crate) fn from_python(object: &Object<'_>) -> PyResult<Document> {
    let mut walk = Walk { depth: 0, values: 0 };
    walk.value(object).map(Document::from).map_err(|fault| fault.raise(object.py()))
}

pub(crate) struct Walk {
    pub(crate) depth: usize,
    values: usize,
}

/// A step from a container to what it holds.
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

/// What cannot be converted, and the way to it, the innermost step first.
pub(crate) struct Fault {
    pub(crate) error: PyErr,
    pub(crate) way: Vec<Step>,
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self { error, way: Vec::new() }
    }
}

impl Fault {
    fn under(mut self, step: Step) -> Self {
        self.way.push(step);
        self
    }

    /// The error, its message with the path before it.
    fn raise(self, py: Python<'_>) -> PyErr {
        const SHOWN: usize = 16;
        const LONGEST_KEY: usize = 60;
        let mut path = String::from("$");
        for step in self.way.iter().rev().take(SHOWN) {
            match step {
                Step::Key(key) => path.extend([".", &one_line(key, LONGEST_KEY)]),
                Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
            }
        }
        if self.way.len() > SHOWN {
            path.push_str("...");
        }
        let text = format!("{path}: {}", self.error.value(py));
        if self.error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err(text)
        } else {
            PyValueError::new_err(text)
        }
    }
}

impl Walk {
    fn value(&mut self, object: &Object<'_>) -> Result<Value, Fault> {
        self.count()?;
        if let Ok(text) = object.cast::<PyString>() {
            Ok(Value::from(text.to_str().map_err(Fault::from)?))
        } else if let Ok(dict) = object.cast::<PyDict>() {
            self.nested(object, |walk| walk.object(dict))
        } else if let Ok(list) = object.cast::<PyList>() {
            self.nested(object, |walk| walk.array(list.len(), list.iter()))
        } else if let Some(value) = scalar(object)? {
            Ok(value)
        } else if let Ok(tuple) = object.cast::<PyTuple>() {
            self.nested(object, |walk| walk.array(tuple.len(), tuple.iter()))
        } else {
            Err(refused(object).into())
        }
    }

    pub(crate) fn count(&mut self) -> PyResult<()> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(PyValueError::new_err(format!("more than {MAX_VALUES} values in one document")));
        }
        Ok(())
    }

    fn nested(
        &mut self,
        object: &Object<'_>,
        body: impl FnOnce(&mut Self) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        if self.depth == SHALLOW {
            return deep::from_python(self, object);
        }
        self.depth += 1;
        let value = body(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self, dict: &Bound<'_, PyDict>) -> Result<Value, Fault> {
        let mut fields = BTreeMap::new();
        let ended = dict.iter().try_for_each(|(key, value)| {
            let Ok(name) = key.cast::<PyString>() else { return Err(no_key(&key).into()) };
            let name = name.to_str()?;
            let value = self.value(&value).map_err(|fault| fault.under(Step::Key(name.to_owned())))?;
            fields.insert(Value::from(name), value);
            Ok(())
        });
        finish(Value::from(fields), ended)
    }

    fn array<'py>(&mut self, len: usize, mut items: impl Iterator<Item = Object<'py>>) -> Result<Value, Fault> {
        let mut values = Vec::with_capacity(len);
        let ended = items.try_for_each(|item| {
            values.push(self.value(&item).map_err(|fault| fault.under(Step::Index(values.len())))?);
            Ok(())
        });
        finish(Value::from(values), ended)
    }
}

/// What was converted before an error may be as deep as any document.
fn finish(value: Value, ended: Result<(), Fault>) -> Result<Value, Fault> {
    match ended {
        Ok(()) => Ok(value),
        Err(fault) => {
            drop(Document::from(value));
            Err(fault)
        }
    }
}

/// What holds no other values; `None` for anything else.
pub(crate) fn scalar(object: &Object<'_>) -> PyResult<Option<Value>> {
    Ok(if let Ok(text) = object.cast::<PyString>() {
        Some(Value::from(text.to_str()?))
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Some(Value::from(flag.is_true()))
    } else if let Ok(number) = object.cast::<PyInt>() {
        Some(integer(number)?)
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Some(float(number.value())?)
    } else if object.is_none() {
        Some(Value::Null)
    } else {
        None
    })
}

pub(crate) fn refused(object: &Object<'_>) -> PyErr {
    let text = |kind| format!("must be a dict, list, tuple, str, int, float, bool or None, got {kind}");
    object.get_type().name().map_or_else(|error| error, |kind| PyTypeError::new_err(text(kind)))
}

pub(crate) fn no_key(key: &Object<'_>) -> PyErr {
    let text = |kind| format!("keys must be str, got {kind}");
    key.get_type().name().map_or_else(|error| error, |kind| PyTypeError::new_err(text(kind)))
}

/// Exact at any size that a float can have.
fn integer(number: &Bound<'_, PyInt>) -> PyResult<Value> {
    if let Ok(small) = number.extract::<i64>() {
        return Ok(Value::from(small));
    }
    let refused = |error: soakd_policy::Error| PyValueError::new_err(error.message);
    let kind = number.py().get_type::<PyInt>();
    // Before its digits, which take the square of their number.
    check_bits(kind.call_method1("bit_length", (number,))?.extract()?).map_err(refused)?;
    let digits = kind.call_method1("__repr__", (number,))?.cast_into::<PyString>()?;
    exact(digits.to_str()?).map_err(refused)
}

fn float(number: f64) -> PyResult<Value> {
    if !number.is_finite() {
        return Err(PyValueError::new_err(format!("must be finite, got {number}")));
    }
    Ok(Value::from(number))
}

/// Sets become lists in ascending order; keys that are no strings become their JSON text.
pub(crate) fn to_python<'py>(py: Python<'py>, document: &Document) -> PyResult<Object<'py>> {
    build(py, document.value(), 0)
}

fn build<'py>(py: Python<'py>, value: &Value, depth: usize) -> PyResult<Object<'py>> {
    match value {
        Value::Array(_) | Value::Set(_) | Value::Object(_) if depth == SHALLOW => deep::to_python(py, value),
        Value::Array(items) => list(py, items.iter(), depth),
        Value::Set(items) => list(py, items.iter_sorted(), depth),
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields.iter_sorted() {
                let value = build(py, value, depth + 1)?;
                match key {
                    Value::String(name) => dict.set_item(&**name, value)?,
                    other => dict.set_item(key_text(other)?, value)?,
                }
            }
            Ok(dict.into_any())
        }
        _ => whole(py, value),
    }
}

fn list<'a, 'py>(py: Python<'py>, items: impl Iterator<Item = &'a Value>, depth: usize) -> PyResult<Object<'py>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(build(py, item, depth + 1)?)?;
    }
    Ok(list.into_any())
}

pub(crate) fn key_text(key: &Value) -> PyResult<String> {
    json(key).map_err(|error| PyValueError::new_err(format!("a key of the result holds {}", error.message)))
}

/// The object for a value that holds no others.
pub(crate) fn whole<'py>(py: Python<'py>, value: &Value) -> PyResult<Object<'py>> {
    Ok(match value {
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Number(number) => {
            let small = number.as_i64().filter(|small| number.is_integer() && small.unsigned_abs() < EXACT);
            if let Some(small) = small {
                small.into_pyobject(py)?.into_any()
            } else if let Some(large) = number.as_big() {
                py.get_type::<PyInt>().call1((large.to_string(),))?
            } else {
                number.as_f64().into_pyobject(py)?.into_any()
            }
        }
        Value::String(text) => PyString::new(py, text).into_any(),
        _ => py.None().into_bound(py),
    })
}
