//! Legal histories to read: what the domain's own `decide` lets happen, as the log would hold it; and a node over it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use app::{
    domain::{
        AccountId, CommandId, Currency, Date, EventId, TransferId, UserId,
        account::{self, Account, AccountCommand, AccountEvent, Direction, Entry},
        session::SessionEvent,
        transfer::{self, Step, Transfer, TransferCommand},
    },
    wire::{
        Actor, Envelope, Event, GENESIS, Hash, Metadata, Position, ProjectionEvent, StreamId, StreamKind, Version,
        encode, event_hash, log_hash,
    },
};
use async_trait::async_trait;
use server::{
    bus::{Bus, BusError, InProcess, LogHead, LogSource, PersonChange},
    read::{
        ReadSide,
        database::{ReadDb, ReadDbError},
        dump::dump,
        projections,
        sql::{Sql, Tx},
    },
};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// 2026-11-22 12:00 UTC, microseconds.
pub const NOON: i64 = 1_795_348_800_000_000;

/// Types of the events of a transfer, for each life that it can have.
pub const COMPLETED: [&str; 6] = [
    "transfer.transfer_requested",
    "account.funds_held",
    "account.transfer_expected",
    "account.hold_captured",
    "account.transfer_credited",
    "transfer.transfer_completed",
];
pub const DECLINED_AT_SOURCE: [&str; 3] =
    ["transfer.transfer_requested", "account.hold_declined", "transfer.transfer_failed"];
pub const DECLINED_AT_DESTINATION: [&str; 5] = [
    "transfer.transfer_requested",
    "account.funds_held",
    "account.transfer_declined",
    "account.hold_released",
    "transfer.transfer_failed",
];

pub fn uuid(kind: u8, number: u64) -> Uuid {
    Uuid::from_u64_pair(u64::from(kind) << 56, number | 1 << 63)
}

pub fn account(number: u64) -> AccountId {
    AccountId(uuid(1, number))
}

pub fn user(number: u64) -> UserId {
    UserId(uuid(2, number))
}

pub fn transfer_id(number: u64) -> TransferId {
    TransferId(uuid(3, number))
}

/// A history in the making.
pub struct History {
    pub events: Vec<Envelope>,
    pub accounts: BTreeMap<AccountId, Account>,
    pub transfers: BTreeMap<TransferId, Transfer>,
    /// Steps of transfers that follow from what happened, in any order.
    pub steps: Vec<(EventId, Step)>,
    /// Deposits and withdrawals that could be reversed.
    pub entries: Vec<(AccountId, EventId, Entry)>,
    chains: HashMap<StreamId, (Version, Hash)>,
    commands: u64,
    /// Of the last event, microseconds since 1970.
    pub recorded_at: i64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            events: vec![],
            accounts: BTreeMap::new(),
            transfers: BTreeMap::new(),
            steps: vec![],
            entries: vec![],
            chains: HashMap::new(),
            commands: 0,
            recorded_at: NOON,
        }
    }
}

impl History {
    pub fn today(&self) -> Date {
        Date::of_micros(self.recorded_at)
    }

    pub fn head(&self) -> Position {
        Position(self.events.len() as u64)
    }

    /// Appends an event, whatever it says.
    pub fn append(&mut self, stream: StreamId, event: &Event, actor: Actor, cause: Option<EventId>) -> EventId {
        let (event_type, schema, payload) = encode(event);
        self.append_bytes(stream, event_type, schema, payload, actor, cause)
    }

    /// Appends bytes that need not be an event.
    pub fn append_bytes(
        &mut self,
        stream: StreamId,
        event_type: String,
        schema: u32,
        payload: Vec<u8>,
        actor: Actor,
        cause: Option<EventId>,
    ) -> EventId {
        self.commands += 1;
        self.recorded_at += 3_600_000_000;
        let command_id = CommandId(uuid(4, self.commands));
        let (version, previous) = self.chains.get(&stream).copied().unwrap_or((Version(0), GENESIS));
        let metadata = Metadata {
            command_id,
            actor,
            correlation_id: command_id,
            causation_id: cause,
            digest: GENESIS,
            traceparent: None,
        };
        let mut envelope = Envelope {
            position: self.head().next(),
            event_id: EventId::derive(command_id, 0),
            stream,
            version: version.next(),
            event_type,
            schema,
            payload,
            metadata: serde_json::to_vec(&metadata).unwrap(),
            recorded_at: self.recorded_at,
            hash: GENESIS,
        };
        envelope.hash = event_hash(&envelope, &previous);
        self.chains.insert(stream, (envelope.version, envelope.hash));
        let id = envelope.event_id;
        self.events.push(envelope);
        id
    }

    /// Has an account decide; false if a rule refuses.
    pub fn account(&mut self, id: AccountId, command: AccountCommand, cause: Option<EventId>) -> bool {
        let state = self.accounts.remove(&id).unwrap_or_default();
        let decided = account::decide(&state, command);
        let mut state = state;
        for event in decided.iter().flatten() {
            let event_id = self.append(id.into(), &Event::Account(event.clone()), Actor::Operator, cause);
            state = account::evolve(state, event);
            if let AccountEvent::MoneyDeposited { amount, .. } = *event {
                self.entries.push((id, event_id, Entry { direction: Direction::In, amount }));
            }
            if let AccountEvent::MoneyWithdrawn { amount, .. } = *event {
                self.entries.push((id, event_id, Entry { direction: Direction::Out, amount }));
            }
            self.steps.extend(transfer::after_account_event(id, event).map(|(_, step)| (event_id, step)));
        }
        self.accounts.insert(id, state);
        decided.is_ok()
    }

    /// Has a transfer decide; false if a rule refuses.
    pub fn transfer(&mut self, id: TransferId, command: TransferCommand, cause: Option<EventId>) -> bool {
        let mut state = self.transfers.remove(&id).unwrap_or_default();
        let decided = transfer::decide(&state, command);
        for event in decided.iter().flatten() {
            let event_id = self.append(id.into(), &Event::Transfer(event.clone()), Actor::Operator, cause);
            state = transfer::evolve(state, event);
            self.steps.extend(transfer::after_transfer_event(id, event).map(|step| (event_id, step)));
        }
        self.transfers.insert(id, state);
        decided.is_ok()
    }

    /// Takes one of the steps that are due.
    pub fn step(&mut self, index: usize) {
        let (cause, step) = self.steps.remove(index);
        let taken = match step {
            Step::Account(id, command) => self.account(id, command, Some(cause)),
            Step::Transfer(id, command) => self.transfer(id, command, Some(cause)),
        };
        assert!(taken, "the process never asks for what is refused");
    }

    pub fn settle(&mut self) {
        while !self.steps.is_empty() {
            self.step(0);
        }
    }

    pub fn open(&mut self, number: u64, owner: UserId, currency: &str, overdraft_limit: i64) -> bool {
        let (name, currency) = (format!("Account {number}"), currency.parse().unwrap());
        self.account(account(number), AccountCommand::OpenAccount { owner, name, currency, overdraft_limit }, None)
    }

    pub fn deposit(&mut self, number: u64, amount: i64) -> bool {
        let (today, description) = (self.today(), Some("Salary".to_owned()));
        let command = AccountCommand::DepositMoney { amount, effective_on: today, today, description };
        self.account(account(number), command, None)
    }

    pub fn request(&mut self, number: u64, from: u64, to: u64, amount: i64) -> bool {
        let Some(currency) = self.accounts.get(&account(from)).and_then(|from| from.currency) else { return false };
        let (from, to, description) = (account(from), account(to), Some(format!("Rent {number}")));
        let command = TransferCommand::RequestTransfer { from, to, amount, currency, description };
        self.transfer(transfer_id(number), command, None)
    }

    pub fn skip(&mut self, projection: &str, skipped: Position) {
        let event_id = self.events[usize::try_from(skipped.0).unwrap() - 1].event_id;
        let reason = "it cannot be helped".to_owned();
        let event =
            ProjectionEvent::EventSkipped { projection: projection.to_owned(), position: skipped, event_id, reason };
        let stream = StreamId::new(StreamKind::Projection, uuid(5, 1));
        self.append(stream, &Event::Projection(event), Actor::Operator, None);
    }

    pub fn end_session(&mut self, number: u64) {
        let user_id = user(number);
        let session_id = app::domain::SessionId(uuid(6, self.commands));
        let event = Event::Session(SessionEvent::SessionEnded { user_id, session_id });
        self.append(session_id.into(), &event, Actor::User(user_id), None);
    }

    /// A history that follows from `seed` alone: about `length` events of all kinds, transfers interleaved.
    pub fn random(seed: u64, length: usize) -> Self {
        let (mut history, mut dice) = (Self::default(), Dice(seed));
        let mut transfers = 0;
        while history.events.len() < length {
            let number = dice.below(6);
            let amount = i64::try_from(1 + dice.below(5_000)).unwrap();
            let today = history.today();
            let effective_on = Date::from_days(today.days() - i32::try_from(dice.below(5)).unwrap());
            let description = (dice.below(2) == 0).then(|| format!("No. {amount}"));
            let id = account(number);
            match dice.below(24) {
                0 | 1 => {
                    let currency = ["CZK", "CZK", "CZK", "JPY"][usize::try_from(dice.below(4)).unwrap()];
                    history.open(number, user(number % 3), currency, if number == 2 { 2_000 } else { 0 });
                }
                2..=6 => {
                    let command = AccountCommand::DepositMoney { amount, effective_on, today, description };
                    history.account(id, command, None);
                }
                7 | 8 => {
                    let command = AccountCommand::WithdrawMoney { amount, effective_on, today, description };
                    history.account(id, command, None);
                }
                9 | 10 if !history.entries.is_empty() => {
                    let at = usize::try_from(dice.below(history.entries.len() as u64)).unwrap();
                    let (id, event_id, entry) = history.entries[at];
                    let (entry, reason) = (Some(Some(entry)), "Ein Versehen".to_owned());
                    history.account(id, AccountCommand::ReverseEntry { event_id, entry, effective_on, reason }, None);
                }
                11 if dice.below(3) == 0 => {
                    history.account(id, AccountCommand::FreezeAccount { reason: "Stolen card".to_owned() }, None);
                }
                11 | 12 => {
                    history.account(id, AccountCommand::UnfreezeAccount, None);
                }
                13 => {
                    history.account(id, AccountCommand::ChangeOverdraftLimit { limit: amount }, None);
                }
                14 => {
                    history.account(id, AccountCommand::CloseAccount, None);
                }
                15 if dice.below(4) == 0 => history.end_session(number),
                15..=17 => {
                    transfers += 1;
                    history.request(transfers, number, dice.below(7), amount);
                }
                _ if !history.steps.is_empty() => {
                    let at = usize::try_from(dice.below(history.steps.len() as u64)).unwrap();
                    history.step(at);
                }
                _ => {}
            }
        }
        history
    }
}

/// Numbers that follow from a seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What a currency's line of the trial balance has to say, computed from the states alone.
pub fn balances(accounts: &BTreeMap<AccountId, Account>, currency: Currency) -> i64 {
    accounts.values().filter(|account| account.currency == Some(currency)).map(|account| account.balance).sum()
}

/// A log in memory, and the bus over it.
pub struct Log {
    events: Mutex<Vec<Envelope>>,
    people: Mutex<Vec<PersonChange>>,
    head: watch::Sender<Option<LogHead>>,
    people_changes: watch::Sender<u64>,
}

impl Log {
    pub fn new(events: Vec<Envelope>) -> Arc<Self> {
        let log = Self {
            events: Mutex::default(),
            people: Mutex::default(),
            head: watch::Sender::new(None),
            people_changes: watch::Sender::new(0),
        };
        log.set(events);
        Arc::new(log)
    }

    /// The log as it is now.
    pub fn set(&self, events: Vec<Envelope>) {
        let hash = events.iter().fold(GENESIS, |hash, event| log_hash(&hash, &event.hash));
        let head = LogHead { position: Position(events.len() as u64), hash, at: now() };
        *self.events.lock().unwrap() = events;
        self.head.send_replace(Some(head));
    }

    pub fn set_people(&self, people: Vec<PersonChange>) {
        *self.people.lock().unwrap() = people;
        self.people_changes.send_modify(|count| *count += 1);
    }

    /// What changes when the log does.
    pub fn heads(&self) -> watch::Receiver<Option<LogHead>> {
        self.head.subscribe()
    }

    /// What changes when people do.
    pub fn people_changes(&self) -> watch::Receiver<u64> {
        self.people_changes.subscribe()
    }

    pub fn bus(self: &Arc<Self>) -> Arc<dyn Bus> {
        Arc::new(InProcess::new(self.clone(), self.heads(), self.people_changes()))
    }
}

#[async_trait]
impl LogSource for Log {
    async fn read(&self, after: Position, limit: u32) -> Result<Vec<Envelope>, BusError> {
        let events = self.events.lock().unwrap();
        Ok(events.iter().filter(|event| event.position > after).take(limit as usize).cloned().collect())
    }

    async fn head(&self) -> Result<LogHead, BusError> {
        let head = *self.head.borrow();
        Ok(LogHead { at: now(), ..head.unwrap() })
    }

    async fn hash_of(&self, stream: StreamId, version: Version) -> Result<Option<Hash>, BusError> {
        let events = self.events.lock().unwrap();
        let found = events.iter().find(|event| (event.stream, event.version) == (stream, version));
        Ok(found.map(|event| event.hash))
    }

    async fn people(&self) -> Result<Vec<PersonChange>, BusError> {
        Ok(self.people.lock().unwrap().clone())
    }
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// Where the read side's tests have their databases: a PostgreSQL server, or files if there is no word of one. The whole
/// suite runs on either.
pub const READ_SERVER: &str = "DAYBOOK_TEST_READ_SERVER";

/// A read database of its own.
pub enum Place {
    Folder(tempfile::TempDir),
    Server { url: String, database: String },
}

impl Place {
    pub fn new() -> Self {
        match std::env::var(READ_SERVER) {
            Ok(url) => Self::server(url),
            Err(_) => Self::folder(),
        }
    }

    pub fn folder() -> Self {
        Self::Folder(tempfile::tempdir().unwrap())
    }

    /// A database that is made when it is opened first, on the server at `url`.
    pub fn server(url: String) -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        Self::Server { url, database: format!("read_{:016x}", u64::from_be_bytes(random)) }
    }

    pub async fn open(&self) -> ReadDb {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<ReadDb, ReadDbError> {
        match self {
            Self::Folder(folder) => ReadDb::open(&folder.path().join("read.db")).await,
            Self::Server { url, database } => {
                let mut server = PgConnection::connect(url).await.unwrap();
                let known = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(database);
                if known.fetch_optional(&mut server).await.unwrap().is_none() {
                    server.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"))).await.unwrap();
                }
                let (server, _) = url.rsplit_once('/').unwrap();
                ReadDb::connect(&format!("{server}/{database}")).await
            }
        }
    }

    pub async fn start(&self, log: &Arc<Log>) -> Node {
        self.start_with(projections::all(), log).await
    }

    pub async fn start_with(&self, projections: Vec<Arc<dyn projections::Projection>>, log: &Arc<Log>) -> Node {
        self.start_on(projections, log.bus()).await
    }

    pub async fn start_on(&self, projections: Vec<Arc<dyn projections::Projection>>, bus: Arc<dyn Bus>) -> Node {
        let cancelled = CancellationToken::new();
        let nobody = Arc::new(|_: &SessionEvent, _: i64| {});
        let db = self.open().await;
        let side = ReadSide::start_with(projections, db, bus, nobody, cancelled.clone()).await.unwrap();
        Node { side, cancelled }
    }
}

/// A query node at work.
pub struct Node {
    pub side: Arc<ReadSide>,
    cancelled: CancellationToken,
}

/// Longer than anything here takes; a test that waits this long has failed.
pub const LONG: std::time::Duration = std::time::Duration::from_secs(30);

pub const NAMES: [&str; 6] = ["accounts", "statement", "transfers", "daily_totals", "trial_balance", "timeline"];

impl Node {
    pub async fn reaches(&self, position: Position) {
        let reached = self.side.wait_for(&NAMES, position, LONG).await;
        assert!(reached, "{position} was not reached: {:?}", self.side.status());
    }

    pub async fn dump(&self) -> String {
        dumped(&self.side.db).await
    }

    pub async fn stop(self) {
        self.cancelled.cancel();
        self.side.stopped().await;
    }
}

pub async fn dumped(db: &ReadDb) -> String {
    let mut bytes = Vec::new();
    dump(db, &projections::all(), &mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The only value of the only row.
pub async fn number(tx: &mut Tx, sql: &'static str) -> i64 {
    Sql::new(sql).fetch_one(tx).await.unwrap().only().unwrap()
}

/// The only column of all rows.
pub async fn texts(tx: &mut Tx, sql: &'static str) -> Vec<String> {
    Sql::new(sql).fetch_all(tx).await.unwrap().iter().map(|row| row.only().unwrap()).collect()
}
