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
    wire::Receipt,
};
use async_trait::async_trait;
use clap::Parser as _;
use server::{
    cli::{
        node::{Node, people_pool},
        serve,
    },
    config::{Cli, Command, DataDir},
    import::{self, Http, Plan},
    web::{self, AppState, WebOptions},
    write::{
        identity::{NewPerson, Passwords, People, mint},
        keys::SigningKeys,
        store::SqliteStore,
        writer::WriterSettings,
    },
};
use tokio_util::sync::CancellationToken;

use super::import::{Folder, HEAD, OVERDRAFT, berka, check, import};
use crate::history::now;

#[tokio::test]
async fn a_running_server_takes_an_import_through_its_api() {
    let folder = Folder::new();
    let data = folder.data();
    let token = admins_token(&data).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}/", listener.local_addr().unwrap());
    let stopping = CancellationToken::new();
    let serving = tokio::spawn({
        let (data, stopping) = (data.clone(), stopping.clone());
        async move {
            let Command::Serve(args) = Cli::try_parse_from(["daybook", "serve"]).unwrap().command else { panic!() };
            serve::serve(&data, &args, listener, stopping).await
        }
    });

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
    stopping.cancel();
    serving.await.unwrap().unwrap();
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
    let plan = Plan { owner: Some(Plan::nobody()), currency: check(true).currency, overdraft_limit: None };
    let error = import::import(ledger, &file, check(true), plan, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("the token is not valid"), "{error}");
    stopping.cancel();
    serving.await.unwrap().unwrap();
    node.stop().await.unwrap();
}

async fn admins_token(data: &DataDir) -> String {
    SqliteStore::open(&data.write_db()).await.unwrap().close().await.unwrap();
    let pool = people_pool(data).await.unwrap();
    let people = People::new(pool.clone());
    let password = Passwords::new().unwrap().hash("correct horse battery").await.unwrap();
    let roles = vec![Role::Customer, Role::Admin];
    let new = NewPerson { email: "admin@example.org".to_owned(), name: "Admin".to_owned(), roles, password };
    let id = people.add(new, now()).await.unwrap();
    let person = people.by_id(id).await.unwrap().unwrap().person;
    pool.close().await;
    let keys = SigningKeys::load_or_create(&data.signing_key()).unwrap();
    mint(&person, server::token::new_session_id(now(), [1; 10]), now(), &keys).token
}
