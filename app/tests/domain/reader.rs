//! The browser's reader of JSON reads exactly what serde writes, and what serde refuses it refuses. Events: `contract.rs`.

use std::{cell::Cell, fmt::Debug};

use app::{
    domain::{
        CommandId, Currency, Date, EventId, UserId,
        account::{DeclineReason, Direction, Status},
        session::EndReason,
    },
    islands::{Part, accounts, chart, events, statement, status, time_machine, transfers, trial_balance},
    live::Newcomers,
    locale::{DateOrder, Locale},
    wire::*,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::given::{account_id, czk, day, eur, event_id, owner, transfer_id};

fn read<T: FromJson>(json: &str) -> Option<T> {
    T::from_json(Json::parse(json)?)
}

/// Values to make views of, each taken in turn.
#[derive(Debug, Clone)]
struct Pool {
    numbers: Vec<i64>,
    texts: Vec<String>,
    flags: Vec<bool>,
    taken: Cell<usize>,
}

fn pool() -> impl Strategy<Value = Pool> {
    let number = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0), Just(1 << 53 | 1)];
    let text = prop::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter);
    let flags = prop::collection::vec(any::<bool>(), 31);
    (prop::collection::vec(number, 29), prop::collection::vec(text, 7), flags)
        .prop_map(|(numbers, texts, flags)| Pool { numbers, texts, flags, taken: Cell::new(0) })
}

impl Pool {
    fn next<T: Clone>(&self, values: &[T]) -> T {
        self.taken.set(self.taken.get() + 1);
        values[self.taken.get() % values.len()].clone()
    }

    fn number(&self) -> i64 {
        self.next(&self.numbers)
    }

    fn text(&self) -> String {
        self.next(&self.texts)
    }

    fn flag(&self) -> bool {
        self.next(&self.flags)
    }

    fn maybe<T>(&self, value: T) -> Option<T> {
        self.flag().then_some(value)
    }

    fn uuid(&self) -> Uuid {
        Uuid::from_u64_pair(self.number() as u64, self.number() as u64)
    }

    fn position(&self) -> Position {
        Position(self.number() as u64)
    }

    fn version(&self) -> Version {
        Version(self.number() as u64)
    }

    fn date(&self) -> Date {
        Date::from_days(self.number() as i32)
    }

    fn currency(&self) -> Currency {
        self.next(&[czk(), eur(), "JPY".parse().unwrap(), "KWD".parse().unwrap()])
    }

    fn stream(&self) -> StreamId {
        StreamId::new(self.next(&StreamKind::ALL), self.uuid())
    }

    fn actor(&self) -> Actor {
        self.next(&[Actor::User(UserId(self.uuid())), Actor::ProcessManager, Actor::Operator])
    }

    fn account(&self) -> AccountView {
        AccountView {
            id: account_id(self.uuid().as_u128()),
            owner: owner(),
            name: self.text(),
            currency: self.currency(),
            balance: self.number(),
            held: self.number(),
            expected: self.number(),
            available: self.number(),
            overdraft_limit: self.number(),
            status: self.next(&STATUSES),
            opened_at: self.number(),
            version: self.version(),
            position: self.position(),
        }
    }

    fn person(&self) -> Person {
        Person { id: owner(), name: self.text(), email: self.text() }
    }

    fn totals(&self) -> Totals {
        let line =
            || CurrencyTotal { currency: self.currency(), accounts: self.number() as u32, balance: self.number() };
        Totals { lines: vec![line(), line()], position: self.position() }
    }

    fn entry(&self) -> StatementRow {
        StatementRow {
            account_id: account_id(1),
            event_id: EventId(self.uuid()),
            kind: self.next(&ENTRY_KINDS),
            amount: self.number(),
            balance: self.number(),
            effective_on: self.date(),
            recorded_at: self.number(),
            description: self.maybe(self.text()),
            transfer_id: self.maybe(transfer_id(2)),
            counterparty: self.maybe(account_id(3)),
            reverses: self.maybe(event_id(4)),
            reversed_by: self.maybe(event_id(5)),
            version: self.version(),
            entry_position: self.position(),
            position: self.position(),
        }
    }

    fn transfer(&self) -> TransferView {
        TransferView {
            id: transfer_id(self.uuid().as_u128()),
            from: account_id(1),
            to: account_id(2),
            amount: self.number(),
            currency: self.currency(),
            description: self.maybe(self.text()),
            state: self.next(&TRANSFER_STATES),
            reason: self.maybe(self.next(&REASONS)),
            requested_at: self.number(),
            updated_at: self.number(),
            version: self.version(),
            requested_position: self.position(),
            position: self.position(),
        }
    }

    fn days(&self) -> DayBalances {
        let days = vec![DayBalance { date: self.date(), balance: self.number() }];
        DayBalances { days, position: self.position() }
    }

    fn page<T>(&self, items: Vec<T>) -> Page<T> {
        Page { items, next: self.maybe(self.text()) }
    }

    fn event(&self) -> EventView {
        EventView {
            position: self.position(),
            event_id: EventId(self.uuid()),
            stream: self.stream(),
            version: self.version(),
            event_type: self.text(),
            schema: self.number() as u32,
            recorded_at: self.number(),
            payload: self.text(),
            metadata: self.text(),
            hash: Hash([self.number() as u8; 32]),
            currency: self.maybe(self.currency()),
            actor: self.maybe(self.actor()),
            actor_name: self.maybe(self.text()),
            command_id: CommandId(self.uuid()),
            correlation_id: CommandId(self.uuid()),
            causation_id: self.maybe(EventId(self.uuid())),
        }
    }

    fn line(&self) -> TrialBalanceLine {
        TrialBalanceLine {
            currency: self.currency(),
            balances: self.number().into(),
            in_transit: self.number().into(),
            deposits: self.number().into(),
            withdrawals: self.number().into(),
            position: self.position(),
        }
    }

    fn parked(&self) -> Parked {
        Parked { position: self.position(), error: self.text() }
    }

    fn names(&self) -> Vec<(app::domain::AccountId, String)> {
        vec![(account_id(self.uuid().as_u128()), self.text()), (account_id(2), self.text())]
    }

    fn locale(&self) -> Locale {
        Locale {
            group: self.next(&[',', '.', '\'', '\u{a0}', '\u{202f}', '\u{2019}']),
            decimal: self.next(&['.', ',']),
            date: self.next(&DATE_ORDERS),
        }
    }
}

const STATUSES: [Status; 4] = [Status::Absent, Status::Open, Status::Frozen, Status::Closed];
const ENTRY_KINDS: [EntryKind; 5] =
    [EntryKind::Deposit, EntryKind::Withdrawal, EntryKind::TransferIn, EntryKind::TransferOut, EntryKind::Reversal];
const TRANSFER_STATES: [TransferState; 6] = [
    TransferState::Requested,
    TransferState::Held,
    TransferState::Promised,
    TransferState::InTransit,
    TransferState::Completed,
    TransferState::Declined,
];
const REASONS: [DeclineReason; 7] = [
    DeclineReason::AccountNotFound,
    DeclineReason::AccountFrozen,
    DeclineReason::AccountClosed,
    DeclineReason::CurrencyMismatch,
    DeclineReason::InsufficientFunds,
    DeclineReason::BalanceTooLarge,
    DeclineReason::Unavailable,
];
const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];
const END_REASONS: [EndReason; 3] = [EndReason::PasswordChanged, EndReason::RolesChanged, EndReason::UserDisabled];
const NEWCOMERS: [Newcomers; 3] = [Newcomers::Show, Newcomers::Count, Newcomers::Ignore];
const DATE_ORDERS: [DateOrder; 3] = [DateOrder::DayMonth, DateOrder::MonthDay, DateOrder::Iso];

#[track_caller]
fn survives<T: Serialize + FromJson + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(read::<T>(&json).as_ref(), Some(value), "{json}");
    let spaced = serde_json::to_string_pretty(value).unwrap();
    assert_eq!(read::<T>(&format!(" {spaced}\n")).as_ref(), Some(value), "{spaced}");
}

/// A part has nothing to compare but what it is written as; what it does not send is not in there.
#[track_caller]
fn part_survives<T: Part + Serialize + FromJson>(part: &T) {
    let json = serde_json::to_string(part).unwrap();
    let read = read::<T>(&json).unwrap_or_else(|| panic!("does not read: {json}"));
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
}

#[test]
fn every_name_reads_as_what_it_names() {
    // Exhaustive, so that a new value cannot be forgotten in the lists above.
    fn count(
        (status, kind, state, reason): (Status, EntryKind, TransferState, DeclineReason),
        (direction, end, newcomers, order): (Direction, EndReason, Newcomers, DateOrder),
    ) {
        use {DeclineReason as R, EntryKind as K, TransferState as T};
        match status {
            Status::Absent | Status::Open | Status::Frozen | Status::Closed => {}
        }
        match kind {
            K::Deposit | K::Withdrawal | K::TransferIn | K::TransferOut | K::Reversal => {}
        }
        match state {
            T::Requested | T::Held | T::Promised | T::InTransit | T::Completed | T::Declined => {}
        }
        match reason {
            R::AccountNotFound | R::AccountFrozen | R::AccountClosed | R::CurrencyMismatch => {}
            R::InsufficientFunds | R::BalanceTooLarge | R::Unavailable => {}
        }
        match (direction, end, newcomers, order) {
            (Direction::In | Direction::Out, _, Newcomers::Show | Newcomers::Count | Newcomers::Ignore, _) => {}
        }
        match (end, order) {
            (
                EndReason::PasswordChanged | EndReason::RolesChanged | EndReason::UserDisabled,
                DateOrder::DayMonth | DateOrder::MonthDay | DateOrder::Iso,
            ) => {}
        }
    }
    count(
        (STATUSES[0], ENTRY_KINDS[0], TRANSFER_STATES[0], REASONS[0]),
        (DIRECTIONS[0], END_REASONS[0], NEWCOMERS[0], DATE_ORDERS[0]),
    );
    STATUSES.iter().for_each(survives);
    ENTRY_KINDS.iter().for_each(survives);
    TRANSFER_STATES.iter().for_each(survives);
    REASONS.iter().for_each(survives);
    DIRECTIONS.iter().for_each(survives);
    END_REASONS.iter().for_each(survives);
    NEWCOMERS.iter().for_each(survives);
    DATE_ORDERS.iter().for_each(survives);
    assert_eq!(read::<Status>("\"Open\""), None);
    assert_eq!(read::<Status>("\"painted\""), None);
}

proptest! {
    #[test]
    fn every_view_reads_as_it_was_written(pool in pool()) {
        survives(&pool.account());
        survives(&pool.entry());
        survives(&pool.transfer());
        survives(&pool.event());
        survives(&TrialBalance { lines: vec![pool.line(), pool.line()] });
        survives(&DailyTotal { date: pool.date(), money_in: pool.number(), money_out: pool.number() });
        survives(&Overview {
            accounts: vec![pool.account()],
            totals: pool.totals(),
            latest: vec![pool.entry(), pool.entry()],
        });
        survives(&AccountPage {
            account: pool.account(),
            statement: pool.page(vec![pool.entry()]),
            pending: vec![pool.transfer()],
            days: pool.days(),
        });
        survives(&ReadStatus {
            head: pool.maybe(pool.position()),
            unknown_since: pool.maybe(pool.number()),
            catching_up: false,
            feed: pool.position(),
            waiting: pool.maybe(pool.parked()),
            projections: vec![ProjectionStatus {
                name: pool.text(),
                checkpoint: pool.position(),
                lag: pool.maybe(pool.number() as u64),
                parked: pool.maybe(pool.parked()),
                rebuilding: pool.maybe(pool.position()),
            }],
        });
    }

    #[test]
    fn every_live_message_reads_as_it_was_written(pool in pool()) {
        let rows = serde_json::to_string(&[pool.entry(), pool.entry()]).unwrap();
        let sent = Rows {
            query: pool.text(),
            position: pool.position(),
            reset: pool.flag(),
            rows: RawValue::from_string(rows.clone()).unwrap(),
        };
        let json = serde_json::to_string(&sent).unwrap();
        let arrived = ArrivedRows::read(&json).unwrap();
        prop_assert_eq!((&arrived.query, arrived.position), (&sent.query, sent.position));
        prop_assert_eq!((arrived.reset, arrived.rows.raw()), (sent.reset, rows.as_str()));
        prop_assert_eq!(Vec::<StatementRow>::from_json(arrived.rows), serde_json::from_str(&rows).ok());
    }

    #[test]
    fn every_part_reads_as_it_was_written(pool in pool()) {
        let locale = pool.locale();
        survives(&locale);
        part_survives(&status::LiveState::new(pool.number()));
        part_survives(&status::OfflineNote::default());
        part_survives(&status::AsOf { position: pool.position(), locale });
        part_survives(&status::ThemeSwitch { theme: pool.text() });
        part_survives(&accounts::AccountHead::new(pool.account(), pool.maybe(pool.person()), pool.number(), locale));
        part_survives(&accounts::AccountTotals::new(pool.totals(), locale));
        part_survives(&accounts::AccountRows::new(vec![pool.account()], vec![pool.person()], locale, pool.flag()));
        let (entries, pending) = (vec![pool.entry(), pool.entry()], vec![pool.transfer()]);
        let (live, by_date, carried) = (pool.flag(), pool.flag(), pool.flag());
        let account = pool.account();
        part_survives(&statement::StatementRows::new(
            &account, pool.page(entries.clone()), pending, pool.names(), live, by_date, carried, pool.maybe(pool.text()), locale,
        ));
        part_survives(&statement::LatestRows::new(entries, &[account, pool.account()], locale));
        part_survives(&transfers::TransferRows::new(pool.page(vec![pool.transfer()]), pool.names(), pool.flag(), locale));
        part_survives(&transfers::TransferPage::new(pool.transfer(), pool.names(), locale));
        let filter = events::Filter {
            stream: pool.maybe(pool.stream()),
            event_type: pool.maybe(pool.text()),
            correlation: pool.maybe(CommandId(pool.uuid())),
            text: pool.maybe(pool.text()),
        };
        let (names, newest) = (pool.maybe(pool.names()), pool.text());
        let events = pool.page(vec![pool.event()]);
        part_survives(&events::EventRows::new(events, filter, names, newest, pool.flag(), pool.number(), locale));
        let (today, days) = (pool.date(), pool.days());
        part_survives(&chart::BalanceChart::new(pool.account(), days, today, locale));
        part_survives(&trial_balance::TrialBalanceLines::new(vec![pool.line()], pool.position(), locale));
        let people = vec![(owner(), pool.text())];
        part_survives(&time_machine::TimeMachine::new(pool.stream(), pool.maybe(pool.version()), people, locale));
    }

    /// Bytes lost, changed and added: read as serde reads it, or refused as serde refuses it, and never a panic.
    #[test]
    fn what_is_damaged_is_refused(
        pool in pool(),
        at in any::<prop::sample::Index>(),
        damage in prop::sample::select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "n", " ", "\n", "\\u", "é"]),
        keep in 0usize..3,
    ) {
        fn agree<T: Serialize + FromJson + DeserializeOwned + PartialEq + Debug>(
            value: &T, at: &prop::sample::Index, damage: &str, keep: usize,
        ) {
            let whole: Vec<char> = serde_json::to_string(value).unwrap().chars().collect();
            let at = at.index(whole.len());
            let rest = if keep == 2 { &[] } else { &whole[at + keep..] };
            let damaged: String = whole[..at].iter().copied().chain(damage.chars()).chain(rest.iter().copied()).collect();
            assert_eq!(read::<T>(&damaged), serde_json::from_str(&damaged).ok(), "{damaged}");
        }
        agree(&pool.account(), &at, damage, keep);
        agree(&pool.entry(), &at, damage, keep);
        agree(&pool.transfer(), &at, damage, keep);
        agree(&pool.event(), &at, damage, keep);
        agree(&vec![pool.line(), pool.line()], &at, damage, keep);
    }

    /// Texts that look like JSON from near by.
    #[test]
    fn any_text_is_read_as_serde_reads_it(
        parts in prop::collection::vec(prop::sample::select(vec![
            "\"", "\"", "\\", "\\u", "d83d", "de00", "\\ud83d\\ude00", "\\u00e9", "\\n", "\\/", "é", "😀", "\u{1}", "\u{7f}",
            "{", "}", "[", "]", ",", ":", "\"a\":", "true", "false", "null", "-", "0", "1", "9223372036854775807",
            "18446744073709551616", ".", "e", "E+", " ", "\t", "\u{a0}",
        ]), 0..14),
    ) {
        fn agree<T: FromJson + DeserializeOwned + PartialEq + Debug>(text: &str) {
            assert_eq!(read::<T>(text), serde_json::from_str(text).ok(), "{text:?}");
        }
        let text = parts.concat();
        prop_assert_eq!(Json::parse(&text).is_some(), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{:?}", text);
        for text in [text.clone(), format!("\"{text}\""), format!("[{text}]")] {
            agree::<i128>(&text);
            agree::<i64>(&text);
            agree::<u64>(&text);
            agree::<u32>(&text);
            agree::<bool>(&text);
            agree::<char>(&text);
            agree::<String>(&text);
            agree::<Option<String>>(&text);
            agree::<Vec<Option<i64>>>(&text);
            agree::<(String, i64)>(&text);
            agree::<(bool, u64, String)>(&text);
        }
    }
}

#[test]
fn what_is_not_known_is_passed_over_and_what_is_missing_is_nothing() {
    let lines = r#"{"date":"2026-11-22","colour":{"a":[1,"}"]},"balance":-9223372036854775808}"#;
    let whole = DayBalance { date: Date::new(2026, 11, 22).unwrap(), balance: i64::MIN };
    assert_eq!(read::<DayBalance>(lines), Some(whole));
    assert_eq!(read::<DayBalance>(r#"{"date":"2026-11-22"}"#), None);
    assert_eq!(read::<DayBalance>(r#"{"date":"2026-11-22","balance":9223372036854775808}"#), None);
    assert_eq!(read::<Page<DayBalance>>(r#"{"items":[]}"#), Some(Page { items: vec![], next: None }));
    assert_eq!(read::<Page<DayBalance>>(r#"{"items":[],"next":null}"#), Some(Page { items: vec![], next: None }));
    assert_eq!(read::<Page<DayBalance>>(r#"{"next":"x"}"#), None);
    assert_eq!(day(0).to_string(), read::<Date>("\"2026-11-20\"").unwrap().to_string());
}

#[test]
fn no_depth_is_too_deep_to_refuse() {
    for open in ["[", "{\"a\":"] {
        assert_eq!(Json::parse(&open.repeat(1_000_000)), None);
    }
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    assert_eq!(Json::parse(&deep).map(Json::raw), Some(deep.as_str()));
}
