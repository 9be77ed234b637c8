//! The sides behind nginx with the routes of `deploy/nginx.conf`: a browser cannot tell that they are apart.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    postgres,
    services::node::{LONG, Node, add_admin, daybook, said, sign_in},
};

fn script(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    said(Command::new(root.join(".build/proxy.sh")).args(arguments)).trim().to_owned()
}

/// nginx in the foreground. (Installed by `.build/tools.sh proxy`.)
struct Nginx(Child);

impl Nginx {
    fn start(folder: &Path, listen: &str, command: &Node, queries: &[Node]) -> Self {
        let folder = folder.to_str().unwrap();
        let port = |node: &Node| node.base().rsplit_once(':').unwrap().1.to_owned();
        let queries: Vec<_> = queries.iter().map(port).collect();
        script(&["configure", folder, listen, &port(command), &queries.join(" ")]);
        let (configuration, log) = (format!("{folder}/conf"), format!("{folder}/log"));
        let mut nginx = Command::new("nginx");
        nginx.args(["-p", folder, "-c", &configuration, "-e", &log, "-g", "daemon off; master_process off;"]);
        Self(nginx.stdin(Stdio::null()).spawn().expect("nginx: `.build/tools.sh proxy` installs it"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Answers everything as a node does that starts.
async fn has_nothing(listener: tokio::net::TcpListener) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        assert_ne!(connection.read(&mut head).await.unwrap(), 0);
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        connection.write_all(answer).await.unwrap();
    }
}

/// What comes behind the account's first event, `opened`: a node that does not have that yet waits for it.
async fn live(http: &Client, base: &str, token: &str, (account, opened): (Uuid, u64)) -> Response {
    http.get(format!("{base}/live?q=statement:{account}&from={opened}")).bearer_auth(token).send().await.unwrap()
}

/// A stream of the account's statement, over plain HTTP.
async fn stream(http: &Client, base: &str, token: &str, account: (Uuid, u64)) -> Response {
    let answer = live(http, base, token, account).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer
}

/// Reads on until it says `what`.
async fn brings(stream: &mut Response, what: &str) {
    let mut read = String::new();
    let reading = async {
        while !read.contains(what) {
            let chunk = stream.chunk().await.unwrap().expect("the stream has ended");
            read.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    let found = timeout(LONG, reading).await.is_ok();
    assert!(found, "no {what} in {read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_proxy_each_request_finds_its_side_and_no_stream_is_held_back() {
    rustls::crypto::ring::default_provider().install_default().ok();
    let http = Client::new();
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let bus = format!("kafka://{}/{}", Cluster::shared().brokers, postgres::unique("proxied"));
    let key = path("session.key");
    let write = format!("sqlite:{}", path("write.sqlite"));
    let public = said(daybook().args(["token", "public-key", "--session-key-file", &key, "--data-dir", &path("one")]));
    // Nobody else gets it before nginx does.
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = held.local_addr().unwrap().port().to_string();
    let url = format!("http://127.0.0.1:{listen}");
    let own = ["--bus", &bus, "--public-url", &url, "--trusted-proxy", "127.0.0.1"];
    let start = |role: &str, name: &str, more: &[&str]| {
        let (data, role) = (path(name), ["--role", role, "--data-dir"]);
        Node::start(&[&role[..], &[&data], &own[..], more].concat())
    };
    let mut command = start("command", "one", &["--write-db", &write, "--session-key-file", &key]);
    command.ready(&http).await;
    add_admin(daybook().args(["--data-dir", &path("one")]).env("DAYBOOK_WRITE_DB", &write));
    let mut queries = ["left", "right"].map(|name| start("query", name, &["--session-public-keys", public.trim()]));
    for node in &mut queries {
        node.ready(&http).await;
    }
    let proxy = TempDir::new().unwrap();
    drop(held);
    let _nginx = Nginx::start(proxy.path(), &listen, &command, &queries);

    // Signing in and commands go to one side, and what one sees comes from the other.
    let token = sign_in(&http, &url).await;
    let (account, cookie) = (Uuid::now_v7(), format!("daybook={token}"));
    let to_command = async |name: &str, fields: Value| {
        let sent = http.post(format!("{}/api/v1/commands/{name}", url)).bearer_auth(&token).json(&fields);
        let answer = sent.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        answer.json::<Value>().await.unwrap()["position"].as_u64().unwrap()
    };
    let opened = to_command("OpenAccount", json!({ "account_id": account, "name": "A", "currency": "CZK" })).await;
    let list = format!("{}/api/v1/accounts?wait_for={opened}&wait_ms=20000", url);
    let list: Value = http.get(list).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["items"][0]["id"], account.to_string());
    let page = http.get(format!("{}/accounts/{account}", url)).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    // A form, and what a page without JavaScript does to stay signed in.
    let theme = http.post(format!("{}/api/fn/set_theme", url)).header("origin", &url);
    let theme = theme
        .header("cookie", &cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("theme=dark")
        .send()
        .await
        .unwrap();
    assert!(theme.headers().contains_key("set-cookie"), "{theme:?}");
    let stays = "/api/v1/session/renew";
    assert!(page.contains(&format!(r#"<img src="{stays}""#)), "{page}");
    let stays = http.get(format!("{}{stays}", url)).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(stays.status(), StatusCode::NO_CONTENT);

    // What is deposited is in each stream although nothing else follows it.
    let mut streams = vec![stream(&http, &url, &token, (account, opened)).await];
    for node in &queries {
        streams.push(stream(&http, &node.base(), &token, (account, opened)).await);
    }
    let deposited = to_command("DepositMoney", json!({ "account_id": account, "amount": 1 })).await;
    for stream in &mut streams {
        brings(stream, &format!(r#""position":{deposited}"#)).await;
    }

    // Signed out: all of them end within a second of the node's learning it.
    let out = http.delete(format!("{}/api/v1/session", url)).bearer_auth(&token).send().await.unwrap();
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    let since = Instant::now();
    for node in &queries {
        while node.get(&http, &token, "/api/v1/accounts").await.status() != StatusCode::UNAUTHORIZED {
            assert!(since.elapsed() < LONG, "the session lives on");
        }
    }
    let known = Instant::now();
    for stream in &mut streams {
        let rest = async { while stream.chunk().await.is_ok_and(|chunk| chunk.is_some()) {} };
        assert!(timeout(LONG, rest).await.is_ok(), "a stream lives on");
    }
    // And as long for a machine that has other work too.
    assert!(known.elapsed() < Duration::from_secs(2), "{:?}", known.elapsed());

    // A query node that says that it has nothing yet: its streams come from the other one.
    let token = sign_in(&http, &url).await;
    for node in &mut queries {
        node.terminate();
        let address = node.base().replace("http://", "");
        let stand_in = tokio::spawn(has_nothing(tokio::net::TcpListener::bind(address).await.unwrap()));
        // The proxy may take the other one, started just now, for lost yet.
        let since = Instant::now();
        while live(&http, &url, &token, (account, opened)).await.status() != StatusCode::OK {
            assert!(since.elapsed() < LONG, "nobody has the stream");
        }
        stand_in.abort();
        assert!(stand_in.await.is_err_and(|ended| ended.is_cancelled()));
        node.start_again();
        node.ready(&http).await;
    }
}
