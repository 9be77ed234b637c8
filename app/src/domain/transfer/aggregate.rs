//! A transfer: requested, then completed or failed.

use serde::{Deserialize, Serialize};

use super::super::{
    AccountId, Currency, Rejection,
    account::DeclineReason,
    rejection::{TEXT_MAX, plain},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferCommand {
    /// People send this one. `amount`: minor units of `currency`, which is the source account's.
    RequestTransfer {
        from: AccountId,
        to: AccountId,
        amount: i64,
        currency: Currency,
        description: Option<String>,
    },
    CompleteTransfer,
    FailTransfer {
        reason: DeclineReason,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferEvent {
    #[serde(rename = "transfer.transfer_requested")]
    TransferRequested {
        from: AccountId,
        to: AccountId,
        amount: i64,
        currency: Currency,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    #[serde(rename = "transfer.transfer_completed")]
    TransferCompleted {},
    #[serde(rename = "transfer.transfer_failed")]
    TransferFailed { reason: DeclineReason },
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferStatus {
    #[default]
    Absent,
    Requested,
    Completed,
    Failed,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Transfer {
    pub status: TransferStatus,
    pub from: Option<AccountId>,
    pub to: Option<AccountId>,
    pub amount: i64,
    pub currency: Option<Currency>,
    pub reason: Option<DeclineReason>,
}

pub fn decide(state: &Transfer, command: TransferCommand) -> Result<Vec<TransferEvent>, Rejection> {
    use TransferStatus::{Absent, Completed, Failed, Requested};
    match (state.status, command) {
        (Absent, TransferCommand::RequestTransfer { from, to, amount, currency, description }) => {
            if amount <= 0 {
                return Err(Rejection::AmountNotPositive);
            }
            if from == to {
                return Err(Rejection::SameAccount);
            }
            description.as_deref().map_or(Ok(()), |text| plain("description", text, TEXT_MAX))?;
            Ok(vec![TransferEvent::TransferRequested { from, to, amount, currency, description }])
        }
        (_, TransferCommand::RequestTransfer { .. }) => Err(Rejection::TransferAlreadyRequested),
        (Requested, TransferCommand::CompleteTransfer) => Ok(vec![TransferEvent::TransferCompleted {}]),
        (Requested, TransferCommand::FailTransfer { reason }) => Ok(vec![TransferEvent::TransferFailed { reason }]),
        (Completed, TransferCommand::CompleteTransfer) | (Failed, TransferCommand::FailTransfer { .. }) => Ok(vec![]),
        (Absent | Failed, TransferCommand::CompleteTransfer)
        | (Absent | Completed, TransferCommand::FailTransfer { .. }) => Err(Rejection::TransferStepOutOfOrder),
    }
}

#[must_use]
pub fn evolve(mut state: Transfer, event: &TransferEvent) -> Transfer {
    match event {
        TransferEvent::TransferRequested { from, to, amount, currency, .. } => Transfer {
            status: TransferStatus::Requested,
            from: Some(*from),
            to: Some(*to),
            amount: *amount,
            currency: Some(*currency),
            reason: None,
        },
        TransferEvent::TransferCompleted {} => {
            state.status = TransferStatus::Completed;
            state
        }
        TransferEvent::TransferFailed { reason } => {
            state.status = TransferStatus::Failed;
            state.reason = Some(*reason);
            state
        }
    }
}
