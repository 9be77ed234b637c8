//! Commands as people send them, over the API and from the pages, and the answer they get.
//!
//! Ids are UUIDs that a client may choose. Amounts are integers in minor units of the account's currency.

use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, CommandId, Currency, Date, EventId, TransferId, UserId};

use super::{Position, StreamId, Version};

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
            #[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type),* }
        )*

        /// Any command that people can send.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub enum Command { $($name($name)),* }

        impl Command {
            /// All names, as in `/api/v1/commands/{name}`.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }

            /// Reads the command `name` from its fields; `None` if no command has that name.
            pub fn read<'de, D: serde::Deserializer<'de>>(name: &str, fields: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $(stringify!($name) => Some($name::deserialize(fields).map(Self::$name)),)*
                    _ => None,
                }
            }
        }

        $(impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })*
    };
}

commands! {
    /// Opens an account; `owner` is whoever asks unless an admin says otherwise.
    OpenAccount {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account_id: Option<AccountId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<UserId>,
        name: String,
        /// ISO 4217.
        currency: Currency,
        /// Minor units, zero or more; only an admin may give one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overdraft_limit: Option<i64>,
    }
    /// Puts money in.
    DepositMoney {
        account_id: AccountId,
        /// Minor units, more than zero.
        amount: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The day it took effect, today (UTC) if absent, not in the future.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective_on: Option<Date>,
        /// What a form's amount was read in: refused where the account is not kept in it. Not over the API.
        #[serde(skip)]
        currency: Option<Currency>,
    }
    /// Takes money out.
    WithdrawMoney {
        account_id: AccountId,
        /// Minor units, more than zero.
        amount: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The day it took effect, today (UTC) if absent, not in the future.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective_on: Option<Date>,
        /// What a form's amount was read in: refused where the account is not kept in it. Not over the API.
        #[serde(skip)]
        currency: Option<Currency>,
    }
    /// Asks for money to be moved between two accounts of one currency.
    RequestTransfer {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transfer_id: Option<TransferId>,
        from: AccountId,
        to: AccountId,
        /// Minor units of the source's currency, more than zero.
        amount: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// What a form's amount was read in: refused where the source is not kept in it. Not over the API.
        #[serde(skip)]
        currency: Option<Currency>,
    }
    /// Stops all use of an account until an admin unfreezes it; transfers on their way still arrive.
    FreezeAccount {
        account_id: AccountId,
        reason: String,
    }
    /// Admins only.
    UnfreezeAccount {
        account_id: AccountId,
    }
    /// Admins only.
    ChangeOverdraftLimit {
        account_id: AccountId,
        /// Minor units, zero or more, not below what is in use.
        limit: i64,
        /// What a form's limit was read in: refused where the account is not kept in it. Not over the API.
        #[serde(skip)]
        currency: Option<Currency>,
    }
    /// Admins only: undoes a deposit or a withdrawal by an entry that points at it.
    ReverseEntry {
        account_id: AccountId,
        event_id: EventId,
        reason: String,
    }
    /// Closes an account for good: only at zero, with nothing held and nothing expected.
    CloseAccount {
        account_id: AccountId,
    }
    /// Admins only: a projection goes on without one event, for good, in every rebuild too.
    SkipEvent {
        projection: String,
        /// Of the event, such as the one that the projection is parked at.
        position: Position,
        reason: String,
    }
}

/// The answer to an accepted command: where its events are. Durable when this is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Receipt {
    pub command_id: CommandId,
    pub stream: StreamId,
    /// The stream's version after the command.
    pub version: Version,
    /// The position of the command's last event: a view that has seen it shows the command.
    pub position: Position,
    pub events: Vec<ReceiptEvent>,
    /// True when this command had been accepted before: nothing was done again.
    pub repeated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct ReceiptEvent {
    pub event_id: EventId,
    #[serde(rename = "type")]
    pub event_type: String,
    pub version: Version,
    pub position: Position,
}
