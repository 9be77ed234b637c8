//! A row that was read: its columns by name.

use std::sync::Arc;

use super::{DbError, Value};

/// A row, whole.
#[derive(Debug, Clone)]
pub struct Row {
    pub(super) columns: Arc<[String]>,
    pub(super) values: Vec<Value<'static>>,
}

impl Row {
    /// The value of `column`, which must be of this type.
    pub fn try_get<'r, T: FromValue<'r>>(&'r self, column: &str) -> Result<T, DbError> {
        let index = self.columns.iter().position(|name| name == column);
        let value = index.and_then(|index| self.values.get(index));
        let value = value.ok_or_else(|| DbError::failed(format!("there is no column {column}")))?;
        T::from_value(value).ok_or_else(|| DbError::Rows(format!("{column} holds something else: {value:?}").into()))
    }

    /// The value of the first column.
    pub fn only<'r, T: FromValue<'r>>(&'r self) -> Result<T, DbError> {
        let value = self.values.first().and_then(T::from_value);
        value.ok_or_else(|| DbError::Rows("the column holds something else".into()))
    }

    pub(in super::super) fn values(&self) -> &[Value<'static>] {
        &self.values
    }
}

/// What a column can be read as.
pub trait FromValue<'r>: Sized {
    fn from_value(value: &'r Value<'static>) -> Option<Self>;
}

impl FromValue<'_> for i64 {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        if let Value::Int(value) = value { Some(*value) } else { None }
    }
}

impl FromValue<'_> for u32 {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl<'r> FromValue<'r> for &'r str {
    fn from_value(value: &'r Value<'static>) -> Option<Self> {
        if let Value::Text(value) = value { Some(value) } else { None }
    }
}

impl FromValue<'_> for String {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        <&str>::from_value(value).map(str::to_owned)
    }
}

impl<'r> FromValue<'r> for &'r [u8] {
    fn from_value(value: &'r Value<'static>) -> Option<Self> {
        if let Value::Blob(value) = value { Some(value) } else { None }
    }
}

impl FromValue<'_> for Vec<u8> {
    fn from_value(value: &Value<'static>) -> Option<Self> {
        <&[u8]>::from_value(value).map(<[u8]>::to_vec)
    }
}

impl<'r, T: FromValue<'r>> FromValue<'r> for Option<T> {
    fn from_value(value: &'r Value<'static>) -> Option<Self> {
        if matches!(value, Value::Null) { Some(None) } else { T::from_value(value).map(Some) }
    }
}
