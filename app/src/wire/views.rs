//! What queries answer with. Amounts are minor units of the row's currency; times are microseconds since 1970.
//!
//! Each row carries `version` (of the stream it shows) and `position` (of the event that changed it last).

use serde::{Deserialize, Serialize};

use crate::domain::{
    AccountId, CommandId, Currency, Date, EventId, TransferId, UserId,
    account::{DeclineReason, Status},
};

use super::{Actor, FromJson, Hash, Json, Position, StreamId, Version, from_json, named};

macro_rules! views {
    ($($(#[$doc:meta])* struct $name:ident { $($(#[$about:meta])* pub $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
        pub struct $name { $($(#[$about])* pub $field: $type,)* }

        from_json! { $name { $($field),* } }
    )*};
}

views! {
    struct AccountView {
        pub id: AccountId,
        pub owner: UserId,
        pub name: String,
        pub currency: Currency,
        pub balance: i64,
        pub held: i64,
        pub expected: i64,
        /// balance − held + overdraft limit
        pub available: i64,
        pub overdraft_limit: i64,
        pub status: Status,
        pub opened_at: i64,
        pub version: Version,
        pub position: Position,
    }

    /// Who someone is, as far as admins are told.
    struct Person {
        pub id: UserId,
        pub name: String,
        pub email: String,
    }

    /// One line of an account's statement.
    struct StatementRow {
        pub account_id: AccountId,
        pub event_id: EventId,
        pub kind: EntryKind,
        /// Positive: money in; negative: money out.
        pub amount: i64,
        /// The account's balance after this entry, in order of versions.
        pub balance: i64,
        pub effective_on: Date,
        pub recorded_at: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub transfer_id: Option<TransferId>,
        /// The other side of a transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub counterparty: Option<AccountId>,
        /// The entry that this one undoes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reverses: Option<EventId>,
        /// The entry that undid this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reversed_by: Option<EventId>,
        /// Version of the account that this entry wrote; stays.
        pub version: Version,
        /// Position of the entry's event; stays.
        pub entry_position: Position,
        /// Position of the event that changed this row last: a reversal changes the row it reverses.
        pub position: Position,
    }

    struct TransferView {
        pub id: TransferId,
        pub from: AccountId,
        pub to: AccountId,
        pub amount: i64,
        pub currency: Currency,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        pub state: TransferState,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<DeclineReason>,
        pub requested_at: i64,
        pub updated_at: i64,
        /// Of the transfer's own stream.
        pub version: Version,
        /// Position of the request's event; stays.
        pub requested_position: Position,
        pub position: Position,
    }

    /// What moved in an account on one day, by effective date.
    struct DailyTotal {
        pub date: Date,
        pub money_in: i64,
        pub money_out: i64,
    }

    /// The balance at the end of a day, by effective date.
    struct DayBalance {
        pub date: Date,
        pub balance: i64,
    }

    /// End-of-day balances of the last 90 days with movements, oldest first; the first is the balance before.
    struct DayBalances {
        pub days: Vec<DayBalance>,
        /// Of the event that changed one of the account's days last, whether it is among these or not.
        pub position: Position,
    }

    /// Both sides of the book in one currency: balances + in_transit = deposits − withdrawals.
    struct TrialBalanceLine {
        pub currency: Currency,
        /// Sums over all accounts, here and below: they may be beyond 64 bits.
        pub balances: i128,
        /// Captured at the source, not yet credited at the destination.
        pub in_transit: i128,
        pub deposits: i128,
        pub withdrawals: i128,
        pub position: Position,
    }

    struct TrialBalance {
        pub lines: Vec<TrialBalanceLine>,
    }

    /// An event as the timeline shows it. `payload` and `metadata` are the stored text, which `hash` covers.
    struct EventView {
        pub position: Position,
        pub event_id: EventId,
        pub stream: StreamId,
        pub version: Version,
        pub event_type: String,
        pub schema: u32,
        pub recorded_at: i64,
        pub payload: String,
        /// Empty where the viewer may not see who did it.
        pub metadata: String,
        pub hash: Hash,
        /// Of the account that the event is about, where it is known: amounts are in its minor units.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub currency: Option<Currency>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor: Option<Actor>,
        /// The actor's name, if they have one and the viewer may see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub actor_name: Option<String>,
        pub command_id: CommandId,
        pub correlation_id: CommandId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub causation_id: Option<EventId>,
    }

    /// All of the account page, read in one transaction.
    struct AccountPage {
        pub account: AccountView,
        pub statement: Page<StatementRow>,
        /// Transfers that hold or promise money now.
        pub pending: Vec<TransferView>,
        pub days: DayBalances,
    }

    /// What someone's accounts in one currency come to, the closed ones left out.
    struct CurrencyTotal {
        pub currency: Currency,
        pub accounts: u32,
        pub balance: i64,
    }

    /// What all accounts of the viewer come to, most accounts first; an admin's are all that there are.
    struct Totals {
        pub lines: Vec<CurrencyTotal>,
        /// Of the event that changed one of the accounts last.
        pub position: Position,
    }

    /// All of the overview page, read in one transaction.
    struct Overview {
        /// No more than a hundred.
        pub accounts: Vec<AccountView>,
        /// Over all accounts, listed here or not.
        pub totals: Totals,
        /// The newest entries over all accounts shown.
        pub latest: Vec<StatementRow>,
    }

    /// One projection as operators see it.
    struct ProjectionStatus {
        pub name: String,
        pub checkpoint: Position,
        pub lag: Option<u64>,
        /// Where it is parked, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub parked: Option<Parked>,
        /// Where a rebuild is, if one runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub rebuilding: Option<Position>,
    }

    struct Parked {
        pub position: Position,
        pub error: String,
    }

    /// What a query node knows of itself.
    struct ReadStatus {
        /// The newest `LogHead` heard of; `None` when that is older than 10 s or there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub head: Option<Position>,
        /// Since when the head is unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unknown_since: Option<i64>,
        /// Since it started, this node has not come to where the log ended then, or is new and has not heard where it ends:
        /// what it shows is old.
        pub catching_up: bool,
        pub feed: Position,
        /// The position that the node's copy of the log cannot get or will not take, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub waiting: Option<Parked>,
        pub projections: Vec<ProjectionStatus>,
    }
}

/// What an entry of a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Deposit,
    Withdrawal,
    TransferIn,
    TransferOut,
    Reversal,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    Requested,
    Held,
    Promised,
    InTransit,
    Completed,
    Declined,
}

named! {
    EntryKind {
        "deposit" Deposit,
        "withdrawal" Withdrawal,
        "transfer_in" TransferIn,
        "transfer_out" TransferOut,
        "reversal" Reversal,
    }
    TransferState {
        "requested" Requested,
        "held" Held,
        "promised" Promised,
        "in_transit" InTransit,
        "completed" Completed,
        "declined" Declined,
    }
}

/// An answer, and what the view behind it had seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Seen<T> {
    /// The oldest of the positions that the projections behind this answer had reached.
    pub position: Position,
    /// The reader asked to wait for a position that is not visible here yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    #[serde(flatten)]
    pub value: T,
}

/// A page of a longer list; `next` goes into `after` to get the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ssr", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T: FromJson> FromJson for Page<T> {
    fn from_json(json: Json<'_>) -> Option<Self> {
        Some(Self { items: json.field("items")?, next: json.field("next")? })
    }
}
