//! What lies between a node and PostgreSQL: passes bytes on, may swallow the server's answers from some words on, may pass
//! nothing for a while, and may be cut.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

pub struct Proxy {
    pub port: u16,
    way: Arc<Way>,
    /// Of the connections that are open now.
    cut: Arc<Mutex<CancellationToken>>,
    over: CancellationToken,
}

/// What the way does to bytes, and to whoever connects.
#[derive(Default)]
struct Way {
    /// Once a node has said this, it hears no answer any more.
    words: Mutex<Option<Vec<u8>>>,
    mute: watch::Sender<bool>,
    /// Nothing passes in any direction.
    frozen: watch::Sender<bool>,
}

impl Way {
    async fn is_free(&self) {
        drop(self.frozen.subscribe().wait_for(|frozen| !frozen).await);
    }
}

impl Proxy {
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            way: Arc::default(),
            cut: Arc::default(),
            over: CancellationToken::new(),
        };
        let (way, cut, over) = (proxy.way.clone(), proxy.cut.clone(), proxy.over.clone());
        tokio::spawn(over.run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                let cut = cut.lock().unwrap().clone();
                tokio::spawn(cut.run_until_cancelled_owned(carry(client, server, way.clone())));
            }
        }));
        proxy
    }

    /// Once these words have passed, no answer gets through, though what is asked does.
    pub fn swallow_answers_after(&self, words: &str) {
        *self.way.words.lock().unwrap() = Some(words.as_bytes().to_vec());
    }

    /// As a network that loses everything: nobody is told. What was sent meanwhile arrives when it is over.
    pub fn freeze(&self, frozen: bool) {
        self.way.frozen.send_replace(frozen);
    }

    /// Ends all connections at once; new ones are passed on whole.
    pub fn cut(&self) {
        std::mem::take(&mut *self.cut.lock().unwrap()).cancel();
        *self.way.words.lock().unwrap() = None;
        self.way.mute.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.cancel();
        self.cut();
    }
}

/// Dropped, it closes both sides.
async fn carry(client: TcpStream, server: SocketAddr, way: Arc<Way>) {
    way.is_free().await;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = asked(from_client, to_server, &way) => {}
        () = answered(from_server, to_client, &way) => {}
    }
}

async fn asked(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: &Way) {
    let (mut bytes, mut before) = (vec![0; 16 * 1024], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if let Some(words) = &*way.words.lock().unwrap() {
            before.extend_from_slice(&bytes[..count]);
            if before.windows(words.len()).any(|window| window == words) {
                way.mute.send_replace(true);
            }
            // The words may come in two pieces.
            before.drain(..before.len().saturating_sub(words.len()));
        }
        way.is_free().await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // The end of a connection does not pass either.
    way.is_free().await;
}

async fn answered(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: &Way) {
    let (mut bytes, mut mute) = (vec![0; 16 * 1024], way.mute.subscribe());
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if mute.wait_for(|mute| !mute).await.is_err() {
            return;
        }
        way.is_free().await;
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    way.is_free().await;
}
