//! A value on its way into the database or out of it: the few kinds that the read side keeps.

use std::borrow::Cow;

/// NULL is a text that is not there: no other kind of column is set to NULL by a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'v> {
    Null,
    Int(i64),
    Text(Cow<'v, str>),
    Blob(Cow<'v, [u8]>),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(as_both_hold_it(value.into()))
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Self::Text(as_both_hold_it(value.into()))
    }
}

/// PostgreSQL has no U+0000 in a text: in its stead there is U+FFFD, in SQLite too.
fn as_both_hold_it(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

impl<'v> From<&'v [u8]> for Value<'v> {
    fn from(value: &'v [u8]) -> Self {
        Self::Blob(value.into())
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
