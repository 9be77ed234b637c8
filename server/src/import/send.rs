//! Sends the rows of a file: those of one account one after the other, those of many accounts at the same time, so that
//! they share commits. Memory is bounded whatever the file is like, but for the ids of its accounts.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use app::{
    domain::{AccountId, CommandId, Currency},
    locale::Locale,
    wire::{Command, Receipt},
    words::describe_rejection,
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc;

use super::{
    Check, Ledger, Plan, Row, Rows, SendError, StatementError,
    balances::{self, Expected},
    plan::leads_to,
};

/// Commands under way at the same time.
const IN_FLIGHT: usize = 512;
/// Rows read ahead, so that there are always enough accounts to go on with.
const AHEAD: usize = 32 * 1024;
/// Rows stored that may wait for their balance to be looked up.
const UNCHECKED: usize = 32 * 1024;
/// How long one command is tried again while the ledger is too busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// A count, and the first few of what was counted, by their line in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    pub count: u64,
    first: Vec<(u64, String)>,
}

impl Sample {
    /// How many are kept.
    const KEPT: usize = 10;

    pub fn first(&self) -> impl Iterator<Item = &str> {
        self.first.iter().map(|(_, what)| what.as_str())
    }

    pub(super) fn add(&mut self, line: u64, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < Self::KEPT || self.first.last().is_some_and(|(last, _)| line < *last) {
            self.keep(line, what());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.count += other.count;
        other.first.into_iter().for_each(|(line, what)| self.keep(line, what));
    }

    fn keep(&mut self, line: u64, what: String) {
        let at = self.first.partition_point(|(earlier, _)| *earlier <= line);
        self.first.insert(at, (line, what));
        self.first.truncate(Self::KEPT);
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Good rows in the file.
    pub rows: u64,
    /// Bad rows, left out.
    pub bad: u64,
    pub accounts: u64,
    /// Written now.
    pub events: u64,
    /// Rows that had been imported before.
    pub repeated: u64,
    pub refused: Sample,
    /// Rows not sent, since one before them in their account was refused: later it would come behind them.
    pub held_back: u64,
    /// Rows whose balance was compared.
    pub checked: u64,
    pub disagreements: Sample,
    pub elapsed: Duration,
}

impl Outcome {
    /// Everything is in, and the balances that were compared agree.
    pub fn all_agree(&self) -> bool {
        self.refused.count == 0 && self.disagreements.count == 0
    }
}

/// Why an import ended early; it can be run again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the file cannot be read")]
    File(#[from] io::Error),
    #[error("{0}")]
    Row(super::BadRow),
    #[error("the ledger takes no more: {0}")]
    Stopped(String),
    #[error("the balances cannot be compared: {0}")]
    Balances(#[from] StatementError),
}

/// One account's rows on their way; gone when there are none.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Row>,
    busy: bool,
}

/// What an import knows of an account.
#[derive(Clone, Copy, Default, PartialEq)]
enum Standing {
    #[default]
    Unknown,
    Open,
    /// A row of it was refused.
    Stopped,
}

/// What became of one row.
struct Done {
    row: Row,
    account: AccountId,
    opening: Option<Result<Receipt, SendError>>,
    stored: Option<Result<Receipt, SendError>>,
}

/// Imports the file; `done` is told of the rows that are through, one by one. Bad rows are left out.
pub async fn import(
    ledger: Arc<dyn Ledger>,
    path: &Path,
    check: Check,
    plan: Plan,
    done: impl Fn(u64),
) -> Result<Outcome, ImportError> {
    let begun = Instant::now();
    let rows = Rows::open(path, check)?.map_err(ImportError::Row)?;
    let (to_compare, incoming) = mpsc::channel(UNCHECKED);
    let comparing = tokio::spawn(balances::compare(ledger.clone(), plan, incoming));
    let (accounts, lanes, outcome) = (HashMap::new(), HashMap::new(), Outcome::default());
    let mut import = Import { ledger, plan, rows, to_compare, accounts, lanes, outcome };
    let sent = import.run(done).await;
    let Import { to_compare, accounts, mut outcome, .. } = import;
    drop(to_compare);
    // A panic in there is a bug, and reads as one.
    let compared = comparing.await.map_err(|error| StatementError(error.to_string()))??;
    sent?;
    outcome.accounts = accounts.len() as u64;
    outcome.checked = compared.checked;
    outcome.disagreements = compared.disagreements;
    outcome.elapsed = begun.elapsed();
    Ok(outcome)
}

struct Import {
    ledger: Arc<dyn Ledger>,
    plan: Plan,
    rows: Rows,
    to_compare: mpsc::Sender<Expected>,
    /// All that were met.
    accounts: HashMap<AccountId, Standing>,
    lanes: HashMap<AccountId, Lane>,
    outcome: Outcome,
}

impl Import {
    async fn run(&mut self, done: impl Fn(u64)) -> Result<(), ImportError> {
        let mut under_way = FuturesUnordered::new();
        let mut ready: VecDeque<AccountId> = VecDeque::new();
        let (mut waiting, mut at_end) = (0, false);
        loop {
            while waiting < AHEAD && !at_end {
                match self.rows.next()? {
                    None => at_end = true,
                    Some(Err(_)) => self.outcome.bad += 1,
                    Some(Ok(row)) => {
                        self.outcome.rows += 1;
                        let account = self.plan.account_id(&row.account);
                        if self.accounts.get(&account) == Some(&Standing::Stopped) {
                            self.outcome.held_back += 1;
                            done(1);
                            continue;
                        }
                        let lane = self.lanes.entry(account).or_default();
                        if !lane.busy && lane.waiting.is_empty() {
                            ready.push_back(account);
                        }
                        lane.waiting.push_back(row);
                        waiting += 1;
                    }
                }
            }
            while under_way.len() < IN_FLIGHT
                && let Some(account) = ready.pop_front()
            {
                let lane = self.lanes.entry(account).or_default();
                let Some(row) = lane.waiting.pop_front() else { continue };
                lane.busy = true;
                waiting -= 1;
                let open = *self.accounts.entry(account).or_default() == Standing::Open;
                under_way.push(store(self.ledger.clone(), self.plan, account, row, open));
            }
            let Some(stored) = under_way.next().await else { return Ok(()) };
            let account = stored.account;
            self.take(stored).await?;
            done(1);
            let lane = self.lanes.entry(account).or_default();
            lane.busy = false;
            if self.accounts.get(&account) == Some(&Standing::Stopped) {
                let held_back = lane.waiting.len();
                lane.waiting.clear();
                waiting -= held_back;
                self.outcome.held_back += held_back as u64;
                done(held_back as u64);
            }
            if lane.waiting.is_empty() {
                self.lanes.remove(&account);
            } else {
                // What a crowd of rows needed is given back.
                lane.waiting.shrink_to(2 * lane.waiting.len());
                ready.push_back(account);
            }
        }
    }

    /// Counts what became of a row.
    async fn take(&mut self, done: Done) -> Result<(), ImportError> {
        let Done { row, account, opening, stored } = done;
        let currency = self.plan.currency;
        let refused = |what: &str| {
            format!("line {} (transaction {}, account {}): {what}", row.line, row.transaction_id, row.account)
        };
        match opening {
            None => {}
            Some(Ok(receipt)) => {
                self.accounts.insert(account, Standing::Open);
                if !receipt.repeated {
                    self.outcome.events += receipt.events.len() as u64;
                }
            }
            Some(Err(SendError::Stop(what))) => return Err(ImportError::Stopped(what)),
            Some(Err(error)) => {
                let why = said(error, currency);
                self.accounts.insert(account, Standing::Stopped);
                self.outcome.refused.add(row.line, || refused(&format!("its account was not opened: {why}")));
            }
        }
        match stored {
            None => {}
            Some(Err(SendError::Stop(what))) => return Err(ImportError::Stopped(what)),
            Some(Err(error)) => {
                self.accounts.insert(account, Standing::Stopped);
                self.outcome.refused.add(row.line, || refused(&said(error, currency)));
            }
            Some(Ok(receipt)) => {
                if receipt.repeated {
                    self.outcome.repeated += 1;
                } else {
                    self.outcome.events += receipt.events.len() as u64;
                }
                if let Some(balance) = row.balance {
                    let expected = Expected { row, balance, version: receipt.version, position: receipt.position };
                    // Closed only when comparing failed, which is what is reported then.
                    if self.to_compare.send(expected).await.is_err() {
                        return Err(ImportError::Stopped("the balances cannot be compared".to_owned()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Why, with amounts in the currency's decimals.
fn said(error: SendError, currency: Currency) -> String {
    match error {
        SendError::Rejected(rejection) => describe_rejection(&rejection, Some(currency), &Locale::default()),
        SendError::Reused => "it was imported before with other content or options".to_owned(),
        SendError::Refused(what) | SendError::Stop(what) => what,
        SendError::Busy(_) => "the ledger was too busy for too long".to_owned(),
    }
}

/// Stores one row, after its account was opened if it is not `open` yet.
async fn store(ledger: Arc<dyn Ledger>, plan: Plan, account: AccountId, row: Row, open: bool) -> Done {
    let mut done = Done { row, account, opening: None, stored: None };
    if !open {
        let (id, command) = plan.open(&done.row.account);
        done.opening = Some(send(ledger.as_ref(), account, id, command).await);
    }
    if !matches!(done.opening, Some(Err(_))) {
        let (id, command) = plan.transaction(&done.row);
        done.stored = Some(send(ledger.as_ref(), account, id, command).await);
    }
    done
}

/// Sends one command of `account`, again and again while the ledger is too busy. To whoever did not send it the first
/// time the same command is a conflict (W4): then what it led to is looked at, as far as one may see it.
async fn send(ledger: &dyn Ledger, account: AccountId, id: CommandId, command: Command) -> Result<Receipt, SendError> {
    let begun = Instant::now();
    loop {
        match ledger.send(id, command.clone()).await {
            Err(SendError::Busy(_)) if begun.elapsed() > PATIENCE => {
                return Err(SendError::Stop("it has been too busy, or away, for two minutes".to_owned()));
            }
            Err(SendError::Busy(wait)) => tokio::time::sleep(wait).await,
            Err(SendError::Reused) => {
                return match ledger.stored(account, id).await? {
                    Some((receipt, event)) if leads_to(&command, &event) => Ok(receipt),
                    Some(_) | None => Err(SendError::Reused),
                };
            }
            answer => return answer,
        }
    }
}
