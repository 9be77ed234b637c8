//! `POST /api/v1/commands/DepositMoney` against an axum handler that reads the same body, checks the same token, and
//! has its event inserted by one raw commit for all that wait.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use app::{
    domain::{AccountId, CommandId, EventId, SessionId, UserId},
    ports::{CommandPort, Ports, Role, TokenCheck, Viewer},
    wire::{DepositMoney, Envelope, Position, Receipt, ReceiptEvent, Version},
};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use rusqlite::Connection as Raw;
use server::{
    token::{KeyId, Revocations, TokenVerifier, seal},
    web::{self, AppState, WebOptions},
    write::{
        handler::Handler,
        keys::SigningKeys,
        store::{EventStore as _, SqliteStore},
        writer::{SystemClock, Writer, WriterSettings},
    },
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    append::{insert, open_accounts, raw_log},
    support::{compare, folder, http::Connection, rate},
};

const CONNECTIONS: usize = 1024;
const ROUND: Duration = Duration::from_secs(3);

pub async fn run(rounds: usize) {
    let folder = folder();
    let store = Arc::new(SqliteStore::open(&folder.path().join("ours.db")).await.unwrap());
    let clock = Arc::new(SystemClock);
    let (writer, _, _) = Writer::start(store.clone(), clock.clone(), WriterSettings::default());
    let accounts = open_accounts(&writer).await;
    let (token, tokens) = session(1);

    // The command side alone, as its own process would be.
    let commands: Arc<dyn CommandPort> = Arc::new(Handler::new(writer.clone(), clock));
    let ports = Ports { commands: Some(commands), sessions: None, queries: None };
    let state = AppState::new(ports, tokens.clone(), WebOptions::default(), CancellationToken::new());
    let ours = serve(web::router(state)).await;

    // Events of the same size as ours, inserted by a thread of its own.
    deposit_for(Duration::from_millis(200), ours, "/api/v1/commands/DepositMoney", &token, &accounts).await;
    let template = store.read_log(Position(accounts.len() as u64), 1).await.unwrap().remove(0);
    let raw = raw_log(&folder.path().join("raw.db"));
    let (inserts, waiting) = mpsc::channel(8192);
    std::thread::spawn(move || commit_what_waits(raw, waiting, template));
    let peer = Router::new().route("/deposit", post(bare)).with_state(Arc::new(Bare { tokens, inserts }));
    let theirs = serve(peer).await;

    let (mut our_rates, mut their_rates) = (vec![], vec![]);
    for _ in 0..rounds {
        our_rates.push(deposit_for(ROUND, ours, "/api/v1/commands/DepositMoney", &token, &accounts).await);
        their_rates.push(deposit_for(ROUND, theirs, "/deposit", &token, &accounts).await);
    }
    println!("\nDepositMoney over HTTP, {CONNECTIONS} connections, the command side alone");
    compare("    Daybook", "requests/s", &our_rates, "bare axum and raw commits", &their_rates);
}

/// A token of the user with this number, and what checks it.
pub fn session(number: u128) -> (String, Arc<dyn TokenCheck>) {
    let keys = SigningKeys::from_seed([7; 32]);
    let viewer = Viewer {
        user_id: UserId(Uuid::from_u128(1)),
        session_id: SessionId(Uuid::from_u128(number)),
        name: "Bench".into(),
        roles: vec![Role::Customer],
        expires_at: i64::MAX,
    };
    let token = seal(&viewer, KeyId::of(&keys.verifying_key()), |message| keys.sign(message));
    (token, Arc::new(TokenVerifier::new(keys.public().iter(), Arc::new(Revocations::default()))))
}

pub async fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(web::listen::serve(listener, None, 8192, router, CancellationToken::new()));
    address
}

pub fn deposit_request(path: &str, token: &str, account: AccountId) -> String {
    let body = format!(r#"{{"account_id":"{account}","amount":12345,"description":"Groceries"}}"#);
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nidempotency-key: {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        Uuid::now_v7(),
        body.len()
    )
}

/// Requests a second that all connections together get answered, each sending its next when it has the last answer.
async fn deposit_for(time: Duration, to: SocketAddr, path: &str, token: &str, accounts: &[AccountId]) -> f64 {
    let (started, next) = (Arc::new(Instant::now()), Arc::new(AtomicUsize::new(0)));
    let clients = (0..CONNECTIONS).map(|_| {
        let (started, next, accounts) = (started.clone(), next.clone(), accounts.to_vec());
        let (path, token) = (path.to_owned(), token.to_owned());
        tokio::spawn(async move {
            let mut connection = Connection::open(to).await;
            while started.elapsed() < time {
                let account = accounts[next.fetch_add(1, Ordering::Relaxed) * 7 % accounts.len()];
                connection.call(&deposit_request(&path, &token, account)).await;
            }
        })
    });
    futures_util::future::try_join_all(clients).await.unwrap();
    rate(next.load(Ordering::Relaxed), started.elapsed())
}

struct Bare {
    tokens: Arc<dyn TokenCheck>,
    inserts: mpsc::Sender<(CommandId, AccountId, oneshot::Sender<Position>)>,
}

async fn bare(State(bare): State<Arc<Bare>>, headers: HeaderMap, Json(command): Json<DepositMoney>) -> Json<Receipt> {
    let header = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok()).unwrap();
    bare.tokens.check(header("authorization").trim_start_matches("Bearer ")).unwrap();
    let command_id = CommandId::parse(header("idempotency-key")).unwrap();
    let (reply, answer) = oneshot::channel();
    bare.inserts.send((command_id, command.account_id, reply)).await.unwrap();
    let position = answer.await.unwrap();
    let version = Version(position.0);
    let event_type = "account.money_deposited".to_owned();
    let event = ReceiptEvent { event_id: EventId::derive(command_id, 0), event_type, version, position };
    let stream = command.account_id.into();
    Json(Receipt { command_id, stream, version, position, events: vec![event], repeated: false })
}

/// One transaction after the other, each with all that came during the one before.
fn commit_what_waits(
    mut raw: Raw,
    mut waiting: mpsc::Receiver<(CommandId, AccountId, oneshot::Sender<Position>)>,
    template: Envelope,
) {
    let (mut position, mut taken) = (Position(0), vec![]);
    while waiting.blocking_recv_many(&mut taken, 1024) > 0 {
        let (mut events, mut replies) = (vec![], vec![]);
        for (command, account, reply) in taken.drain(..) {
            position = position.next();
            events.push(Envelope {
                position,
                event_id: EventId::derive(command, 0),
                stream: account.into(),
                version: Version(position.0),
                ..template.clone()
            });
            replies.push((reply, position));
        }
        insert(&mut raw, &events);
        for (reply, position) in replies {
            reply.send(position).unwrap();
        }
    }
}
