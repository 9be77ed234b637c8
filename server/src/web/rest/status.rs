//! What this process knows of itself.

use app::wire::ReadStatus;
use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::bus::BusStatus;

use super::{
    super::{AppState, Caller, Problem, SignedIn},
    Answer,
    input::Segment,
};

/// Version and role of this process, and how far its views are.
#[derive(Serialize, ToSchema)]
#[schema(as = ServerStatus)]
pub struct Status {
    version: &'static str,
    /// `all`: both sides in one process.
    role: &'static str,
    #[serde(flatten)]
    read: Option<ReadStatus>,
    /// What a query node's bus meets on its way; for admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    bus: Option<BusStatus>,
}

/// Position of the log, and checkpoint and lag of each projection.
#[utoipa::path(get, path = "/api/v1/status", tag = "Operations", responses((status = 200, body = Status)), security(()))]
pub async fn status(State(state): State<AppState>, Caller(caller): Caller) -> Answer<Status> {
    let read = match &state.ports.queries {
        Some(queries) => Some(queries.status().await?),
        None => None,
    };
    let role = match (&state.ports.commands, &read) {
        (Some(_), Some(_)) => "all",
        (Some(_), None) => "command",
        (None, _) => "query",
    };
    let admin = caller.viewer.is_some_and(|viewer| viewer.is_admin());
    #[cfg(feature = "query")]
    let bus = state.live.as_ref().filter(|_| admin).map(|live| live.borrow().bus_status());
    #[cfg(not(feature = "query"))]
    let bus = None;
    Ok(Json(Status { version: env!("CARGO_PKG_VERSION"), role, read: read.map(|read| shown(read, admin)), bus }))
}

/// Why something is parked or waited for may quote an event, or say where a database is: only admins read that.
fn shown(mut status: ReadStatus, admin: bool) -> ReadStatus {
    if !admin {
        let parked = status.projections.iter_mut().filter_map(|projection| projection.parked.as_mut());
        parked.chain(status.waiting.as_mut()).for_each(|parked| parked.error.clear());
    }
    status
}

/// Admins only: has a parked projection try its event again. How that went, the status tells.
#[utoipa::path(
    post, path = "/api/v1/projections/{name}/retry", tag = "Operations",
    params(("name" = String, Path, description = "As in the status: `accounts`")),
    responses((status = 202, description = "It tries again")),
)]
pub async fn retry(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(name): Segment<String>,
) -> Result<StatusCode, Problem> {
    super::queries(&state)?.retry(&viewer, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use app::wire::{Parked, Position};

    use super::*;

    #[test]
    fn why_something_is_waited_for_is_for_admins() {
        let why = || Parked { position: Position(7), error: "/var/lib/daybook/read.sqlite was deleted".to_owned() };
        let status = || ReadStatus {
            head: None,
            unknown_since: None,
            catching_up: false,
            feed: Position(6),
            waiting: Some(why()),
            projections: vec![],
        };
        assert_eq!(shown(status(), true).waiting, Some(why()));
        assert_eq!(shown(status(), false).waiting, Some(Parked { error: String::new(), ..why() }));
    }
}
