//! From sending a command to the proxy to its event in a browser's stream, through PostgreSQL and Kafka, against the sum of
//! the bare parts: a one-row commit, a message produced and consumed, a broadcast by axum. And reads of two query nodes
//! against those of one.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use app::{domain::AccountId, wire::Position};
use rdkafka::{
    ClientConfig,
    producer::{BaseRecord, DefaultProducerContext, ThreadedProducer},
};
use server::bus::kafka::{KafkaSettings, Topics, ensure};
use tokio::sync::mpsc;

use crate::{
    http::deposit_request,
    live::{bare_broadcast, listen, open_account, until_all},
    log::consumer,
    postgres::Raw,
    servers::{Servers, Split},
    support::{compare, http::Connection, log::Log, median, ms, p99},
};

const COMMANDS: usize = 200;
/// Connections that read, all together, and for how long.
const READERS: usize = 64;
const READING: Duration = Duration::from_secs(3);

pub async fn run(rounds: usize, servers: &Servers) {
    let split = Split::from_environment();
    let mut posting = Connection::open(split.proxy).await;
    let token = sign_in(&mut posting, &split).await;
    let account = open_account(&mut posting, &token).await;
    latency(rounds, servers, &split, &mut posting, &token, account).await;
    reads(rounds, &split, &token, account).await;
}

async fn sign_in(connection: &mut Connection, split: &Split) -> String {
    let body = format!(r#"{{"email":"{}","password":"{}"}}"#, split.email, split.password);
    let request = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer: serde_json::Value = serde_json::from_slice(&connection.call(&request).await).unwrap();
    answer["token"].as_str().unwrap().to_owned()
}

async fn latency(
    rounds: usize,
    servers: &Servers,
    split: &Split,
    posting: &mut Connection,
    token: &str,
    account: AccountId,
) {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let request = format!(
        "GET /live?q=statement:{account}&from=0 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let stream = Connection::open(split.proxy).await.stream(&request).await;
    tokio::spawn(listen(stream, r#""position":"#, arrived));

    let mut raw = Raw::open(&servers.database("bare_way").await).await;
    let mut bare = BareBus::open(servers.topics("way")).await;
    let (told, mut bare_arrivals) = bare_broadcast(1).await;
    let mut log = Log::new();

    let (mut whole, mut parts, mut sums, mut middles) = (vec![], vec![], vec![], vec![]);
    for round in 0..=rounds {
        let (mut answers, mut times) = (vec![], vec![]);
        // A proxy takes only so many requests of one connection.
        *posting = Connection::open(split.proxy).await;
        for _ in 0..COMMANDS {
            let started = Instant::now();
            let request = deposit_request("/api/v1/commands/DepositMoney", token, account);
            let answer = posting.call(&request).await;
            answers.push(started.elapsed());
            let position = serde_json::from_slice::<app::wire::Receipt>(&answer).unwrap().position;
            times.extend(until_all(&mut arrivals, 1, position, started).await);
        }
        // One after another, as a command's event has to take them: the sum of each time through.
        let (mut commits, mut messages, mut broadcasts, mut sum) = (vec![], vec![], vec![], vec![]);
        for at in 0..COMMANDS {
            let event = log.next();
            let commit = raw.one_by_one(std::slice::from_ref(&event)).await;
            let message = bare.there_and_back(&event.payload).await;
            let (started, position) = (Instant::now(), (round * COMMANDS + at + 1) as u64);
            told.send(position).unwrap();
            let broadcast = until_all(&mut bare_arrivals, 1, Position(position), started).await[0];
            commits.push(commit);
            messages.push(message);
            broadcasts.push(broadcast);
            sum.push(commit + message + broadcast);
        }
        // The first round warms up.
        if round > 0 {
            whole.push(ms(p99(&times)));
            sums.push(ms(p99(&sum)));
            middles
                .push([&answers, &times, &sum].map(|times| median(&times.iter().copied().map(ms).collect::<Vec<_>>())));
            parts.push([ms(p99(&commits)), ms(p99(&messages)), ms(p99(&broadcasts))]);
        }
    }
    let part = |index: usize| median(&parts.iter().map(|parts| parts[index]).collect::<Vec<_>>());
    let (ours, theirs) = (median(&whole), median(&sums));
    println!("\ncommand at the proxy → event in a browser's stream, through Kafka, p99");
    println!("    Daybook {ours:.1} ms, sum of the bare parts {theirs:.1} ms → {:.2} ×", ours / theirs);
    let middle = |index: usize| median(&middles.iter().map(|middles| middles[index]).collect::<Vec<_>>());
    let (answered, seen, sum) = (middle(0), middle(1), middle(2));
    println!(
        "    medians: answered {answered:.1} ms, in the stream {seen:.1} ms, sum {sum:.1} ms → {:.2} ×",
        seen / sum
    );
    println!("    commit {:.1} ms, produce and consume {:.1} ms, broadcast {:.1} ms", part(0), part(1), part(2));
}

/// A producer that waits for all replicas, and a consumer.
struct BareBus {
    topic: String,
    producer: ThreadedProducer<DefaultProducerContext>,
    arrived: mpsc::UnboundedReceiver<Instant>,
}

impl BareBus {
    async fn open(settings: KafkaSettings) -> Self {
        ensure(&settings).await.unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &settings.brokers);
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "0");
        let (arriving, arrived) = mpsc::unbounded_channel();
        let consumer = consumer(&settings);
        std::thread::spawn(move || {
            while !arriving.is_closed() {
                if let Some(message) = consumer.poll(Duration::from_millis(100)) {
                    message.unwrap();
                    arriving.send(Instant::now()).ok();
                }
            }
        });
        Self { topic: Topics::new(&settings.prefix).events, producer: config.create().unwrap(), arrived }
    }

    async fn there_and_back(&mut self, payload: &[u8]) -> Duration {
        let started = Instant::now();
        self.producer
            .send(BaseRecord::to(&self.topic).key("account").payload(payload))
            .map_err(|(error, _)| error)
            .unwrap();
        self.arrived.recv().await.unwrap() - started
    }
}

async fn reads(rounds: usize, split: &Split, token: &str, account: AccountId) {
    let request = format!(
        "GET /api/v1/accounts/{account}/statement?limit=20 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
    );
    let (mut two, mut one) = (vec![], vec![]);
    for _ in 0..rounds {
        two.push(read_from(&split.query_nodes, &request).await);
        one.push(read_from(&split.query_nodes[..1], &request).await);
    }
    println!("\nstatements read, {READERS} connections");
    compare("    two query nodes", "requests/s", &two, "one", &one);
}

async fn read_from(nodes: &[SocketAddr], request: &str) -> f64 {
    let started = Instant::now();
    let reader = async |number: usize| {
        let mut connection = Connection::open(nodes[number % nodes.len()]).await;
        let mut answered = 0;
        while started.elapsed() < READING {
            connection.call(request).await;
            answered += 1;
        }
        answered
    };
    let answered: usize = futures_util::future::join_all((0..READERS).map(reader)).await.into_iter().sum();
    answered as f64 / started.elapsed().as_secs_f64()
}
