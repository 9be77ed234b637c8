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

use super::{Hub, News, Place, Since, Topic, rows_message};
use crate::read::queries;

/// How often a quiet stream looks whether the views behind it have moved on.
const TICK: Duration = Duration::from_secs(1);

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
    /// This node's view is older than what the reader has seen: nothing is sent until it no longer is.
    held: bool,
    /// Its tables were replaced while it was held.
    replaced: bool,
}

/// A stream that is about to run.
pub struct LiveStream {
    hub: Arc<Hub>,
    viewer: Viewer,
    followed: Vec<Followed>,
    news: StreamMap<usize, BroadcastStream<News>>,
    /// What the reader has seen of its queries, here or elsewhere: no view that is older is shown.
    floor: Position,
    /// What the reader knows that it has seen of all its queries: where it would resume.
    said: Position,
    /// The reader was told that this node is behind, and not yet that it no longer is.
    behind: bool,
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
        since: Since,
    ) -> Result<Self, AppError> {
        let Since { from, seen } = since;
        let follow = |query: &LiveQuery| Followed { query: *query, delivered: from, held: false, replaced: false };
        let followed = queries.iter().map(follow).collect();
        // Listens before it reads: what is committed in between comes twice rather than never.
        let listening = queries.iter().map(|query| hub.listen(Topic::of(*query, &viewer)));
        let news = listening.map(BroadcastStream::new).enumerate().collect();
        let (floor, first) = (seen.max(from), Vec::new());
        let mut stream = Self { hub, viewer, followed, news, floor, said: from, behind: false, first, _place: place };
        for index in 0..queries.len() {
            if let Some(message) = stream.changed(index, Some(from)).await? {
                stream.first.push(message);
            }
        }
        Ok(stream)
    }

    /// Sends until the reader goes or falls too far behind.
    pub async fn run(mut self, to: mpsc::Sender<String>) {
        let over = self.hub.over.clone();
        let went = async { self.follow(&to).await.is_err() };
        tokio::select! {
            _ = went => {}
            () = to.closed() => {}
            () = over.cancelled() => {}
        }
    }

    async fn follow(&mut self, to: &mpsc::Sender<String>) -> Result<(), Gone> {
        for message in std::mem::take(&mut self.first) {
            self.send(to, message).await?;
        }
        let mut commits = self.hub.commits.subscribe();
        let (start, beat) = (Instant::now(), self.hub.pace.heartbeat);
        let (mut tick, mut heartbeat) = (interval_at(start + TICK, TICK), interval_at(start + beat, beat));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut greeted = false;
        loop {
            self.catch_up(to, &mut commits, !greeted).await?;
            greeted = true;
            // Some of its queries show more than others: soon all will.
            let uneven = self.followed.iter().any(|one| one.held || one.delivered != self.followed[0].delivered);
            tokio::select! {
                Some((index, news)) = self.news.next() => self.on_news(to, index, news.ok()).await?,
                _ = commits.changed(), if uneven => {}
                _ = tick.tick() => {}
                _ = heartbeat.tick() => self.send(to, self.sign_of_life()).await?,
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
        for (index, told) in told.into_iter().enumerate() {
            let one = &mut self.followed[index];
            if !one.held {
                one.delivered = one.delivered.max(told);
            } else if self.view_of(index) >= self.floor {
                self.release(to, index).await?;
            }
        }
        let shown = self.shown();
        if self.followed.iter().any(|one| one.held) {
            if !std::mem::replace(&mut self.behind, true) {
                self.send(to, self.sign_of_life()).await?;
            }
        } else if shown > self.said || greet || self.behind {
            (self.said, self.behind) = (shown, false);
            self.send(to, self.sign_of_life()).await?;
        }
        Ok(())
    }

    /// `None`: some news was missed.
    async fn on_news(&mut self, to: &mpsc::Sender<String>, index: usize, news: Option<News>) -> Result<(), Gone> {
        let one = &mut self.followed[index];
        if one.held {
            one.replaced |= matches!(news, Some(News::Reset));
            return Ok(());
        }
        let delivered = one.delivered;
        match news {
            Some(News::Rows { position, .. } | News::Look { position }) if position <= delivered => Ok(()),
            Some(News::Rows { position, data }) => {
                one.delivered = position;
                self.send(to, self.event(&data)).await
            }
            Some(News::Look { .. }) | None => self.send_changed(to, index, Some(delivered)).await,
            Some(News::Reset) => self.send_changed(to, index, None).await,
        }
    }

    /// This node has come to where the reader is.
    async fn release(&mut self, to: &mpsc::Sender<String>, index: usize) -> Result<(), Gone> {
        let one = &mut self.followed[index];
        one.held = false;
        let after = (!std::mem::take(&mut one.replaced)).then_some(one.delivered);
        self.send_changed(to, index, after).await
    }

    async fn send_changed(
        &mut self,
        to: &mpsc::Sender<String>,
        index: usize,
        after: Option<Position>,
    ) -> Result<(), Gone> {
        match self.changed(index, after).await {
            Ok(Some(message)) => self.send(to, message).await,
            Ok(None) => Ok(()),
            // The reader comes back and is told what it is.
            Err(error) => {
                tracing::debug!(%error, "a live stream ends");
                Err(Gone)
            }
        }
    }

    /// What changed for this query, as a message, read from the tables; none if they are older than what was seen.
    async fn changed(&mut self, index: usize, after: Option<Position>) -> Result<Option<String>, AppError> {
        let query = self.followed[index].query;
        let rows = match self.hub.queries.changed(&self.viewer, query, after).await {
            Ok(rows) if rows.position >= self.floor => rows,
            // What is not there yet may be the reader's own, of which it has heard elsewhere.
            Err(error) if error != AppError::NotFound || self.view_of(index) >= self.floor => return Err(error),
            Ok(_) | Err(_) => {
                let one = &mut self.followed[index];
                (one.held, one.replaced) = (true, one.replaced || after.is_none());
                return Ok(None);
            }
        };
        let delivered = &mut self.followed[index].delivered;
        *delivered = rows.position.max(*delivered);
        let told = rows.reset || rows.count > 0;
        let data = told.then(|| rows_message(query, rows.position, rows.reset, &rows.json));
        Ok(data.map(|data| self.event(&data)))
    }

    async fn send(&self, to: &mpsc::Sender<String>, message: String) -> Result<(), Gone> {
        match tokio::time::timeout(self.hub.pace.patience, to.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// How it stands. An event, not a comment: a page does not hear comments, and so would not notice a connection that
    /// died.
    fn sign_of_life(&self) -> String {
        if self.behind {
            return format!("event: behind\ndata: {}\n\n", self.shown());
        }
        let said = self.said;
        format!("event: position\nid: {said}\ndata: {said}\n\n")
    }

    /// What all queries of this stream show.
    fn shown(&self) -> Position {
        let shown = |(index, one): (usize, &Followed)| if one.held { self.view_of(index) } else { one.delivered };
        self.followed.iter().enumerate().map(shown).min().unwrap_or_default()
    }

    /// How far the oldest view behind this query has come.
    fn view_of(&self, index: usize) -> Position {
        let views = queries::projections(self.followed[index].query).iter();
        views.map(|projection| self.hub.told(projection)).min().unwrap_or_default()
    }

    fn told(&self, query: LiveQuery) -> Position {
        self.hub.told(queries::projections(query)[0])
    }

    fn event(&self, data: &str) -> String {
        format!("event: rows\nid: {}\ndata: {data}\n\n", self.said)
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        self.news.clear();
        self.hub.leave(self.followed.iter().map(|one| Topic::of(one.query, &self.viewer)));
    }
}
