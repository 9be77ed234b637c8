//! How the browser reads what others define: the domain's types and events. See [`super::json`].

use super::{Actor, Event, FromJson, Hash, Json, Position, ProjectionEvent, StreamId, Version};
use crate::domain::{
    AccountId, CommandId, Currency, Date, EventId, SessionId, TransferId, UserId,
    account::{AccountEvent, DeclineReason, Direction, Status},
    session::{EndReason, SessionEvent},
    transfer::TransferEvent,
};

macro_rules! written_as_text {
    ($($name:ty)*) => {$(
        impl FromJson for $name {
            fn from_json(json: Json<'_>) -> Option<Self> {
                json.text()?.parse().ok()
            }
        }
    )*};
}
written_as_text!(AccountId TransferId UserId SessionId CommandId EventId Currency Date StreamId Actor Hash);

macro_rules! counters {
    ($($name:ident)*) => {$(
        impl FromJson for $name {
            fn from_json(json: Json<'_>) -> Option<Self> {
                u64::from_json(json).map(Self)
            }
        }
    )*};
}
counters!(Position Version);

/// Each value by its name.
macro_rules! named {
    ($($name:ident { $($text:literal $value:ident),* $(,)? })*) => {$(
        impl $crate::wire::FromJson for $name {
            fn from_json(json: $crate::wire::Json<'_>) -> Option<Self> {
                Some(match json.text()?.as_str() {
                    $($text => Self::$value,)*
                    _ => return None,
                })
            }
        }
    )*};
}
pub(crate) use named;

named! {
    Status { "absent" Absent, "open" Open, "frozen" Frozen, "closed" Closed }
    Direction { "in" In, "out" Out }
    DeclineReason {
        "account_not_found" AccountNotFound,
        "account_frozen" AccountFrozen,
        "account_closed" AccountClosed,
        "currency_mismatch" CurrencyMismatch,
        "insufficient_funds" InsufficientFunds,
        "balance_too_large" BalanceTooLarge,
        "unavailable" Unavailable,
    }
    EndReason {
        "password_changed" PasswordChanged,
        "roles_changed" RolesChanged,
        "user_disabled" UserDisabled,
    }
}

macro_rules! events {
    ($($text:literal $kind:ident($type:ident::$event:ident { $($field:ident),* }))*) => {
        /// The event `name` from its payload, in the current schema.
        pub(super) fn event(name: &str, payload: Json<'_>) -> Option<Event> {
            Some(match name {
                $($text => Event::$kind($type::$event { $($field: payload.field(stringify!($field))?),* }),)*
                _ => return None,
            })
        }
    };
}

events! {
    "account.account_opened" Account(AccountEvent::AccountOpened { owner, name, currency, overdraft_limit })
    "account.money_deposited" Account(AccountEvent::MoneyDeposited { amount, effective_on, description })
    "account.money_withdrawn" Account(AccountEvent::MoneyWithdrawn { amount, effective_on, description })
    "account.entry_reversed" Account(AccountEvent::EntryReversed { event_id, direction, amount, effective_on, reason })
    "account.overdraft_limit_changed" Account(AccountEvent::OverdraftLimitChanged { limit })
    "account.account_frozen" Account(AccountEvent::AccountFrozen { reason })
    "account.account_unfrozen" Account(AccountEvent::AccountUnfrozen {})
    "account.account_closed" Account(AccountEvent::AccountClosed {})
    "account.funds_held" Account(AccountEvent::FundsHeld { transfer_id, to, amount, currency })
    "account.hold_declined" Account(AccountEvent::HoldDeclined { transfer_id, reason })
    "account.transfer_expected" Account(AccountEvent::TransferExpected { transfer_id, from, amount })
    "account.transfer_declined" Account(AccountEvent::TransferDeclined { transfer_id, from, reason })
    "account.hold_captured" Account(AccountEvent::HoldCaptured { transfer_id, to, amount })
    "account.transfer_credited" Account(AccountEvent::TransferCredited { transfer_id, from, amount })
    "account.hold_released" Account(AccountEvent::HoldReleased { transfer_id, amount, reason })
    "transfer.transfer_requested" Transfer(TransferEvent::TransferRequested { from, to, amount, currency, description })
    "transfer.transfer_completed" Transfer(TransferEvent::TransferCompleted {})
    "transfer.transfer_failed" Transfer(TransferEvent::TransferFailed { reason })
    "session.session_ended" Session(SessionEvent::SessionEnded { user_id, session_id })
    "session.user_sessions_ended" Session(SessionEvent::UserSessionsEnded { user_id, reason })
    "projection.event_skipped" Projection(ProjectionEvent::EventSkipped { projection, position, event_id, reason })
}
