//! Import through the HTTP API of a running server.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use app::{
    api::AppError,
    ports::{Ports, Role, SessionPort, SignedIn, TokenCheck, Viewer},
    wire::{Position, Receipt},
};
use async_trait::async_trait;
use reqwest::Method;
use serde_json::json;
use server::{
    cli::{
        node::{Node, people_pool},
        serve,
    },
    config::DataDir,
    import::{self, Http, Plan},
    web::{self, AppState, WebOptions},
    write::{
        identity::{NewPerson, Passwords, People, mint},
        keys::SigningKeys,
        store::SqliteStore,
        writer::WriterSettings,
    },
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    helpers::{App, PATIENCE, answer, serve_args},
    import::{Folder, HEAD, OVERDRAFT, berka, check, import},
};
use crate::history::now;

#[tokio::test]
async fn a_running_server_takes_an_import_through_its_api() {
    let folder = Folder::new();
    let data = folder.data();
    let token = token_of(&data, "admin@example.org", true).await;
    let running = Running::on(&data).await;
    let server = running.url.clone();

    let file = match berka("transactions-exact.csv") {
        Some(file) => {
            let text = std::fs::read_to_string(&file).unwrap();
            let part: String = text.lines().take(101).map(|line| format!("{line}\n")).collect();
            folder.file("some.csv", part)
        }
        None => folder.file("some.csv", format!("{HEAD}1,a,2024-01-01,deposit,10,10,\n")),
    };
    // Not while the server runs.
    let refused = folder.daybook(&["import", file.to_str().unwrap()]).await.unwrap_err();
    assert!(refused.contains("--server"), "{refused}");
    for repeated in [false, true] {
        let ledger = Arc::new(Http::new(&server, &token).unwrap());
        let outcome = import(ledger, &file, OVERDRAFT, true).await;
        assert!(outcome.all_agree() && outcome.checked == outcome.rows, "{outcome:?}");
        assert_eq!(outcome.repeated, if repeated { outcome.rows } else { 0 });
    }
    let args = ["import", "--overdraft-limit", "1", "--server", &server, "--token", "wrong", file.to_str().unwrap()];
    let refused = folder.daybook(&args).await.unwrap_err();
    assert!(refused.contains("the token is not valid"), "{refused}");
    // Beside a running server.
    assert_eq!(folder.daybook(&["verify"]).await, Ok(true));
    running.stop().await;
}

/// A server on a folder.
struct Running {
    url: String,
    stopping: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Serves, and so holds the folder, when this returns.
    async fn on(data: &DataDir) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let stopping = CancellationToken::new();
        let serving = tokio::spawn({
            let (data, stopping) = (data.clone(), stopping.clone());
            async move { serve::serve(&data, &serve_args(&[]), listener, stopping).await }
        });
        Http::new(&url, "").unwrap().greet().await.unwrap();
        let since = std::time::Instant::now();
        while !reqwest::get(format!("{url}readyz")).await.unwrap().status().is_success() {
            assert!(since.elapsed() < PATIENCE, "it does not start");
        }
        Self { url, stopping, serving }
    }

    async fn stop(self) {
        self.stopping.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

const ROWS: &str = "1,a,2024-01-01,deposit,10,10,\n2,b,2024-01-01,deposit,1,1,rent\n3,a,2024-01-02,withdrawal,4,6,\n";

#[tokio::test]
async fn an_import_is_continued_another_way_and_by_another_admin() {
    let folder = Folder::new();
    let data = folder.data();
    let part = folder.file("part.csv", format!("{HEAD}{}", &ROWS[..31]));
    let whole = folder.file("whole.csv", format!("{HEAD}{ROWS}"));
    assert_eq!(folder.import(&part, None, true).await.events, 2);

    let running = Running::on(&data).await;
    for (email, events, repeated) in [("one@example.org", 3, 1), ("other@example.org", 0, 3)] {
        let token = token_of(&data, email, true).await;
        let outcome = import(Arc::new(Http::new(&running.url, &token).unwrap()), &whole, None, true).await;
        assert!(outcome.all_agree(), "{outcome:?}");
        assert_eq!((outcome.events, outcome.repeated, outcome.checked), (events, repeated, 3));
    }
    // The command line means the same import when an admin says nothing of an owner.
    let token = token_of(&data, "third@example.org", true).await;
    let args = ["import", "--server", &running.url, "--token", &token, whole.to_str().unwrap()];
    assert_eq!(folder.daybook(&args).await, Ok(true));
    running.stop().await;

    assert_eq!(folder.head().await.position, Position(5));
    let outcome = folder.import(&whole, None, true).await;
    assert!(outcome.all_agree(), "{outcome:?}");
    assert_eq!((outcome.events, outcome.repeated, outcome.checked), (0, 3, 3));
}

#[tokio::test]
async fn w4_what_another_imported_with_other_content_stays_a_conflict() {
    let folder = Folder::new();
    let data = folder.data();
    assert!(folder.import(&folder.file("one.csv", format!("{HEAD}{ROWS}")), None, true).await.all_agree());
    let token = token_of(&data, "admin@example.org", true).await;
    let running = Running::on(&data).await;
    for changed in [ROWS.replace("deposit,1,1,rent", "deposit,2,2,rent"), ROWS.replace("rent", "loan")] {
        let file = folder.file("changed.csv", format!("{HEAD}{changed}"));
        let outcome = import(Arc::new(Http::new(&running.url, &token).unwrap()), &file, None, false).await;
        assert_eq!((outcome.events, outcome.repeated, outcome.refused.count), (0, 2, 1), "{outcome:?}");
        assert!(outcome.refused.first().any(|line| line.contains("other content")), "{outcome:?}");
    }
    // Neither is an account with another overdraft limit the same account.
    let file = folder.file("one.csv", format!("{HEAD}{ROWS}"));
    let outcome = import(Arc::new(Http::new(&running.url, &token).unwrap()), &file, OVERDRAFT, false).await;
    assert_eq!((outcome.refused.count, outcome.held_back), (2, 1), "{outcome:?}");
    running.stop().await;
}

#[tokio::test]
async fn an_admin_imports_for_someone_by_email_and_they_continue_it_themselves() {
    let folder = Folder::new();
    let data = folder.data();
    let admins = token_of(&data, "admin@example.org", true).await;
    let annas = token_of(&data, "anna@example.org", false).await;
    let bens = token_of(&data, "ben@example.org", false).await;
    let file = folder.file("some.csv", format!("{HEAD}{ROWS}"));
    let file = file.to_str().unwrap();
    let running = Running::on(&data).await;
    let import = async |token: &str, owner: Option<&str>| {
        let mut args = vec!["import", "--server", &running.url, "--token", token, file];
        // Only an admin gives an overdraft; its owner goes on without a word of it.
        args.extend(owner.iter().flat_map(|owner| ["--owner", owner, "--overdraft-limit", "50"]));
        folder.daybook(&args).await
    };
    // Views hear of people from the bus.
    let ledger = Http::new(&running.url, &admins).unwrap();
    let since = std::time::Instant::now();
    while ledger.person("anna@example.org").await.unwrap().is_none() {
        assert!(since.elapsed() < PATIENCE, "nobody is found");
    }
    assert_eq!(import(&admins, Some("Anna@example.org")).await, Ok(true));
    assert_eq!(folder.head().await.position, Position(5));
    assert_eq!(import(&annas, None).await, Ok(true));
    assert_eq!(folder.head().await.position, Position(5), "it was all there");
    // The same file makes accounts of his own for someone else.
    assert_eq!(import(&bens, None).await, Ok(true));
    assert_eq!(folder.head().await.position, Position(10));

    let refused = import(&admins, Some("nobody@example.org")).await.unwrap_err();
    assert!(refused.contains("nobody there has this e-mail"), "{refused}");
    let refused = import(&bens, Some("anna@example.org")).await.unwrap_err();
    assert!(refused.contains("the token is not an admin's"), "{refused}");
    running.stop().await;
    // Directly, for the same owner, it is the same import.
    assert_eq!(folder.daybook(&["import", "--owner", "anna@example.org", file]).await, Ok(true));
    assert_eq!(folder.head().await.position, Position(10));
}

#[tokio::test]
async fn no_customer_takes_the_ids_of_an_import_first() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let admin = app.person("admin@example.com", true).await;
    let plan = |owner| Plan { owner, currency: check(true).currency, overdraft_limit: None };
    let (account, (command, _)) = (plan(Plan::nobody()).account_id("a"), plan(Plan::nobody()).open("a"));
    let open = |account: Option<String>| json!({"account_id": account, "name": "Mine", "currency": "CZK"});
    anna.command("OpenAccount", &open(Some(account.to_string()))).await.refused(404, "not_found");
    let taken =
        anna.request(Method::POST, "/api/v1/commands/OpenAccount").header("Idempotency-Key", command.to_string());
    answer(taken.json(&open(None))).await.refused(409, "command_id_reused");
    admin.command("OpenAccount", &open(Some(account.to_string()))).await.ok();
    // Those of a person follow from an id that no other customer is told.
    assert_ne!(plan(anna.id.unwrap()).account_id("a"), plan(admin.id.unwrap()).account_id("a"));
    app.stop().await;
}

/// Tokens that are good for two requests each, the renewal of the next one included; whoever has one is an admin.
#[derive(Default)]
struct ShortLived {
    uses: Mutex<BTreeMap<String, u32>>,
    renewals: AtomicU32,
}

impl ShortLived {
    fn admin() -> Viewer {
        let id = Plan::nobody();
        let (session_id, roles) = (app::domain::SessionId(id.0), vec![Role::Admin]);
        Viewer { user_id: id, session_id, name: "Admin".to_owned(), roles, expires_at: i64::MAX }
    }
}

impl TokenCheck for ShortLived {
    fn check(&self, token: &str) -> Option<Viewer> {
        let mut uses = self.uses.lock().unwrap();
        let uses = uses.entry(token.to_owned()).or_default();
        *uses += 1;
        (*uses <= 2).then(Self::admin)
    }
}

#[async_trait]
impl SessionPort for ShortLived {
    async fn sign_in(&self, _: &str, _: &str, _: IpAddr) -> Result<SignedIn, AppError> {
        Err(AppError::WrongCredentials)
    }
    async fn sign_out(&self, _: &Viewer) -> Result<Receipt, AppError> {
        Err(AppError::NotFound)
    }
    async fn renew(&self, viewer: &Viewer) -> Result<SignedIn, AppError> {
        let number = self.renewals.fetch_add(1, Ordering::SeqCst);
        Ok(SignedIn { token: format!("token {number}"), viewer: viewer.clone() })
    }
    async fn change_password(&self, _: &Viewer, _: &str, _: &str) -> Result<SignedIn, AppError> {
        Err(AppError::NotFound)
    }
}

#[tokio::test]
async fn an_import_through_a_server_outlives_its_token() {
    let folder = Folder::new();
    let node = Node::start(&folder.data(), WriterSettings::default()).await.unwrap();
    let sessions = Arc::new(ShortLived::default());
    let ports = Ports { sessions: Some(sessions.clone()), ..node.ports.clone() };
    let stopping = CancellationToken::new();
    let state = AppState::new(ports, sessions.clone(), WebOptions::default(), stopping.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(web::listen::serve(listener, None, 64, web::router(state), stopping.clone()));

    let rows: String =
        (1..=50_u32).map(|n| format!("{n},{},2024-01-01,deposit,1,{},\n", n % 2, n.div_ceil(2))).collect();
    let file = folder.file("some.csv", format!("{HEAD}{rows}"));
    let ledger = Arc::new(Http::renewing_after(&server, "handed over", Duration::ZERO).unwrap());
    let outcome = import(ledger, &file, None, true).await;
    assert!(outcome.all_agree() && outcome.checked == 50, "{outcome:?}");
    assert!(sessions.renewals.load(Ordering::SeqCst) > 50);

    // Renewed once, and then never.
    let ledger = Arc::new(Http::renewing_after(&server, "another", Duration::from_hours(1)).unwrap());
    let plan = Plan { owner: Plan::nobody(), currency: check(true).currency, overdraft_limit: None };
    let error = import::import(ledger, &file, check(true), plan, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("the token is not valid"), "{error}");
    stopping.cancel();
    serving.await.unwrap().unwrap();
    node.stop().await.unwrap();
}

/// Adds someone, and makes a token for them.
async fn token_of(data: &DataDir, email: &str, admin: bool) -> String {
    SqliteStore::open(&data.write_db()).await.unwrap().close().await.unwrap();
    let pool = people_pool(data).await.unwrap();
    let people = People::new(pool.clone());
    let password = Passwords::new().unwrap().hash("correct horse battery").await.unwrap();
    let roles = if admin { vec![Role::Customer, Role::Admin] } else { vec![Role::Customer] };
    let new = NewPerson { email: email.to_owned(), name: "Someone".to_owned(), roles, password };
    let id = people.add(new, now()).await.unwrap();
    let person = people.by_id(id).await.unwrap().unwrap().person;
    pool.close().await;
    let keys = SigningKeys::load_or_create(&data.signing_key()).unwrap();
    mint(&person, server::token::new_session_id(now(), [1; 10]), now(), &keys).token
}
