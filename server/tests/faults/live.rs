//! Live readers that are slow, and streams that come and go: memory stays bounded, nobody else notices.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use super::{
    bank::Bank,
    choices::Choices,
    embedded::{Embedded, memory},
};
use crate::services::node::{LONG, sign_in};

/// What a process may hold more than before streams came and went.
const GROWTH: u64 = 24 << 20;
/// What a process may grow by for readers who take nothing.
const FOR_SLOW_READERS: u64 = 8 << 20;
/// Streams that one session may have open.
const OF_A_SESSION: usize = 16;

/// Some open a page and take nothing of what is sent, while others see everything: the server keeps about as much as it does
/// without them, and after a while it gives them up.
pub async fn slow_reader(choices: &mut Choices, rate: u64, commands: u64) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Embedded::start(&folder.path().join("data")).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let mut listening = bank.subscribe().await;
    let work = bank.work(choices);
    bank.does(commands).await;
    // What it grows by without them.
    let usual = grown_by(&ledger, bank.does(commands)).await;
    let mut slow = Vec::new();
    for _ in 0..OF_A_SESSION / 2 {
        slow.push(deaf(&ledger, &bank, "q=accounts&q=movements&q=transfers&q=events").await);
    }
    let since = Instant::now();
    while ledger.live_streams().await < listening.len() + slow.len() {
        assert!(since.elapsed() < LONG, "the streams do not open");
    }
    // They are told what there is, which takes room once for each, as for any reader.
    bank.does(commands / 5).await;
    let grown = grown_by(&ledger, bank.does(commands)).await;
    assert!(grown < usual + FOR_SLOW_READERS, "it grows by {grown} bytes, without them by {usual}");
    let since = Instant::now();
    while ledger.live_streams().await > listening.len() {
        assert!(since.elapsed() < LONG, "those who take nothing are not given up");
        bank.does(10).await;
    }
    work.stop().await;
    ledger.at_rest_with(&bank, &mut listening).await;
    let (slow, grown, usual) = (slow.len(), grown >> 10, usual >> 10);
    format!(
        "{slow} readers who took nothing were cut off; until then {grown} KiB more in memory, {usual} without them; all \
         others saw everything"
    )
}

/// By how much its memory grows meanwhile, in bytes.
async fn grown_by(ledger: &Embedded, meanwhile: impl Future<Output = ()>) -> u64 {
    let before = memory(ledger.node.pid());
    meanwhile.await;
    memory(ledger.node.pid()).saturating_sub(before)
}

/// A connection that asks for a stream and reads none of it, and has no room for much of it either.
async fn deaf(ledger: &Embedded, bank: &Arc<Bank>, query: &str) -> TcpStream {
    let address = ledger.node.base().replace("http://", "");
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut socket = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /live?{query}&from=0 HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\r\n",
        bank.token()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// Streams that are opened and dropped leave nothing.
pub async fn come_and_go(choices: &mut Choices, rate: u64, streams: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Embedded::start(&folder.path().join("data")).await;
    let bank = Bank::open(ledger.doors(), rate, choices).await;
    let tokens = [sign_in(&ledger.http, &ledger.node.base()).await, sign_in(&ledger.http, &ledger.node.base()).await];
    let mut after_a_tenth = 0;
    for round in 0..streams / (2 * OF_A_SESSION) + 1 {
        let mut open = Vec::new();
        for token in &tokens {
            for number in 0..OF_A_SESSION {
                open.push(stream(&ledger, &bank, token, number).await);
            }
        }
        if round == streams / (20 * OF_A_SESSION) {
            after_a_tenth = memory(ledger.node.pid());
        }
    }
    let grown = memory(ledger.node.pid()).saturating_sub(after_a_tenth);
    assert!(grown < GROWTH, "{} MiB more than after a tenth of them", grown >> 20);
    ledger.node.terminate();
    format!("each gave its place back; {} KiB more in memory than after a tenth of them", grown >> 10)
}

/// Opened, once there is a place for it: one that was dropped gives it back when the server notices.
async fn stream(ledger: &Embedded, bank: &Arc<Bank>, token: &str, number: usize) -> reqwest::Response {
    let since = Instant::now();
    let account = bank.accounts[number % bank.accounts.len()];
    let url = ledger.node.url(&format!("/live?q=account:{account}&q=statement:{account}&q=accounts&from=0"));
    loop {
        let mut answer = ledger.http.get(&url).bearer_auth(token).send().await.unwrap();
        if answer.status() == 200 {
            answer.chunk().await.unwrap().unwrap();
            return answer;
        }
        assert_eq!(answer.status(), 429);
        assert!(since.elapsed() < LONG.max(Duration::from_secs(1)), "places are not given back");
    }
}
