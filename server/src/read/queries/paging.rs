//! Pages by key: `after` is the key of the last row of the page before, in a form that only this side reads.

use std::str::FromStr;

use app::{api::AppError, wire::Page};

const LIMIT_MAX: u32 = 500;
const LIMIT_DEFAULT: u32 = 50;

/// Rows on a page: 1 to 500; 0, which nobody asks for, is the usual 50.
pub(super) fn limit(asked: u32) -> Result<usize, AppError> {
    let limit = if asked == 0 { LIMIT_DEFAULT } else { asked };
    if limit > LIMIT_MAX {
        return Err(AppError::invalid("limit", format_args!("at most {LIMIT_MAX}")));
    }
    Ok(limit as usize)
}

/// The key in `after`.
pub(super) fn key<K: FromStr>(after: Option<&str>) -> Result<Option<K>, AppError> {
    after.map(|text| text.parse().map_err(|_| not_a_page())).transpose()
}

pub(super) fn not_a_page() -> AppError {
    AppError::invalid("after", "not the end of a page of this list")
}

/// What `LIMIT` is for a page: one row more tells whether there is a next page.
pub(super) fn fetch(limit: usize) -> i64 {
    i64::try_from(limit).map_or(i64::MAX, |limit| limit + 1)
}

/// Makes a page of the rows that [`fetch`] brought.
pub(super) fn cut<T>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_next_one_only_if_there_is_more() {
        let pages = |count: usize| cut((0..count).collect(), 2, |item: &usize| item.to_string());
        assert_eq!(pages(0), Page { items: vec![], next: None });
        assert_eq!(pages(2), Page { items: vec![0, 1], next: None });
        assert_eq!(pages(3), Page { items: vec![0, 1], next: Some("1".to_owned()) });
    }

    #[test]
    fn limits_and_keys_from_outside_are_checked() {
        assert_eq!(limit(0), Ok(50));
        assert_eq!(limit(500), Ok(500));
        assert!(matches!(limit(501), Err(AppError::Invalid { field, .. }) if field == "limit"));
        assert_eq!(key::<u64>(None), Ok(None));
        assert_eq!(key::<u64>(Some("7")), Ok(Some(7)));
        assert!(matches!(key::<u64>(Some("7'")), Err(AppError::Invalid { field, .. }) if field == "after"));
    }
}
