//! Plain objects, read and built property by property.
//!
//! Reading is strict: a property of the wrong type is an error; one that is `undefined` or `null` counts as not given.
//! Frequent values are converted by hand, and so are options, because a general deserializer was an eighth of the
//! module; inspection crosses through serde (see `inspect.rs`).

use alloc::string::String;
use alloc::vec::Vec;

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;

use super::error::argument;
use crate::error::SessionError;
use crate::id::SEQUENCE_MAX;

/// An object with these properties. Setting a property of a new object does not fail.
pub(super) fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    map(properties.into_iter())
}

/// An object with one property for each part.
pub(super) fn map<K: AsRef<str>>(parts: impl Iterator<Item = (K, JsValue)>) -> JsValue {
    let object = Object::new();
    parts.for_each(|(name, value)| put(&object, name.as_ref(), &value));
    object.into()
}

fn put(object: &Object, name: &str, value: &JsValue) {
    let _ = Reflect::set(object, &JsValue::from_str(name), value);
}

/// A list.
pub(super) fn list(items: impl Iterator<Item = JsValue>) -> JsValue {
    items.collect::<Array>().into()
}

/// A text, or `null`.
pub(super) fn text(value: Option<impl AsRef<str>>) -> JsValue {
    value.map_or(JsValue::NULL, |value| JsValue::from_str(value.as_ref()))
}

/// A number, or `null`.
pub(super) fn number(value: Option<u64>) -> JsValue {
    value.map_or(JsValue::NULL, |value| JsValue::from_f64(value as f64))
}

/// An object to read, or none, and the error message for a wrong form.
pub(super) struct Given {
    /// `undefined` if the object was not given; it then has no properties.
    value: JsValue,
    what: &'static str,
}

impl Given {
    /// # Errors
    /// `ARGUMENT_INVALID` if the value is not an object.
    pub(super) fn new(value: JsValue, what: &'static str) -> Result<Self, SessionError> {
        if value.is_object() { Ok(Self { value, what }) } else { Err(argument(what)) }
    }

    /// The property, if it was given.
    fn get(&self, name: &str) -> Result<Option<JsValue>, SessionError> {
        if self.value.is_undefined() {
            return Ok(None);
        }
        let value = Reflect::get(&self.value, &JsValue::from_str(name)).map_err(|_| argument(self.what))?;
        Ok(if value.is_undefined() || value.is_null() { None } else { Some(value) })
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(JsValue) -> Option<T>) -> Result<Option<T>, SessionError> {
        self.get(name)?.map(|value| read(value).ok_or_else(|| argument(self.what))).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, SessionError> {
        self.read(name, |value| value.as_string())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, SessionError> {
        self.read(name, |value| value.as_bool())
    }

    /// A whole number that is not negative and that JavaScript represents exactly.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, SessionError> {
        let whole = |number: &f64| *number >= 0.0 && *number <= SEQUENCE_MAX as f64 && *number as u64 as f64 == *number;
        self.read(name, |value| value.as_f64().filter(whole).map(|number| number as u64))
    }

    /// Bytes, as such or as a list of numbers.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, SessionError> {
        let byte = |value: JsValue| value.as_f64().filter(|number| f64::from(*number as u8) == *number);
        self.read(name, |value| match value.dyn_ref::<Uint8Array>() {
            Some(bytes) => Some(bytes.to_vec()),
            None => value.dyn_ref::<Array>()?.iter().map(|value| byte(value).map(|number| number as u8)).collect(),
        })
    }

    /// The object under that name; an empty one if it was not given.
    pub(super) fn inner(&self, name: &str) -> Result<Self, SessionError> {
        match self.get(name)? {
            Some(value) => Self::new(value, self.what),
            None => Ok(Self { value: JsValue::UNDEFINED, what: self.what }),
        }
    }

    /// The objects of a list; none if it was not given.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Self>, SessionError> {
        let list = self.read(name, |value| value.dyn_into::<Array>().ok())?.unwrap_or_default();
        list.iter().map(|value| Self::new(value, self.what)).collect()
    }

    /// A required value.
    pub(super) fn needed<T>(&self, value: Option<T>) -> Result<T, SessionError> {
        value.ok_or_else(|| argument(self.what))
    }
}
