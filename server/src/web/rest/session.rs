//! Sessions: a token for an e-mail and a password, a fresh one while in use, and the end.

use app::{
    domain::UserId,
    ports::{self, Role},
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::AppendHeaders,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{AppState, Caller, Problem, SignedIn, request::Via},
    input::JsonBody,
};

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    email: String,
    password: String,
}

/// A session's token.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// Goes into `Authorization: Bearer`.
    token: String,
    /// Microseconds since 1970.
    expires_at: i64,
    user_id: UserId,
    roles: Vec<Role>,
}

impl From<ports::SignedIn> for Session {
    fn from(signed_in: ports::SignedIn) -> Self {
        let ports::SignedIn { token, viewer } = signed_in;
        Self { token, expires_at: viewer.expires_at, user_id: viewer.user_id, roles: viewer.roles }
    }
}

type Cookies = AppendHeaders<Option<(HeaderName, String)>>;

/// Signs in. The failure is the same whatever was wrong.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "Session", request_body = Credentials,
    responses((status = 200, body = Session), (status = 401, description = "E-mail or password is wrong"),
        (status = 429, description = "Too many tries, see Retry-After")), security(()),
)]
pub async fn sign_in(
    State(state): State<AppState>,
    Caller(caller): Caller,
    body: JsonBody,
) -> Result<Json<Session>, Problem> {
    let credentials: Credentials = body.read()?;
    let signed_in = super::sessions(&state)?.sign_in(&credentials.email, &credentials.password, caller.client).await?;
    Ok(Json(signed_in.into()))
}

/// Ends this session, everywhere.
#[utoipa::path(delete, path = "/api/v1/session", tag = "Session", responses((status = 204, description = "Ended")))]
pub async fn sign_out(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Caller(caller): Caller,
    Extension(via): Extension<Via>,
) -> Result<(StatusCode, Cookies), Problem> {
    super::sessions(&state)?.sign_out(&viewer).await?;
    Ok((StatusCode::NO_CONTENT, cookie(via, || caller.cookies.no_session())))
}

/// A fresh token for a session in use. A browser's cookie is renewed with it.
#[utoipa::path(post, path = "/api/v1/session/renew", tag = "Session", responses((status = 200, body = Session)))]
pub async fn renew(
    State(state): State<AppState>,
    SignedIn(viewer): SignedIn,
    Caller(caller): Caller,
    Extension(via): Extension<Via>,
) -> Result<(Cookies, Json<Session>), Problem> {
    let renewed = super::sessions(&state)?.renew(&viewer).await?;
    let set = cookie(via, || caller.cookies.session(&renewed.token, renewed.viewer.expires_at, caller.now));
    Ok((set, Json(renewed.into())))
}

/// The same for a page without JavaScript, which asks for it like for a picture: the edge renews a browser's session that is
/// half over with whatever it gets.
#[utoipa::path(get, path = "/api/v1/session/renew", tag = "Session", responses((status = 204, description = "Renewed if half over")))]
pub async fn keep(State(state): State<AppState>, SignedIn(_): SignedIn) -> Result<StatusCode, Problem> {
    super::sessions(&state)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Only a browser that lives on its cookie gets another one.
fn cookie(via: Via, cookie: impl FnOnce() -> String) -> Cookies {
    AppendHeaders((via == Via::Cookie).then(|| (header::SET_COOKIE, cookie())))
}
