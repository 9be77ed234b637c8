//! Every rule of an account.

use super::{
    super::{
        Date, Rejection, check_reason,
        rejection::{NAME_MAX, TEXT_MAX, plain, required},
    },
    Account, AccountCommand as C, AccountEvent as E, DeclineReason, Direction, Incoming, Outgoing, Status,
};

/// The events that `command` leads to in `state`, or the rule that refuses it.
///
/// No events: a step of a transfer that was taken before. Nothing that people ask for leads to none, or the same id sent
/// again later would find no first result (W4).
pub fn decide(state: &Account, command: C) -> Result<Vec<E>, Rejection> {
    match command {
        C::OpenAccount { owner, name, currency, overdraft_limit } => {
            match state.status {
                Status::Absent => {}
                Status::Open | Status::Frozen => return Err(Rejection::AccountAlreadyOpen),
                Status::Closed => return Err(Rejection::AccountClosed),
            }
            required("name", &name, NAME_MAX)?;
            limit_is_sane(overdraft_limit)?;
            Ok(vec![E::AccountOpened { owner, name, currency, overdraft_limit }])
        }
        C::DepositMoney { amount, effective_on, today, description } => {
            open(state)?;
            entry(amount, effective_on, today, description.as_deref())?;
            if amount > state.headroom() {
                return Err(Rejection::BalanceTooLarge);
            }
            Ok(vec![E::MoneyDeposited { amount, effective_on, description }])
        }
        C::WithdrawMoney { amount, effective_on, today, description } => {
            open(state)?;
            entry(amount, effective_on, today, description.as_deref())?;
            covered(state, amount)?;
            Ok(vec![E::MoneyWithdrawn { amount, effective_on, description }])
        }
        C::ReverseEntry { event_id, entry, effective_on, reason } => {
            exists(state)?;
            check_reason(&reason)?;
            let entry = entry.ok_or(Rejection::EntryNotFound)?.ok_or(Rejection::EntryNotReversible)?;
            if state.reversed.contains(&event_id) {
                return Err(Rejection::EntryAlreadyReversed);
            }
            match entry.direction {
                Direction::In => covered(state, entry.amount)?,
                Direction::Out if entry.amount > state.headroom() => return Err(Rejection::BalanceTooLarge),
                Direction::Out => {}
            }
            let (direction, amount) = (entry.direction, entry.amount);
            Ok(vec![E::EntryReversed { event_id, direction, amount, effective_on, reason }])
        }
        C::ChangeOverdraftLimit { limit } => {
            exists(state)?;
            limit_is_sane(limit)?;
            if limit == state.overdraft_limit {
                return Err(Rejection::LimitUnchanged { limit });
            }
            let in_use = state.held.saturating_sub(state.balance).max(0);
            if limit < in_use {
                return Err(Rejection::LimitBelowUse { limit, in_use });
            }
            Ok(vec![E::OverdraftLimitChanged { limit }])
        }
        C::FreezeAccount { reason } => {
            open(state)?;
            check_reason(&reason)?;
            Ok(vec![E::AccountFrozen { reason }])
        }
        C::UnfreezeAccount => {
            exists(state)?;
            if state.status != Status::Frozen {
                return Err(Rejection::AccountNotFrozen);
            }
            Ok(vec![E::AccountUnfrozen {}])
        }
        C::CloseAccount => {
            open(state)?;
            if state.held != 0 {
                return Err(Rejection::MoneyHeld { held: state.held });
            }
            if state.expected != 0 {
                return Err(Rejection::MoneyExpected { expected: state.expected });
            }
            if state.balance != 0 {
                return Err(Rejection::BalanceNotZero { balance: state.balance });
            }
            Ok(vec![E::AccountClosed {}])
        }
        C::HoldFunds { transfer_id, to, amount, currency } => {
            if state.outgoing.contains_key(&transfer_id) {
                return Ok(vec![]);
            }
            // With a huge overdraft more could be available than `held` can count.
            let holdable = state.available().min(i64::MAX - state.held);
            let refusal = unusable(state, currency).or((amount > holdable).then_some(DeclineReason::InsufficientFunds));
            Ok(vec![match refusal {
                Some(reason) => E::HoldDeclined { transfer_id, reason },
                None => E::FundsHeld { transfer_id, to, amount, currency },
            }])
        }
        C::ExpectTransfer { transfer_id, from, amount, currency } => {
            if state.incoming.contains_key(&transfer_id) {
                return Ok(vec![]);
            }
            let refusal =
                unusable(state, currency).or((amount > state.headroom()).then_some(DeclineReason::BalanceTooLarge));
            Ok(vec![match refusal {
                Some(reason) => E::TransferDeclined { transfer_id, from, reason },
                None => E::TransferExpected { transfer_id, from, amount },
            }])
        }
        C::CaptureHold { transfer_id } => match state.outgoing.get(&transfer_id) {
            Some(&Outgoing::Held { to, amount }) => Ok(vec![E::HoldCaptured { transfer_id, to, amount }]),
            Some(Outgoing::Captured) => Ok(vec![]),
            Some(Outgoing::Released | Outgoing::Declined) | None => Err(Rejection::TransferStepOutOfOrder),
        },
        C::ReleaseHold { transfer_id, reason } => match state.outgoing.get(&transfer_id) {
            Some(&Outgoing::Held { amount, .. }) => Ok(vec![E::HoldReleased { transfer_id, amount, reason }]),
            Some(Outgoing::Released) => Ok(vec![]),
            Some(Outgoing::Captured | Outgoing::Declined) | None => Err(Rejection::TransferStepOutOfOrder),
        },
        C::CreditTransfer { transfer_id } => match state.incoming.get(&transfer_id) {
            Some(&Incoming::Expected { from, amount }) => Ok(vec![E::TransferCredited { transfer_id, from, amount }]),
            Some(Incoming::Credited) => Ok(vec![]),
            Some(Incoming::Declined) | None => Err(Rejection::TransferStepOutOfOrder),
        },
    }
}

fn exists(state: &Account) -> Result<(), Rejection> {
    match state.status {
        Status::Absent => Err(Rejection::AccountNotFound),
        Status::Closed => Err(Rejection::AccountClosed),
        Status::Open | Status::Frozen => Ok(()),
    }
}

fn open(state: &Account) -> Result<(), Rejection> {
    exists(state)?;
    if state.status == Status::Frozen { Err(Rejection::AccountFrozen) } else { Ok(()) }
}

fn entry(amount: i64, effective_on: Date, today: Date, description: Option<&str>) -> Result<(), Rejection> {
    if amount <= 0 {
        return Err(Rejection::AmountNotPositive);
    }
    if effective_on > today {
        return Err(Rejection::EffectiveInFuture { effective_on, today });
    }
    description.map_or(Ok(()), |text| plain("description", text, TEXT_MAX))
}

fn covered(state: &Account, requested: i64) -> Result<(), Rejection> {
    let available = state.available();
    if requested > available { Err(Rejection::InsufficientFunds { requested, available }) } else { Ok(()) }
}

fn limit_is_sane(limit: i64) -> Result<(), Rejection> {
    if limit < 0 { Err(Rejection::LimitNegative) } else { Ok(()) }
}

/// Why this account can take no part in a new transfer in `currency`.
fn unusable(state: &Account, currency: super::super::Currency) -> Option<DeclineReason> {
    match state.status {
        Status::Absent => Some(DeclineReason::AccountNotFound),
        Status::Frozen => Some(DeclineReason::AccountFrozen),
        Status::Closed => Some(DeclineReason::AccountClosed),
        Status::Open => (state.currency != Some(currency)).then_some(DeclineReason::CurrencyMismatch),
    }
}
