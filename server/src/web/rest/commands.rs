//! `POST /api/v1/commands/{command}`: one route for all commands of people.

use app::{
    api::AppError,
    domain::CommandId,
    wire::{Command, Receipt, Version},
};
use axum::{Json, extract::State, http::HeaderMap};

use super::{
    super::{AppState, SignedIn, problem::new_id},
    Answer,
    input::{JsonBody, Segment, header_text},
    wanted::unreadable,
};

/// Sends one command. What the process manager alone sends does not exist here.
pub async fn send(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Segment(name): Segment<String>,
    headers: HeaderMap,
    body: Result<JsonBody, super::super::Problem>,
) -> Answer<Receipt> {
    let port = super::commands(&state)?;
    // Before the body: an unknown command is unknown, whatever was sent with it.
    if !Command::NAMES.contains(&name.as_str()) {
        return Err(AppError::NotFound.into());
    }
    let command = body?.command(&name).ok_or(AppError::NotFound)??;
    let command_id = match header_text(&headers, "Idempotency-Key")? {
        Some(key) => CommandId::parse(key).map_err(|_| unreadable("Idempotency-Key", key))?,
        None => CommandId(new_id()),
    };
    let expected = header_text(&headers, "If-Match")?
        .map(|version| version.parse::<Version>().map_err(|_| unreadable("If-Match", version)))
        .transpose()?;
    Ok(Json(port.send(&viewer, command_id, command, expected).await?))
}
