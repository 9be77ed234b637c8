//! Someone who listens, and a page that is kept up to date by what they hear.

use std::{collections::HashMap, sync::Arc};

use app::{
    api::AppError,
    domain::{AccountId, Date, SessionId, UserId},
    live::{List, LiveRow, Newcomers},
    ports::{EventsFilter, Freshness, QueryPort, Role, StatementFilter, Viewer},
    wire::{
        AccountView, DayBalances, EventView, LiveQuery, Position, Rows, StatementRow, Totals, TransferView,
        TrialBalanceLine,
    },
};
use server::read::{
    hub::{Hub, Since},
    queries::SqlQueries,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::history::{LONG, Node, now, user, uuid};

pub fn viewer(user_id: UserId, session: u64, roles: &[Role]) -> Viewer {
    let session_id = SessionId(uuid(7, session));
    Viewer { user_id, session_id, name: "Anna".to_owned(), roles: roles.to_vec(), expires_at: i64::MAX }
}

pub fn customer(number: u64) -> Viewer {
    viewer(user(number), number, &[Role::Customer])
}

pub fn admin() -> Viewer {
    viewer(user(99), 99, &[Role::Customer, Role::Admin])
}

/// Of a node that runs as long as the test.
pub fn hub(node: &Node) -> Arc<Hub> {
    Hub::start(&node.side, CancellationToken::new())
}

/// One message of a stream.
#[derive(Debug)]
pub struct Message {
    pub event: String,
    /// From where the reader would resume.
    pub id: Option<Position>,
    pub data: String,
}

impl Message {
    pub fn read(text: &str) -> Self {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let id = field("id").map(|id| id.parse().unwrap());
        Self { event: field("event").unwrap().to_owned(), id, data: field("data").unwrap().to_owned() }
    }

    pub fn rows(&self) -> Option<Rows> {
        (self.event == "rows").then(|| serde_json::from_str(&self.data).unwrap())
    }

    pub fn position(&self) -> Position {
        self.data.parse().unwrap()
    }
}

/// Someone who listens, and checks that nothing goes backwards.
pub struct Reader {
    messages: mpsc::Receiver<String>,
    /// Where it would resume.
    pub at: Position,
    /// By query: the newest view it was told of.
    views: HashMap<String, Position>,
}

impl Reader {
    pub async fn open(hub: &Arc<Hub>, viewer: &Viewer, queries: &[LiveQuery], since: Since) -> Result<Self, AppError> {
        Self::with_room(hub, viewer, queries, since, 16).await
    }

    /// `room`: messages that may wait for it.
    pub async fn with_room(
        hub: &Arc<Hub>,
        viewer: &Viewer,
        queries: &[LiveQuery],
        since: Since,
        room: usize,
    ) -> Result<Self, AppError> {
        let stream = hub.open(viewer.clone(), queries.to_vec(), since).await?;
        let (to, messages) = mpsc::channel(room);
        tokio::spawn(stream.run(to));
        Ok(Self { messages, at: since.from, views: HashMap::new() })
    }

    /// `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<Message> {
        let text = tokio::time::timeout(LONG, self.messages.recv()).await.expect("a message")?;
        let message = Message::read(&text);
        if let Some(id) = message.id {
            assert!(id >= self.at, "{message:?} after {}", self.at);
            self.at = id;
        }
        if let Some(rows) = message.rows() {
            let view = self.views.entry(rows.query).or_default();
            assert!(rows.position >= *view, "{message:?} after {view}");
            *view = rows.position;
        }
        Some(message)
    }

    /// All messages until it is told that everything up to `position` was shown.
    pub async fn until(&mut self, position: Position) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let message = self.next().await.expect("the stream goes on");
            let there = message.event == "position" && message.position() >= position;
            heard.push(message);
            if there {
                return heard;
            }
        }
    }
}

/// What a browser shows of one person's book: the lists of all pages at once.
pub struct Shown {
    viewer: Viewer,
    account: AccountId,
    pub position: Position,
    accounts: List<AccountView>,
    totals: List<Totals>,
    statement: List<StatementRow>,
    days: List<DayBalances>,
    movements: List<StatementRow>,
    transfers: List<TransferView>,
    events: List<EventView>,
    lines: List<TrialBalanceLine>,
}

/// Rows of a page.
const PAGE: u32 = 20;
const NOW: Freshness = Freshness { position: Position(0), wait: std::time::Duration::ZERO };

impl Shown {
    /// As pages are rendered now.
    pub async fn load(queries: &SqlQueries, viewer: &Viewer, account: AccountId) -> Self {
        let overview = queries.overview(viewer, NOW).await.unwrap();
        let filter = StatementFilter { limit: PAGE, ..StatementFilter::default() };
        let page = queries.account_page(viewer, account, filter, Date::of_micros(now()), NOW).await.unwrap();
        let transfers = queries.transfers(viewer, None, None, PAGE, NOW).await.unwrap();
        let filter = EventsFilter { limit: PAGE, ..EventsFilter::default() };
        let events = queries.events(viewer, filter, NOW).await.unwrap();
        let lines = queries.trial_balance(viewer, NOW).await.map(|seen| (seen.position, seen.value.lines));
        let (lines_at, lines) = lines.unwrap_or((Position(u64::MAX), vec![]));
        let position = overview.position.min(page.position).min(transfers.position).min(events.position).min(lines_at);
        Self {
            viewer: viewer.clone(),
            account,
            position,
            accounts: List::new(overview.value.accounts, Newcomers::Show),
            totals: List::new(vec![overview.value.totals], Newcomers::Ignore),
            statement: List::page(page.value.statement, Newcomers::Show),
            days: List::new(vec![page.value.days], Newcomers::Ignore),
            movements: List::new(overview.value.latest, Newcomers::Show),
            transfers: List::page(transfers.value, Newcomers::Show),
            events: List::page(events.value, Newcomers::Show),
            lines: List::new(lines, Newcomers::Show),
        }
    }

    pub fn queries(&self) -> Vec<LiveQuery> {
        use LiveQuery as Q;
        let own = [Q::Accounts, Q::Totals, Q::Movements, Q::Transfers, Q::Events];
        let of = own.into_iter().chain([Q::Statement(self.account), Q::Days(self.account)]);
        of.chain(self.viewer.is_admin().then_some(Q::TrialBalance)).collect()
    }

    pub fn hear(&mut self, message: &Message) {
        let Some(Rows { query, reset, rows, .. }) = message.rows() else { return };
        let rows = app::wire::Json::parse(rows.get()).unwrap();
        let read = match query.split(':').next().unwrap() {
            "accounts" => self.accounts.receive(rows, reset, &|_| true),
            "totals" => self.totals.receive(rows, reset, &|_| true),
            "statement" => self.statement.receive(rows, reset, &|_| true),
            "days" => self.days.receive(rows, reset, &|_| true),
            "movements" => self.movements.receive(rows, reset, &|_| true),
            "transfers" => self.transfers.receive(rows, reset, &|_| true),
            "events" => self.events.receive(rows, reset, &|_| true),
            "trial-balance" => self.lines.receive(rows, reset, &|_| true),
            other => panic!("nobody asked for {other}"),
        };
        assert!(read, "{message:?} does not read");
    }

    /// Shows what a reload shows, in its order; a list that has grown goes on below.
    #[track_caller]
    pub fn is_what_a_reload_shows(&self, reloaded: &Self) {
        if self.viewer.is_admin() {
            // An admin's reload sorts anew by what changed last.
            let sorted = |list: &List<AccountView>| {
                let mut rows = list.rows.clone();
                rows.sort_by_key(|account| account.id.to_string());
                rows
            };
            assert_eq!(sorted(&self.accounts), sorted(&reloaded.accounts));
        } else {
            same(&self.accounts, &reloaded.accounts);
        }
        same(&self.totals, &reloaded.totals);
        same(&self.statement, &reloaded.statement);
        same(&self.days, &reloaded.days);
        same(&self.movements, &reloaded.movements);
        same(&self.transfers, &reloaded.transfers);
        same(&self.events, &reloaded.events);
        same(&self.lines, &reloaded.lines);
    }
}

#[track_caller]
fn same<T: LiveRow + PartialEq + std::fmt::Debug>(shown: &List<T>, reloaded: &List<T>) {
    let page = shown.rows.len().min(reloaded.rows.len());
    assert_eq!(shown.rows[..page], reloaded.rows[..]);
    assert!(shown.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.rank())));
}
