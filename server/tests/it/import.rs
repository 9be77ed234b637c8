//! Import and export: every row once, every balance compared, every byte and hash as it was.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use app::{
    domain::Date,
    ports::{AccountsFilter, Freshness, QueryPort, Role, Viewer},
    wire::Position,
};
use clap::Parser as _;
use server::{
    cli::{self, node::Node},
    config::{Cli, DataDir},
    import::{self, Check, Direct, Kind, Ledger, Outcome, Plan, Rows},
    write::{
        store::{EventStore, Head, PostgresStore, SqliteStore},
        writer::WriterSettings,
    },
};
use tempfile::TempDir;

use crate::{history::now, postgres};

/// A data folder.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn data(&self) -> DataDir {
        DataDir::open(&self.0.path().join("data")).unwrap()
    }

    pub(super) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The command line, without the process around it.
    pub(super) async fn daybook(&self, args: &[&str]) -> Result<bool, String> {
        let folder = self.0.path().join("data");
        let args = [&["daybook", "--data-dir", folder.to_str().unwrap()], args].concat();
        match cli::run(Cli::try_parse_from(args).unwrap()).await {
            Ok(code) => Ok(code == ExitCode::SUCCESS),
            Err(error) => Err(format!("{error:#}")),
        }
    }

    pub(super) async fn head(&self) -> Head {
        let store = SqliteStore::open(&self.data().write_db()).await.unwrap();
        let head = store.head().await.unwrap();
        store.close().await.unwrap();
        head
    }

    pub(super) async fn import(&self, file: &Path, overdraft_limit: Option<i64>, balances: bool) -> Outcome {
        let node = Node::start(&self.data(), WriterSettings::default()).await.unwrap();
        let (handler, queries) = (node.command.as_ref().unwrap().handler.clone(), node.ports.queries.clone().unwrap());
        let ledger = Arc::new(Direct { handler, queries });
        let outcome = import(ledger, file, overdraft_limit, balances).await;
        node.stop().await.unwrap();
        outcome
    }
}

pub(super) fn check(balances: bool) -> Check {
    Check { currency: "CZK".parse().unwrap(), today: Date::of_micros(now()), balances }
}

pub(super) async fn import(
    ledger: Arc<dyn Ledger>,
    file: &Path,
    overdraft_limit: Option<i64>,
    balances: bool,
) -> Outcome {
    let check = check(balances);
    let plan = Plan { owner: Plan::nobody(), currency: check.currency, overdraft_limit };
    import::import(ledger, file, check, plan, |_| {}).await.unwrap()
}

/// A file of real bank history, if it is here.
pub(super) fn berka(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/berka").join(name);
    if file.exists() {
        return Some(file);
    }
    eprintln!("NOT TESTED: {} is not there, so the import of real bank history was not tried", file.display());
    None
}

/// 20,000 crowns.
pub(super) const OVERDRAFT: Option<i64> = Some(2_000_000);

pub(super) const HEAD: &str = "transaction_id,account,date,type,amount,balance,description\n";

#[tokio::test]
async fn every_balance_of_real_bank_history_agrees_and_a_second_time_changes_nothing() {
    let Some(file) = berka("transactions-exact.csv") else { return };
    let folder = Folder::new();
    // Interrupted: as if the process had ended after 2,000 rows.
    let text = std::fs::read_to_string(&file).unwrap();
    let part: String = text.lines().take(2_001).map(|line| format!("{line}\n")).collect();
    let first = folder.import(&folder.file("part.csv", part), OVERDRAFT, true).await;
    assert_eq!((first.rows, first.repeated, first.checked), (2_000, 0, 2_000));

    let whole = folder.import(&file, OVERDRAFT, true).await;
    assert!(whole.all_agree(), "{whole:?}");
    assert_eq!((whole.rows, whole.accounts, whole.repeated, whole.checked), (4_249, 240, 2_000, 4_249));
    assert_eq!(first.events + whole.events, 4_249 + 240);
    let head = folder.head().await;
    assert_eq!(head.position, Position(4_489));

    let again = folder.import(&file, OVERDRAFT, true).await;
    assert!(again.all_agree(), "{again:?}");
    assert_eq!((again.events, again.repeated, again.checked), (0, 4_249, 4_249));
    assert_eq!(folder.head().await, head);
}

#[tokio::test]
async fn volume_goes_in_and_each_balance_is_the_sum_of_its_amounts() {
    let Some(file) = berka("transactions.csv") else { return };
    let folder = Folder::new();
    let outcome = folder.import(&file, OVERDRAFT, false).await;
    assert!(outcome.all_agree(), "{outcome:?}");
    assert_eq!((outcome.rows, outcome.accounts, outcome.checked), (49_102, 1_229, 0));

    let plan = Plan { owner: Plan::nobody(), currency: check(false).currency, overdraft_limit: OVERDRAFT };
    let mut sums = BTreeMap::new();
    let mut rows = Rows::open(&file, check(false)).unwrap().unwrap();
    while let Some(row) = rows.next().unwrap() {
        let row = row.unwrap();
        let amount = if row.kind == Kind::Deposit { row.amount } else { -row.amount };
        *sums.entry(plan.account_id(&row.account)).or_insert(0) += amount;
    }
    let node = Node::start(&folder.data(), WriterSettings::default()).await.unwrap();
    let queries = node.ports.queries.clone().unwrap();
    let balances = balances(queries.as_ref(), folder.head().await.position).await;
    node.stop().await.unwrap();
    assert_eq!(balances, sums);
}

/// A debug build on a busy machine takes a while to project the whole history.
const VOLUME: Duration = Duration::from_mins(5);

async fn balances(queries: &dyn QueryPort, position: Position) -> BTreeMap<app::domain::AccountId, i64> {
    let admin = Viewer {
        user_id: Plan::nobody(),
        session_id: app::domain::SessionId(Plan::nobody().0),
        name: "Admin".to_owned(),
        roles: vec![Role::Admin],
        expires_at: i64::MAX,
    };
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let filter = AccountsFilter { after, limit: 500, ..AccountsFilter::default() };
        let page = queries.accounts(&admin, filter, Freshness { position, wait: VOLUME }).await.unwrap();
        assert!(!page.stale);
        all.extend(page.value.items.iter().map(|account| (account.id, account.balance)));
        after = page.value.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn a_balance_that_disagrees_is_named_however_late_it_is_looked_at() {
    let folder = Folder::new();
    let rows = "1,a,2024-01-01,deposit,10,10,\n2,a,2024-01-01,withdrawal,4,7,\n3,b,2024-01-01,deposit,1,1,\n";
    let file = folder.file("some.csv", format!("{HEAD}{rows}"));
    for repeated in [0, 3] {
        let outcome = folder.import(&file, None, true).await;
        assert_eq!((outcome.repeated, outcome.checked, outcome.disagreements.count), (repeated, 3, 1));
        let expected = "line 3 (transaction 2, account a): the file says 7.00 CZK, the ledger 6.00 CZK";
        assert_eq!(outcome.disagreements.first().collect::<Vec<_>>(), [expected]);
        assert!(!outcome.all_agree());
    }
}

#[tokio::test]
async fn a_row_that_a_rule_refuses_is_named_and_nothing_goes_in_behind_it() {
    let folder = Folder::new();
    let rows = "1,a,2024-01-01,deposit,10,10,\n2,a,2024-01-01,withdrawal,40,-30,\n3,a,2024-01-01,deposit,1,11,\n";
    let outcome = folder.import(&folder.file("some.csv", format!("{HEAD}{rows}")), None, true).await;
    assert_eq!((outcome.refused.count, outcome.held_back, outcome.checked, outcome.disagreements.count), (1, 1, 1, 0));
    let refusal = "line 3 (transaction 2, account a): Not enough: 40.00 asked, 10.00 available.";
    assert_eq!(outcome.refused.first().collect::<Vec<_>>(), [refusal]);

    // Once the cause is gone, all that follows comes in its order, and agrees.
    let allowed = rows.replace("withdrawal,40,-30", "withdrawal,4,6").replace("deposit,1,11", "deposit,1,7");
    let outcome = folder.import(&folder.file("allowed.csv", format!("{HEAD}{allowed}")), None, true).await;
    assert_eq!((outcome.repeated, outcome.checked, outcome.all_agree()), (1, 3, true), "{outcome:?}");

    // The same transaction with another amount is not the same transaction.
    let changed = allowed.replace("deposit,1,7", "deposit,2,8");
    let outcome = folder.import(&folder.file("changed.csv", format!("{HEAD}{changed}")), None, false).await;
    assert_eq!((outcome.refused.count, outcome.repeated), (1, 2));
    assert!(outcome.refused.first().any(|line| line.contains("other content")), "{outcome:?}");
}

#[tokio::test]
async fn a_file_with_a_bad_row_changes_nothing_unless_one_says_so() {
    let folder = Folder::new();
    let rows = "1,a,2024-01-01,deposit,10,10,\n2,a,2024-01-01,gift,4,6,\n3,a,2024-01-01,deposit,\"1,11,\n";
    let file = folder.file("some.csv", format!("{HEAD}{rows}4,a,2024-01-01,deposit,2,12,\n"));
    let file = file.to_str().unwrap();
    let refused = folder.daybook(&["import", file]).await.unwrap_err();
    assert!(refused.starts_with("nothing was imported: 2 bad rows"), "{refused}");
    assert!(!folder.data().write_db().exists(), "nothing was made at all");
    assert_eq!(folder.daybook(&["import", "--skip-bad-rows", file]).await, Ok(true));
    // Opened, and two rows.
    assert_eq!(folder.head().await.position, Position(3));
}

#[tokio::test]
async fn the_command_line_says_whether_all_agree() {
    let folder = Folder::new();
    let file = folder.file("some.csv", format!("{HEAD}1,a,2024-01-01,withdrawal,10,-10,\n"));
    let file = file.to_str().unwrap();
    assert_eq!(folder.daybook(&["import", file]).await, Ok(false));
    let folder = Folder::new();
    assert_eq!(folder.daybook(&["import", "--overdraft-limit", "9.99", file]).await, Ok(false));
    let folder = Folder::new();
    assert_eq!(folder.daybook(&["import", "--overdraft-limit", "10", file]).await, Ok(true));
    assert!(folder.daybook(&["import", "--overdraft-limit", "10.001", file]).await.is_err());
    assert!(folder.daybook(&["import", "--owner", "nobody@example.org", file]).await.is_err());
}

/// A ledger with some history in it.
async fn with_history() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.daybook(&["demo"]).await, Ok(true));
    folder
}

#[tokio::test]
async fn an_exported_log_goes_into_an_empty_ledger_with_the_same_bytes_and_hashes() {
    let from = with_history().await;
    let out = from.file("log.ndjson", "");
    let out = out.to_str().unwrap();
    assert_eq!(from.daybook(&["export", "--output", out]).await, Ok(true));
    let to = Folder::new();
    assert_eq!(to.daybook(&["import", out]).await, Ok(true));
    assert_eq!(to.head().await, from.head().await);
    assert_eq!(to.daybook(&["verify"]).await, Ok(true));
    let all = async |folder: &Folder| {
        let store = SqliteStore::open(&folder.data().write_db()).await.unwrap();
        store.read_log(Position(0), 100_000).await.unwrap()
    };
    assert_eq!(all(&to).await, all(&from).await);
    // Once more does nothing, and neither does a beginning of it.
    assert_eq!(to.daybook(&["import", out]).await, Ok(true));
    assert_eq!(to.head().await, from.head().await);
}

#[tokio::test]
async fn a_log_continues_where_it_is_the_same_and_goes_into_no_other_ledger() {
    let from = with_history().await;
    let out = from.file("log.ndjson", "");
    assert_eq!(from.daybook(&["export", "-o", out.to_str().unwrap()]).await, Ok(true));
    let text = std::fs::read_to_string(&out).unwrap();
    let to = Folder::new();
    let part: String = text.lines().take(50).map(|line| format!("{line}\n")).collect();
    let part = to.file("part.ndjson", part);
    assert_eq!(to.daybook(&["import", part.to_str().unwrap()]).await, Ok(true));
    assert_eq!(to.head().await.position, Position(50));
    assert_eq!(to.daybook(&["import", out.to_str().unwrap()]).await, Ok(true));
    assert_eq!(to.head().await, from.head().await);
    // Longer than the file.
    let refused = to.daybook(&["import", part.to_str().unwrap()]).await.unwrap_err();
    assert!(refused.contains("not the beginning of this file"), "{refused}");
    let refused = with_history().await.daybook(&["import", out.to_str().unwrap()]).await.unwrap_err();
    assert!(refused.contains("not the beginning of this file"), "{refused}");
}

#[tokio::test]
async fn a_damaged_log_is_refused_with_the_line_and_nothing_goes_in() {
    let from = with_history().await;
    let out = from.file("log.ndjson", "");
    assert_eq!(from.daybook(&["export", "-o", out.to_str().unwrap()]).await, Ok(true));
    let text = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let changed = lines[29].replace("amount\\\":", "amount\\\":9");
    let bad = |line: &str| [&lines[..29], &[line], &lines[30..]].concat().join("\n");
    assert_ne!(changed, lines[29]);
    for (text, what) in [
        (bad(&changed), "line 30: the hash of event 30 is not that of its content"),
        (bad("{"), "line 30: EOF while parsing"),
        (bad(lines[30]), "line 30: position 31 instead of 30"),
    ] {
        let to = Folder::new();
        let file = to.file("log.ndjson", text);
        let refused = to.daybook(&["import", file.to_str().unwrap()]).await.unwrap_err();
        assert!(refused.contains(what), "{refused}");
        assert_eq!(to.head().await, Head::EMPTY);
    }
}

#[tokio::test]
async fn a_ledger_in_postgresql_takes_in_and_gives_out_like_one_in_a_folder() {
    let ledgers = [postgres::empty_database().await, postgres::empty_database().await];
    for url in &ledgers {
        PostgresStore::migrate(url, None).await.unwrap();
    }
    let (folder, other) = (Folder::new(), Folder::new());
    let rows = format!("{HEAD}1,a,2020-01-01,deposit,10.00,10.00,\n2,a,2020-01-02,withdrawal,2.50,7.50,\n");
    let (file, out) = (folder.file("rows.csv", rows), folder.file("log.ndjson", ""));
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let (from, to) = (ledgers[0].as_str(), ledgers[1].as_str());
    for _ in 0..2 {
        assert_eq!(folder.daybook(&["import", file, "--write-db", from]).await, Ok(true));
    }
    assert_eq!(folder.daybook(&["export", "--output", out, "--write-db", from]).await, Ok(true));
    assert_eq!(other.daybook(&["import", out, "--write-db", to]).await, Ok(true));
    let head = async |url: &str| PostgresStore::open(url).await.unwrap().head().await.unwrap();
    assert_eq!(head(from).await.position, Position(3));
    assert_eq!(head(to).await, head(from).await);
    // Nothing of it went into the folders.
    assert!(!folder.data().write_db().exists() && !other.data().write_db().exists());
}
