//! How a row becomes commands: ids that follow from the file alone, so that the same row is the same command.

use app::{
    domain::{AccountId, CommandId, Currency, UserId, derive_uuid},
    wire::{Command, DepositMoney, OpenAccount, WithdrawMoney},
};

use super::{Kind, Row};

/// Names the format in every id that is made from such a file.
const FORMAT: &[u8] = b"transactions-csv/1";

/// What the accounts of an import are like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whose they are; `None`: of whoever imports.
    pub owner: Option<UserId>,
    pub currency: Currency,
    /// Minor units.
    pub overdraft_limit: Option<i64>,
}

impl Plan {
    /// Whose accounts are that were imported on the machine itself without saying whose: nobody's who can sign in, so
    /// that only admins see them.
    pub fn nobody() -> UserId {
        UserId(derive_uuid("import owner", &[FORMAT]))
    }

    /// The account that is called `account` in the file.
    pub fn account_id(account: &str) -> AccountId {
        AccountId(derive_uuid("import account", &[FORMAT, account.as_bytes()]))
    }

    /// Opens the account that is called `account` in the file.
    pub fn open(&self, account: &str) -> (CommandId, Command) {
        let id = CommandId(derive_uuid("import open", &[FORMAT, account.as_bytes()]));
        let command = OpenAccount {
            account_id: Some(Self::account_id(account)),
            owner: self.owner,
            name: format!("Account {account}"),
            currency: self.currency,
            overdraft_limit: self.overdraft_limit,
        };
        (id, command.into())
    }

    /// Moves the money of one row.
    pub fn transaction(row: &Row) -> (CommandId, Command) {
        let id = derive_uuid("import", &[FORMAT, row.account.as_bytes(), row.transaction_id.as_bytes()]);
        let (account_id, amount) = (Self::account_id(&row.account), row.amount);
        let (description, effective_on) = (row.description.clone(), Some(row.date));
        let command = match row.kind {
            Kind::Deposit => DepositMoney { account_id, amount, description, effective_on }.into(),
            Kind::Withdrawal => WithdrawMoney { account_id, amount, description, effective_on }.into(),
        };
        (CommandId(id), command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_the_file_and_stay_for_good() {
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
        let (id, _) = Plan::transaction(&row);
        // Another value here would import every file that was imported before a second time.
        assert_eq!(id.to_string(), "b33c5313-fd10-82e5-ad42-40bb68c42126");
        assert_eq!(Plan::account_id("2566").to_string(), "bd437f98-c939-824c-95ba-bb5227313849");
        assert_eq!(Plan::transaction(&Row { line: 1, ..row.clone() }).0, id);
        assert_ne!(Plan::transaction(&Row { account: "2567".to_owned(), ..row.clone() }).0, id);
        assert_ne!(Plan::transaction(&Row { transaction_id: "752011".to_owned(), ..row }).0, id);
    }
}
