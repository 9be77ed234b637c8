//! `/readyz` of each side: it says what is so, of databases and of a log that nobody has spoken of yet.

use std::{sync::Arc, time::Instant};

use app::{
    api::AppError,
    ports::{CommandPort, Freshness, Ports, QueryPort, Role, Viewer},
    wire::{GENESIS, Position},
};
use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use server::{
    bus::{InProcess, LogHead},
    read::{projections, queries::SqlQueries},
    token::TokenVerifier,
    web::{self, AppState, WebOptions},
    write::{
        handler::Handler,
        store::SqliteStore,
        writer::{SystemClock, Writer, WriterSettings},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::{
    faulty::Faulty,
    history::{History, LONG, Log, Node, Place, account, now, user, uuid},
};

fn router(commands: Option<Arc<dyn CommandPort>>, queries: Option<Arc<dyn QueryPort>>) -> Router {
    let ports = Ports { commands, sessions: None, queries };
    let nobody = Arc::new(TokenVerifier::new([], Arc::default()));
    web::router(AppState::new(ports, nobody, WebOptions::default(), CancellationToken::new()))
}

async fn readyz(router: &Router) -> (u16, String) {
    let request = Request::get("/readyz").body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Asks until it answers with this status; says what it said.
async fn until(router: &Router, status: u16) -> String {
    let since = Instant::now();
    loop {
        let (found, said) = readyz(router).await;
        if found == status {
            return said;
        }
        assert!(since.elapsed() < LONG, "{found}: {said}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whatever_takes_commands_is_ready_while_the_write_database_answers() {
    let folder = tempfile::tempdir().unwrap();
    let inner = Arc::new(SqliteStore::open(&folder.path().join("write.sqlite")).await.unwrap());
    let store = Faulty::over(inner);
    let clock = Arc::new(SystemClock);
    let (writer, _head, _writing) = Writer::start(store.clone(), clock.clone(), WriterSettings::default());
    let commands: Arc<dyn CommandPort> = Arc::new(Handler::new(writer, clock));
    // Views that are there do not make up for it.
    let (place, log) = (Place::new(), Log::new(Vec::new()));
    let node = place.start(&log).await;
    let queries: Arc<dyn QueryPort> = Arc::new(SqlQueries::new(node.side.clone()));

    for queries in [None, Some(queries)] {
        let router = router(Some(commands.clone()), queries);
        until(&router, 200).await;
        store.away(true);
        assert_eq!(until(&router, 503).await, "the write database does not answer");
        store.away(false);
        until(&router, 200).await;
    }
    node.stop().await;
}

/// A node whose bus says where the log ends when the test says so.
async fn node_on(place: &Place, log: &Arc<Log>, head: &watch::Sender<Option<LogHead>>) -> (Node, SqlQueries, Router) {
    let bus = Arc::new(InProcess::new(log.clone(), head.subscribe(), log.people_changes()));
    let node = place.start_on(projections::all(), bus).await;
    let router = router(None, Some(Arc::new(SqlQueries::new(node.side.clone()))));
    let queries = SqlQueries::new(node.side.clone());
    (node, queries, router)
}

fn says(position: Position) -> Option<LogHead> {
    Some(LogHead { position, hash: GENESIS, at: now() })
}

#[tokio::test]
async fn a_new_node_is_not_ready_before_the_bus_says_where_the_log_ends_and_an_empty_log_ends_at_once() {
    let (place, log, head) = (Place::new(), Log::new(Vec::new()), watch::Sender::new(None));
    let (node, queries, router) = node_on(&place, &log, &head).await;
    let (status, said) = readyz(&router).await;
    assert_eq!(status, 503);
    assert!(said.contains("catching up") && said.contains("the bus has not said"), "{said}");
    assert!(node.side.status().catching_up);
    let admin = Viewer {
        user_id: user(1),
        session_id: app::domain::SessionId(uuid(7, 1)),
        name: "Ann".into(),
        roles: vec![Role::Admin],
        expires_at: i64::MAX,
    };
    assert!(queries.overview(&admin, Freshness::default()).await.unwrap().stale);
    let absent = queries.account(&admin, account(1), Freshness::default()).await.err();
    assert!(matches!(absent, Some(AppError::Unavailable { .. })), "nothing is known to be absent: {absent:?}");

    head.send_replace(says(Position(0)));
    assert_eq!(readyz(&router).await, (200, "ok".to_owned()));
    assert!(!node.side.status().catching_up);
    assert!(!queries.overview(&admin, Freshness::default()).await.unwrap().stale);
    node.stop().await;
}

#[tokio::test]
async fn a_new_node_that_is_filled_before_it_hears_of_the_log_is_ready_once_it_knows_that_this_is_all() {
    let history = History::random(5, 60);
    let (place, log, head) = (Place::new(), Log::new(history.events[..30].to_vec()), watch::Sender::new(None));
    let (node, _, router) = node_on(&place, &log, &head).await;
    node.reaches(Position(30)).await;
    assert_eq!(readyz(&router).await.0, 503, "there may be more");
    head.send_replace(says(history.head()));
    let (status, said) = readyz(&router).await;
    assert_eq!((status, said.as_str()), (503, "the views are catching up with the log"));
    log.set(history.events.clone());
    head.send_replace(says(history.head()));
    node.reaches(history.head()).await;
    assert_eq!(readyz(&router).await.0, 200);
    node.stop().await;

    // With what it has, it goes on without the bus.
    let (node, _, router) = node_on(&place, &log, &watch::Sender::new(None)).await;
    assert_eq!(readyz(&router).await.0, 200);
    node.stop().await;
}
