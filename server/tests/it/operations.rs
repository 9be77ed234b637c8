//! A projection that is parked on a running server: mended and tried again, or told to go on without the event.

use app::wire::Position;
use serde_json::{Value, json};
use server::{
    read::database::ReadDb,
    write::store::{EventStore as _, SqliteStore, connect_options},
};
use sqlx::ConnectOptions as _;
use uuid::Uuid;

use super::{
    helpers::{App, Client, PATIENCE},
    history::{Log, Place, dumped},
};

/// Changes a table of the read model behind the server's back.
async fn meddle(app: &App, change: &'static str, account: Uuid) {
    let mut connection = connect_options(&app.data.read_db()).connect().await.unwrap();
    sqlx::query(change).bind(account.to_string()).execute(&mut connection).await.unwrap();
}

/// Makes the event that opens this account one that the account list refuses.
async fn poison(app: &App, account: Uuid) {
    let ghost = "INSERT INTO accounts VALUES (?1, ?1, 'Ghost', 'CZK', 0, 0, 0, 0, 0, 'open', 0, 1, -1)";
    meddle(app, ghost, account).await;
}

async fn mend(app: &App, account: Uuid) {
    meddle(app, "DELETE FROM accounts WHERE id = ? AND position = -1", account).await;
}

/// The account list's part of the status, once it is as wanted.
async fn account_list(who: &Client, wanted: impl Fn(&Value) -> bool) -> Value {
    let look = async {
        loop {
            let status = who.get("/api/v1/status").await;
            let projections = status.ok()["projections"].as_array().unwrap().clone();
            let accounts = projections.into_iter().find(|one| one["name"] == "accounts").unwrap();
            if wanted(&accounts) {
                return accounts;
            }
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap()
}

async fn open(who: &Client, account: Uuid) -> u64 {
    let fields = json!({"account_id": account, "name": "Savings", "currency": "CZK"});
    who.command("OpenAccount", &fields).await.ok()["position"].as_u64().unwrap()
}

fn skip(position: u64, reason: &str) -> Value {
    json!({"projection": "accounts", "position": position, "reason": reason})
}

#[tokio::test]
async fn r2_a_parked_projection_goes_on_when_it_is_mended_and_tried_again_or_told_to_skip() {
    let app = App::spawn().await;
    let (anna, admin) = (app.person("anna@example.com", false).await, app.person("admin@example.com", true).await);
    let everyday = anna.account("CZK", 100).await;

    let first = Uuid::from_u128(1);
    poison(&app, first).await;
    let position = open(&anna, first).await;
    let parked = account_list(&admin, |accounts| accounts["parked"].is_object()).await;
    assert_eq!(parked["parked"]["position"], position);
    assert!(parked["parked"]["error"].as_str().unwrap().contains("is open already"), "{parked}");
    let seen = account_list(&anna, |_| true).await;
    assert_eq!(seen["parked"], json!({"position": position, "error": ""}), "why is for admins");
    // The others go on.
    let deposit = anna.command("DepositMoney", &json!({"account_id": everyday, "amount": 5})).await;
    let after = deposit.ok()["position"].as_u64().unwrap();
    let statement = format!("/api/v1/accounts/{everyday}/statement?wait_for={after}&wait_ms=20000");
    let events = admin.get(&format!("/api/v1/events?after={}&wait_for={after}&wait_ms=20000", after - 1)).await;
    assert_eq!(events.ok()["items"][0]["position"], after);
    assert_eq!(account_list(&admin, |_| true).await["checkpoint"], position - 1);

    for (who, name, status) in [(&anna, "accounts", 404), (&admin, "nothing", 404), (&admin, "accounts", 202)] {
        let answer = who.post(&format!("/api/v1/projections/{name}/retry"), &json!({})).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
    mend(&app, first).await;
    // Until one try comes after the mending.
    account_list(&admin, |accounts| accounts["parked"].is_object() || accounts["checkpoint"] == after).await;
    admin.post("/api/v1/projections/accounts/retry", &json!({})).await;
    account_list(&admin, |accounts| accounts["parked"].is_null() && accounts["checkpoint"] == after).await;
    assert_eq!(anna.get(&statement).await.ok()["items"][0]["balance"], 105);
    anna.get(&format!("/api/v1/accounts/{first}")).await.ok();

    let second = Uuid::from_u128(2);
    poison(&app, second).await;
    let position = open(&anna, second).await;
    account_list(&admin, |accounts| accounts["parked"].is_object()).await;
    mend(&app, second).await;
    admin.command("SkipEvent", &skip(position, "a ghost was in its way")).await.ok();
    let skipped = position + 1;
    account_list(&admin, |accounts| accounts["parked"].is_null() && accounts["checkpoint"] == skipped).await;
    anna.get(&format!("/api/v1/accounts/{second}")).await.refused(404, "not_found");
    let told = format!("/api/v1/events?type=projection.event_skipped&wait_for={skipped}&wait_ms=20000");
    let told = admin.get(&told).await;
    assert!(told.ok()["items"][0]["payload"].to_string().contains("a ghost was in its way"), "{}", told.text);

    r4_equals_a_rebuilt_one(&app, Position(skipped)).await;
    app.stop().await;
}

/// What the server shows is what a new node makes of the log.
async fn r4_equals_a_rebuilt_one(app: &App, head: Position) {
    let store = SqliteStore::open(&app.data.write_db()).await.unwrap();
    let log = Log::new(store.read_log(Position(0), 1_000).await.unwrap());
    store.close().await.unwrap();
    let place = Place::new();
    let node = place.start(&log).await;
    node.reaches(head).await;
    let live = ReadDb::open(&app.data.read_db()).await.unwrap();
    assert_eq!(dumped(&live).await, node.dump().await);
    live.close().await;
    node.stop().await;
}
