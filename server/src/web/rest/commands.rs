//! `POST /api/v1/commands/{command}`: one route for all commands of people.

use app::{
    api::AppError,
    domain::CommandId,
    wire::{Command, Receipt, Version},
};
use axum::{Json, extract::State, http::HeaderMap};

use super::{
    super::{AppState, Problem, SignedIn, problem::new_id},
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
    body: Result<JsonBody, Problem>,
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
    port.send(&viewer, command_id, command, expected).await.map(Json).map_err(|error| unanswered(error, command_id))
}

/// Whoever is told to come back is told with which id.
fn unanswered(error: AppError, id: CommandId) -> Problem {
    match error {
        AppError::Unavailable { .. } => Problem::from(error).of_command(&id.to_string()),
        error => error.into(),
    }
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_is_told_to_come_back_is_told_with_which_id() {
        let id = CommandId(Uuid::from_u128(7));
        let problem = unanswered(AppError::Unavailable { retry_after: 1 }, id);
        assert_eq!(problem.members["command_id"], id.to_string());
        assert!(problem.detail.contains(&format!("Idempotency-Key: {id}")), "{}", problem.detail);
        assert_eq!(unanswered(AppError::NotFound, id).detail, AppError::NotFound.to_string());
    }
}
