//! After any cut the page shows what a reload shows; a node that is behind shows nothing older.

use app::{
    api::AppError,
    domain::account::AccountEvent,
    ports::Viewer,
    wire::{Event, LiveQuery, Position, decode},
};
use proptest::prelude::*;
use server::read::{hub::Since, queries::SqlQueries};

use super::reader::{Reader, Shown, admin, customer, hub};
use crate::{
    history::{Dice, History, LONG, Log, NAMES, Node, Place, account, transfer_id, user},
    projections::{apply, decoded},
};

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The first account of user 1, and where it was opened.
fn first_account(history: &History) -> Option<(app::domain::AccountId, Position)> {
    history.events.iter().find_map(|envelope| {
        match decode(&envelope.event_type, envelope.schema, &envelope.payload).unwrap() {
            Event::Account(AccountEvent::AccountOpened { owner, .. }) if owner == user(1) => {
                Some((app::domain::AccountId(envelope.stream.id), envelope.position))
            }
            _ => None,
        }
    })
}

/// Shows a page, then lets the history go on in random batches, with cuts and rebuilds in between.
async fn reads_through(history: &History, viewer: &Viewer, mut dice: Dice) {
    let Some((account, opened)) = first_account(history) else { return };
    let end = history.events.len() as u64;
    let mut head = opened.0 + dice.below(end - opened.0 + 1);
    let upto = |head: u64| history.events[..usize::try_from(head).unwrap()].to_vec();
    let (place, log) = (Place::new(), Log::new(upto(head)));
    let node = place.start(&log).await;
    let queries = SqlQueries::new(node.side.clone());
    node.reaches(Position(head)).await;
    let hub = hub(&node);

    let mut shown = Shown::load(&queries, viewer, account).await;
    let mut from = shown.position;
    let mut reader = None;
    while head < end {
        head = end.min(head + 1 + below(&mut dice));
        log.set(upto(head));
        match dice.below(6) {
            // Cut off, and back some time later.
            0 => reader = None,
            1 => {
                let name = NAMES[usize::try_from(dice.below(6)).unwrap()];
                node.side.rebuild(name).await.unwrap().unwrap();
            }
            2 => {
                // Hears some of it, if there is any.
                let reader: &mut Reader = listening(&mut reader, &hub, viewer, &shown, from).await;
                let message = reader.next().await.expect("the stream goes on");
                shown.hear(&message);
                from = reader.at;
            }
            _ => {
                let reader = listening(&mut reader, &hub, viewer, &shown, from).await;
                for message in reader.until(Position(head)).await {
                    shown.hear(&message);
                }
                from = reader.at;
            }
        }
    }
    node.reaches(Position(end)).await;
    let reader = listening(&mut reader, &hub, viewer, &shown, from).await;
    if from < Position(end) {
        for message in reader.until(Position(end)).await {
            shown.hear(&message);
        }
    }
    shown.is_what_a_reload_shows(&Shown::load(&queries, viewer, account).await);
    node.stop().await;
}

/// Mostly few.
fn below(dice: &mut Dice) -> u64 {
    let most = dice.below(40);
    dice.below(1 + most)
}

async fn listening<'a>(
    reader: &'a mut Option<Reader>,
    hub: &std::sync::Arc<server::read::hub::Hub>,
    viewer: &Viewer,
    shown: &Shown,
    from: Position,
) -> &'a mut Reader {
    if reader.is_none() {
        *reader = Some(Reader::open(hub, viewer, &shown.queries(), from.into()).await.unwrap());
    }
    reader.as_mut().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_any_cuts_the_page_shows_what_a_reload_shows(seed in any::<u64>(), length in 40_usize..320) {
        let history = History::random(seed, length);
        block_on(async {
            reads_through(&history, &customer(1), Dice(seed)).await;
            reads_through(&history, &admin(), Dice(!seed)).await;
        });
    }
}

#[tokio::test]
async fn a_transfer_that_one_is_let_into_later_is_told_from_its_beginning() {
    let mut history = History::default();
    history.open(1, user(1), "CZK", 0);
    history.open(2, user(2), "CZK", 0);
    history.deposit(1, 100);
    history.request(1, 1, 2, 70);
    let asked = history.head();
    let (place, log) = (Place::new(), Log::new(history.events.clone()));
    let node = place.start(&log).await;
    node.reaches(asked).await;
    let (hub, her) = (hub(&node), customer(2));
    let queries = SqlQueries::new(node.side.clone());
    let mut shown = Shown::load(&queries, &her, account(2)).await;
    let mut live = Reader::open(&hub, &her, &shown.queries(), shown.position.into()).await.unwrap();
    live.until(asked).await;

    history.settle();
    log.set(history.events.clone());
    node.reaches(history.head()).await;
    for message in live.until(history.head()).await {
        shown.hear(&message);
    }
    let reloaded = Shown::load(&queries, &her, account(2)).await;
    shown.is_what_a_reload_shows(&reloaded);

    // The same for whoever was away, also on the page of the transfer itself.
    let stream = LiveQuery::Stream(transfer_id(1).into());
    let mut back = Reader::open(&hub, &her, &[LiveQuery::Events, stream], asked.into()).await.unwrap();
    let told: Vec<_> = back.until(history.head()).await.iter().filter_map(super::reader::Message::rows).collect();
    assert_eq!(told.len(), 2);
    for rows in told {
        let rows: Vec<app::wire::EventView> = serde_json::from_str(rows.rows.get()).unwrap();
        assert!(rows.iter().any(|event| event.event_type == "transfer.transfer_requested"), "{rows:?}");
    }
}

#[tokio::test]
async fn a_reader_who_waits_is_shown_what_was_stored_though_the_answer_was_lost() {
    let (place, history) = (Place::new(), History::random(6, 40));
    let log = Log::new(history.events[..20].to_vec());
    let node = place.start(&log).await;
    node.reaches(Position(20)).await;
    let hub = hub(&node);
    let since = Since { from: Position(20), seen: Position(40) };
    let mut reader = Reader::open(&hub, &admin(), &[LiveQuery::Accounts], since).await.unwrap();
    assert_eq!(reader.next().await.unwrap().event, "behind");
    // As if this node had stored it and then lost the connection. Nothing comes after it.
    apply(&node.side.db, [&decoded(&history.events[20..])[..]]).await;
    log.set(history.events.clone());
    tokio::time::timeout(LONG, reader.until(Position(40))).await.expect("it waits no longer");
    node.stop().await;
}

/// The same history on a node that is behind.
struct Behind {
    history: History,
    log: std::sync::Arc<Log>,
    node: Node,
    _place: Place,
}

impl Behind {
    /// Account 2 is opened at position 6, after what this node knows; the last of eight events is a deposit to account 1.
    async fn start() -> Self {
        let mut history = History::default();
        history.open(1, user(1), "CZK", 0);
        for amount in 1..=4 {
            history.deposit(1, amount);
        }
        history.open(2, user(1), "CZK", 0);
        history.deposit(2, 5);
        history.deposit(1, 6);
        let (place, log) = (Place::new(), Log::new(history.events[..3].to_vec()));
        let node = place.start(&log).await;
        node.reaches(Position(3)).await;
        Self { history, log, node, _place: place }
    }

    async fn comes_to(&self, position: usize) {
        self.log.set(self.history.events[..position].to_vec());
        self.node.reaches(Position(position as u64)).await;
    }
}

#[tokio::test]
async fn a_node_that_is_behind_says_so_and_sends_nothing_older() {
    let behind = Behind::start().await;
    let hub = hub(&behind.node);
    let queries = [LiveQuery::Statement(account(1)), LiveQuery::Accounts, LiveQuery::Events];
    for since in [Position(7).into(), Since { from: Position(2), seen: Position(7) }] {
        let mut reader = Reader::open(&hub, &customer(1), &queries, since).await.unwrap();
        let first = reader.next().await.unwrap();
        assert_eq!((first.event.as_str(), first.data.as_str()), ("behind", "3"));
        drop(reader);
    }
    let since = Since { from: Position(2), seen: Position(7) };
    let mut reader = Reader::open(&hub, &customer(1), &queries, since).await.unwrap();
    assert_eq!(reader.next().await.unwrap().event, "behind");
    for position in 4..=6 {
        behind.comes_to(position).await;
    }
    // Not even a replaced table is shown before it has caught up.
    behind.node.side.rebuild("statement").await.unwrap().unwrap();
    behind.comes_to(7).await;
    let heard = reader.until(Position(7)).await;
    let mut told: Vec<_> = heard.iter().filter_map(super::reader::Message::rows).collect();
    told.sort_by(|one, other| one.query.cmp(&other.query));
    let told: Vec<_> = told.iter().map(|rows| (rows.query.clone(), rows.position, rows.reset)).collect();
    let statement = LiveQuery::Statement(account(1)).to_string();
    let expected = [("accounts".to_owned(), false), ("events".to_owned(), false), (statement, true)];
    assert_eq!(told, expected.map(|(query, reset)| (query, Position(7), reset)));
    assert_eq!(heard.iter().filter(|message| message.event == "behind").count(), 0, "said once");

    behind.comes_to(8).await;
    let heard = reader.until(Position(8)).await;
    assert_eq!(heard.iter().filter_map(super::reader::Message::rows).count(), 3);
}

#[tokio::test]
async fn what_a_node_has_not_heard_of_yet_is_waited_for_and_what_is_not_there_is_not_found() {
    let behind = Behind::start().await;
    let hub = hub(&behind.node);
    let queries = [LiveQuery::Account(account(2))];
    let me = customer(1);
    let open = |from: u64| Reader::open(&hub, &me, &queries, Since::from(Position(from)));
    assert_eq!(open(3).await.err(), Some(AppError::NotFound));
    let mut reader = open(6).await.unwrap();
    assert_eq!(reader.next().await.unwrap().event, "behind");
    let mut stranger = Reader::open(&hub, &customer(2), &queries, Position(6).into()).await.unwrap();
    assert_eq!(stranger.next().await.unwrap().event, "behind");

    behind.comes_to(8).await;
    let heard = reader.until(Position(8)).await;
    assert!(heard[0].data.contains(r#""balance":5"#), "{heard:?}");
    // Whose it is not is told so when they ask again.
    assert!(stranger.next().await.is_none());
    let again = Reader::open(&hub, &customer(2), &queries, Position(6).into()).await;
    assert_eq!(again.err(), Some(AppError::NotFound));
}
