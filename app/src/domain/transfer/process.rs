//! The transfer process: which command follows from which event.
//!
//! ```text
//! TransferRequested → HoldFunds       (source)
//! FundsHeld         → ExpectTransfer  (destination)      HoldDeclined     → FailTransfer
//! TransferExpected  → CaptureHold     (source)           TransferDeclined → ReleaseHold (source)
//! HoldCaptured      → CreditTransfer  (destination)      HoldReleased     → FailTransfer
//! TransferCredited  → CompleteTransfer
//! ```
//! It keeps no state of its own: each event says all that the next command needs.

use super::{
    super::{
        AccountId, TransferId,
        account::{AccountCommand, AccountEvent, DeclineReason},
    },
    TransferCommand, TransferEvent,
};

/// One command of the process. There is at most one of each kind for a transfer, so (transfer, kind) identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Account(AccountId, AccountCommand),
    Transfer(TransferId, TransferCommand),
}

impl Step {
    /// Names the kind of the command: what its id is derived from, with the transfer's id.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Account(_, AccountCommand::HoldFunds { .. }) => "hold_funds",
            Self::Account(_, AccountCommand::ExpectTransfer { .. }) => "expect_transfer",
            Self::Account(_, AccountCommand::CaptureHold { .. }) => "capture_hold",
            Self::Account(_, AccountCommand::CreditTransfer { .. }) => "credit_transfer",
            Self::Account(_, AccountCommand::ReleaseHold { .. }) => "release_hold",
            Self::Account(..) => "no_step",
            Self::Transfer(_, TransferCommand::CompleteTransfer) => "complete_transfer",
            Self::Transfer(_, TransferCommand::FailTransfer { .. }) => "fail_transfer",
            Self::Transfer(_, TransferCommand::RequestTransfer { .. }) => "request_transfer",
        }
    }
}

/// What follows from an event of the transfer `id`.
pub fn after_transfer_event(id: TransferId, event: &TransferEvent) -> Option<Step> {
    match *event {
        TransferEvent::TransferRequested { from, to, amount, currency, .. } => {
            Some(Step::Account(from, AccountCommand::HoldFunds { transfer_id: id, to, amount, currency }))
        }
        TransferEvent::TransferCompleted {} | TransferEvent::TransferFailed { .. } => None,
    }
}

/// What follows from an event of the account `id`, with the transfer that it belongs to.
pub fn after_account_event(id: AccountId, event: &AccountEvent) -> Option<(TransferId, Step)> {
    use AccountEvent as E;
    let (transfer_id, step) = match *event {
        E::FundsHeld { transfer_id, to, amount, currency } => {
            (transfer_id, Step::Account(to, AccountCommand::ExpectTransfer { transfer_id, from: id, amount, currency }))
        }
        E::HoldDeclined { transfer_id, reason } => {
            (transfer_id, Step::Transfer(transfer_id, TransferCommand::FailTransfer { reason }))
        }
        E::TransferExpected { transfer_id, from, .. } => {
            (transfer_id, Step::Account(from, AccountCommand::CaptureHold { transfer_id }))
        }
        E::TransferDeclined { transfer_id, from, reason } => {
            let reason = told_to_the_other_side(reason);
            (transfer_id, Step::Account(from, AccountCommand::ReleaseHold { transfer_id, reason }))
        }
        E::HoldCaptured { transfer_id, to, .. } => {
            (transfer_id, Step::Account(to, AccountCommand::CreditTransfer { transfer_id }))
        }
        E::TransferCredited { transfer_id, .. } => {
            (transfer_id, Step::Transfer(transfer_id, TransferCommand::CompleteTransfer))
        }
        E::HoldReleased { transfer_id, reason, .. } => {
            (transfer_id, Step::Transfer(transfer_id, TransferCommand::FailTransfer { reason }))
        }
        E::AccountOpened { .. }
        | E::MoneyDeposited { .. }
        | E::MoneyWithdrawn { .. }
        | E::EntryReversed { .. }
        | E::OverdraftLimitChanged { .. }
        | E::AccountFrozen { .. }
        | E::AccountUnfrozen {}
        | E::AccountClosed {} => return None,
    };
    Some((transfer_id, step))
}

/// Frozen, closed or full: the sender learns only that the account cannot take the money.
fn told_to_the_other_side(reason: DeclineReason) -> DeclineReason {
    match reason {
        DeclineReason::AccountNotFound | DeclineReason::CurrencyMismatch => reason,
        DeclineReason::AccountFrozen
        | DeclineReason::AccountClosed
        | DeclineReason::InsufficientFunds
        | DeclineReason::BalanceTooLarge
        | DeclineReason::Unavailable => DeclineReason::Unavailable,
    }
}
