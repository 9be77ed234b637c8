//! One open stream: first what changed since the reader looked last, then what is told, in order and nothing older.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    ports::Viewer,
    wire::{LiveQuery, Position},
};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::{
    sync::{mpsc, watch},
    task::unconstrained,
    time::{Instant, MissedTickBehavior, interval_at},
};
use tokio_stream::{StreamMap, wrappers::BroadcastStream};

use super::{Hub, News, Place, Topic, rows_message};
use crate::read::queries;

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a quiet stream looks whether the views behind it have moved on.
const TICK: Duration = Duration::from_secs(1);
/// A reader who takes nothing for this long is cut off; it resumes where it was.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    SignedOut,
    Expired,
    ShuttingDown,
}

impl End {
    /// The last event of the stream.
    pub fn message(self) -> String {
        let reason = match self {
            Self::SignedOut => "signed_out",
            Self::Expired => "expired",
            Self::ShuttingDown => "shutting_down",
        };
        format!("event: end\ndata: {reason}\n\n")
    }
}

/// The reader is gone, or as good as gone.
struct Gone;

/// One query of a stream.
struct Followed {
    query: LiveQuery,
    /// Everything that this query shows up to here was sent.
    delivered: Position,
}

/// A stream that is about to run.
pub struct LiveStream {
    hub: Arc<Hub>,
    viewer: Viewer,
    followed: Vec<Followed>,
    news: StreamMap<usize, BroadcastStream<News>>,
    /// What the reader knows that it has seen of all its queries: where it would resume.
    said: Position,
    /// What changed before it began.
    first: Vec<String>,
    _place: Place,
}

impl LiveStream {
    pub(super) async fn open(
        hub: Arc<Hub>,
        place: Place,
        viewer: Viewer,
        queries: Vec<LiveQuery>,
        from: Position,
    ) -> Result<Self, AppError> {
        let followed = queries.iter().map(|query| Followed { query: *query, delivered: from }).collect();
        // Listens before it reads: what is committed in between comes twice rather than never.
        let listening = queries.iter().map(|query| hub.listen(Topic::of(*query, &viewer)));
        let news = listening.map(BroadcastStream::new).enumerate().collect();
        let mut stream = Self { hub, viewer, followed, news, said: from, first: Vec::new(), _place: place };
        for index in 0..queries.len() {
            if let Some(message) = stream.changed(index, Some(from)).await? {
                stream.first.push(message);
            }
        }
        Ok(stream)
    }

    /// Sends until the reader goes or falls too far behind.
    pub async fn run(mut self, to: mpsc::Sender<String>) {
        let went = async { self.follow(&to).await.is_err() };
        tokio::select! {
            _ = went => {}
            () = to.closed() => {}
        }
    }

    async fn follow(&mut self, to: &mpsc::Sender<String>) -> Result<(), Gone> {
        for message in std::mem::take(&mut self.first) {
            send(to, message).await?;
        }
        let behind = self.shown();
        if behind < self.said {
            send(to, format!("event: behind\ndata: {behind}\n\n")).await?;
        }
        let mut commits = self.hub.commits.subscribe();
        let start = Instant::now();
        let (mut tick, mut heartbeat) = (interval_at(start + TICK, TICK), interval_at(start + HEARTBEAT, HEARTBEAT));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut greeted = false;
        loop {
            self.catch_up(to, &mut commits, !greeted).await?;
            greeted = true;
            // Some of its queries show more than others: soon all will.
            let uneven = self.followed.iter().any(|one| one.delivered != self.followed[0].delivered);
            tokio::select! {
                Some((index, news)) = self.news.next() => self.on_news(to, index, news.ok()).await?,
                _ = commits.changed(), if uneven => {}
                _ = tick.tick() => {}
                _ = heartbeat.tick() => send(to, self.sign_of_life()).await?,
            }
        }
    }

    /// Sends all that is waiting, then how far that is.
    async fn catch_up(
        &mut self,
        to: &mpsc::Sender<String>,
        commits: &mut watch::Receiver<u64>,
        greet: bool,
    ) -> Result<(), Gone> {
        commits.borrow_and_update();
        // Looked at before the news is taken: all up to here is among what waits.
        let told: Vec<Position> = self.followed.iter().map(|one| self.told(one.query)).collect();
        // Unconstrained: with its budget used up, tokio would call what waits "nothing yet", and it would be skipped.
        while let Some(Some((index, news))) = unconstrained(self.news.next()).now_or_never() {
            self.on_news(to, index, news.ok()).await?;
        }
        for (one, told) in self.followed.iter_mut().zip(told) {
            one.delivered = one.delivered.max(told);
        }
        let seen = self.shown();
        if seen > self.said || greet && seen == self.said {
            self.said = seen;
            send(to, format!("event: position\nid: {seen}\ndata: {seen}\n\n")).await?;
        }
        Ok(())
    }

    /// `None`: some news was missed.
    async fn on_news(&mut self, to: &mpsc::Sender<String>, index: usize, news: Option<News>) -> Result<(), Gone> {
        let delivered = self.followed[index].delivered;
        let message = match news {
            Some(News::Rows { position, data }) if position > delivered => {
                self.followed[index].delivered = position;
                Ok(Some(self.event(&data)))
            }
            Some(News::Rows { .. }) => Ok(None),
            Some(News::Look { after }) => self.changed(index, Some(after.min(delivered))).await,
            Some(News::Reset) => self.changed(index, None).await,
            None => self.changed(index, Some(delivered)).await,
        };
        match message {
            Ok(Some(message)) => send(to, message).await,
            Ok(None) => Ok(()),
            // The reader comes back and is told what it is.
            Err(error) => {
                tracing::debug!(%error, "a live stream ends");
                Err(Gone)
            }
        }
    }

    /// What changed for this query, as a message, read from the tables.
    async fn changed(&mut self, index: usize, after: Option<Position>) -> Result<Option<String>, AppError> {
        let query = self.followed[index].query;
        let rows = self.hub.queries.changed(&self.viewer, query, after).await?;
        let delivered = &mut self.followed[index].delivered;
        *delivered = rows.position.max(*delivered);
        let told = rows.reset || rows.count > 0;
        let data = told.then(|| rows_message(query, rows.position, rows.reset, &rows.json));
        Ok(data.map(|data| self.event(&data)))
    }

    /// An event, not a comment: a page does not hear comments, and so would not notice a connection that died.
    fn sign_of_life(&self) -> String {
        let (shown, said) = (self.shown(), self.said);
        if shown < said {
            return format!("event: behind\ndata: {shown}\n\n");
        }
        format!("event: position\nid: {said}\ndata: {said}\n\n")
    }

    /// What all queries of this stream show.
    fn shown(&self) -> Position {
        let shown = self.followed.iter().map(|one| {
            // Where the reader says it has been ahead of this node, this node's word counts.
            if one.delivered > self.told(one.query) { self.told(one.query) } else { one.delivered }
        });
        shown.min().unwrap_or_default()
    }

    fn told(&self, query: LiveQuery) -> Position {
        self.hub.told(queries::projections(query)[0])
    }

    fn event(&self, data: &str) -> String {
        format!("event: rows\nid: {}\ndata: {data}\n\n", self.said)
    }
}

async fn send(to: &mpsc::Sender<String>, message: String) -> Result<(), Gone> {
    match tokio::time::timeout(PATIENCE, to.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}
