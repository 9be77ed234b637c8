//! A write side of its own for each test: a fresh SQLite file, a writer, a clock that stands still until told.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use app::{
    domain::{
        AccountId, CommandId, Currency, Date, TransferId, UserId,
        account::{self, Account, AccountCommand, AccountEvent, Direction},
        transfer::{self, Transfer, TransferCommand},
    },
    ports::{Role, Viewer},
    wire::{Actor, Envelope, Event, GENESIS, Hash, Position, Receipt, StreamId, StreamKind, Version, decode},
};
use server::write::{
    identity::PeopleDb,
    store::{EventStore, Head, SqliteStore, connect_options},
    writer::{Clock, Intent, Submission, SubmitError, Writer, WriterSettings},
};
use sqlx::{PgPool, sqlite::SqlitePoolOptions};
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use crate::postgres::TempPostgres;

/// 2026-11-22T23:59:50Z, just before midnight.
pub const NOW: i64 = 1_795_391_990_000_000;

pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_micros(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub struct WriteSide {
    pub store: Arc<dyn EventStore>,
    pub writer: Writer,
    pub head: watch::Receiver<Head>,
    pub clock: Arc<TestClock>,
    place: Place,
}

/// Where the write database is.
#[derive(Clone)]
enum Place {
    Folder(Arc<TempDir>),
    Postgres(Arc<TempPostgres>),
}

impl WriteSide {
    pub async fn new() -> Self {
        let place = Place::Folder(Arc::new(tempfile::tempdir().unwrap()));
        Self::open(place, |store| store, WriterSettings::default()).await
    }

    pub async fn on_postgres() -> Self {
        let place = Place::Postgres(Arc::new(TempPostgres::new().await));
        Self::open(place, |store| store, WriterSettings::default()).await
    }

    /// A new writer on the same file, as after a restart.
    pub async fn reopen(&self) -> Self {
        Self::open(self.place.clone(), |store| store, WriterSettings::default()).await
    }

    pub async fn reopen_with(
        &self,
        wrap: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
        settings: WriterSettings,
    ) -> Self {
        Self::open(self.place.clone(), wrap, settings).await
    }

    async fn open(
        place: Place,
        wrap: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
        settings: WriterSettings,
    ) -> Self {
        let store: Arc<dyn EventStore> = match &place {
            Place::Folder(folder) => Arc::new(SqliteStore::open(&database(folder.path())).await.unwrap()),
            Place::Postgres(postgres) => postgres.open().await,
        };
        let store = wrap(store);
        let clock = Arc::new(TestClock(AtomicI64::new(NOW)));
        let (writer, head, _task) = Writer::start(store.clone(), clock.clone(), settings);
        Self { store, writer, head, clock, place }
    }

    /// As if a copy that had come to `head` had taken over from the server.
    pub async fn fail_over_to(&self, head: Head) {
        let Place::Postgres(postgres) = &self.place else { panic!("a file has no copy") };
        postgres.fail_over_to(head).await;
    }

    pub async fn people_db(&self) -> PeopleDb {
        match &self.place {
            Place::Folder(folder) => {
                let options = connect_options(&database(folder.path()));
                SqlitePoolOptions::new().connect_with(options).await.unwrap().into()
            }
            Place::Postgres(postgres) => PgPool::connect(&postgres.url).await.unwrap().into(),
        }
    }

    /// Straight to the writer, past all checks of who may what.
    pub async fn submit(&self, stream: impl Into<StreamId>, intent: Intent) -> Result<Receipt, SubmitError> {
        self.submit_as(CommandId(Uuid::from_u128(rand())), stream, intent).await
    }

    /// [`Self::submit`] under this id.
    pub async fn submit_as(
        &self,
        command_id: CommandId,
        stream: impl Into<StreamId>,
        intent: Intent,
    ) -> Result<Receipt, SubmitError> {
        self.writer
            .submit(Submission {
                command_id,
                actor: Actor::Operator,
                correlation_id: command_id,
                causation_id: None,
                digest: Hash(*b"the digest of a test's command  "),
                stream: stream.into(),
                expected: None,
                intent,
                lease: None,
            })
            .await
    }

    pub async fn account(&self, id: AccountId, command: AccountCommand) -> Receipt {
        self.submit(id, Intent::Account(command)).await.unwrap()
    }

    /// An open account with this balance.
    pub async fn open_account(&self, owner: UserId, currency: &str, balance: i64) -> AccountId {
        let id = AccountId(Uuid::from_u128(rand()));
        let currency = currency.parse().unwrap();
        let name = "Current".to_owned();
        self.account(id, AccountCommand::OpenAccount { owner, name, currency, overdraft_limit: 0 }).await;
        if balance > 0 {
            let today = Date::of_micros(NOW);
            let deposit =
                AccountCommand::DepositMoney { amount: balance, effective_on: today, today, description: None };
            self.account(id, deposit).await;
        }
        id
    }

    pub async fn request_transfer(&self, from: AccountId, to: AccountId, amount: i64) -> TransferId {
        self.try_request_transfer(from, to, amount).await.unwrap()
    }

    pub async fn try_request_transfer(
        &self,
        from: AccountId,
        to: AccountId,
        amount: i64,
    ) -> Result<TransferId, SubmitError> {
        let id = TransferId(Uuid::from_u128(rand()));
        let currency = "CZK".parse().unwrap();
        let command = TransferCommand::RequestTransfer { from, to, amount, currency, description: None };
        self.submit(id, Intent::Transfer(command)).await.map(|_| id)
    }

    pub async fn log(&self) -> Vec<Envelope> {
        self.store.read_log(Position(0), 1_000_000).await.unwrap()
    }

    pub async fn account_state(&self, id: AccountId) -> Account {
        self.stream(id).await.iter().fold(Account::default(), |state, event| match read(event) {
            Event::Account(event) => account::evolve(state, &event),
            other => panic!("{other:?} in an account"),
        })
    }

    pub async fn transfer_state(&self, id: TransferId) -> Transfer {
        self.stream(id).await.iter().fold(Transfer::default(), |state, event| match read(event) {
            Event::Transfer(event) => transfer::evolve(state, &event),
            other => panic!("{other:?} in a transfer"),
        })
    }

    async fn stream(&self, id: impl Into<StreamId>) -> Vec<Envelope> {
        self.store.read_stream(id.into(), Version(0), 1_000_000).await.unwrap()
    }

    /// Appends an event past the writer: what a bug or another hand might have left.
    pub async fn forge(&self, stream: impl Into<StreamId>, event_type: &str, payload: &str) {
        let stream = stream.into();
        let (head, own) = (self.store.head().await.unwrap(), self.stream(stream).await);
        let mut event = Envelope {
            position: head.position.next(),
            event_id: app::domain::EventId(Uuid::from_u128(rand())),
            stream,
            version: own.last().map_or(Version(0), |event| event.version).next(),
            event_type: event_type.to_owned(),
            schema: 1,
            payload: payload.as_bytes().to_vec(),
            metadata: self.log().await[0].metadata.clone(),
            recorded_at: head.recorded_at,
            hash: GENESIS,
        };
        event.hash = app::wire::event_hash(&event, &own.last().map_or(GENESIS, |event| event.hash));
        let hash = app::wire::log_hash(&head.hash, &event.hash);
        let new_head = Head { position: event.position, hash, recorded_at: event.recorded_at };
        self.store.append(head.position, &[event], &new_head).await.unwrap();
    }
}

fn database(folder: &Path) -> PathBuf {
    folder.join("write.db")
}

pub fn rand() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    u128::from_be_bytes(bytes)
}

pub fn user(number: u128) -> UserId {
    UserId(Uuid::from_u128(number))
}

pub fn viewer(number: u128, roles: &[Role]) -> Viewer {
    let session_id = server::token::new_session_id(NOW, [7; 10]);
    let name = format!("Person {number}");
    Viewer { user_id: user(number), session_id, name, roles: roles.to_vec(), expires_at: NOW + 1 }
}

pub fn read(event: &Envelope) -> Event {
    decode(&event.event_type, event.schema, &event.payload).unwrap()
}

/// Checks at every position, per currency: balances + in transit = deposits − withdrawals, and nothing in transit is
/// negative.
#[track_caller]
pub fn assert_conserved(log: &[Envelope]) {
    #[derive(Default)]
    struct Book {
        in_transit: i128,
        paid_in: i128,
    }
    let mut accounts: BTreeMap<Uuid, Account> = BTreeMap::new();
    let mut books: BTreeMap<Currency, Book> = BTreeMap::new();
    for envelope in log {
        let Event::Account(event) = read(envelope) else { continue };
        assert_eq!(envelope.stream.kind, StreamKind::Account);
        let state = accounts.entry(envelope.stream.id).or_default();
        *state = account::evolve(std::mem::take(state), &event);
        let Some(currency) = state.currency else { continue };
        let book = books.entry(currency).or_default();
        match event {
            AccountEvent::MoneyDeposited { amount, .. }
            | AccountEvent::EntryReversed { direction: Direction::Out, amount, .. } => {
                book.paid_in += i128::from(amount);
            }
            AccountEvent::MoneyWithdrawn { amount, .. }
            | AccountEvent::EntryReversed { direction: Direction::In, amount, .. } => {
                book.paid_in -= i128::from(amount);
            }
            AccountEvent::HoldCaptured { amount, .. } => book.in_transit += i128::from(amount),
            AccountEvent::TransferCredited { amount, .. } => book.in_transit -= i128::from(amount),
            AccountEvent::AccountOpened { .. }
            | AccountEvent::OverdraftLimitChanged { .. }
            | AccountEvent::AccountFrozen { .. }
            | AccountEvent::AccountUnfrozen {}
            | AccountEvent::AccountClosed {}
            | AccountEvent::FundsHeld { .. }
            | AccountEvent::HoldDeclined { .. }
            | AccountEvent::TransferExpected { .. }
            | AccountEvent::TransferDeclined { .. }
            | AccountEvent::HoldReleased { .. } => {}
        }
        for (currency, book) in &books {
            let of_currency = accounts.values().filter(|account| account.currency == Some(*currency));
            let balances: i128 = of_currency.map(|account| i128::from(account.balance)).sum();
            assert_eq!(balances + book.in_transit, book.paid_in, "{currency} at position {}", envelope.position);
            assert!(book.in_transit >= 0, "{currency} at position {}", envelope.position);
        }
    }
}
