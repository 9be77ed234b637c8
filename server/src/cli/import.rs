//! `daybook import`: bank transactions from CSV, or a whole log from NDJSON. Directly with the server stopped, or
//! through the HTTP API of a running one.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use app::{
    domain::{Currency, Date, UserId, parse_amount},
    ports::Role,
};
use clap::{Args, ValueEnum, builder::BoolishValueParser};
use indicatif::ProgressBar;

use super::{node::Node, verify::progress_bar};
use crate::{
    config::{Common, DataDir},
    db_url::DbUrl,
    import::{self, BadRow, Check, Checked, Direct, Http, Ledger, Outcome, Plan, SendError},
    write::{
        database::WriteDb,
        keys::SigningKeys,
        log_file,
        writer::{Clock as _, SystemClock},
    },
};

/// Bad rows that are printed.
const BAD_SHOWN: usize = 20;

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV with the columns transaction_id,account,date,type,amount,balance,description, or a log from `daybook export`
    #[arg(env = "DAYBOOK_IMPORT_FILE", value_name = "FILE")]
    pub file: PathBuf,
    /// What the file is; by its ending if absent
    #[arg(long, env = "DAYBOOK_IMPORT_FORMAT", value_name = "FORMAT")]
    pub format: Option<ImportFormat>,
    /// Whose the accounts are: an e-mail, or the id of a person. If absent: nobody's, so that only admins see them; with
    /// the token of a customer, that customer's. The ids of an import follow from it: for another owner the same file
    /// makes other accounts
    #[arg(long, env = "DAYBOOK_IMPORT_OWNER", value_name = "EMAIL")]
    pub owner: Option<String>,
    /// Currency of the amounts, ISO 4217
    #[arg(long, env = "DAYBOOK_IMPORT_CURRENCY", default_value = "CZK", value_name = "CODE")]
    pub currency: Currency,
    /// Overdraft limit of the accounts, such as 20000 or 19999.50; none if absent
    #[arg(long, env = "DAYBOOK_IMPORT_OVERDRAFT_LIMIT", value_name = "AMOUNT")]
    pub overdraft_limit: Option<String>,
    /// Whether the balance column has to agree with the statement, row by row
    #[arg(long, env = "DAYBOOK_IMPORT_BALANCE_CHECK", default_value = "rows", value_name = "HOW")]
    pub balance_check: BalanceCheck,
    /// Import the good rows of a file that has bad ones
    #[arg(long, env = "DAYBOOK_IMPORT_SKIP_BAD_ROWS", value_parser = BoolishValueParser::new())]
    pub skip_bad_rows: bool,
    /// The write database, sqlite:PATH or postgres://…, without --server; the data folder's if absent
    #[arg(long, env = "DAYBOOK_WRITE_DB", hide_env_values = true, value_name = "URL")]
    pub write_db: Option<DbUrl>,
    /// A running server to import through, such as http://127.0.0.1:3000
    #[arg(long, env = "DAYBOOK_SERVER", value_name = "URL", requires = "token")]
    pub server: Option<String>,
    /// A session token for that server (`daybook token create`); renewed as long as the import runs
    #[arg(long, env = "DAYBOOK_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    Csv,
    Ndjson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BalanceCheck {
    /// Each row's balance, as the file has it
    Rows,
    /// The balance column is not compared
    None,
}

/// Imports the file. Fails unless everything is in and agrees.
pub async fn run(common: &Common, args: ImportArgs) -> anyhow::Result<ExitCode> {
    let ndjson = args.file.extension().is_some_and(|ending| ending == "ndjson" || ending == "jsonl");
    match (args.format, &args.server) {
        (Some(ImportFormat::Ndjson), None) => log(&super::open(common)?, &args).await,
        (None, None) if ndjson => log(&super::open(common)?, &args).await,
        (Some(ImportFormat::Ndjson), Some(_)) => bail!("a log is imported with the server stopped, without --server"),
        (None, Some(_)) if ndjson => bail!("a log is imported with the server stopped, without --server"),
        (Some(ImportFormat::Csv) | None, _) => transactions(common, &args).await,
    }
}

async fn transactions(common: &Common, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let check = Check {
        currency: args.currency,
        today: Date::of_micros(SystemClock.now_micros()),
        balances: args.balance_check == BalanceCheck::Rows,
    };
    let overdraft_limit = match &args.overdraft_limit {
        None => None,
        Some(text) => Some(parse_amount(text, args.currency).with_context(|| format!("--overdraft-limit {text:?}"))?),
    };

    let file = &args.file;
    let checked = tokio::task::spawn_blocking({
        let (file, bar) = (file.clone(), ProgressBar::new_spinner());
        move || {
            let checked =
                import::check(&file, check, BAD_SHOWN, |rows| bar.set_message(format!("{rows} rows checked")));
            bar.finish_and_clear();
            checked
        }
    });
    let checked = checked.await?.with_context(|| format!("reading {}", file.display()))?;
    report_bad(&checked);
    if checked.bad > 0 && !args.skip_bad_rows {
        bail!("nothing was imported: {} bad rows (--skip-bad-rows leaves them out)", checked.bad);
    }

    let bar = progress_bar("rows");
    bar.set_length(checked.rows);
    let plan = |owner| Plan { owner, currency: args.currency, overdraft_limit };
    let outcome = if let (Some(server), Some(token)) = (&args.server, &args.token) {
        let ledger = Http::new(server, token)?;
        ledger.greet().await.with_context(|| format!("--server {server}"))?;
        let owner = owner_there(&ledger, args.owner.as_deref()).await?;
        let ledger: Arc<dyn Ledger> = Arc::new(ledger);
        import::import(ledger, file, check, plan(owner), |rows| bar.inc(rows)).await
    } else {
        let data = &super::open(common)?;
        let Some(_lock) = data.lock().context("locking the data folder")? else {
            bail!("a server uses {data}: import through it (--server URL --token TOKEN), or stop it");
        };
        let owner = match &args.owner {
            Some(owner) => person(&data.write_url(args.write_db.as_ref()), owner).await?,
            None => Plan::nobody(),
        };
        let node = Node::start_small(data, args.write_db.as_ref()).await?;
        let queries = node.ports.queries.clone().context("the views do not run")?;
        let handler = node.command.as_ref().context("commands are not taken")?.handler.clone();
        let ledger: Arc<dyn Ledger> = Arc::new(Direct { handler, queries });
        let outcome = import::import(ledger, file, check, plan(owner), |rows| bar.inc(rows)).await;
        node.stop().await?;
        outcome
    };
    bar.finish_and_clear();
    let outcome = outcome.context("the import can be run again: it goes on where it stopped")?;
    print!("{}", summary(&outcome, check.balances));
    Ok(if outcome.all_agree() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whose the accounts are at a server: an admin's import can be for anyone, a customer's is for themselves.
async fn owner_there(ledger: &Http, owner: Option<&str>) -> anyhow::Result<UserId> {
    let asked = async {
        let holder = ledger.holder().await?;
        let admin = holder.roles.contains(&Role::Admin);
        Ok(match owner {
            None => Some(if admin { Plan::nobody() } else { holder.user_id }),
            Some(owner) => match UserId::parse(owner) {
                Ok(id) => Some(id),
                Err(_) => ledger.person(owner).await?,
            },
        })
    };
    let found = asked.await.map_err(|error: SendError| anyhow::anyhow!("{error}"))?;
    let who = owner.unwrap_or_default();
    found.with_context(|| format!("--owner {who}: nobody there has this e-mail, or the token is not an admin's"))
}

async fn person(ledger: &DbUrl, owner: &str) -> anyhow::Result<UserId> {
    if let Ok(id) = UserId::parse(owner) {
        return Ok(id);
    }
    let db = WriteDb::open(ledger, None).await?;
    let person = super::user::find(&db.people, owner).await;
    db.close().await?;
    Ok(person?.person.id)
}

fn report_bad(checked: &Checked) {
    checked.first_bad.iter().for_each(|row: &BadRow| eprintln!("{row}"));
    let more = checked.bad - checked.first_bad.len() as u64;
    if more > 0 {
        eprintln!("… and {more} more bad rows");
    }
}

fn summary(outcome: &Outcome, balances: bool) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String does not fail.
        writeln!(text, "{name:<24}{value}").unwrap_or_default();
    };
    line("rows", outcome.rows.to_string());
    if outcome.bad > 0 {
        line("bad rows left out", outcome.bad.to_string());
    }
    line("accounts", outcome.accounts.to_string());
    line("events", outcome.events.to_string());
    line("already there", outcome.repeated.to_string());
    line("refused", outcome.refused.count.to_string());
    if outcome.held_back > 0 {
        line("held back behind those", outcome.held_back.to_string());
    }
    if balances {
        line("balances compared", outcome.checked.to_string());
        line("disagreements", outcome.disagreements.count.to_string());
    }
    let seconds = outcome.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    let rate = outcome.rows as f64 / seconds.max(0.001);
    line("rows a second", format!("{rate:.0} ({seconds:.1} s)"));
    for sample in [&outcome.refused, &outcome.disagreements] {
        sample.first().for_each(|what| writeln!(text, "{what}").unwrap_or_default());
        let more = sample.count - sample.first().count() as u64;
        if more > 0 {
            writeln!(text, "… and {more} more").unwrap_or_default();
        }
    }
    text
}

/// A whole log, into an empty ledger.
async fn log(data: &DataDir, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let Some(_lock) = data.lock().context("locking the data folder")? else {
        bail!("a server uses {data}: a log is imported with the server stopped");
    };
    // A log without its key would look like one whose key was lost.
    SigningKeys::load_or_create(&data.signing_key())?;
    let db = WriteDb::open(&data.write_url(args.write_db.as_ref()), None).await?;
    let bar = ProgressBar::new_spinner();
    let read =
        log_file::read_ndjson(&*db.store, &args.file, |events| bar.set_message(format!("{events} events"))).await;
    bar.finish_and_clear();
    let head = db.store.head().await?;
    db.close().await?;
    let read = read.with_context(|| format!("importing {}", args.file.display()))?;
    say!("{} events imported; the log is at position {}, hash {}", read.events, head.position, head.hash);
    Ok(ExitCode::SUCCESS)
}
