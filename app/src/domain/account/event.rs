//! What can happen to an account. The names in quotes are the contract; Rust names may change.

use serde::{Deserialize, Serialize};

use super::{
    super::{AccountId, Currency, Date, EventId, TransferId, UserId},
    command::Direction,
};

/// Why one side of a transfer refused. Holds no numbers: the other side reads it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    AccountNotFound,
    AccountFrozen,
    AccountClosed,
    CurrencyMismatch,
    InsufficientFunds,
    BalanceTooLarge,
    /// What the other side is told when an account cannot take money, without saying why.
    Unavailable,
}

/// Amounts are minor units of the account's currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    #[serde(rename = "account.account_opened")]
    AccountOpened { owner: UserId, name: String, currency: Currency, overdraft_limit: i64 },
    #[serde(rename = "account.money_deposited")]
    MoneyDeposited {
        amount: i64,
        effective_on: Date,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    #[serde(rename = "account.money_withdrawn")]
    MoneyWithdrawn {
        amount: i64,
        effective_on: Date,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// The entry `event_id`, which moved `amount` in `direction`, is undone by moving it back.
    #[serde(rename = "account.entry_reversed")]
    EntryReversed { event_id: EventId, direction: Direction, amount: i64, effective_on: Date, reason: String },
    #[serde(rename = "account.overdraft_limit_changed")]
    OverdraftLimitChanged { limit: i64 },
    #[serde(rename = "account.account_frozen")]
    AccountFrozen { reason: String },
    #[serde(rename = "account.account_unfrozen")]
    AccountUnfrozen {},
    #[serde(rename = "account.account_closed")]
    AccountClosed {},
    /// Source: set aside for a transfer.
    #[serde(rename = "account.funds_held")]
    FundsHeld { transfer_id: TransferId, to: AccountId, amount: i64, currency: Currency },
    /// Source: refused for good to set money aside for this transfer.
    #[serde(rename = "account.hold_declined")]
    HoldDeclined { transfer_id: TransferId, reason: DeclineReason },
    /// Destination: promised to take the money, whatever happens.
    #[serde(rename = "account.transfer_expected")]
    TransferExpected { transfer_id: TransferId, from: AccountId, amount: i64 },
    /// Destination: refused for good to take this transfer.
    #[serde(rename = "account.transfer_declined")]
    TransferDeclined { transfer_id: TransferId, from: AccountId, reason: DeclineReason },
    /// Source: the held money left; it is in transit now.
    #[serde(rename = "account.hold_captured")]
    HoldCaptured { transfer_id: TransferId, to: AccountId, amount: i64 },
    /// Destination: the money arrived.
    #[serde(rename = "account.transfer_credited")]
    TransferCredited { transfer_id: TransferId, from: AccountId, amount: i64 },
    /// Source: the held money is free again, since the destination refused.
    #[serde(rename = "account.hold_released")]
    HoldReleased { transfer_id: TransferId, amount: i64, reason: DeclineReason },
}
