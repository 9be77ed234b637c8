//! Keeps what a page shows up to date: rows that a page was rendered with, then each newer version of them.
//!
//! Guarantees: a row is only ever replaced by one that is not older; after any reconnect the rows are what a reload
//! would show.

#[cfg(feature = "hydrate")]
pub(crate) mod leader;
#[cfg(feature = "hydrate")]
pub(crate) mod tab;

use serde::Serialize;

use crate::wire::{
    AccountView, DayBalances, EventView, FromJson, Json, Page, Position, StatementRow, Totals, TransferView,
    TrialBalanceLine, named,
};

/// How this browser stands with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Not connected yet (or never, without JavaScript).
    Connecting,
    Live,
    /// Connected to a node that has not seen yet what this page shows.
    Behind,
    /// More is open in this browser than one stream carries: something on this page is not kept up to date.
    Crowded,
    Reconnecting,
    /// Since when, the reader's clock: "14:02".
    Offline(String),
}

/// A row that can be kept up to date.
pub trait LiveRow: FromJson + 'static {
    /// Same key, same row.
    fn key(&self) -> u128;
    /// Of the event that changed it last.
    fn position(&self) -> Position;
    /// Where it stands in a list: higher is nearer to the top. Rows of one rank stay in the order they came.
    fn rank(&self) -> u64;
}

/// What happens to rows that the page did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Newcomers {
    /// They join the list, at their rank.
    Show,
    /// They are counted and offered: paging does not shift under the reader.
    Count,
    Ignore,
}

named! {
    Newcomers { "show" Show, "count" Count, "ignore" Ignore }
}

/// Rows that are kept up to date.
#[derive(Debug, Clone, Serialize)]
pub struct List<T> {
    pub rows: Vec<T>,
    newcomers: Newcomers,
    /// There are rows below these, which are not shown.
    more: bool,
    /// Keys of the newcomers that are counted.
    #[serde(skip)]
    waiting: Vec<u128>,
}

impl<T: FromJson> FromJson for List<T> {
    fn from_json(json: Json<'_>) -> Option<Self> {
        Some(Self { more: json.field("more")?, ..Self::new(json.field("rows")?, json.field("newcomers")?) })
    }
}

/// A longer list would slow the page down; what falls off the end is on the next page.
const LONGEST: usize = 500;
/// After a reset a list is as long as it was, or this long.
const PAGE: usize = 50;

impl<T> List<T> {
    pub fn new(rows: Vec<T>, newcomers: Newcomers) -> Self {
        Self { rows, newcomers, more: false, waiting: Vec::new() }
    }

    /// A page of a longer list: a newcomer that belongs on a later page does not join.
    pub fn page(page: Page<T>, newcomers: Newcomers) -> Self {
        Self { more: page.next.is_some(), ..Self::new(page.items, newcomers) }
    }

    /// From now on newcomers are counted and offered.
    pub fn offer(&mut self) {
        self.newcomers = Newcomers::Count;
    }

    /// Newcomers that are counted instead of shown.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<T: LiveRow> List<T> {
    /// Takes a JSON array of rows, oldest change first. Newcomers for which `wanted` does not hold are left out.
    ///
    /// With `reset`, the rows are the newest part of all there is: they replace the list, cut to the length it had.
    /// False: they do not read; a reload brings a page that goes with this server.
    pub fn receive(&mut self, rows: Json<'_>, reset: bool, wanted: &dyn Fn(&T) -> bool) -> bool {
        let Some(arrived) = Vec::<T>::from_json(rows) else { return false };
        let length = self.rows.len().max(PAGE);
        if reset && self.newcomers == Newcomers::Show {
            // What is shown may already be newer than the reset, which was read a moment ago.
            self.rows.retain(|row| arrived.iter().any(|other| other.key() == row.key()));
        }
        for row in arrived {
            let key = row.key();
            if let Some(shown) = self.rows.iter_mut().find(|shown| shown.key() == key) {
                if row.position() >= shown.position() {
                    *shown = row;
                }
            } else if wanted(&row) {
                match self.newcomers {
                    Newcomers::Show => match self.rows.iter().position(|shown| shown.rank() < row.rank()) {
                        Some(place) => self.rows.insert(place, row),
                        // What a reset brings goes on below without a gap.
                        None if reset || !self.more => self.rows.push(row),
                        None => {}
                    },
                    Newcomers::Count if !self.waiting.contains(&key) => self.waiting.push(key),
                    Newcomers::Count | Newcomers::Ignore => {}
                }
            }
        }
        let longest = if reset { length } else { LONGEST };
        self.more |= self.rows.len() > longest;
        self.rows.truncate(longest);
        true
    }
}

/// Takes the newest of what arrived in place of what is shown, where there is ever only one row. False: nothing is newer.
pub fn renew<T: FromJson>(shown: &mut T, rows: Json<'_>, position: impl Fn(&T) -> Position) -> bool {
    let arrived = rows.items().unwrap_or_default().into_iter().filter_map(T::from_json).next_back();
    let newer = arrived.filter(|row| position(row) >= position(shown));
    newer.map(|row| *shown = row).is_some()
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
    AccountView: |row| row.id.0.as_u128(), |row| u64::MAX - u64::try_from(row.opened_at).unwrap_or(0);
    DayBalances: |_| 0, |_| 0;
    Totals: |_| 0, |_| 0;
    StatementRow: |row| row.event_id.0.as_u128(), |row| row.entry_position.0;
    TransferView: |row| row.id.0.as_u128(), |row| row.requested_position.0;
    EventView: |row| row.event_id.0.as_u128(), |row| row.position.0;
    TrialBalanceLine:
        |row| row.currency.code().bytes().fold(0, |key, byte| key << 8 | u128::from(byte)),
        |row| u64::MAX - row.currency.code().bytes().fold(0, |rank, byte| rank << 8 | u64::from(byte));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(currency: &str, position: u64, balances: i64) -> String {
        serde_json::json!({"currency": currency, "balances": balances, "in_transit": 0, "deposits": 0,
            "withdrawals": 0, "position": position})
        .to_string()
    }

    fn list(rows: &[String], newcomers: Newcomers) -> List<TrialBalanceLine> {
        let mut list = List::new(Vec::new(), Newcomers::Show);
        receive(&mut list, rows, false, &|_| true);
        List { newcomers, ..list }
    }

    fn receive(
        list: &mut List<TrialBalanceLine>,
        rows: &[String],
        reset: bool,
        wanted: &dyn Fn(&TrialBalanceLine) -> bool,
    ) {
        assert!(list.receive(Json::parse(&format!("[{}]", rows.join(","))).unwrap(), reset, wanted));
    }

    fn shown(list: &List<TrialBalanceLine>) -> Vec<(&str, u64)> {
        list.rows.iter().map(|row| (row.currency.code(), row.position.0)).collect()
    }

    #[test]
    fn nothing_older_replaces_something_newer() {
        let mut list = list(&[row("CZK", 5, 50)], Newcomers::Show);
        receive(&mut list, &[row("CZK", 4, 40)], false, &|_| true);
        assert_eq!(shown(&list), [("CZK", 5)]);
        receive(&mut list, &[row("CZK", 6, 60)], false, &|_| false);
        assert_eq!(shown(&list), [("CZK", 6)]);
    }

    #[test]
    fn a_reset_leaves_what_a_reload_would_show() {
        let mut list = list(&[row("CZK", 9, 90), row("EUR", 2, 20)], Newcomers::Show);
        receive(&mut list, &[row("CZK", 8, 80), row("JPY", 7, 70)], true, &|_| true);
        assert_eq!(shown(&list), [("CZK", 9), ("JPY", 7)]);
    }

    #[test]
    fn what_belongs_below_the_end_of_a_page_stays_there() {
        let rows = [row("CZK", 1, 10), row("EUR", 1, 20)].map(|row| serde_json::from_str(&row).unwrap());
        for (more, expected) in [(true, vec!["CZK", "DKK", "EUR"]), (false, vec!["CZK", "DKK", "EUR", "JPY"])] {
            let next = more.then(|| "EUR".to_owned());
            let mut list = List::page(Page { items: rows.to_vec(), next }, Newcomers::Show);
            receive(&mut list, &[row("JPY", 2, 30), row("DKK", 3, 40)], false, &|_| true);
            assert_eq!(shown(&list).iter().map(|(code, _)| *code).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn newcomers_are_counted_once_where_paging_must_not_shift() {
        let mut list = list(&[row("CZK", 1, 10)], Newcomers::Count);
        let arrived = [row("EUR", 2, 20), row("JPY", 3, -1), row("EUR", 4, 30)];
        receive(&mut list, &arrived, false, &|row| row.balances > 0);
        assert_eq!((list.waiting(), list.rows.len()), (1, 1));
    }
}
