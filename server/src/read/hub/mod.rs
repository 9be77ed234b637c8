//! The live hub: tells open streams what the projections' commits changed.
//!
//! A changed row is serialised once and goes to every topic that shows it; a topic is a bounded broadcast, made when
//! somebody listens and gone with the last who does. Nothing is kept for later: a stream that missed something reads
//! what changed since from the tables, where every row says at which position it changed.

mod stream;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use app::{
    api::AppError,
    domain::{SessionId, UserId},
    ports::Viewer,
    wire::{LiveQuery, Position},
};
use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::{
    ReadSide,
    changes::{Changed, Committed, Reset},
    projections,
    queries::{self, SqlQueries},
};
use crate::bus::BusStatus;

pub use stream::{End, LiveStream};

/// Messages that a stream may be behind on one topic before it reads the tables instead.
const BACKLOG: usize = 64;
/// Open streams of one session: its tabs share one, so these are its devices and reloads.
const STREAMS_OF_A_SESSION: usize = 16;

/// What somebody listens to: a query, and for lists whose part of it (`None`: an admin's, which is all).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Topic {
    query: LiveQuery,
    of: Option<UserId>,
}

impl Topic {
    fn of(query: LiveQuery, viewer: &Viewer) -> Self {
        let personal = matches!(
            query,
            LiveQuery::Accounts | LiveQuery::Totals | LiveQuery::Movements | LiveQuery::Transfers | LiveQuery::Events
        );
        Self { query, of: (personal && !viewer.is_admin()).then_some(viewer.user_id) }
    }
}

/// What a topic's listeners are told.
#[derive(Debug, Clone)]
enum News {
    /// A `wire::Rows` message, serialised.
    Rows { position: Position, data: Arc<str> },
    /// Rows changed up to this position, which look different to each viewer or are to be summed up.
    Look { position: Position },
    /// The tables were replaced, or nobody knows what was missed.
    Reset,
}

/// Where a reader stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Since {
    /// Everything up to here it has.
    pub from: Position,
    /// The highest that its browser has seen anywhere: a view that is older shows it nothing.
    pub seen: Position,
}

impl From<Position> for Since {
    fn from(from: Position) -> Self {
        Self { from, seen: from }
    }
}

/// How long a stream waits.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// A reader who takes nothing for this long is cut off; it resumes where it was.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(15), patience: Duration::from_secs(30) }
    }
}

/// See the module.
pub struct Hub {
    pace: Pace,
    queries: SqlQueries,
    topics: Mutex<HashMap<Topic, broadcast::Sender<News>>>,
    /// By projection: everything up to here has been told.
    told: BTreeMap<&'static str, watch::Sender<Position>>,
    /// Counts what was told, over all projections.
    commits: watch::Sender<u64>,
    streams: Mutex<HashMap<SessionId, usize>>,
    /// Nothing is told any more: streams end, and their readers come back to whoever tells then.
    over: CancellationToken,
}

impl Hub {
    /// Starts telling what `read` changes, until `cancelled`.
    pub fn start(read: &Arc<ReadSide>, cancelled: CancellationToken) -> Arc<Self> {
        Self::start_at(Pace::default(), read, cancelled)
    }

    /// [`Self::start`] at a pace of the caller's own.
    pub fn start_at(pace: Pace, read: &Arc<ReadSide>, cancelled: CancellationToken) -> Arc<Self> {
        // Listens first: what is committed from here on is told.
        let (mut changes, mut resets) = (read.changes(), read.resets());
        let told = projections::all().into_iter().filter_map(|projection| {
            let position = *read.position(projection.name())?.borrow();
            Some((projection.name(), watch::Sender::new(position)))
        });
        let hub = Arc::new(Self {
            pace,
            queries: SqlQueries::new(read.clone()),
            topics: Mutex::default(),
            told: told.collect(),
            commits: watch::Sender::new(0),
            streams: Mutex::default(),
            over: cancelled.clone(),
        });
        let (teller, teller_reads) = (hub.clone(), read.clone());
        read.spawn(async move {
            loop {
                tokio::select! {
                    () = cancelled.cancelled() => return,
                    committed = changes.recv() => match committed {
                        Ok(committed) => teller.tell(&committed),
                        Err(broadcast::error::RecvError::Lagged(_)) => {
                            teller.tell_missed(&teller_reads, &News::Look { position: Position(u64::MAX) });
                        }
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    reset = resets.recv() => match reset {
                        Ok(reset) => teller.tell_reset(&reset),
                        Err(broadcast::error::RecvError::Lagged(_)) => teller.tell_missed(&teller_reads, &News::Reset),
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                }
            }
        });
        hub
    }

    /// Opens a stream of `queries` for `viewer`, who has all of them up to `since.from`. The whole is
    /// [`AppError::NotFound`] if one of them is not theirs to see.
    pub async fn open(
        self: &Arc<Self>,
        viewer: Viewer,
        queries: Vec<LiveQuery>,
        since: Since,
    ) -> Result<LiveStream, AppError> {
        let place = self.place(viewer.session_id).ok_or(AppError::TooMany { retry_after: 5 })?;
        LiveStream::open(self.clone(), place, viewer, queries, since).await
    }

    fn tell(&self, committed: &Committed) {
        let mut messages = HashMap::<Topic, Vec<Arc<str>>>::new();
        let mut looks = HashSet::<Topic>::new();
        {
            let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            for row in &committed.rows {
                let heard = topics_of(row).into_iter().flatten().filter(|topic| topics.contains_key(topic));
                match row {
                    Changed::Account(view) => {
                        let sums = [None, Some(view.owner)].map(|of| Topic { query: LiveQuery::Totals, of });
                        looks.extend(sums.into_iter().filter(|topic| topics.contains_key(topic)));
                        add(&mut messages, heard, view);
                    }
                    Changed::Statement { view, .. } => add(&mut messages, heard, view),
                    Changed::Transfer { view, .. } => add(&mut messages, heard, view),
                    Changed::TrialBalance(view) => add(&mut messages, heard, view),
                    Changed::Day(_) => looks.extend(heard),
                    Changed::Event { readers, .. } => {
                        let readers = readers.iter().map(|user| Topic { query: LiveQuery::Events, of: Some(*user) });
                        looks.extend(heard.chain(readers.filter(|topic| topics.contains_key(topic))));
                    }
                }
            }
        }
        let position = committed.position;
        for (topic, rows) in messages {
            let data = rows_message(topic.query, position, false, &format!("[{}]", rows.join(",")));
            self.send(topic, News::Rows { position, data });
        }
        for topic in looks {
            self.send(topic, News::Look { position });
        }
        self.reached(committed.projection, position);
    }

    /// It came faster than it could be told: everyone reads the tables.
    fn tell_missed(&self, read: &ReadSide, news: &News) {
        let reached: Vec<_> =
            self.told.keys().filter_map(|name| Some((*name, *read.position(name)?.borrow()))).collect();
        self.send_all(|_| Some(news.clone()));
        for (projection, position) in reached {
            self.reached(projection, position);
        }
    }

    fn tell_reset(&self, reset: &Reset) {
        let Reset { projection, position } = *reset;
        self.send_all(|topic| (queries::projections(topic.query)[0] == projection).then_some(News::Reset));
        self.reached(projection, position);
    }

    fn reached(&self, projection: &str, position: Position) {
        if let Some(told) = self.told.get(projection) {
            told.send_modify(|told| *told = position.max(*told));
        }
        self.commits.send_modify(|commits| *commits += 1);
    }

    fn send(&self, topic: Topic, news: News) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens any more: the topic goes.
        if topics.get(&topic).is_some_and(|listeners| listeners.send(news).is_err()) {
            topics.remove(&topic);
        }
    }

    fn send_all(&self, news: impl Fn(&Topic) -> Option<News>) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.retain(|topic, listeners| news(topic).is_none_or(|news| listeners.send(news).is_ok()));
    }

    fn listen(&self, topic: Topic) -> broadcast::Receiver<News> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic).or_insert_with(|| broadcast::Sender::new(BACKLOG)).subscribe()
    }

    /// Forgets topics that nobody listens to any more.
    fn leave(&self, left: impl Iterator<Item = Topic>) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in left {
            if topics.get(&topic).is_some_and(|listeners| listeners.receiver_count() == 0) {
                topics.remove(&topic);
            }
        }
    }

    fn told(&self, projection: &str) -> Position {
        self.told.get(projection).map(|told| *told.borrow()).unwrap_or_default()
    }

    fn place(self: &Arc<Self>, session: SessionId) -> Option<Place> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let open = streams.entry(session).or_default();
        if *open >= STREAMS_OF_A_SESSION {
            return None;
        }
        *open += 1;
        Some(Place { hub: self.clone(), session })
    }

    /// Streams open now.
    pub fn open_streams(&self) -> usize {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// What this node's bus meets on its way.
    pub fn bus_status(&self) -> BusStatus {
        self.queries.bus_status()
    }

    /// Topics that are kept for somebody.
    pub fn open_topics(&self) -> usize {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// One open stream, counted while it is.
struct Place {
    hub: Arc<Hub>,
    session: SessionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut streams = self.hub.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = streams.get_mut(&self.session) {
            *open -= 1;
            if *open == 0 {
                streams.remove(&self.session);
            }
        }
    }
}

/// Where a changed row is shown, besides the readers of an event.
fn topics_of(row: &Changed) -> [Option<Topic>; 4] {
    let all = |query| Some(Topic { query, of: None });
    let own = |query, of: Option<UserId>| of.map(|of| Topic { query, of: Some(of) });
    match row {
        Changed::Account(view) => [
            all(LiveQuery::Account(view.id)),
            all(LiveQuery::Accounts),
            own(LiveQuery::Accounts, Some(view.owner)),
            None,
        ],
        Changed::Statement { view, owner } => [
            all(LiveQuery::Statement(view.account_id)),
            all(LiveQuery::Movements),
            own(LiveQuery::Movements, *owner),
            None,
        ],
        Changed::Day(account) => [all(LiveQuery::Days(*account)), None, None, None],
        Changed::Transfer { view, from_owner, to_owner } => [
            all(LiveQuery::Transfer(view.id)),
            all(LiveQuery::Transfers),
            own(LiveQuery::Transfers, *from_owner),
            own(LiveQuery::Transfers, to_owner.filter(|to| Some(*to) != *from_owner)),
        ],
        Changed::TrialBalance(_) => [all(LiveQuery::TrialBalance), None, None, None],
        Changed::Event { view, .. } => [all(LiveQuery::Events), all(LiveQuery::Stream(view.stream)), None, None],
    }
}

fn add<T: Serialize>(messages: &mut HashMap<Topic, Vec<Arc<str>>>, topics: impl Iterator<Item = Topic>, view: &T) {
    let mut json: Option<Arc<str>> = None;
    for topic in topics {
        let json = json.get_or_insert_with(|| serde_json::to_string(view).expect("views are JSON").into());
        messages.entry(topic).or_default().push(json.clone());
    }
}

/// A `wire::Rows` message; `rows` is a JSON array.
fn rows_message(query: LiveQuery, position: Position, reset: bool, rows: &str) -> Arc<str> {
    let reset = if reset { r#""reset":true,"# } else { "" };
    format!(r#"{{"query":"{query}","position":{position},{reset}"rows":{rows}}}"#).into()
}
