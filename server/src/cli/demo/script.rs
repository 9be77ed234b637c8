//! What happened in the demo's months: a pure function of the day on which they end.
// Amounts are written with their minor units apart: 24_500_00 is 24,500.00.
#![allow(clippy::inconsistent_digit_grouping)]

use app::{
    domain::{AccountId, CommandId, Date, EventId, derive_uuid},
    wire::{
        ChangeOverdraftLimit, Command, DepositMoney, FreezeAccount, OpenAccount, RequestTransfer, ReverseEntry,
        WithdrawMoney,
    },
};

/// How many days it all took.
const DAYS: i32 = 130;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Marie,
    Tomas,
    Admin,
}

/// One command, when, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scene {
    pub day: Date,
    /// Of the day, UTC.
    pub minute: u16,
    pub who: Who,
    pub id: CommandId,
    pub command: Command,
}

const EVERYDAY: &str = "marie everyday";
const SAVINGS: &str = "marie savings";
const EUROS: &str = "marie euros";
const CURRENT: &str = "tomas current";
const OLD_CARD: &str = "tomas old card";

fn account(name: &str) -> AccountId {
    AccountId(derive_uuid("demo account", &[name.as_bytes()]))
}

/// All scenes in order; the last is of the day before `today`.
pub(super) fn script(today: Date) -> Vec<Scene> {
    let mut play = Play { scenes: vec![], day: Date::from_days(today.days() - DAYS), minute: 0 };
    play.opening();
    for number in 1..DAYS {
        play.day = Date::from_days(today.days() - DAYS + number);
        play.minute = 6 * 60;
        play.by_the_month();
        play.by_the_week();
        play.once(number);
    }
    play.scenes
}

struct Play {
    scenes: Vec<Scene>,
    day: Date,
    minute: u16,
}

impl Play {
    fn opening(&mut self) {
        use Who::{Admin, Marie, Tomas};
        self.minute = 8 * 60;
        self.open(Marie, EVERYDAY, "Everyday account", "CZK", 24_500_00);
        self.open(Marie, SAVINGS, "Savings", "CZK", 60_000_00);
        self.open(Marie, EUROS, "Holidays in euros", "EUR", 350_00);
        self.open(Tomas, CURRENT, "Current account", "CZK", 18_200_00);
        self.open(Tomas, OLD_CARD, "Old card account", "CZK", 2_150_00);
        self.allow(Admin, CURRENT, 10_000_00);
    }

    fn by_the_month(&mut self) {
        use Who::{Marie, Tomas};
        match self.day.day() {
            1 => {
                self.pay(Marie, EVERYDAY, 14_500_00, "Rent");
                self.pay(Tomas, CURRENT, 11_900_00, "Rent");
            }
            5 => {
                let electricity = self.about(1_240_00, 90_00);
                self.pay(Marie, EVERYDAY, electricity, "Electricity");
                self.pay(Tomas, CURRENT, 549_00, "Phone");
            }
            10 => self.get(Marie, EVERYDAY, 42_300_00, "Salary, Moravia Print"),
            11 => {
                self.send(Marie, EVERYDAY, SAVINGS, 6_000_00, "To savings");
            }
            12 => self.get(Tomas, CURRENT, 36_750_00, "Salary, Brno Transit"),
            20 => {
                self.send(Tomas, CURRENT, EVERYDAY, 575_00, "Half of the internet");
            }
            28 => {
                let tickets = self.about(24_00, 9_00);
                self.pay(Marie, EUROS, tickets, "Train tickets");
                self.get(Marie, SAVINGS, 95_40, "Interest");
            }
            _ => {}
        }
    }

    fn by_the_week(&mut self) {
        use Who::{Marie, Tomas};
        // 1970-01-01 was a Thursday.
        match (self.day.days() + 3).rem_euclid(7) {
            2 => {
                let lunch = self.about(260_00, 80_00);
                self.pay(Marie, EVERYDAY, lunch, "Lunch and coffee");
            }
            4 => {
                let evening = self.about(620_00, 240_00);
                self.pay(Tomas, CURRENT, evening, "Evening out");
            }
            5 => {
                let (hers, his) = (self.about(1_350_00, 450_00), self.about(980_00, 300_00));
                self.pay(Marie, EVERYDAY, hers, "Groceries");
                self.pay(Tomas, CURRENT, his, "Groceries");
            }
            _ => {}
        }
    }

    fn once(&mut self, number: i32) {
        use Who::{Admin, Marie, Tomas};
        match number {
            40 => {
                self.pay(Marie, EVERYDAY, 890_00, "Pharmacy");
                self.pay(Marie, EVERYDAY, 890_00, "Pharmacy");
            }
            41 => {
                // The second of the two; nothing happened since.
                if let Some(twice) = self.scenes.iter().rposition(|scene| said(scene) == Some("Pharmacy")) {
                    let event_id = EventId::derive(self.scenes[twice].id, 0);
                    let reason = "Entered twice".to_owned();
                    self.act(Admin, ReverseEntry { account_id: account(EVERYDAY), event_id, reason });
                }
            }
            60 => self.send(Tomas, CURRENT, EVERYDAY, 250_000_00, "Deposit for the flat"),
            75 => self.act(Tomas, FreezeAccount { account_id: account(OLD_CARD), reason: "Card lost".to_owned() }),
            77 => {
                self.send(Marie, EVERYDAY, OLD_CARD, 1_200_00, "Happy birthday");
                self.send(Marie, EVERYDAY, CURRENT, 1_200_00, "Happy birthday");
            }
            100 => self.pay(Marie, EUROS, 118_50, "Hotel in Vienna"),
            110 => self.allow(Admin, CURRENT, 20_000_00),
            _ => {}
        }
    }

    fn open(&mut self, who: Who, name: &str, title: &str, currency: &str, balance: i64) {
        // The currencies are written in this file.
        let Ok(currency) = currency.parse() else { return };
        let account_id = Some(account(name));
        self.act(who, OpenAccount { account_id, owner: None, name: title.to_owned(), currency, overdraft_limit: None });
        self.get(who, name, balance, "Opening balance");
    }

    fn get(&mut self, who: Who, to: &str, amount: i64, description: &str) {
        let (account_id, description) = (account(to), Some(description.to_owned()));
        self.act(who, DepositMoney { account_id, amount, description, effective_on: None, currency: None });
    }

    fn pay(&mut self, who: Who, from: &str, amount: i64, description: &str) {
        let (account_id, description) = (account(from), Some(description.to_owned()));
        self.act(who, WithdrawMoney { account_id, amount, description, effective_on: None, currency: None });
    }

    fn send(&mut self, who: Who, from: &str, to: &str, amount: i64, description: &str) {
        let (from, to, description) = (account(from), account(to), Some(description.to_owned()));
        self.act(who, RequestTransfer { transfer_id: None, from, to, amount, description, currency: None });
    }

    fn allow(&mut self, who: Who, name: &str, limit: i64) {
        self.act(who, ChangeOverdraftLimit { account_id: account(name), limit, currency: None });
    }

    fn act(&mut self, who: Who, command: impl Into<Command>) {
        // Some while after the one before it.
        self.minute += 7;
        let id = CommandId(derive_uuid("demo", &[&(self.scenes.len() as u64).to_be_bytes()]));
        self.scenes.push(Scene { day: self.day, minute: self.minute, who, id, command: command.into() });
    }

    /// An amount that differs from day to day but not from run to run, at most `spread` away from `middle`.
    fn about(&self, middle: i64, spread: i64) -> i64 {
        let made = derive_uuid("demo amount", &[&self.day.days().to_be_bytes(), &middle.to_be_bytes()]);
        let (made, _) = made.as_u64_pair();
        let step = i64::try_from(made % 1_001).unwrap_or(0) - 500;
        middle + spread * step / 500 / 10 * 10
    }
}

/// What a withdrawal was for.
fn said(scene: &Scene) -> Option<&str> {
    match &scene.command {
        Command::WithdrawMoney(withdrawal) => withdrawal.description.as_deref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_in_order_and_before_today() {
        let today: Date = "2026-11-22".parse().unwrap();
        let scenes = script(today);
        assert!(scenes.is_sorted_by_key(|scene| (scene.day, scene.minute)));
        assert!(scenes.iter().all(|scene| scene.day < today && scene.minute < 24 * 60));
        assert_eq!(scenes, script(today));
    }
}
