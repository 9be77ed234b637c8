//! A query side that always knows the same few accounts: what pages make of it can be read off.

use app::{
    api::AppError,
    domain::{
        AccountId, CommandId, Currency, Date, EventId, SessionId, TransferId, UserId,
        account::{AccountEvent, Status},
    },
    ports::{AccountsFilter, EventsFilter, Freshness, QueryPort, Role, StatementFilter, User, Viewer},
    wire::{
        AccountPage, AccountView, Actor, CurrencyTotal, DailyTotal, DayBalance, DayBalances, EntryKind, Event,
        EventView, Hash, Overview, Page, Person, Position, ReadStatus, Seen, StatementRow, StreamId, Totals,
        TransferState, TransferView, TrialBalance, TrialBalanceLine, Version, encode,
    },
};
use async_trait::async_trait;
use uuid::Uuid;

pub(super) const TODAY: i64 = 1_795_356_131_482_000; // 2026-11-22
pub(super) const POSITION: Position = Position(1046);

pub(super) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(0x019b_d4f2_7a31_7c55_9e0b_3f2a_84d1_0000 + number)
}

pub(super) fn everyday() -> AccountId {
    AccountId(uuid(1))
}

pub(super) fn savings() -> AccountId {
    AccountId(uuid(2))
}

pub(super) fn transfer_id() -> TransferId {
    TransferId(uuid(50))
}

pub(super) fn event_id(version: u64) -> EventId {
    EventId(uuid(1000 + u128::from(version)))
}

pub(super) fn viewer(roles: Vec<Role>) -> Viewer {
    Viewer {
        user_id: UserId(uuid(90)),
        session_id: SessionId(uuid(91)),
        name: "Marie Nováková".to_owned(),
        roles,
        expires_at: TODAY + 900_000_000,
    }
}

fn czk() -> Currency {
    "CZK".parse().expect("a currency")
}

/// What there is to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ledger {
    Full,
    Empty,
    /// Everything fails with an error id.
    Broken,
    /// Too much to do.
    Busy,
    /// Has not seen what the browser has.
    Behind,
}

pub(super) struct Fake(pub Ledger);

impl Fake {
    fn seen<T>(&self, value: T, empty: T) -> Result<Seen<T>, AppError> {
        let full = |position, stale| Ok(Seen { position, stale, value });
        match self.0 {
            Ledger::Full => full(POSITION, false),
            Ledger::Behind => full(Position(POSITION.0 - 3), true),
            Ledger::Empty => Ok(Seen { position: Position(0), stale: false, value: empty }),
            Ledger::Broken => Err(AppError::Internal { id: "err-1".to_owned() }),
            Ledger::Busy => Err(AppError::Unavailable { retry_after: 7 }),
        }
    }

    fn known(&self, id: AccountId) -> Result<AccountView, AppError> {
        accounts().into_iter().find(|account| account.id == id).ok_or(AppError::NotFound)
    }
}

pub(super) fn account(id: AccountId, name: &str, balance: i64, held: i64, status: Status) -> AccountView {
    AccountView {
        id,
        owner: UserId(uuid(90)),
        name: name.to_owned(),
        currency: czk(),
        balance,
        held,
        expected: 0,
        available: balance - held,
        overdraft_limit: 0,
        status,
        opened_at: TODAY - 100 * 86_400_000_000,
        version: Version(40),
        position: POSITION,
    }
}

fn accounts() -> Vec<AccountView> {
    let holiday = AccountView {
        currency: "EUR".parse().expect("a currency"),
        ..account(AccountId(uuid(3)), "Holiday <b>", 120_350, 0, Status::Frozen)
    };
    vec![
        account(everyday(), "Everyday account", 1_348_000, 100_000, Status::Open),
        account(savings(), "Savings", 3_464_000, 0, Status::Open),
        holiday,
        account(AccountId(uuid(4)), "Old current account", 0, 0, Status::Closed),
    ]
}

fn row(version: u64, kind: EntryKind, amount: i64, balance: i64, day: u8, description: Option<&str>) -> StatementRow {
    let transfer = matches!(kind, EntryKind::TransferIn | EntryKind::TransferOut);
    StatementRow {
        account_id: everyday(),
        event_id: event_id(version),
        kind,
        amount,
        balance,
        effective_on: Date::new(2026, 11, day).expect("a day"),
        recorded_at: TODAY - i64::from(22 - day) * 86_400_000_000,
        description: description.map(str::to_owned),
        transfer_id: transfer.then(transfer_id),
        counterparty: transfer.then(savings),
        reverses: (kind == EntryKind::Reversal).then(|| event_id(36)),
        reversed_by: (version == 36).then(|| event_id(37)),
        version: Version(version),
        entry_position: Position(1000 + version),
        position: Position(1000 + version),
    }
}

fn statement() -> Vec<StatementRow> {
    vec![
        row(40, EntryKind::Deposit, 930_000, 1_348_000, 22, Some("salary")),
        row(39, EntryKind::Withdrawal, -1_450_000, 418_000, 21, Some("rent, November")),
        row(38, EntryKind::TransferOut, -250_000, 1_868_000, 19, Some("holiday")),
        row(37, EntryKind::Reversal, 12_900, 2_118_000, 14, Some("charged twice")),
        row(36, EntryKind::Withdrawal, -12_900, 2_105_100, 12, Some("pharmacy")),
    ]
}

fn transfer() -> TransferView {
    TransferView {
        id: transfer_id(),
        from: everyday(),
        to: savings(),
        amount: 100_000,
        currency: czk(),
        description: Some("rent share".to_owned()),
        state: TransferState::Held,
        reason: None,
        requested_at: TODAY,
        updated_at: TODAY,
        version: Version(1),
        requested_position: POSITION,
        position: POSITION,
    }
}

fn event(version: u64) -> EventView {
    let deposited = Event::Account(AccountEvent::MoneyDeposited {
        amount: 930_000,
        effective_on: Date::new(2026, 11, 22).expect("a day"),
        description: Some("salary </script>".to_owned()),
    });
    let opened = Event::Account(AccountEvent::AccountOpened {
        owner: UserId(uuid(90)),
        name: "Everyday account".to_owned(),
        currency: czk(),
        overdraft_limit: 0,
    });
    let (event_type, schema, payload) = encode(if version == 1 { &opened } else { &deposited });
    EventView {
        position: Position(1006 + version),
        event_id: event_id(version),
        stream: StreamId::from(everyday()),
        version: Version(version),
        event_type,
        schema,
        recorded_at: TODAY,
        payload: String::from_utf8(payload).expect("JSON is UTF-8"),
        metadata: String::new(),
        hash: Hash([version.to_be_bytes()[7]; 32]),
        currency: Some(czk()),
        actor: Some(Actor::User(UserId(uuid(90)))),
        actor_name: Some("Marie Nováková".to_owned()),
        command_id: CommandId(uuid(70)),
        correlation_id: CommandId(uuid(70)),
        causation_id: (version > 1).then(|| event_id(version - 1)),
    }
}

fn no_page<T>() -> Page<T> {
    Page { items: Vec::new(), next: None }
}

#[async_trait]
impl QueryPort for Fake {
    async fn overview(&self, _: &Viewer, _: Freshness) -> Result<Seen<Overview>, AppError> {
        let latest = statement();
        let line = |code: &str, accounts, balance| CurrencyTotal {
            currency: code.parse().expect("a currency"),
            accounts,
            balance,
        };
        // More than are listed.
        let lines = vec![line("CZK", 140, 4_812_000), line("EUR", 1, 120_350)];
        let totals = |lines| Totals { lines, position: POSITION };
        self.seen(
            Overview { accounts: accounts(), totals: totals(lines), latest },
            Overview { accounts: Vec::new(), totals: totals(Vec::new()), latest: Vec::new() },
        )
    }

    async fn account_page(
        &self,
        _: &Viewer,
        id: AccountId,
        filter: StatementFilter,
        _: Date,
        _: Freshness,
    ) -> Result<Seen<AccountPage>, AppError> {
        let account = self.known(id)?;
        let found = |row: &StatementRow| {
            filter.text.as_ref().is_none_or(|text| row.description.as_ref().is_some_and(|words| words.contains(text)))
        };
        let items: Vec<_> = statement().into_iter().filter(found).take(filter.limit as usize).collect();
        let next = (filter.after.is_none() && !items.is_empty()).then(|| "36".to_owned());
        let day =
            |days: i32, balance| DayBalance { date: Date::from_days(Date::of_micros(TODAY).days() - days), balance };
        let page = AccountPage {
            account,
            statement: Page { items, next },
            pending: vec![transfer()],
            days: DayBalances {
                days: vec![
                    day(95, 1_900_000),
                    day(60, 2_400_000),
                    day(30, 1_400_000),
                    day(1, 418_000),
                    day(0, 1_348_000),
                ],
                position: POSITION,
            },
        };
        let nothing = AccountPage { statement: no_page(), pending: vec![], ..page.clone() };
        self.seen(page, nothing)
    }

    async fn accounts(&self, _: &Viewer, _: AccountsFilter, _: Freshness) -> Result<Seen<Page<AccountView>>, AppError> {
        self.seen(Page { items: accounts(), next: None }, no_page())
    }

    async fn account(&self, _: &Viewer, id: AccountId, _: Freshness) -> Result<Seen<AccountView>, AppError> {
        let known = self.known(id)?;
        self.seen(known.clone(), known)
    }

    async fn statement(
        &self,
        _: &Viewer,
        id: AccountId,
        filter: StatementFilter,
        _: Freshness,
    ) -> Result<Seen<Page<StatementRow>>, AppError> {
        self.known(id)?;
        assert!(filter.ascending, "a download begins with the oldest entry");
        let mut rows = statement();
        rows.reverse();
        let rest = rows.split_off(3);
        let page = match filter.after {
            None => Page { items: rows, next: Some("3".to_owned()) },
            Some(_) => Page { items: rest, next: None },
        };
        self.seen(page, no_page())
    }

    async fn daily_totals(&self, _: &Viewer, _: AccountId, _: Freshness) -> Result<Seen<Page<DailyTotal>>, AppError> {
        self.seen(no_page(), no_page())
    }

    async fn transfers(
        &self,
        _: &Viewer,
        _: Option<AccountId>,
        _: Option<String>,
        _: u32,
        _: Freshness,
    ) -> Result<Seen<Page<TransferView>>, AppError> {
        self.seen(Page { items: vec![transfer()], next: Some("9".to_owned()) }, no_page())
    }

    async fn transfer(&self, _: &Viewer, id: TransferId, _: Freshness) -> Result<Seen<TransferView>, AppError> {
        if id == transfer_id() { self.seen(transfer(), transfer()) } else { Err(AppError::NotFound) }
    }

    async fn trial_balance(&self, viewer: &Viewer, _: Freshness) -> Result<Seen<TrialBalance>, AppError> {
        if !viewer.is_admin() {
            return Err(AppError::NotFound);
        }
        let line = TrialBalanceLine {
            currency: czk(),
            balances: 214_812_050,
            in_transit: 320_000,
            deposits: 398_012_050,
            withdrawals: 182_880_000,
            position: POSITION,
        };
        self.seen(TrialBalance { lines: vec![line] }, TrialBalance { lines: Vec::new() })
    }

    async fn events(&self, _: &Viewer, filter: EventsFilter, _: Freshness) -> Result<Seen<Page<EventView>>, AppError> {
        let newest = filter.up_to.map_or(40, |version| version.0.min(40));
        let wanted = |event: &EventView| {
            filter.stream.is_none_or(|stream| stream == event.stream)
                && filter.event.is_none_or(|id| id == event.event_id)
                && filter.event_type.as_ref().is_none_or(|kind| *kind == event.event_type)
        };
        let after = |event: &EventView| filter.after.is_none_or(|after| event.position > after);
        let (items, next): (Vec<_>, _) = if filter.ascending {
            let mut items: Vec<_> = (1..=40).map(event).filter(|event| wanted(event) && after(event)).collect();
            let next = (items.len() > 16).then(|| "more".to_owned());
            items.truncate(16);
            (items, next)
        } else {
            let items = (1..=newest).rev().map(event).filter(wanted).take(filter.limit.min(6) as usize);
            (items.collect(), Some("1041".to_owned()))
        };
        self.seen(Page { items, next }, no_page())
    }

    async fn people(&self, viewer: &Viewer, ids: &[UserId]) -> Result<Vec<Person>, AppError> {
        assert!(viewer.is_admin(), "others are told of nobody");
        let (name, email) = ("Marie Nováková".to_owned(), "marie@example.org".to_owned());
        Ok(ids.iter().map(|id| Person { id: *id, name: name.clone(), email: email.clone() }).collect())
    }

    async fn user(&self, _: &Viewer, email: &str) -> Result<Option<User>, AppError> {
        let marie = User {
            email: email.to_owned(),
            name: "Marie Nováková".to_owned(),
            id: viewer(vec![]).user_id,
            roles: vec![],
        };
        Ok(Some(marie).filter(|marie| marie.email == "marie@example.org"))
    }

    async fn status(&self) -> Result<ReadStatus, AppError> {
        Err(AppError::Unavailable { retry_after: 1 })
    }

    async fn retry(&self, _: &Viewer, _: &str) -> Result<(), AppError> {
        Err(AppError::Unavailable { retry_after: 1 })
    }
}
