//! How a row becomes commands: ids that follow from owner and file alone, so that the same row is the same command.
//!
//! Nobody can take such an id first: another customer does not know the owner's id, and where there is no owner the ids
//! are of the kind that customers cannot use.

use app::{
    domain::{AccountId, CommandId, Currency, UserId, account::AccountEvent, derive_uuid},
    wire::{Command, DepositMoney, Event, OpenAccount, WithdrawMoney},
};
use uuid::Uuid;

use super::{Kind, Row};
use crate::write::handler::reserved;

/// Names the format in every id that is made from such a file.
const FORMAT: &[u8] = b"transactions-csv/1";

/// What the accounts of an import are like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub owner: UserId,
    pub currency: Currency,
    /// Minor units.
    pub overdraft_limit: Option<i64>,
}

impl Plan {
    /// Whose accounts are that the operator or an admin imported without saying whose: nobody's who can sign in, so that
    /// only admins see them.
    pub fn nobody() -> UserId {
        UserId(derive_uuid("import owner", &[FORMAT]))
    }

    fn id(&self, purpose: &str, parts: &[&str]) -> Uuid {
        let mut all = vec![FORMAT, self.owner.0.as_bytes()];
        all.extend(parts.iter().map(|part| part.as_bytes()));
        let id = derive_uuid(purpose, &all);
        if self.owner == Self::nobody() { reserved(id) } else { id }
    }

    /// The account that is called `account` in the file.
    pub fn account_id(&self, account: &str) -> AccountId {
        AccountId(self.id("import account", &[account]))
    }

    /// Opens the account that is called `account` in the file.
    pub fn open(&self, account: &str) -> (CommandId, Command) {
        let id = CommandId(self.id("import open", &[account]));
        let command = OpenAccount {
            account_id: Some(self.account_id(account)),
            owner: Some(self.owner),
            name: format!("Account {account}"),
            currency: self.currency,
            overdraft_limit: self.overdraft_limit,
        };
        (id, command.into())
    }

    /// Moves the money of one row.
    pub fn transaction(&self, row: &Row) -> (CommandId, Command) {
        let id = self.id("import", &[&row.account, &row.transaction_id]);
        let (account_id, amount) = (self.account_id(&row.account), row.amount);
        let (description, effective_on) = (row.description.clone(), Some(row.date));
        let command = match row.kind {
            Kind::Deposit => DepositMoney { account_id, amount, description, effective_on, currency: None }.into(),
            Kind::Withdrawal => WithdrawMoney { account_id, amount, description, effective_on, currency: None }.into(),
        };
        (CommandId(id), command)
    }
}

/// Whether `event` is what `command` of an import leads to, whoever sent it.
pub(super) fn leads_to(command: &Command, event: &Event) -> bool {
    match (command, event) {
        (
            Command::OpenAccount(command),
            Event::Account(AccountEvent::AccountOpened { owner, name, currency, overdraft_limit }),
        ) => {
            command.owner == Some(*owner)
                && command.name == *name
                && command.currency == *currency
                && command.overdraft_limit.is_none_or(|limit| limit == *overdraft_limit)
        }
        (
            Command::DepositMoney(command),
            Event::Account(AccountEvent::MoneyDeposited { amount, effective_on, description }),
        ) => {
            (command.amount, command.effective_on, &command.description) == (*amount, Some(*effective_on), description)
        }
        (
            Command::WithdrawMoney(command),
            Event::Account(AccountEvent::MoneyWithdrawn { amount, effective_on, description }),
        ) => {
            (command.amount, command.effective_on, &command.description) == (*amount, Some(*effective_on), description)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_owner_and_file_and_stay_for_good() {
        let row = Row {
            line: 9,
            transaction_id: "752010".to_owned(),
            account: "2566".to_owned(),
            date: "1993-01-27".parse().unwrap(),
            kind: Kind::Deposit,
            amount: 80_000,
            balance: None,
            description: None,
        };
        let plan = |owner| Plan { owner, currency: "CZK".parse().unwrap(), overdraft_limit: None };
        let of_nobody = plan(Plan::nobody());
        let (id, _) = of_nobody.transaction(&row);
        // Another value here would import every file that was imported before a second time.
        assert_eq!(id.to_string(), "da7b00c0-0000-8008-9177-661a7bf55826");
        assert_eq!(of_nobody.account_id("2566").to_string(), "da7b00c0-0000-8a9e-9623-ec9434a86ef9");
        let of_someone = plan(UserId(Uuid::from_u128(1)));
        assert_eq!(of_someone.account_id("2566").to_string(), "7536d0ed-6235-8055-a3fe-af8da9394b01");
        assert_ne!(of_someone.transaction(&row).0, id);
        assert_eq!(of_nobody.transaction(&Row { line: 1, ..row.clone() }).0, id);
        assert_ne!(of_nobody.transaction(&Row { account: "2567".to_owned(), ..row.clone() }).0, id);
        assert_ne!(of_nobody.transaction(&Row { transaction_id: "752011".to_owned(), ..row }).0, id);
    }
}
