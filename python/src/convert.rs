//! Documents, parameters and columns between Python and the crate.

use mle::store::SqlValue;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple,
};
use serde_json::{Map, Value};

/// Deeper documents are cycles, most likely.
const DEPTH_MAX: usize = 100;

/// A document from Python: what JSON has a form for, and arrays and scalars of numpy and of those like it.
///
/// NaN becomes null and the infinities "inf" and "-inf", as in vectors of metrics.
pub(crate) struct Document(pub(crate) Value);

impl<'py> FromPyObject<'_, 'py> for Document {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Document> {
        from_py(&object, 0).map(Document)
    }
}

/// An object of a document: a dict from Python.
#[derive(Default)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<'py> FromPyObject<'_, 'py> for Object {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Object> {
        match from_py(&object, 0)? {
            Value::Object(map) => Ok(Object(map)),
            Value::Null => Ok(Object::default()),
            _ => Err(PyTypeError::new_err(format!("a dict is wanted, not {}", type_name(&object)))),
        }
    }
}

pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".into(), |name| name.to_string())
}

/// Returns a document.
pub(crate) fn from_py(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > DEPTH_MAX {
        return Err(PyValueError::new_err(
            "the document is nested more than 100 deep, or holds itself",
        ));
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if object.is_instance_of::<PyInt>() {
        return match object.extract::<i64>() {
            Ok(whole) => Ok(whole.into()),
            Err(_) => object
                .extract::<u64>()
                .map(Value::from)
                .or_else(|_| Ok(Value::from(object.extract::<f64>()?))),
        };
    }
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(mle::metric::json_number(value.value()));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::String(text.to_cow()?.into_owned()));
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        return map_from(dict.iter(), depth);
    }
    let is_list = object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>()
        || object.is_instance_of::<PyFrozenSet>();
    if is_list {
        let items = object.try_iter()?.map(|item| from_py(&item?, depth + 1));
        return items.collect::<PyResult<Vec<_>>>().map(Value::Array);
    }
    // numpy, torch and jax: arrays and scalars.
    for method in ["tolist", "item"] {
        if let Ok(convert) = object.getattr(method) {
            let plain = convert.call0()?;
            if !plain.is(object) {
                return from_py(&plain, depth + 1);
            }
        }
    }
    if let Ok(path) = object.call_method0("__fspath__") {
        return from_py(&path, depth + 1);
    }
    if let Ok(text) = object.call_method0("isoformat") {
        return from_py(&text, depth + 1);
    }
    // Mappings that are no dict: OmegaConf, DotMap, flax.
    if let (Ok(items), Ok(_)) = (object.call_method0("items"), object.getattr("keys")) {
        let pairs: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)> =
            items.try_iter()?.map(|pair| pair?.extract()).collect::<PyResult<_>>()?;
        return map_from(pairs.into_iter(), depth);
    }
    Err(PyTypeError::new_err(format!("a value of type {} has no form in JSON", type_name(object))))
}

fn map_from<'py>(
    pairs: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    depth: usize,
) -> PyResult<Value> {
    let mut map = Map::new();
    for (key, value) in pairs {
        let name = match key.cast::<PyString>() {
            Ok(text) => text.to_cow()?.into_owned(),
            Err(_) => key.str()?.to_cow()?.into_owned(),
        };
        let value = from_py(&value, depth + 1).map_err(|error| place(&key, error))?;
        map.insert(name, value);
    }
    Ok(Value::Object(map))
}

/// Says in which key an error is.
fn place(key: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = key.py();
    if error.is_instance_of::<PyTypeError>(py) {
        return PyTypeError::new_err(format!("{key}: {}", error.value(py)));
    }
    error
}

/// Returns a document as Python has it: dicts, lists and scalars.
pub(crate) fn to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => whole.into_pyobject(py)?.into_any(),
            (None, Some(whole)) => whole.into_pyobject(py)?.into_any(),
            _ => number.as_f64().unwrap_or(f64::NAN).into_pyobject(py)?.into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            items.iter().try_for_each(|item| list.append(to_py(py, item)?))?;
            list.into_any()
        }
        Value::Object(map) => object_to_py(py, map)?.into_any(),
    })
}

pub(crate) fn object_to_py<'py>(
    py: Python<'py>,
    map: &Map<String, Value>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    map.iter().try_for_each(|(key, value)| dict.set_item(key, to_py(py, value)?))?;
    Ok(dict)
}

/// A value for SQL: None, bool, int, float, str or bytes.
pub(crate) fn sql_value(object: &Bound<'_, PyAny>) -> PyResult<SqlValue> {
    if object.is_none() {
        return Ok(SqlValue::Null);
    }
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(SqlValue::Blob(bytes.as_bytes().to_vec()));
    }
    match from_py(object, 0)? {
        Value::Bool(value) => Ok(SqlValue::Integer(value.into())),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Ok(SqlValue::Integer(whole)),
            None => Ok(SqlValue::Real(number.as_f64().unwrap_or(f64::NAN))),
        },
        // "inf" may have been a float.
        Value::String(_) if object.is_instance_of::<PyFloat>() => {
            Ok(SqlValue::Real(object.extract()?))
        }
        Value::String(text) => Ok(SqlValue::Text(text)),
        Value::Null => Ok(SqlValue::Null),
        _ => Err(PyTypeError::new_err(format!(
            "an SQL parameter is None, a number, a str or bytes, not {}",
            type_name(object)
        ))),
    }
}

/// A column that grows: as narrow as its values allow.
#[derive(Default)]
pub(crate) struct Column {
    ints: Vec<i64>,
    reals: Vec<f64>,
    /// Where a column of reals is NULL.
    nulls: Vec<usize>,
    others: Vec<SqlValue>,
    /// Whether `others` has more than whole numbers and NULL.
    mixed: bool,
    kind: Kind,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Empty,
    Ints,
    Reals,
    Others,
}

impl Column {
    pub(crate) fn push(&mut self, value: SqlValue) {
        match (self.kind, value) {
            (Kind::Empty | Kind::Ints, SqlValue::Integer(value)) => {
                self.kind = Kind::Ints;
                self.ints.push(value);
            }
            (Kind::Empty | Kind::Reals, SqlValue::Real(value)) => {
                self.kind = Kind::Reals;
                self.reals.push(value);
            }
            (Kind::Reals, SqlValue::Null) => {
                self.nulls.push(self.reals.len());
                self.reals.push(f64::NAN);
            }
            (Kind::Reals, SqlValue::Integer(value)) => self.reals.push(value as f64),
            (Kind::Ints, SqlValue::Real(value)) => {
                self.kind = Kind::Reals;
                self.reals = std::mem::take(&mut self.ints).into_iter().map(|x| x as f64).collect();
                self.reals.push(value);
            }
            (Kind::Others, SqlValue::Real(value)) if !self.mixed => {
                self.kind = Kind::Reals;
                for other in std::mem::take(&mut self.others) {
                    self.push(other);
                }
                self.reals.push(value);
            }
            (_, value) => {
                self.widen();
                self.mixed |= !matches!(value, SqlValue::Null | SqlValue::Integer(_));
                self.others.push(value);
            }
        }
    }

    fn widen(&mut self) {
        match self.kind {
            Kind::Ints => {
                self.others =
                    std::mem::take(&mut self.ints).into_iter().map(SqlValue::Integer).collect();
            }
            Kind::Reals => {
                self.mixed = true;
                self.others =
                    std::mem::take(&mut self.reals).into_iter().map(SqlValue::Real).collect();
                for at in std::mem::take(&mut self.nulls) {
                    self.others[at] = SqlValue::Null;
                }
            }
            Kind::Empty | Kind::Others => {}
        }
        self.kind = Kind::Others;
    }

    /// Returns `("i", bytearray of int64)`, `("f", bytearray of float64, [places that are NULL])` or `("o", list)`.
    pub(crate) fn into_py<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        match self.kind {
            Kind::Ints => ("i", numbers(py, &self.ints)?).into_pyobject(py),
            Kind::Reals => ("f", numbers(py, &self.reals)?, self.nulls).into_pyobject(py),
            Kind::Empty | Kind::Others => {
                let list = PyList::empty(py);
                for value in self.others {
                    list.append(match value {
                        SqlValue::Null => py.None().into_bound(py),
                        SqlValue::Integer(value) => value.into_pyobject(py)?.into_any(),
                        SqlValue::Real(value) => value.into_pyobject(py)?.into_any(),
                        SqlValue::Text(text) => PyString::new(py, &text).into_any(),
                        SqlValue::Blob(bytes) => PyBytes::new(py, &bytes).into_any(),
                    })?;
                }
                ("o", list).into_pyobject(py)
            }
        }
    }
}

/// What lies in memory as numpy wants it.
pub(crate) trait Plain: Copy {
    const SIZE: usize;
    fn write(self, to: &mut [u8]);
}

impl Plain for i64 {
    const SIZE: usize = 8;
    fn write(self, to: &mut [u8]) {
        to.copy_from_slice(&self.to_ne_bytes());
    }
}

impl Plain for f64 {
    const SIZE: usize = 8;
    fn write(self, to: &mut [u8]) {
        to.copy_from_slice(&self.to_ne_bytes());
    }
}

impl Plain for u32 {
    const SIZE: usize = 4;
    fn write(self, to: &mut [u8]) {
        to.copy_from_slice(&self.to_ne_bytes());
    }
}

/// Returns numbers as a bytearray in the machine's byte order: numpy, arrow and memoryview take it without a copy.
pub(crate) fn numbers<'py, T: Plain>(
    py: Python<'py>,
    of: &[T],
) -> PyResult<Bound<'py, PyByteArray>> {
    PyByteArray::new_with(py, of.len() * T::SIZE, |bytes| {
        for (to, number) in bytes.chunks_exact_mut(T::SIZE).zip(of) {
            number.write(to);
        }
        Ok(())
    })
}
