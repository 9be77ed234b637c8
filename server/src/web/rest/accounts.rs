//! Accounts, statements, transfers and the trial balance, as the query side shows them.

use app::{
    domain::{AccountId, TransferId},
    ports::{AccountsFilter, StatementFilter},
    wire::{AccountView, Page, Seen, StatementRow, TransferView, TrialBalance},
};
use axum::{Json, extract::State};

use super::{
    super::{Admin, AppState, SignedIn},
    Answer,
    input::Segment,
    params::Params,
};

/// Accounts: one's own; an admin's: all.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "Views",
    params(
        ("owner" = Option<app::domain::UserId>, Query, description = "Only of this person"),
        ("min_balance" = Option<i64>, Query, description = "Minor units"),
        ("max_balance" = Option<i64>, Query, description = "Minor units"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<Page<AccountView>>)),
)]
pub async fn accounts(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    mut params: Params,
) -> Answer<Seen<Page<AccountView>>> {
    let filter = AccountsFilter {
        owner: params.take("owner")?,
        min_balance: params.take("min_balance")?,
        max_balance: params.take("max_balance")?,
        after: params.take("after")?,
        limit: params.limit()?,
    };
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.accounts(&viewer, filter, fresh).await?))
}

/// One account.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}", tag = "Views",
    params(
        ("id" = AccountId, Path),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<AccountView>)),
)]
pub async fn account(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(id): Segment<AccountId>,
    mut params: Params,
) -> Answer<Seen<AccountView>> {
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.account(&viewer, id, fresh).await?))
}

/// What moved in an account, newest first.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/statement", tag = "Views",
    params(
        ("id" = AccountId, Path),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<Page<StatementRow>>)),
)]
pub async fn statement(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(id): Segment<AccountId>,
    mut params: Params,
) -> Answer<Seen<Page<StatementRow>>> {
    let filter = StatementFilter { after: params.take("after")?, limit: params.limit()?, ..StatementFilter::default() };
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.statement(&viewer, id, filter, fresh).await?))
}

/// Transfers from and to an account, newest first.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/transfers", tag = "Views",
    params(
        ("id" = AccountId, Path),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<Page<TransferView>>)),
)]
pub async fn transfers(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(id): Segment<AccountId>,
    mut params: Params,
) -> Answer<Seen<Page<TransferView>>> {
    let after = params.take("after")?;
    let limit = params.limit()?;
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.transfers(&viewer, Some(id), after, limit, fresh).await?))
}

/// One transfer.
#[utoipa::path(
    get, path = "/api/v1/transfers/{id}", tag = "Views",
    params(
        ("id" = TransferId, Path),
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<TransferView>)),
)]
pub async fn transfer(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(id): Segment<TransferId>,
    mut params: Params,
) -> Answer<Seen<TransferView>> {
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.transfer(&viewer, id, fresh).await?))
}

/// Both sides of the book, per currency, at one position. Admins only.
#[utoipa::path(
    get, path = "/api/v1/trial-balance", tag = "Views",
    params(
        ("wait_for" = Option<u64>, Query, description = "Wait until the view has seen this position"),
        ("wait_ms" = Option<u64>, Query, description = "but not longer than this; at most 30000"),
    ),
    responses((status = 200, body = Seen<TrialBalance>)),
)]
pub async fn trial_balance(
    State(state): State<AppState>,
    Admin(viewer): Admin,
    mut params: Params,
) -> Answer<Seen<TrialBalance>> {
    let fresh = params.freshness()?;
    params.finish()?;
    Ok(Json(super::queries(&state)?.trial_balance(&viewer, fresh).await?))
}
