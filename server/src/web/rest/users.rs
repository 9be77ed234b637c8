//! People, for admins who act for them.

use app::{api::AppError, ports::User, wire::Page};
use axum::{Json, extract::State};

use super::{
    super::{Admin, AppState},
    Answer,
    params::Params,
};

/// Whoever has this e-mail: one, or nobody. Admins only.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "Operations",
    params(("email" = String, Query, description = "In upper or lower case")),
    responses((status = 200, body = Page<User>)),
)]
pub async fn users(State(state): State<AppState>, Admin(viewer): Admin, mut params: Params) -> Answer<Page<User>> {
    let email: Option<String> = params.take("email")?;
    params.finish()?;
    let email = email.ok_or_else(|| AppError::invalid("email", "whose id is asked for has to be said"))?;
    let user = super::queries(&state)?.user(&viewer, &email).await?;
    Ok(Json(Page { items: user.into_iter().collect(), next: None }))
}
