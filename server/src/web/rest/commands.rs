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
    input::{JsonBody, Segment},
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

impl JsonBody {
    /// The command `name`; `None` if people have no such command.
    pub fn command(&self, name: &str) -> Option<Result<Command, AppError>> {
        if let Err(error) = self.is_object() {
            return Some(Err(error));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        let mut track = serde_path_to_error::Track::new();
        let read = Command::read(name, serde_path_to_error::Deserializer::new(&mut json, &mut track))?;
        Some(read.and_then(|command| json.end().map(|()| command)).map_err(|error| self.malformed(track, &error)))
    }
}

/// A header that has to be readable if it is there.
fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, AppError> {
    let mut values = headers.get_all(name).iter();
    let value =
        values.next().map(|value| value.to_str().map_err(|_| AppError::invalid(name, "this header is not plain text")));
    if values.next().is_some() {
        return Err(AppError::invalid(name, "this header is given twice"));
    }
    Ok(value.transpose()?.map(|text| text.trim().trim_matches('"')))
}
