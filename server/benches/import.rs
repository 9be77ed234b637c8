//! `cargo bench -p server --bench import`: how fast a file goes in, against the same rows committed one by one.
//!
//! Ours is all of `daybook import` but the process around it: the file is checked, then each row is a command, with its
//! idempotency, position and hash, and the views follow behind. The peer is SQLite alone, as durable (WAL,
//! `synchronous=FULL`): one INSERT a transaction into a plain table with the file's columns and one key.

use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use app::domain::Date;
use server::{
    cli::node::Node,
    config::DataDir,
    import::{self, Check, Direct, Plan, Row, Rows},
    write::{
        store::connect_options,
        writer::{Clock as _, SystemClock, WriterSettings},
    },
};
use sqlx::ConnectOptions as _;

const ROUNDS: usize = 5;
/// Rows that the peer commits in a round: its rate does not depend on how many.
const PEER_ROWS: usize = 4_000;
/// 20,000 crowns: what the real history needs.
const OVERDRAFT: Option<i64> = Some(2_000_000);

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    // Beside what cargo builds: a folder in memory would have no fsync to speak of.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let file = match real_history() {
        Some(file) => file,
        None => generated(&folder.path().join("generated.csv"))?,
    };
    println!("{}", file.display());
    let rows = read(&file)?;
    println!("{} rows; {ROUNDS} rounds, one after the other; medians", rows.len());
    let (mut ours, mut peers, mut fsyncs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let place = folder.path().join(round.to_string());
        fsyncs.push(fsync(&folder.path().join("fsync"))?.as_secs_f64() * 1e3);
        ours.push(rate(rows.len(), import(&file, rows.len() as u64, &place).await?));
        peers.push(rate(PEER_ROWS.min(rows.len()), row_by_row(&rows, &place.join("peer.sqlite")).await?));
        println!("round {round}: import {:.0} rows/s, row by row {:.0} rows/s", ours[round - 1], peers[round - 1]);
        std::fs::remove_dir_all(place)?;
    }
    let (ours, peers) = (median(ours), median(peers));
    println!("import      {ours:>8.0} rows/s");
    println!("row by row  {peers:>8.0} rows/s");
    println!("ratio       {:>8.1}", ours / peers);
    println!("fsync       {:>8.2} ms (4 KiB appended)", median(fsyncs));
    Ok(())
}

fn check() -> anyhow::Result<Check> {
    let today = Date::of_micros(SystemClock.now_micros());
    Ok(Check { currency: "CZK".parse()?, today, balances: false })
}

/// Checks and imports the file into a new ledger.
async fn import(file: &Path, rows: u64, place: &Path) -> anyhow::Result<Duration> {
    let check = check()?;
    let node = Node::start(&DataDir::open(place)?, WriterSettings::default()).await?;
    let queries = node.ports.queries.clone().context("the views do not run")?;
    let handler = node.command.as_ref().context("commands are not taken")?.handler.clone();
    let ledger = Arc::new(Direct { handler, queries });
    let plan = Plan { owner: Plan::nobody(), currency: check.currency, overdraft_limit: OVERDRAFT };
    let begun = Instant::now();
    ensure!(import::check(file, check, 0, |_| {})?.bad == 0, "the file has bad rows");
    let outcome = import::import(ledger, file, check, plan, |_| {}).await?;
    let elapsed = begun.elapsed();
    node.stop().await?;
    ensure!(outcome.all_agree() && outcome.rows == rows && outcome.repeated == 0, "{outcome:?}");
    Ok(elapsed)
}

/// The same rows, each in a transaction of its own.
async fn row_by_row(rows: &[Row], file: &Path) -> anyhow::Result<Duration> {
    let mut connection = connect_options(file).connect().await?;
    sqlx::query(
        "CREATE TABLE transactions (account TEXT, transaction_id TEXT, date TEXT, type TEXT, amount INTEGER,
             description TEXT, PRIMARY KEY (account, transaction_id)) STRICT, WITHOUT ROWID",
    )
    .execute(&mut connection)
    .await?;
    let begun = Instant::now();
    for row in &rows[..PEER_ROWS.min(rows.len())] {
        sqlx::query("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)")
            .bind(row.account.as_str())
            .bind(row.transaction_id.as_str())
            .bind(row.date.to_string())
            .bind(if row.kind == import::Kind::Deposit { "deposit" } else { "withdrawal" })
            .bind(row.amount)
            .bind(row.description.as_deref())
            .execute(&mut connection)
            .await?;
    }
    Ok(begun.elapsed())
}

/// Real bank history, if it is here.
fn real_history() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/berka/transactions.csv");
    file.exists().then_some(file)
}

/// A file of the same size: 49,102 deposits and withdrawals over 1,229 accounts.
fn generated(file: &Path) -> anyhow::Result<PathBuf> {
    let mut text = "transaction_id,account,date,type,amount,balance,description\n".to_owned();
    for row in 0..49_102 {
        let (account, kind) = (row % 1_229, if row % 3 == 0 { "withdrawal" } else { "deposit" });
        writeln!(text, "{row},{account},1993-{:02}-01,{kind},{}.50,0,household", 1 + row / 4_100, 10 + row % 90)?;
    }
    std::fs::write(file, text)?;
    Ok(file.to_owned())
}

fn read(file: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Rows::open(file, check()?)?.map_err(|row| anyhow::anyhow!("{row}"))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row.map_err(|row| anyhow::anyhow!("{row}"))?);
    }
    Ok(all)
}

/// What one commit costs here at the least.
fn fsync(path: &Path) -> anyhow::Result<Duration> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.write_all(&[1; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(median(times)))
}

#[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
fn rate(rows: usize, elapsed: Duration) -> f64 {
    rows as f64 / elapsed.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
