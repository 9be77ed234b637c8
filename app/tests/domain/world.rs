//! A ledger in memory: several accounts and transfers, the process's steps delivered in any order and more than once.
//!
//! Beside the aggregates it keeps books of its own, straight from the events and in `i128`, to compare with.

use std::collections::BTreeMap;

use app::domain::{
    AccountId, Currency, EventId, Rejection, TransferId,
    account::{self, Account, AccountCommand, AccountEvent, Direction, Entry, Outgoing, Status},
    transfer::{self, Step, Transfer, TransferCommand, TransferEvent, TransferStatus},
};

use crate::given::{account_id, czk, day, eur, event_id, owner, transfer_id};

/// Accounts 0 to 3 are kept in CZK, 4 in EUR; 5 is never opened.
pub const ACCOUNTS: usize = 6;

/// One thing that may happen; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Op {
    Deposit(usize, i64),
    Withdraw(usize, i64),
    Reverse(usize, usize),
    Limit(usize, i64),
    Freeze(usize),
    Unfreeze(usize),
    Close(usize),
    Request(usize, usize, i64),
    /// A pending step of the process arrives.
    Deliver(usize),
    /// A copy of a step that was delivered before arrives.
    Copy(usize),
}

#[derive(Debug, Clone)]
pub enum Recorded {
    Account(AccountId, AccountEvent),
    Transfer(TransferId, TransferEvent),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub accounts: BTreeMap<AccountId, Account>,
    pub transfers: BTreeMap<TransferId, Transfer>,
}

impl State {
    pub fn apply(&mut self, recorded: &Recorded) {
        match recorded {
            Recorded::Account(id, event) => {
                let state = self.accounts.remove(id).unwrap_or_default();
                self.accounts.insert(*id, account::evolve(state, event));
            }
            Recorded::Transfer(id, event) => {
                let state = self.transfers.remove(id).unwrap_or_default();
                self.transfers.insert(*id, transfer::evolve(state, event));
            }
        }
    }
}

#[derive(Default)]
pub struct World {
    pub state: State,
    pub log: Vec<Recorded>,
    pending: Vec<Step>,
    delivered: Vec<Step>,
    entries: Vec<(AccountId, EventId, Entry)>,
    requested: u128,
    books: BTreeMap<Currency, Book>,
}

fn currency_of(n: usize) -> Currency {
    if n == 4 { eur() } else { czk() }
}

fn id_of(n: usize) -> AccountId {
    account_id((n % ACCOUNTS) as u128)
}

impl World {
    pub fn new(overdraft_limit: i64) -> Self {
        let mut world = Self::default();
        for n in 0..ACCOUNTS - 1 {
            let name = format!("Account {n}");
            let open = AccountCommand::OpenAccount { owner: owner(), name, currency: currency_of(n), overdraft_limit };
            world.account(id_of(n), open).unwrap();
        }
        world
    }

    pub fn run(&mut self, op: &Op) {
        let today = day(2);
        // What a rule refuses changes nothing, and that is all that is asked of a refusal here.
        let _refused = match *op {
            Op::Deposit(n, amount) => self.account(
                id_of(n),
                AccountCommand::DepositMoney { amount, effective_on: day(0), today, description: None },
            ),
            Op::Withdraw(n, amount) => self.account(
                id_of(n),
                AccountCommand::WithdrawMoney { amount, effective_on: day(0), today, description: None },
            ),
            Op::Reverse(n, which) => {
                let mine: Vec<_> = self.entries.iter().filter(|(id, ..)| *id == id_of(n)).copied().collect();
                let (event_id, entry) = match mine.get(which % mine.len().max(1)) {
                    Some((_, event_id, entry)) => (*event_id, Some(Some(*entry))),
                    None => (event_id(u128::MAX >> 8), None),
                };
                let reason = "a mistake".to_owned();
                self.account(id_of(n), AccountCommand::ReverseEntry { event_id, entry, effective_on: today, reason })
            }
            Op::Limit(n, limit) => self.account(id_of(n), AccountCommand::ChangeOverdraftLimit { limit }),
            Op::Freeze(n) => self.account(id_of(n), AccountCommand::FreezeAccount { reason: "a check".to_owned() }),
            Op::Unfreeze(n) => self.account(id_of(n), AccountCommand::UnfreezeAccount),
            Op::Close(n) => self.account(id_of(n), AccountCommand::CloseAccount),
            Op::Request(from, to, amount) => {
                self.requested += 1;
                let (id, currency) = (transfer_id(self.requested), currency_of(from % ACCOUNTS));
                let (from, to) = (id_of(from), id_of(to));
                self.transfer(id, TransferCommand::RequestTransfer { from, to, amount, currency, description: None })
            }
            Op::Deliver(which) => {
                self.deliver(which);
                Ok(0)
            }
            Op::Copy(which) => {
                self.copy(which);
                Ok(0)
            }
        };
    }

    /// Delivers a pending step. Each does its work at first sight: a process can never get stuck.
    fn deliver(&mut self, which: usize) {
        if self.pending.is_empty() {
            return;
        }
        let step = self.pending.swap_remove(which % self.pending.len());
        assert_eq!(self.send(step.clone()), Ok(1), "the first copy of {step:?} has one effect");
        self.delivered.push(step);
    }

    fn copy(&mut self, which: usize) {
        if self.delivered.is_empty() {
            return;
        }
        let step = self.delivered[which % self.delivered.len()].clone();
        let outcome = self.send(step.clone());
        assert!(
            matches!(outcome, Ok(0) | Err(Rejection::TransferStepOutOfOrder)),
            "a late copy of {step:?} had an effect: {outcome:?}"
        );
    }

    /// Delivers all that is pending, then a copy of every step that there ever was.
    pub fn settle(&mut self, order: usize) {
        while !self.pending.is_empty() {
            self.deliver(order);
        }
        let before = self.state.clone();
        for which in 0..self.delivered.len() {
            self.copy(which);
        }
        assert_eq!(self.state, before);
    }

    fn send(&mut self, step: Step) -> Result<usize, Rejection> {
        match step {
            Step::Account(id, command) => self.account(id, command),
            Step::Transfer(id, command) => self.transfer(id, command),
        }
    }

    fn account(&mut self, id: AccountId, command: AccountCommand) -> Result<usize, Rejection> {
        let events = account::decide(self.state.accounts.get(&id).unwrap_or(&Account::default()), command)?;
        for event in &events {
            let entry = match *event {
                AccountEvent::MoneyDeposited { amount, .. } => Some(Entry { direction: Direction::In, amount }),
                AccountEvent::MoneyWithdrawn { amount, .. } => Some(Entry { direction: Direction::Out, amount }),
                _ => None,
            };
            self.entries.extend(entry.map(|entry| (id, event_id(self.log.len() as u128), entry)));
            self.pending.extend(transfer::after_account_event(id, event).map(|(_, step)| step));
            self.record(Recorded::Account(id, event.clone()));
        }
        Ok(events.len())
    }

    fn transfer(&mut self, id: TransferId, command: TransferCommand) -> Result<usize, Rejection> {
        let events = transfer::decide(self.state.transfers.get(&id).unwrap_or(&Transfer::default()), command)?;
        for event in &events {
            self.pending.extend(transfer::after_transfer_event(id, event));
            self.record(Recorded::Transfer(id, event.clone()));
        }
        Ok(events.len())
    }

    fn record(&mut self, recorded: Recorded) {
        self.state.apply(&recorded);
        if let Recorded::Account(id, event) = &recorded {
            self.count(*id, event);
        }
        self.log.push(recorded);
        self.check();
    }

    /// What holds after every single event.
    fn check(&self) {
        for account in self.state.accounts.values() {
            assert!(i128::from(account.balance) >= -i128::from(account.overdraft_limit), "overdrawn: {account:?}");
            assert!(account.held >= 0 && account.expected >= 0, "negative: {account:?}");
            let held: i128 = account.outgoing.values().map(held_in).sum();
            assert_eq!(i128::from(account.held), held, "held is the sum of holds: {account:?}");
            if account.status == Status::Closed {
                assert_eq!((account.balance, account.held, account.expected), (0, 0, 0));
            }
        }
        for currency in [czk(), eur()] {
            let book = self.book(currency);
            assert!(book.in_transit >= 0, "negative in transit: {book:?}");
            assert_eq!(book.balances + book.in_transit, book.deposits - book.withdrawals, "{book:?}");
        }
    }

    /// The trial balance of one currency; all but `balances` is counted from the events alone.
    fn book(&self, currency: Currency) -> Book {
        let mut book = self.books.get(&currency).copied().unwrap_or_default();
        let accounts = self.state.accounts.values().filter(|account| account.currency == Some(currency));
        book.balances = accounts.map(|account| i128::from(account.balance)).sum();
        book
    }

    fn count(&mut self, id: AccountId, event: &AccountEvent) {
        let Some(currency) = self.state.accounts.get(&id).and_then(|account| account.currency) else { return };
        let book = self.books.entry(currency).or_default();
        match *event {
            AccountEvent::MoneyDeposited { amount, .. } => book.deposits += i128::from(amount),
            AccountEvent::MoneyWithdrawn { amount, .. } => book.withdrawals += i128::from(amount),
            AccountEvent::EntryReversed { direction: Direction::In, amount, .. } => book.deposits -= i128::from(amount),
            AccountEvent::EntryReversed { direction: Direction::Out, amount, .. } => {
                book.withdrawals -= i128::from(amount);
            }
            AccountEvent::HoldCaptured { amount, .. } => book.in_transit += i128::from(amount),
            AccountEvent::TransferCredited { amount, .. } => book.in_transit -= i128::from(amount),
            _ => {}
        }
    }

    pub fn unended(&self) -> Vec<TransferId> {
        let open =
            |(id, transfer): (&TransferId, &Transfer)| (transfer.status == TransferStatus::Requested).then_some(*id);
        self.state.transfers.iter().filter_map(open).collect()
    }

    pub fn in_transit(&self, currency: Currency) -> i128 {
        self.book(currency).in_transit
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Book {
    balances: i128,
    in_transit: i128,
    deposits: i128,
    withdrawals: i128,
}

fn held_in(outgoing: &Outgoing) -> i128 {
    match outgoing {
        Outgoing::Held { amount, .. } => i128::from(*amount),
        Outgoing::Captured | Outgoing::Released | Outgoing::Declined => 0,
    }
}
