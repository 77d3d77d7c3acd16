//! Python objects to Rego values and back, without JSON in between.

use std::collections::BTreeMap;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use soakd_policy::Value;

/// Deepest nesting of an input, a data document or a result.
const MAX_DEPTH: usize = 512;

/// Most values in one document. One list that is in many places is walked at each: without this, forty lists could make
/// 2**40 values.
const MAX_VALUES: usize = 10_000_000;

/// Up to here a float is one integer only; beyond, regorus saturates where it makes an i64 of one.
const EXACT: u64 = 1 << 53;

type Object<'py> = Bound<'py, PyAny>;

/// Dicts, lists, tuples, str, int, float, bool and None, and their subclasses.
pub(crate) fn from_python(object: &Object<'_>) -> PyResult<Value> {
    let mut walk = Walk { depth: 0, values: 0 };
    walk.value(object).map_err(|fault| fault.raise("$"))
}

struct Walk {
    depth: usize,
    values: usize,
}

/// A step from a container to what it holds.
enum Step {
    Key(String),
    Index(usize),
}

/// What cannot be converted, and the way to it, the innermost step first.
struct Fault {
    error: PyErr,
    way: Vec<Step>,
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
    fn raise(self, root: &str) -> PyErr {
        const SHOWN: usize = 16;
        let mut path = String::from(root);
        for step in self.way.iter().rev().take(SHOWN) {
            match step {
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
            }
        }
        if self.way.len() > SHOWN {
            path.push_str("...");
        }
        Python::attach(|py| {
            let text = format!("{path}: {}", self.error.value(py));
            if self.error.is_instance_of::<PyTypeError>(py) {
                PyTypeError::new_err(text)
            } else {
                PyValueError::new_err(text)
            }
        })
    }
}

impl Walk {
    fn value(&mut self, object: &Object<'_>) -> Result<Value, Fault> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(PyValueError::new_err(format!("more than {MAX_VALUES} values in one document")).into());
        }
        if let Ok(text) = object.cast::<PyString>() {
            Ok(Value::from(text.to_str()?))
        } else if let Ok(dict) = object.cast::<PyDict>() {
            self.nested(|walk| walk.object(dict))
        } else if let Ok(list) = object.cast::<PyList>() {
            self.nested(|walk| walk.array(list.len(), list.iter()))
        } else if let Ok(flag) = object.cast::<PyBool>() {
            Ok(Value::from(flag.is_true()))
        } else if let Ok(number) = object.cast::<PyInt>() {
            Ok(integer(number)?)
        } else if let Ok(number) = object.cast::<PyFloat>() {
            Ok(float(number.value())?)
        } else if object.is_none() {
            Ok(Value::Null)
        } else if let Ok(tuple) = object.cast::<PyTuple>() {
            self.nested(|walk| walk.array(tuple.len(), tuple.iter()))
        } else {
            let kind = object.get_type().name()?;
            Err(PyTypeError::new_err(format!("must be a dict, list, tuple, str, int, float, bool or None, got {kind}"))
                .into())
        }
    }

    fn nested(&mut self, body: impl FnOnce(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth == MAX_DEPTH {
            return Err(
                PyValueError::new_err(format!("nested deeper than {MAX_DEPTH} levels, or within itself")).into()
            );
        }
        self.depth += 1;
        let value = body(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self, dict: &Bound<'_, PyDict>) -> Result<Value, Fault> {
        let mut fields = BTreeMap::new();
        for (key, value) in dict {
            let Ok(name) = key.cast::<PyString>() else {
                let kind = key.get_type().name()?;
                return Err(PyTypeError::new_err(format!("keys must be str, got {kind}")).into());
            };
            let name = name.to_str()?;
            let value = self.value(&value).map_err(|fault| fault.under(Step::Key(name.to_owned())))?;
            fields.insert(Value::from(name), value);
        }
        Ok(Value::from(fields))
    }

    fn array<'py>(&mut self, len: usize, items: impl Iterator<Item = Object<'py>>) -> Result<Value, Fault> {
        let mut values = Vec::with_capacity(len);
        for (index, item) in items.enumerate() {
            values.push(self.value(&item).map_err(|fault| fault.under(Step::Index(index)))?);
        }
        Ok(Value::from(values))
    }
}

/// Exact at any size, up to CPython's own limit on the digits of an int.
fn integer(number: &Bound<'_, PyInt>) -> PyResult<Value> {
    if let Ok(small) = number.extract::<i64>() {
        return Ok(Value::from(small));
    }
    let py = number.py();
    let digits = py.get_type::<PyInt>().call_method1("__repr__", (number,))?;
    let digits = digits.cast_into::<PyString>()?;
    Value::from_numeric_string(digits.to_str()?).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn float(number: f64) -> PyResult<Value> {
    if number.is_finite() {
        Ok(Value::from(number))
    } else {
        Err(PyValueError::new_err(format!("must be finite, got {number}")))
    }
}

/// Sets become lists in ascending order; keys that are no strings become their JSON text.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Object<'py>> {
    build(py, value, 0)
}

fn build<'py>(py: Python<'py>, value: &Value, depth: usize) -> PyResult<Object<'py>> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err(format!("the result is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(match value {
        Value::Null | Value::Undefined => py.None().into_bound(py),
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
        Value::Array(items) => list(py, items.iter(), depth)?,
        Value::Set(items) => list(py, items.iter_sorted(), depth)?,
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields.iter_sorted() {
                let value = build(py, value, depth + 1)?;
                match key {
                    Value::String(name) => dict.set_item(&**name, value)?,
                    other => dict.set_item(other.to_string(), value)?,
                }
            }
            dict.into_any()
        }
    })
}

fn list<'a, 'py>(py: Python<'py>, items: impl Iterator<Item = &'a Value>, depth: usize) -> PyResult<Object<'py>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(build(py, item, depth + 1)?)?;
    }
    Ok(list.into_any())
}
