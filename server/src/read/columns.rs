//! How values are kept in columns: ids, dates and enums as text, counters as integers.

use std::str::FromStr;

use app::wire::{Position, Version};
use serde::{Serialize, de::DeserializeOwned, de::IntoDeserializer as _};
use sqlx::{Row as _, sqlite::SqliteRow};

/// Reads what was written with `Display`: ids, dates, currencies, streams.
pub fn text<T>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<&str, _>(column)?.parse().map_err(|error| unreadable(column, error))
}

/// [`text`], where the column may be NULL.
pub fn optional<T>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    row.try_get::<Option<&str>, _>(column)?
        .map(|text| text.parse().map_err(|error| unreadable(column, error)))
        .transpose()
}

/// Reads an enum that was written with [`word`].
pub fn choice<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, sqlx::Error> {
    from_word(row.try_get(column)?).map_err(|error| unreadable(column, error))
}

/// [`choice`], where the column may be NULL.
pub fn optional_choice<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<Option<T>, sqlx::Error> {
    row.try_get::<Option<&str>, _>(column)?
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

pub fn position(row: &SqliteRow, column: &'static str) -> Result<Position, sqlx::Error> {
    row.try_get(column).map(Position::from_i64)
}

pub fn version(row: &SqliteRow, column: &'static str) -> Result<Version, sqlx::Error> {
    row.try_get(column).map(Version::from_i64)
}

/// A column that holds something else than it should.
pub fn unreadable(
    column: &'static str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() }
}

/// Keys as one JSON array: `… IN (SELECT value FROM json_each(?))` looks up any number of them by one static statement.
pub fn json_array<T: Serialize>(keys: impl IntoIterator<Item = T>) -> String {
    let keys: Vec<T> = keys.into_iter().collect();
    serde_json::to_string(&keys).unwrap_or_else(|_| "[]".to_owned())
}

/// `rows` in pieces of 64, 32, 16 … 1: any number of rows goes in by few statements, of which few differ.
pub fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = 64.min(rows.len().checked_ilog2().map(|log| 1 << log)?);
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
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

    #[test]
    fn pieces_hold_every_row_once() {
        let rows: Vec<_> = (0..205).collect();
        let sizes: Vec<_> = pieces(&rows).map(<[_]>::len).collect();
        assert_eq!(sizes, [64, 64, 64, 8, 4, 1]);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
        assert_eq!(pieces(&rows[..0]).count(), 0);
    }
}
