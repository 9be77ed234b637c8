//! From sending a command to its event at 1,000 open streams, against the sum of the bare parts: one durable commit, the
//! read side's commits (the feed's and each projection's, one row each), and an axum broadcast to as many streams.

use std::{
    convert::Infallible,
    path::Path,
    time::{Duration, Instant},
};

use app::{
    domain::{AccountId, SessionId, UserId},
    ports::{Role, Viewer},
    wire::Position,
};
use axum::{
    Router,
    extract::State,
    response::sse::{Event, Sse},
    routing::get,
};
use futures_util::StreamExt as _;
use rusqlite::Connection as Raw;
use server::{
    cli::node::Node,
    config::DataDir,
    token::{KeyId, seal},
    web::{self, AppState, WebOptions},
    write::{keys::SigningKeys, writer::WriterSettings},
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::{broadcast, mpsc},
};
use tokio_stream::wrappers::BroadcastStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    append::raw_log,
    http::{deposit_request, serve},
    support::{folder, http::Connection, log::Log, median, ms, p99},
};

const STREAMS: usize = 1_000;
/// Streams of one session: fewer than the server allows.
const OF_A_SESSION: usize = 10;
const COMMANDS: usize = 200;

/// A stream has shown everything up to here, at this moment.
pub type Arrival = (u64, Instant);

pub async fn run(rounds: usize) {
    let folder = folder();
    let data = DataDir::open(&folder.path().join("data")).unwrap();
    let node = Node::start(&data, WriterSettings::default()).await.unwrap();
    let state = AppState::with_live(
        node.ports.clone(),
        node.tokens.clone(),
        node.query.as_ref().map(|side| side.live.clone()),
        WebOptions::default(),
        CancellationToken::new(),
    );
    let ours = serve(web::router(state)).await;
    let keys = SigningKeys::load_or_create(&data.signing_key()).unwrap();
    let mut posting = Connection::open(ours).await;
    let account = open_account(&mut posting, &token(&keys, 0)).await;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for number in 0..STREAMS {
        let request = format!(
            "GET /live?q=statement:{account}&from=0 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n",
            token(&keys, (number / OF_A_SESSION) as u128 + 1)
        );
        let stream = Connection::open(ours).await.stream(&request).await;
        tokio::spawn(listen(stream, r#""position":"#, arrived.clone()));
    }

    let (told, mut bare_arrivals) = bare_broadcast(STREAMS).await;
    let mut raw = raw_log(&folder.path().join("raw.db"));
    let read = bare_read_side(&folder.path().join("bare-read.db"));
    let mut log = Log::new();

    let (mut whole, mut parts) = (vec![], vec![]);
    for round in 0..=rounds {
        let mut times = vec![];
        for _ in 0..COMMANDS {
            let started = Instant::now();
            let answer =
                posting.call(&deposit_request("/api/v1/commands/DepositMoney", &token(&keys, 0), account)).await;
            let position = serde_json::from_slice::<app::wire::Receipt>(&answer).unwrap().position;
            times.extend(until_all(&mut arrivals, STREAMS, position, started).await);
        }
        let (mut commits, mut reads, mut broadcasts) = (vec![], vec![], vec![]);
        for at in 0..COMMANDS {
            let event = log.next();
            commits.push(timed(|| crate::append::insert(&mut raw, std::slice::from_ref(&event))));
            reads.push(timed(|| bare_read_commits(&read, &event)));
            let (started, position) = (Instant::now(), (round * COMMANDS + at + 1) as u64);
            told.send(position).unwrap();
            broadcasts.extend(until_all(&mut bare_arrivals, STREAMS, Position(position), started).await);
        }
        // The first round warms up.
        if round > 0 {
            whole.push(ms(p99(&times)));
            parts.push([ms(p99(&commits)), ms(p99(&reads)), ms(p99(&broadcasts))]);
        }
    }
    let sums: Vec<f64> = parts.iter().map(|parts| parts.iter().sum()).collect();
    let part = |index: usize| median(&parts.iter().map(|parts| parts[index]).collect::<Vec<_>>());
    println!("\ncommand sent → event at {STREAMS} streams, p99");
    println!(
        "    Daybook {:.1} ms, sum of the bare parts {:.1} ms → {:.2} ×",
        median(&whole),
        median(&sums),
        median(&whole) / median(&sums)
    );
    println!("    commit {:.1} ms, read side's commits {:.1} ms, broadcast {:.1} ms", part(0), part(1), part(2));
    println!(
        "    rounds: {}",
        whole.iter().zip(&sums).map(|(our, their)| format!("{our:.1}/{their:.1}  ")).collect::<String>()
    );
}

fn token(keys: &SigningKeys, session: u128) -> String {
    let viewer = Viewer {
        user_id: UserId(Uuid::from_u128(1)),
        session_id: SessionId(Uuid::from_u128(session)),
        name: "Bench".into(),
        roles: vec![Role::Customer],
        expires_at: 4_000_000_000_000_000,
    };
    seal(&viewer, KeyId::of(&keys.verifying_key()), |message| keys.sign(message))
}

pub async fn open_account(connection: &mut Connection, token: &str) -> AccountId {
    let id = AccountId(Uuid::now_v7());
    let body = format!(r#"{{"account_id":"{id}","name":"Everyday","currency":"CZK"}}"#);
    let request = format!(
        "POST /api/v1/commands/OpenAccount HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let receipt: app::wire::Receipt = serde_json::from_slice(&connection.call(&request).await).unwrap();
    let request = format!(
        "GET /api/v1/accounts/{id}?wait_for={}&wait_ms=10000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n",
        receipt.position
    );
    connection.call(&request).await;
    id
}

/// Reports each position that the stream says after `mark`.
pub async fn listen(mut stream: TcpStream, mark: &'static str, arrived: mpsc::UnboundedSender<Arrival>) {
    let mut buffer = Vec::new();
    while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        let now = Instant::now();
        while let Some(end) = buffer.windows(2).position(|bytes| bytes == b"\n\n") {
            let message = String::from_utf8_lossy(&buffer[..end]).into_owned();
            buffer.drain(..end + 2);
            let Some((_, rest)) = message.split_once(mark) else { continue };
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            if arrived.send((digits.parse().unwrap(), now)).is_err() {
                return;
            }
        }
    }
}

/// How long each of so many streams took to show `position`.
pub async fn until_all(
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    streams: usize,
    position: Position,
    started: Instant,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(streams);
    while times.len() < streams {
        let (shown, at) = arrivals.recv().await.unwrap();
        if shown >= position.0 {
            times.push(at - started);
        }
    }
    times
}

/// A bare axum server that tells so many streams what is sent to it; what arrives at them.
pub async fn bare_broadcast(streams: usize) -> (broadcast::Sender<u64>, mpsc::UnboundedReceiver<Arrival>) {
    let (told, _) = broadcast::channel::<u64>(64);
    let peer = serve(Router::new().route("/", get(bare_stream)).with_state(told.clone())).await;
    let (arrived, arrivals) = mpsc::unbounded_channel();
    for _ in 0..streams {
        let stream = Connection::open(peer).await.stream("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        tokio::spawn(listen(stream, r#""position":"#, arrived.clone()));
    }
    while told.receiver_count() < streams {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (told, arrivals)
}

async fn bare_stream(
    State(told): State<broadcast::Sender<u64>>,
) -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    // As many bytes as a message of ours.
    let filler = "x".repeat(300);
    Sse::new(BroadcastStream::new(told.subscribe()).map(move |position| {
        let position = position.unwrap();
        Ok(Event::default().data(format!(r#"{{"position":{position},"filler":"{filler}"}}"#)))
    }))
}

pub fn timed(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The feed's table, and for each projection one that takes a row.
fn bare_read_side(file: &Path) -> Raw {
    let db = Raw::open(file).unwrap();
    let feed = include_str!("../../../migrations/read/sqlite/0001_feed.sql");
    let feed = feed.split_inclusive(';').find(|statement| statement.contains("CREATE TABLE feed")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;").unwrap();
    db.execute_batch(feed).unwrap();
    for number in 0..PROJECTIONS {
        db.execute_batch(&format!("CREATE TABLE rows_{number} (position INTEGER PRIMARY KEY, row TEXT)")).unwrap();
    }
    db
}

const PROJECTIONS: usize = 6;

fn bare_read_commits(db: &Raw, event: &app::wire::Envelope) {
    db.prepare_cached("INSERT INTO feed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .unwrap()
        .execute(rusqlite::params![
            event.position.as_i64(),
            event.event_id.to_string(),
            event.stream.to_string(),
            event.version.as_i64(),
            event.event_type,
            event.schema,
            event.payload,
            event.metadata,
            event.recorded_at,
            event.hash.0,
            event.event_id.to_string(),
            event.event_id.to_string(),
            None::<String>,
        ])
        .unwrap();
    for number in 0..PROJECTIONS {
        db.prepare_cached(&format!("INSERT INTO rows_{number} VALUES (?, ?)"))
            .unwrap()
            .execute(rusqlite::params![event.position.as_i64(), event.stream.to_string()])
            .unwrap();
    }
}
