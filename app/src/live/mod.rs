//! Keeps what a page shows up to date: rows that a page was rendered with, then each newer version of them.
//!
//! Guarantees: a row is only ever replaced by one that is not older; after any reconnect the rows are what a reload
//! would show. On the server, all of this stands still: signals hold what the page was rendered with.

#[cfg(feature = "hydrate")]
pub(crate) mod browser;
#[cfg(feature = "hydrate")]
mod leader;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

use crate::{
    domain::Currency,
    wire::{AccountView, EventView, LiveQuery, Position, StatementRow, TransferView, TrialBalanceLine},
};

#[cfg(feature = "hydrate")]
pub use browser::start;

/// How this browser stands with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not connected yet (or never, without JavaScript).
    Connecting,
    Live,
    /// Connected to a node that has not seen yet what this page shows.
    Behind,
    Reconnecting,
    /// Since when, the reader's clock: "14:02".
    Offline(String),
}

/// A row that can be kept up to date.
pub trait LiveRow: DeserializeOwned + Clone + PartialEq + Send + Sync + 'static {
    /// Same key, same row.
    fn key(&self) -> u128;
    /// Of the event that changed it last.
    fn position(&self) -> Position;
    /// Where it stands in a list: higher is nearer to the top. Rows of one rank stay in the order they came.
    fn rank(&self) -> u64;
}

/// What happens to rows that the page did not have.
pub enum Newcomers<T> {
    /// They join the list, at their rank.
    Show,
    /// Those for which this holds are counted: paging does not shift under the reader.
    Count(Box<dyn Fn(&T) -> bool + Send + Sync>),
    Ignore,
}

/// A list that is kept up to date.
pub struct LiveRows<T: LiveRow> {
    pub rows: RwSignal<Vec<T>>,
    /// Newcomers that are counted instead of shown.
    pub waiting: RwSignal<Vec<u128>>,
}

impl<T: LiveRow> Clone for LiveRows<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: LiveRow> Copy for LiveRows<T> {}

/// A longer list would slow the page down; what falls off the end is on the next page.
const LONGEST: usize = 500;

/// `rows` as the page shows them at `position`, kept up to date from there by each of `queries`.
pub fn use_rows<T: LiveRow>(
    queries: Vec<LiveQuery>,
    position: Position,
    rows: Vec<T>,
    newcomers: Newcomers<T>,
) -> LiveRows<T> {
    let list = LiveRows { rows: RwSignal::new(rows), waiting: RwSignal::new(Vec::new()) };
    #[cfg(feature = "hydrate")]
    {
        let newcomers = std::rc::Rc::new(newcomers);
        // A reset of one query replaces the whole list only where that query alone fills it.
        let alone = queries.len() == 1;
        for query in queries {
            let newcomers = newcomers.clone();
            browser::follow(
                query.to_string(),
                position,
                Box::new(move |json, reset| {
                    let Ok(arrived) = serde_json::from_str::<Vec<T>>(json) else { return };
                    list.rows.update(|rows| {
                        let waiting = merge(rows, arrived, reset && alone, &newcomers);
                        if !waiting.is_empty() {
                            list.waiting.update(|keys| {
                                let known = keys.len();
                                keys.extend(
                                    waiting.into_iter().filter(|key| !keys[..known].contains(key)).collect::<Vec<_>>(),
                                );
                            });
                        }
                    });
                }),
            );
        }
    }
    #[cfg(not(feature = "hydrate"))]
    drop((queries, position, newcomers));
    list
}

/// Brings `arrived` into `rows`; gives the keys of newcomers that are to be counted.
///
/// With `reset`, `arrived` is the newest part of all there is: it replaces the list, cut to the length that it had.
pub fn merge<T: LiveRow>(rows: &mut Vec<T>, arrived: Vec<T>, reset: bool, newcomers: &Newcomers<T>) -> Vec<u128> {
    let mut waiting = Vec::new();
    let length = rows.len().max(50);
    if reset && matches!(newcomers, Newcomers::Show) {
        // What is shown may already be newer than the reset, which was read a moment ago.
        let arrived_keys: Vec<u128> = arrived.iter().map(LiveRow::key).collect();
        rows.retain(|row| arrived_keys.contains(&row.key()));
    }
    for row in arrived {
        let key = row.key();
        match (rows.iter_mut().find(|shown| shown.key() == key), newcomers) {
            (Some(shown), _) => {
                if row.position() >= shown.position() {
                    *shown = row;
                }
            }
            (None, Newcomers::Show) => {
                let place = rows.iter().position(|shown| shown.rank() < row.rank()).unwrap_or(rows.len());
                rows.insert(place, row);
            }
            (None, Newcomers::Count(wanted)) => {
                if wanted(&row) {
                    waiting.push(key);
                }
            }
            (None, Newcomers::Ignore) => {}
        }
    }
    rows.truncate(if reset { length } else { LONGEST });
    waiting
}

/// How this browser stands with the server, for all islands of the page.
pub fn state() -> ArcRwSignal<State> {
    #[cfg(feature = "hydrate")]
    return browser::state();
    #[cfg(not(feature = "hydrate"))]
    ArcRwSignal::new(State::Connecting)
}

/// What all live queries of this page have seen.
pub fn position() -> ArcRwSignal<Position> {
    #[cfg(feature = "hydrate")]
    return browser::position();
    #[cfg(not(feature = "hydrate"))]
    ArcRwSignal::new(Position(0))
}

macro_rules! live_rows {
    ($($row:ident: $key:expr, $rank:expr;)*) => {$(
        impl LiveRow for $row {
            fn key(&self) -> u128 {
                ($key as fn(&Self) -> u128)(self)
            }

            fn position(&self) -> Position {
                self.position
            }

            fn rank(&self) -> u64 {
                ($rank as fn(&Self) -> u64)(self)
            }
        }
    )*};
}

live_rows! {
    AccountView: |row| row.id.0.as_u128(), |_| 0;
    StatementRow: |row| row.event_id.0.as_u128(), |row| row.entry_position.0;
    TransferView: |row| row.id.0.as_u128(), |row| u64::try_from(row.requested_at).unwrap_or(0);
    EventView: |row| row.event_id.0.as_u128(), |row| row.position.0;
    TrialBalanceLine: |row| currency_key(row.currency), |_| 0;
}

fn currency_key(currency: Currency) -> u128 {
    currency.code().bytes().fold(0, |key, byte| key << 8 | u128::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u8, position: u64, balances: i64) -> TrialBalanceLine {
        let currency = ["CZK", "EUR", "JPY"][usize::from(id)].parse().unwrap();
        TrialBalanceLine {
            currency,
            balances,
            in_transit: 0,
            deposits: 0,
            withdrawals: 0,
            position: Position(position),
        }
    }

    #[test]
    fn nothing_older_replaces_something_newer() {
        let mut rows = vec![row(0, 5, 50)];
        merge(&mut rows, vec![row(0, 4, 40)], false, &Newcomers::Show);
        assert_eq!(rows, [row(0, 5, 50)]);
        merge(&mut rows, vec![row(0, 6, 60)], false, &Newcomers::Ignore);
        assert_eq!(rows, [row(0, 6, 60)]);
    }

    #[test]
    fn a_reset_leaves_what_a_reload_would_show() {
        let mut rows = vec![row(0, 9, 90), row(1, 2, 20)];
        merge(&mut rows, vec![row(0, 8, 80), row(2, 7, 70)], true, &Newcomers::Show);
        assert_eq!(rows, [row(0, 9, 90), row(2, 7, 70)]);
    }

    #[test]
    fn newcomers_are_counted_where_paging_must_not_shift() {
        let mut rows = vec![row(0, 1, 10)];
        let count = Newcomers::Count(Box::new(|row: &TrialBalanceLine| row.balances > 0));
        assert_eq!(merge(&mut rows, vec![row(1, 2, 20), row(2, 3, -1)], false, &count).len(), 1);
        assert_eq!(rows.len(), 1);
    }
}
