//! How values are kept in columns: ids, dates and enums as text, counters as integers.

use std::str::FromStr;

use app::wire::{Position, Version};
use serde::{Serialize, de::DeserializeOwned, de::IntoDeserializer as _};

use super::sql::{DbError, Row};

/// Reads what was written with `Display`: ids, dates, currencies, streams.
pub fn text<T>(row: &Row, column: &'static str) -> Result<T, DbError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<&str>(column)?.parse().map_err(|error| unreadable(column, error))
}

/// [`text`], where the column may be NULL.
pub fn optional<T>(row: &Row, column: &'static str) -> Result<Option<T>, DbError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<Option<&str>>(column)?.map(|text| text.parse().map_err(|error| unreadable(column, error))).transpose()
}

/// Reads an enum that was written with [`word`].
pub fn choice<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<T, DbError> {
    from_word(row.try_get(column)?).map_err(|error| unreadable(column, error))
}

/// [`choice`], where the column may be NULL.
pub fn optional_choice<T: DeserializeOwned>(row: &Row, column: &'static str) -> Result<Option<T>, DbError> {
    row.try_get::<Option<&str>>(column)?
        .map(|word| from_word(word).map_err(|error| unreadable(column, error)))
        .transpose()
}

/// An enum without fields, as the contract writes it: `in_transit`.
pub fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).map(|json| json.trim_matches('"').to_owned()).unwrap_or_default()
}

fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, serde::de::value::Error> {
    T::deserialize(word.into_deserializer())
}

pub fn position(row: &Row, column: &'static str) -> Result<Position, DbError> {
    row.try_get(column).map(Position::from_i64)
}

pub fn version(row: &Row, column: &'static str) -> Result<Version, DbError> {
    row.try_get(column).map(Version::from_i64)
}

/// A column that holds something else than it should.
pub fn unreadable(
    column: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
) -> DbError {
    DbError::Rows(format!("{column}: {}", error.into()).into())
}

/// Keys as one JSON array: `… IN (SELECT value FROM {keys})` looks up any number of them by one static statement.
pub fn json_array<T: Serialize>(keys: impl IntoIterator<Item = T>) -> String {
    let keys: Vec<T> = keys.into_iter().collect();
    serde_json::to_string(&keys).unwrap_or_else(|_| "[]".to_owned())
}

#[cfg(test)]
mod tests {
    use app::domain::account::DeclineReason;

    use super::*;

    #[test]
    fn words_are_those_of_the_contract() {
        assert_eq!(word(&DeclineReason::InsufficientFunds), "insufficient_funds");
        assert_eq!(from_word::<DeclineReason>("insufficient_funds").ok(), Some(DeclineReason::InsufficientFunds));
        assert!(from_word::<DeclineReason>("InsufficientFunds").is_err());
    }
}
