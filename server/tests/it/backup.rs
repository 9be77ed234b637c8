//! A ledger goes into a backup beside whoever writes it, and comes back whole or not at all.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use app::{ports::Role, wire::Actor, wire::Position};
use server::{
    cli::node::Node,
    config::DataDir,
    db_url::DbUrl,
    write::{
        anchor::Anchor,
        backup::{BackupError, Statement, back_up, read_statement, restore},
        copy::UNFINISHED,
        database::WriteDb,
        identity::{NewPerson, Passwords},
        keys::SigningKeys,
        store::EventStore,
        verify::verify,
        writer::WriterSettings,
    },
};
use sqlx::{ConnectOptions as _, Executor as _, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

use super::{cli::daybook_said, helpers::App};
use crate::{
    postgres::empty_database,
    write_support::{Chain, account, command, deposited},
};

/// A ledger with a key, and a place for what is made of it.
struct Place {
    folder: TempDir,
    url: DbUrl,
}

impl Place {
    async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let url = DbUrl::Sqlite(folder.path().join("data/write.sqlite"));
        Self::with(folder, url)
    }

    async fn postgres() -> Self {
        let url = DbUrl::Postgres(empty_database().await);
        WriteDb::migrate(&url, None).await.unwrap();
        Self::with(TempDir::new().unwrap(), url)
    }

    fn with(folder: TempDir, url: DbUrl) -> Self {
        let place = Self { folder, url };
        server::private::folder(&place.path("data")).unwrap();
        SigningKeys::load_or_create(&place.key()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key(&self) -> PathBuf {
        self.path("data/signing.key")
    }

    async fn open(&self) -> WriteDb {
        WriteDb::open(&self.url, None).await.unwrap()
    }

    async fn back_up(&self, name: &str) -> Result<Statement, BackupError> {
        back_up(&self.url, &self.key(), &self.path(name), 9, |_, _, _| {}).await
    }

    async fn restore(&self, from: &str, to: &DbUrl) -> Result<Statement, BackupError> {
        restore(&self.path(from), to, &self.path("restored/signing.key"), |_, _, _| {}).await
    }

    fn restored(&self) -> DbUrl {
        DbUrl::Sqlite(self.path("restored/write.sqlite"))
    }
}

async fn append(store: &dyn EventStore, numbers: std::ops::Range<u64>) {
    let mut chain = Chain::of(store).await;
    let from = chain.head.position;
    let events: Vec<_> = numbers.map(|n| chain.next(command(n), account(n % 7), deposited(1))).collect();
    store.append(from, &events, &chain.head).await.unwrap();
}

async fn person(db: &WriteDb, email: &str) -> app::domain::UserId {
    let password = Passwords::new().unwrap().hash("correct horse").await.unwrap();
    let new = NewPerson { email: email.into(), name: "Eva".into(), roles: vec![Role::Customer], password };
    db.people.add(new, 7).await.unwrap()
}

/// Nobody but their owner can read any of it.
fn assert_private(folder: &Path) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

async fn what_is_backed_up_is_of_one_moment_and_comes_back(place: Place, to: DbUrl) {
    let db = place.open().await;
    append(&*db.store, 0..1500).await;
    let eva = person(&db, "eva@example.org").await;

    // Read through a snapshot, the ledger stands still, whatever is written to it.
    let snapshot = WriteDb::snapshot(&place.url).await.unwrap();
    let head = snapshot.store.head().await.unwrap();
    append(&*db.store, 1500..1600).await;
    person(&db, "jan@example.org").await;
    db.people.disable(eva, Actor::Operator).await.unwrap();
    assert_eq!(snapshot.store.head().await.unwrap(), head);
    assert_eq!(snapshot.store.read_log(Position(0), u32::MAX).await.unwrap().len(), 1500);
    let people = snapshot.people.list().await.unwrap();
    assert_eq!(people.iter().map(|row| row.disabled).collect::<Vec<_>>(), [false]);
    snapshot.close().await.unwrap();

    // Beside someone who writes all the time.
    let made = {
        let writing = async {
            for n in 20..200 {
                append(&*db.store, n * 100..n * 100 + 3).await;
            }
        };
        let (made, ()) = tokio::join!(place.back_up("backup"), writing);
        made.unwrap()
    };
    assert_private(&place.path("backup"));
    assert_eq!(made, read_statement(&place.path("backup")).unwrap());
    let at = made.anchor.position;
    assert!(at >= Position(1600) && at < db.store.head().await.unwrap().position, "{at}");

    // It comes back as it was, and is a ledger like any other. What it is read from can lie where nothing can be written:
    // its database says that it has no log beside it (SQLite's file format, 1.3.3), and gets none.
    let database = place.path("backup/write.sqlite");
    assert_eq!(std::fs::read(&database).unwrap()[18..20], [1, 1]);
    assert_eq!(place.restore("backup", &to).await.unwrap(), made);
    assert_eq!(std::fs::read(&database).unwrap()[18..20], [1, 1]);
    assert_private(&place.path("restored"));
    let restored = WriteDb::open(&to, None).await.unwrap();
    let events = restored.store.read_log(Position(0), u32::MAX).await.unwrap();
    assert_eq!(events, db.store.read_log(Position(0), u32::try_from(at.0).unwrap()).await.unwrap());
    let listed = async |db: &WriteDb| format!("{:?}", db.people.list().await.unwrap());
    assert_eq!(listed(&restored).await, listed(&db).await);
    let key = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(key(place.path("restored/signing.key")), key(place.key()));
    append(&*restored.store, 90_000..90_003).await;
    verify(&*restored.store, &[made.anchor], |_, _| {}).await.unwrap();
}

#[tokio::test]
async fn a_backup_of_sqlite_is_of_one_moment_and_comes_back_in_postgresql() {
    let url = DbUrl::Postgres(empty_database().await);
    WriteDb::migrate(&url, None).await.unwrap();
    what_is_backed_up_is_of_one_moment_and_comes_back(Place::sqlite().await, url).await;
}

#[tokio::test]
async fn a_backup_of_postgresql_is_of_one_moment_and_comes_back_in_sqlite() {
    let place = Place::postgres().await;
    let to = place.restored();
    what_is_backed_up_is_of_one_moment_and_comes_back(place, to).await;
}

#[tokio::test]
async fn a_restore_goes_into_an_empty_place_only_and_an_interrupted_one_can_be_run_again() {
    let place = Place::sqlite().await;
    let db = place.open().await;
    append(&*db.store, 0..1200).await;
    let made = place.back_up("backup").await.unwrap();
    let again = place.back_up("backup").await.unwrap_err();
    assert!(matches!(again, BackupError::Taken(_)), "{again}");
    // Neither over another ledger, nor over the same one.
    let over = place.restore("backup", &place.url).await.unwrap_err();
    assert!(matches!(over, BackupError::NotEmpty(_)), "{over}");
    let key = place.path("other.key");
    SigningKeys::load_or_create(&key).unwrap();
    let other_key = restore(&place.path("backup"), &place.restored(), &key, |_, _, _| {}).await.unwrap_err();
    assert!(matches!(other_key, BackupError::OtherKey(_)), "{other_key}");

    // What an interrupted one leaves: the key, and some of the events, marked as not being all.
    server::private::folder(&place.path("restored")).unwrap();
    std::fs::copy(place.key(), place.path("restored/signing.key")).unwrap();
    let to = WriteDb::open(&place.restored(), None).await.unwrap();
    to.store.save_checkpoint(UNFINISHED, made.anchor.position).await.unwrap();
    append(&*to.store, 0..700).await;
    to.close().await.unwrap();
    let data = DataDir::open(&place.path("restored")).unwrap();
    let served = Node::start(&data, WriterSettings::default()).await.err().unwrap().to_string();
    assert!(served.contains("was interrupted. Run it again"), "{served}");
    let unfinished = back_up(&place.restored(), &place.key(), &place.path("b"), 9, |_, _, _| {}).await.unwrap_err();
    assert!(unfinished.to_string().contains("not whole itself"), "{unfinished}");
    assert_eq!(place.restore("backup", &place.restored()).await.unwrap(), made);
    Node::start(&data, WriterSettings::default()).await.unwrap().stop().await.unwrap();
    let twice = place.restore("backup", &place.restored()).await.unwrap_err();
    assert!(matches!(twice, BackupError::NotEmpty(_)), "{twice}");
}

#[tokio::test]
async fn w5_a_backup_that_was_cut_off_or_altered_is_not_restored() {
    let place = Place::sqlite().await;
    let db = place.open().await;
    append(&*db.store, 0..30).await;
    person(&db, "eva@example.org").await;
    place.back_up("backup").await.unwrap();
    let statement = place.path("backup/backup.json");
    let whole = std::fs::read_to_string(&statement).unwrap();
    let refused = async || place.restore("backup", &place.restored()).await.unwrap_err();

    std::fs::remove_file(&statement).unwrap();
    assert!(matches!(refused().await, BackupError::NotWhole { .. }));
    std::fs::write(&statement, whole.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(refused().await, BackupError::Newer(2)));
    std::fs::write(&statement, whole.replace("\"position\": 30", "\"position\": 29")).unwrap();
    assert!(matches!(refused().await, BackupError::Anchor(_)));
    // Signed, but of something else.
    let mut made: Statement = serde_json::from_str(&whole).unwrap();
    let keys = SigningKeys::load(&place.key()).unwrap().unwrap();
    let shorter = server::write::store::Head { position: Position(29), hash: made.anchor.hash, recorded_at: 0 };
    made.anchor = Anchor::sign(&shorter, 9, &keys);
    std::fs::write(&statement, serde_json::to_string(&made).unwrap()).unwrap();
    assert!(matches!(refused().await, BackupError::Altered { .. }));
    std::fs::write(&statement, &whole).unwrap();

    let mut raw = SqliteConnectOptions::new().filename(place.path("backup/write.sqlite")).connect().await.unwrap();
    raw.execute(r#"UPDATE people SET roles = '["admin"]'"#).await.unwrap();
    assert!(matches!(refused().await, BackupError::OtherPeople));
    raw.execute(r#"UPDATE people SET roles = '["customer"]'"#).await.unwrap();
    raw.execute("DROP TRIGGER events_are_never_changed").await.unwrap();
    raw.execute("UPDATE events SET payload = CAST('{\"amount\":2}' AS BLOB) WHERE position = 17").await.unwrap();
    let altered = refused().await.to_string();
    assert!(altered.contains("position 17"), "{altered}");
    // And what came of it is not served.
    let data = DataDir::open(&place.path("restored")).unwrap();
    assert!(Node::start(&data, WriterSettings::default()).await.is_err());
}

#[tokio::test]
async fn a_running_server_is_backed_up_and_served_elsewhere_with_its_people_and_sessions() {
    let app = App::spawn().await;
    let anna = app.person("anna@example.com", false).await;
    let account = anna.account("CZK", 700).await;
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (backup, restored, data) = (path("backup"), path("restored"), app.data.to_string());
    let anchor = daybook_said(&["backup", &backup, "--data-dir", &data]).await.unwrap();
    anna.command("DepositMoney", &serde_json::json!({"account_id": account, "amount": 11})).await.ok();
    app.stop().await;
    std::fs::write(path("anchor"), &anchor).unwrap();

    let said = daybook_said(&["restore", &backup, "--data-dir", &restored]).await.unwrap();
    assert!(said.contains("Verified against the backup's anchor"), "{said}");
    let verified = daybook_said(&["verify", "--data-dir", &restored, "--anchor", &path("anchor")]).await.unwrap();
    assert!(verified.contains("1 anchor(s) hold"), "{verified}");
    // The backup itself is a data folder.
    daybook_said(&["verify", "--data-dir", &backup, "--anchor", &path("anchor")]).await.unwrap();
    assert_eq!(std::fs::read(path("backup/write.sqlite")).unwrap()[18..20], [1, 1], "still one file");
    let twice = daybook_said(&["restore", &backup, "--data-dir", &restored]).await.unwrap_err();
    assert!(twice.contains("there is a ledger in"), "{twice}");

    let again = App::serve_in(DataDir::open(Path::new(&restored)).unwrap(), TempDir::new().unwrap(), &[]).await;
    // Her session is as good as before: the key came along.
    let anna = super::helpers::Client { url: again.url.clone(), ..anna };
    let seen = anna.get(&format!("/api/v1/accounts/{account}")).await;
    assert_eq!(seen.ok()["balance"], 700);
    again.stop().await;
    // Views of something that may be newer are not left above it.
    std::fs::remove_file(path("restored/write.sqlite")).unwrap();
    let newer = daybook_said(&["restore", &backup, "--data-dir", &restored]).await.unwrap_err();
    assert!(newer.contains("there are views in"), "{newer}");
}
