//! `daybook` as it is run: one server a folder, users added beside it, TLS, an end.

use std::{net::TcpListener, time::Duration};

use reqwest::{Method, StatusCode};
use server::{
    cli::{demo, node::Node, serve, user},
    config::{DataDir, UserArgs, UserCommand},
    write::writer::WriterSettings,
};
use tokio_util::sync::CancellationToken;

use super::helpers::{App, PASSWORD, PATIENCE, serve_args};

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let app = App::spawn().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = serve::serve(&app.data, &serve_args(&[]), listener, CancellationToken::new()).await;
    let message = second.unwrap_err().to_string();
    assert!(message.contains("another daybook serves the data folder"), "{message}");
    app.stop().await;
}

#[tokio::test]
async fn plain_http_where_others_can_reach_it_has_to_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    let refused = serve::run(&data, serve_args(&["--listen", "0.0.0.0:0"])).await;
    assert!(refused.unwrap_err().to_string().contains("--allow-insecure-http"));
}

#[tokio::test]
async fn someone_disabled_beside_a_running_server_is_signed_out_and_stays_out() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    anna.get("/api/v1/accounts").await.ok();
    let disable = UserCommand::Disable { email: "anna@example.com".to_owned() };
    user::run(&app.data, UserArgs { command: disable, write_db: None }).await.unwrap();
    let since = std::time::Instant::now();
    while anna.get("/api/v1/accounts").await.status != StatusCode::UNAUTHORIZED {
        assert!(since.elapsed() < PATIENCE, "the session does not end");
    }
    let again = serde_json::json!({"email": "anna@example.com", "password": PASSWORD});
    app.nobody().post("/api/v1/session", &again).await.refused(401, "wrong_credentials");
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_ends_its_streams_and_then_itself() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    anna.account("CZK", 700).await;
    let stream = anna.request(Method::GET, "/live?q=accounts").send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let started = std::time::Instant::now();
    app.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let said = stream.text().await.unwrap();
    assert!(said.contains("\"balance\":700") && said.trim_end().ends_with("shutting_down"), "{said}");
}

#[tokio::test]
async fn tls_speaks_http2_and_sets_its_headers() {
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/localhost.pem");
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/localhost.key");
    let app = App::spawn_with(&["--tls-cert", certificate, "--tls-key", key]).await;
    let root = reqwest::Certificate::from_pem(&std::fs::read(certificate).unwrap()).unwrap();
    let https = reqwest::Client::builder().tls_certs_only([root.clone()]).build().unwrap();
    let answer = https.get(format!("{}/healthz", app.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("strict-transport-security"));
    assert_eq!(negotiated(&app.url, certificate).await.as_deref(), Some(&b"h2"[..]));
    app.stop().await;
}

/// `daybook` as a process of its own, until it ends: whether it succeeded, and what it said on stderr.
async fn daybook(args: &[&str]) -> (bool, String) {
    daybook_with(&[], args).await
}

/// [`daybook`], but what it said on stdout, or on stderr if it failed.
pub async fn daybook_said(args: &[&str]) -> Result<String, String> {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || std::process::Command::new(env!("CARGO_BIN_EXE_daybook")).args(args).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// [`daybook`], with these in its environment.
async fn daybook_with(environment: &[(&str, &str)], args: &[&str]) -> (bool, String) {
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        std::process::Command::new(env!("CARGO_BIN_EXE_daybook")).envs(environment).args(args).output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn what_cannot_be_served_is_said_in_one_line_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a file"), "x").unwrap();
    let (file, data) = (path("a file"), path("with spaces/data"));
    let certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/localhost.pem");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for (args, what) in [
        (vec!["--data-dir", &file], "is no folder but a file"),
        (vec!["--data-dir", "/proc/daybook"], "the data folder /proc/daybook: "),
        (vec!["--data-dir", &data, "--listen", &port], "Address already in use"),
        (vec!["--data-dir", &data, "--listen", "localhost"], "an address and a port are expected, like 127.0.0.1:3000"),
        (
            vec!["--data-dir", &data, "--listen", "127.0.0.1:0", "--tls-cert", &file, "--tls-key", &file],
            "a file: there is none",
        ),
        (
            vec!["--data-dir", &data, "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", "/none.key"],
            "the private key /none.key: No such file",
        ),
    ] {
        let (ok, said) = daybook(&[&["serve"], args.as_slice()].concat()).await;
        assert!(!ok && said.starts_with("error: ") && said.contains(what), "{args:?}: {said}");
        // clap adds a hint in a paragraph of its own.
        let lines = said.lines().filter(|line| !line.is_empty() && !line.starts_with("For more")).count();
        assert_eq!(lines, 1, "{said}");
        assert!(!std::path::Path::new(&data).join("write.sqlite").exists(), "{args:?} made a ledger");
    }
}

#[tokio::test]
async fn a_switch_in_the_environment_is_on_or_off_as_people_write_it() {
    let folder = tempfile::tempdir().unwrap();
    // An address for documentation: nobody can listen there.
    let args = ["serve", "--data-dir", folder.path().to_str().unwrap(), "--listen", "192.0.2.1:9"];
    for (value, what) in [("1", "listening on"), ("yes", "listening on"), ("0", "--tls-cert"), ("no", "--tls-cert")] {
        let (_, said) = daybook_with(&[("DAYBOOK_ALLOW_INSECURE_HTTP", value)], &args).await;
        assert!(said.contains(what), "{value}: {said}");
    }
}

/// What the server chooses of HTTP/2 and HTTP/1.1.
async fn negotiated(url: &str, certificate: &str) -> Option<Vec<u8>> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};

    let address = url.trim_start_matches("https://").replace("localhost", "127.0.0.1");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let shake = move || {
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).unwrap();
        }
        connection.alpn_protocol().map(<[u8]>::to_vec)
    };
    tokio::task::spawn_blocking(shake).await.unwrap()
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let app = App::spawn().await;
    for head in [format!("x: {}\r\n", "y".repeat(40_000)), "x: y\r\n".repeat(101)] {
        let answer = raw(&app.url, format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{head}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    app.stop().await;
}

/// Sends bytes and reads what comes until the server closes the connection.
async fn raw(url: &str, request: String) -> String {
    let address = url.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let talk = move || {
        use std::io::{Read as _, Write as _};
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is how a server ends what it has not read to its end.
        let end = socket.read_to_end(&mut answer);
        assert!(end.is_ok() || !answer.is_empty(), "{end:?}");
        String::from_utf8(answer).unwrap()
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test]
async fn a_log_that_was_replaced_is_not_served_under_the_views_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = DataDir::open(folder.path()).unwrap();
    demo::run(&data).await.unwrap();
    let node = Node::start(&data, WriterSettings::default()).await.unwrap();
    let head = node.command.as_ref().unwrap().heads().wait_for(Option::is_some).await.unwrap().unwrap().position;
    assert!(node.query.as_ref().unwrap().read().wait_for(&["accounts"], head, PATIENCE).await);
    node.stop().await.unwrap();
    for file in ["write.sqlite", "write.sqlite-wal", "write.sqlite-shm"] {
        std::fs::remove_file(folder.path().join(file)).ok();
    }
    let refused = Node::start(&data, WriterSettings::default()).await.err().unwrap().to_string();
    assert!(refused.contains(&format!("the views hold position {head}")), "{refused}");
    // Once the views are gone too it starts.
    for file in ["read.sqlite", "read.sqlite-wal", "read.sqlite-shm"] {
        std::fs::remove_file(folder.path().join(file)).ok();
    }
    Node::start(&data, WriterSettings::default()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn log_lines_of_a_command_say_its_id_and_where_its_chain_of_causes_began() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    daybook_said(&["demo", "--data-dir", &data]).await.unwrap();
    let (file, rows) = (folder.path().join("rows.csv"), "1,a,2024-01-01,deposit,10,10,\n");
    std::fs::write(&file, format!("{}{rows}", super::import::HEAD)).unwrap();
    let log = ["--log", "warn,server::write=debug", "--log-format", "json"];
    let import = [&["import", file.to_str().unwrap(), "--data-dir", &data][..], &log].concat();
    let (ok, said) = daybook(&import).await;
    assert!(ok, "{said}");
    let lines: Vec<serde_json::Value> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let stored: Vec<_> = lines.iter().filter(|line| line["message"] == "stored").collect();
    assert!(stored.len() >= 2, "{said}");
    for line in stored {
        // In the line, and of the span around all that is said of the command.
        assert!(line["command_id"].is_string() && line["correlation_id"].is_string(), "{line}");
        assert_eq!(line["span"]["command_id"], line["command_id"], "{line}");
    }
}
