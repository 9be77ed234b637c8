//! One server function for each form. Fields are texts as people type them; amounts are read by the reader's locale.

use leptos::server;
use serde::{Deserialize, Serialize};

use super::{
    AppError,
    sender::{Sender, filled, read, read_day, read_optional},
};
use crate::wire::{self, Receipt};

/// A session that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// When it runs out, microseconds since 1970.
    pub expires_at: i64,
}

#[server(prefix = "/api/fn", endpoint = "sign_in")]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Result<Session, AppError> {
    let sender = Sender::here(None);
    let result = match &sender.ports.sessions {
        Some(sessions) => sessions.sign_in(email.trim(), &password, sender.request.client).await,
        None => Err(AppError::NotFound),
    };
    if result.is_ok() {
        // What another ledger at this address showed is nothing to wait for.
        sender.cookie(&sender.request.cookies.seen(wire::Position(0)));
    }
    session(&sender, result, next.as_deref().unwrap_or("/"))
}

#[server(prefix = "/api/fn", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    let sender = Sender::here(None);
    // Someone whose session has run out is signed out already.
    let result = match (&sender.ports.sessions, &sender.request.viewer) {
        (Some(sessions), Some(viewer)) => sessions.sign_out(viewer).await.map(|_| ()),
        (None, _) => Err(AppError::NotFound),
        (Some(_), None) => Ok(()),
    };
    if result.is_ok() {
        sender.cookie(&sender.request.cookies.no_session());
        sender.go(crate::links::SIGN_IN);
    }
    sender.done(result)
}

#[server(prefix = "/api/fn", endpoint = "renew_session")]
pub async fn renew_session() -> Result<Session, AppError> {
    let sender = Sender::here(None);
    let result = match (&sender.ports.sessions, sender.viewer()) {
        (Some(sessions), Ok(viewer)) => sessions.renew(viewer).await,
        (None, _) => Err(AppError::NotFound),
        (Some(_), Err(error)) => Err(error),
    };
    session(&sender, result, "/")
}

#[server(prefix = "/api/fn", endpoint = "change_password")]
pub async fn change_password(old: String, new: String) -> Result<Session, AppError> {
    let sender = Sender::here(None);
    let result = match (&sender.ports.sessions, sender.viewer()) {
        (Some(sessions), Ok(viewer)) => sessions.change_password(viewer, &old, &new).await,
        (None, _) => Err(AppError::NotFound),
        (Some(_), Err(error)) => Err(error),
    };
    session(&sender, result, "/profile?changed=1")
}

/// Light, dark, or (anything else) as the system has it; kept for a year.
#[server(prefix = "/api/fn", endpoint = "set_theme")]
pub async fn set_theme(theme: String) -> Result<(), AppError> {
    let theme = if matches!(theme.as_str(), "light" | "dark") { theme.as_str() } else { "auto" };
    Sender::here(None).cookie(&format!("daybook_theme={theme}; Path=/; Max-Age=31536000; SameSite=Lax"));
    Ok(())
}

/// `owner`: an id, or an admin's word for it: an e-mail address.
#[server(prefix = "/api/fn", endpoint = "open_account")]
pub async fn open_account(
    command_id: String,
    account_id: Option<String>,
    name: String,
    currency: String,
    owner: Option<String>,
    overdraft_limit: Option<String>,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let sender = Sender::here(Some(&currency));
    let owner = sender.person("owner", owner).await;
    let command = (|| {
        Ok(wire::OpenAccount {
            account_id: read_optional("account_id", account_id)?,
            owner: owner?,
            name,
            currency: read("currency", &currency)?,
            overdraft_limit: filled(overdraft_limit)
                .map(|limit| sender.amount("overdraft_limit", &limit))
                .transpose()?,
        })
    })();
    sender.send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "deposit_money")]
pub async fn deposit_money(
    command_id: String,
    account_id: String,
    currency: String,
    amount: String,
    description: Option<String>,
    effective_on: Option<String>,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let sender = Sender::here(Some(&currency));
    let command = (|| {
        Ok(wire::DepositMoney {
            account_id: read("account_id", &account_id)?,
            amount: sender.amount("amount", &amount)?,
            description: filled(description),
            effective_on: read_day("effective_on", effective_on)?,
            currency: sender.currency,
        })
    })();
    sender.send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "withdraw_money")]
pub async fn withdraw_money(
    command_id: String,
    account_id: String,
    currency: String,
    amount: String,
    description: Option<String>,
    effective_on: Option<String>,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let sender = Sender::here(Some(&currency));
    let command = (|| {
        Ok(wire::WithdrawMoney {
            account_id: read("account_id", &account_id)?,
            amount: sender.amount("amount", &amount)?,
            description: filled(description),
            effective_on: read_day("effective_on", effective_on)?,
            currency: sender.currency,
        })
    })();
    sender.send(&command_id, command, next.as_deref()).await
}

/// `to` is an account that the form offered; where it is empty, `to_id` is any account. Both are one too many: money does
/// not go where the reader may not have looked.
#[server(prefix = "/api/fn", endpoint = "request_transfer")]
pub async fn request_transfer(
    command_id: String,
    from: String,
    to: Option<String>,
    to_id: Option<String>,
    currency: String,
    amount: String,
    description: Option<String>,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let sender = Sender::here(Some(&currency));
    let command = (|| {
        let (field, to) = match (filled(to), filled(to_id)) {
            (Some(_), Some(_)) => {
                let what = "an account is chosen and another one's id is given: only one of them";
                return Err(AppError::invalid("to", what));
            }
            (Some(to), None) => ("to", to),
            (None, Some(to)) => ("to_id", to),
            (None, None) => {
                let what = "the other account’s id is needed here; it has 36 characters";
                return Err(AppError::invalid("to_id", what));
            }
        };
        Ok(wire::RequestTransfer {
            transfer_id: None,
            from: read("from", &from)?,
            to: to.parse().map_err(|_| AppError::invalid(field, "this is not an account id; it has 36 characters"))?,
            amount: sender.amount("amount", &amount)?,
            description: filled(description),
            currency: sender.currency,
        })
    })();
    sender.send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "freeze_account")]
pub async fn freeze_account(
    command_id: String,
    account_id: String,
    reason: String,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let command = read("account_id", &account_id).map(|account_id| wire::FreezeAccount { account_id, reason });
    Sender::here(None).send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "unfreeze_account")]
pub async fn unfreeze_account(
    command_id: String,
    account_id: String,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let command = read("account_id", &account_id).map(|account_id| wire::UnfreezeAccount { account_id });
    Sender::here(None).send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "change_overdraft_limit")]
pub async fn change_overdraft_limit(
    command_id: String,
    account_id: String,
    currency: String,
    limit: String,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let sender = Sender::here(Some(&currency));
    let command = (|| {
        Ok(wire::ChangeOverdraftLimit {
            account_id: read("account_id", &account_id)?,
            limit: sender.amount("limit", &limit)?,
            currency: sender.currency,
        })
    })();
    sender.send(&command_id, command, next.as_deref()).await
}

#[server(prefix = "/api/fn", endpoint = "reverse_entry")]
pub async fn reverse_entry(
    command_id: String,
    account_id: String,
    event_id: String,
    reason: String,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let command = (|| {
        Ok(wire::ReverseEntry {
            account_id: read("account_id", &account_id)?,
            event_id: read("event_id", &event_id)?,
            reason,
        })
    })();
    Sender::here(None).send(&command_id, command, next.as_deref()).await
}

/// `currency`: that of the account, for the words of a refusal.
#[server(prefix = "/api/fn", endpoint = "close_account")]
pub async fn close_account(
    command_id: String,
    account_id: String,
    currency: Option<String>,
    next: Option<String>,
) -> Result<Receipt, AppError> {
    let command = read("account_id", &account_id).map(|account_id| wire::CloseAccount { account_id });
    Sender::here(currency.as_deref()).send(&command_id, command, next.as_deref()).await
}

/// Gives the browser a session and sends it on.
fn session(sender: &Sender, result: Result<crate::ports::SignedIn, AppError>, next: &str) -> Result<Session, AppError> {
    if let Ok(signed_in) = &result {
        sender.sign_in(signed_in);
        sender.go(next);
    }
    sender.done(result.map(|signed_in| Session { expires_at: signed_in.viewer.expires_at }))
}
