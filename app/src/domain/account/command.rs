//! What can be asked of an account. Amounts are minor units of the account's currency.

use serde::{Deserialize, Serialize};

use super::{
    super::{AccountId, Currency, Date, EventId, TransferId, UserId},
    event::DeclineReason,
};

/// Which way an entry moved money, seen from the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    In,
    Out,
}

/// A deposit or withdrawal of this account's own stream, as recorded: a fact that comes in with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub direction: Direction,
    pub amount: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountCommand {
    // People send these.
    OpenAccount {
        owner: UserId,
        name: String,
        currency: Currency,
        overdraft_limit: i64,
    },
    DepositMoney {
        amount: i64,
        effective_on: Date,
        today: Date,
        description: Option<String>,
    },
    WithdrawMoney {
        amount: i64,
        effective_on: Date,
        today: Date,
        description: Option<String>,
    },
    /// `entry` is what the account's stream says of `event_id`: `None` if it has no such event,
    /// `Some(None)` if that event is neither deposit nor withdrawal.
    ReverseEntry {
        event_id: EventId,
        entry: Option<Option<Entry>>,
        effective_on: Date,
        reason: String,
    },
    ChangeOverdraftLimit {
        limit: i64,
    },
    FreezeAccount {
        reason: String,
    },
    UnfreezeAccount,
    CloseAccount,
    // Only the process manager sends these.
    HoldFunds {
        transfer_id: TransferId,
        to: AccountId,
        amount: i64,
        currency: Currency,
    },
    ExpectTransfer {
        transfer_id: TransferId,
        from: AccountId,
        amount: i64,
        currency: Currency,
    },
    CaptureHold {
        transfer_id: TransferId,
    },
    CreditTransfer {
        transfer_id: TransferId,
    },
    ReleaseHold {
        transfer_id: TransferId,
        reason: DeclineReason,
    },
}
