//! Readers that are slow, silent, gone or too many, and tables that are replaced under them.

use std::{sync::Arc, time::Duration};

use app::{
    api::AppError,
    ports::Role,
    wire::{LiveQuery, Position},
};
use server::read::{
    hub::{Hub, Pace},
    queries::SqlQueries,
};
use tokio_util::sync::CancellationToken;

use super::reader::{Message, Reader, Shown, admin, customer, viewer};
use crate::history::{History, LONG, Log, Node, Place, account, user};

/// A node with account 1 of person 1, at position 1.
struct Desk {
    history: History,
    log: Arc<Log>,
    node: Node,
    hub: Arc<Hub>,
    queries: SqlQueries,
    _place: Place,
}

impl Desk {
    async fn new() -> Self {
        Self::at(Pace::default()).await
    }

    async fn at(pace: Pace) -> Self {
        let mut history = History::default();
        history.open(1, user(1), "CZK", 0);
        let (place, log) = (Place::new(), Log::new(history.events.clone()));
        let node = place.start(&log).await;
        node.reaches(Position(1)).await;
        let (hub, queries) =
            (Hub::start_at(pace, &node.side, CancellationToken::new()), SqlQueries::new(node.side.clone()));
        Self { history, log, node, hub, queries, _place: place }
    }

    /// Each in a batch of its own.
    async fn deposits(&mut self, count: usize) {
        for _ in 0..count {
            self.history.deposit(1, 1);
            self.log.set(self.history.events.clone());
            self.node.reaches(self.history.head()).await;
        }
    }

    async fn page(&self) -> Shown {
        Shown::load(&self.queries, &customer(1), account(1)).await
    }

    async fn listen(&self, shown: &Shown) -> Reader {
        Reader::open(&self.hub, &customer(1), &shown.queries(), shown.position.into()).await.unwrap()
    }

    /// Nobody listens any more, and nothing is kept for anybody.
    async fn is_left_alone(&self) {
        let empty = async {
            while (self.hub.open_streams(), self.hub.open_topics()) != (0, 0) {
                tokio::task::yield_now().await;
            }
        };
        let left = tokio::time::timeout(LONG, empty).await;
        assert!(left.is_ok(), "{} streams and {} topics are kept", self.hub.open_streams(), self.hub.open_topics());
    }
}

#[tokio::test]
async fn what_happens_is_told_once_to_everyone_who_looks_at_it() {
    let mut desk = Desk::new().await;
    let mut pages = Vec::new();
    for _ in 0..8 {
        let shown = desk.page().await;
        pages.push((desk.listen(&shown).await, shown));
    }
    desk.deposits(3).await;
    let reloaded = desk.page().await;
    for (reader, shown) in &mut pages {
        for message in reader.until(Position(4)).await {
            shown.hear(&message);
        }
        shown.is_what_a_reload_shows(&reloaded);
    }
    drop(pages);
    desk.is_left_alone().await;
}

#[tokio::test]
async fn a_slow_reader_misses_nothing_and_holds_back_no_more_than_a_few_messages() {
    // Nobody takes anything during the deposits, however long they take.
    let mut desk = Desk::at(Pace { patience: LONG, ..Pace::default() }).await;
    let mut shown = desk.page().await;
    let mut slow =
        Reader::with_room(&desk.hub, &customer(1), &shown.queries(), shown.position.into(), 1).await.unwrap();
    let mut quick = desk.listen(&shown).await;
    desk.deposits(200).await;
    let end = desk.history.head();
    let kept = quick.until(end).await.iter().filter_map(Message::rows).count();
    let heard = slow.until(end).await;
    let told = heard.iter().filter_map(Message::rows).count();
    // Of six queries, each at most as many as a topic holds, and one more that is read from the tables.
    assert!(told <= 6 * (64 + 1) + 2, "{told} messages of {kept}");
    for message in &heard {
        shown.hear(message);
    }
    shown.is_what_a_reload_shows(&desk.page().await);
}

#[tokio::test]
async fn a_reader_who_takes_nothing_is_cut_off_and_resumes() {
    let soon = Pace { patience: Duration::from_millis(50), ..Pace::default() };
    let mut desk = Desk::at(soon).await;
    let mut shown = desk.page().await;
    let mut stuck =
        Reader::with_room(&desk.hub, &customer(1), &shown.queries(), shown.position.into(), 1).await.unwrap();
    desk.deposits(5).await;
    desk.is_left_alone().await;
    while let Some(message) = stuck.next().await {
        shown.hear(&message);
    }
    let mut back = Reader::open(&desk.hub, &customer(1), &shown.queries(), stuck.at.into()).await.unwrap();
    for message in back.until(desk.history.head()).await {
        shown.hear(&message);
    }
    shown.is_what_a_reload_shows(&desk.page().await);
}

#[tokio::test]
async fn a_quiet_stream_gives_signs_of_life() {
    assert_eq!(Pace::default().heartbeat, Duration::from_secs(15));
    let quick = Pace { heartbeat: Duration::from_millis(20), ..Pace::default() };
    let desk = Desk::at(quick).await;
    let shown = desk.page().await;
    let mut reader = desk.listen(&shown).await;
    assert_eq!(reader.until(Position(1)).await.len(), 1, "nothing but where it stands");
    for _ in 0..2 {
        let sign = reader.next().await.unwrap();
        assert_eq!((sign.event.as_str(), sign.id, sign.data.as_str()), ("position", Some(Position(1)), "1"));
    }
}

#[tokio::test]
async fn tables_that_were_replaced_are_shown_anew_by_one_reset() {
    let mut desk = Desk::new().await;
    desk.deposits(3).await;
    let mut shown = desk.page().await;
    let mut reader = desk.listen(&shown).await;
    reader.until(Position(4)).await;
    desk.node.side.rebuild("statement").await.unwrap().unwrap();
    desk.deposits(1).await;
    let heard = reader.until(Position(5)).await;
    let mut resets: Vec<_> =
        heard.iter().filter_map(Message::rows).filter(|rows| rows.reset).map(|rows| rows.query).collect();
    resets.sort();
    assert_eq!(resets, ["movements".to_owned(), LiveQuery::Statement(account(1)).to_string()]);
    for message in &heard {
        shown.hear(message);
    }
    shown.is_what_a_reload_shows(&desk.page().await);
}

#[tokio::test]
async fn too_much_to_replay_is_one_reset() {
    let mut desk = Desk::new().await;
    for _ in 0..700 {
        desk.history.deposit(1, 1);
    }
    let mut shown = desk.page().await;
    desk.log.set(desk.history.events.clone());
    desk.node.reaches(desk.history.head()).await;
    let mut back = desk.listen(&shown).await;
    let heard = back.until(desk.history.head()).await;
    let mut resets: Vec<_> = heard
        .iter()
        .filter_map(Message::rows)
        .map(|rows| (rows.query.split(':').next().unwrap().to_owned(), rows.reset))
        .collect();
    resets.sort();
    let whole = ["accounts", "days", "totals"].map(|query| (query, false));
    let mut expected = ["events", "movements", "statement"].map(|query| (query, true)).to_vec();
    expected.extend(whole);
    expected.sort_unstable();
    let expected = expected.into_iter();
    assert_eq!(resets, expected.map(|(query, reset)| (query.to_owned(), reset)).collect::<Vec<_>>());
    for message in &heard {
        shown.hear(message);
    }
    shown.is_what_a_reload_shows(&desk.page().await);
}

#[tokio::test]
async fn a_session_has_sixteen_streams_and_no_more() {
    let desk = Desk::new().await;
    let me = admin();
    let open = || Reader::open(&desk.hub, &me, &[LiveQuery::Accounts], Position(1).into());
    let mut readers = Vec::new();
    for _ in 0..16 {
        readers.push(open().await.unwrap());
    }
    assert!(matches!(open().await.err(), Some(AppError::TooMany { retry_after: 1.. })));
    // Another session is not concerned, and a place that is left is free.
    Reader::open(&desk.hub, &customer(1), &[LiveQuery::Accounts], Position(1).into())
        .await
        .unwrap()
        .until(Position(1))
        .await;
    readers.pop().unwrap();
    let freed = async {
        while open().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, freed).await.expect("a place that is free again");
    drop(readers);
    desk.is_left_alone().await;
}

#[tokio::test]
async fn two_thousand_streams_that_come_and_go_leave_nothing() {
    let desk = Desk::new().await;
    let queries = [LiveQuery::Statement(account(1)), LiveQuery::Days(account(1)), LiveQuery::Transfers];
    let mut readers = Vec::new();
    for session in 0..2_000 {
        // Everyone has topics of their own, too.
        let viewer = viewer(user(1_000 + session), session, &[Role::Customer, Role::Admin]);
        let of_their_own = LiveQuery::Account(account(1));
        let queries = queries.iter().copied().chain([of_their_own]).collect::<Vec<_>>();
        readers.push(Reader::open(&desk.hub, &viewer, &queries, Position(1).into()).await.unwrap());
    }
    assert_eq!(desk.hub.open_streams(), 2_000);
    assert!(desk.hub.open_topics() > 0);
    drop(readers);
    desk.is_left_alone().await;
}

#[tokio::test]
async fn one_that_may_not_see_it_finds_nothing_and_leaves_nothing() {
    let desk = Desk::new().await;
    let refused = [
        LiveQuery::Account(account(1)),
        LiveQuery::Statement(account(1)),
        LiveQuery::Days(account(1)),
        LiveQuery::Stream(account(1).into()),
        LiveQuery::TrialBalance,
    ];
    for query in refused {
        let queries = [LiveQuery::Accounts, query];
        let answer = Reader::open(&desk.hub, &customer(2), &queries, Position(1).into()).await;
        assert_eq!(answer.err(), Some(AppError::NotFound), "{query}");
    }
    let everything = [LiveQuery::Accounts, LiveQuery::Movements, LiveQuery::Transfers, LiveQuery::Events];
    let mut stranger = Reader::open(&desk.hub, &customer(2), &everything, Position(0).into()).await.unwrap();
    assert_eq!(stranger.until(Position(1)).await.len(), 1, "nothing of another's");
    drop(stranger);
    desk.is_left_alone().await;
}
