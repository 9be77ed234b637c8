//! One request for a page: who asks for what, and what becomes of it.

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use leptos_router::{
    hooks::{use_location, use_params_map},
    params::ParamsMap,
};

use crate::{
    api::AppError,
    domain::{Date, EventId, TransferId, UserId},
    islands::Names,
    links,
    locale::Locale,
    ports::{AccountsFilter, Assets, Freshness, Ports, QueryPort, Request, Viewer},
    wire::{Person, StreamKind, decode},
    words::{Said, say_event},
};

use super::{
    fault,
    frame::{Sheet, document},
};

/// How long a page waits until it can show what this browser has seen elsewhere already.
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds after which a page that could not be shown yet is asked for again, at the earliest.
const AGAIN: u32 = 3;

/// How fresh an answer to this request has to be (R5).
pub fn patience(request: &Request) -> Freshness {
    Freshness { position: request.seen, wait: PATIENCE }
}

/// Someone signed in asks for a page.
pub(super) struct Visit {
    pub viewer: Viewer,
    pub queries: Arc<dyn QueryPort>,
    pub request: Request,
    pub locale: Locale,
    pub asked: Asked,
}

/// The address asked for, in its parts.
#[derive(Clone)]
pub(super) struct Asked {
    pub path: String,
    params: ParamsMap,
    query: ParamsMap,
}

impl Asked {
    fn here() -> Self {
        let location = use_location();
        // There are no parameters where no route was found.
        let params = use_context::<ArcMemo<ParamsMap>>().map(|_| use_params_map().get_untracked()).unwrap_or_default();
        Self { path: location.pathname.get_untracked(), params, query: location.query.get_untracked() }
    }

    /// Part of the path. What does not read is not there.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, AppError> {
        self.params.get_str(name).and_then(|text| text.parse().ok()).ok_or(AppError::NotFound)
    }

    /// A parameter of the query, if it is there and not blank.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query.get_str(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The address with these parameters instead of those of the same name; `None` takes one away.
    pub fn with(&self, changes: &[(&str, Option<&str>)]) -> String {
        let kept = self.query.latest_values().map(|(name, value)| (name.as_ref(), value));
        let kept = kept.filter(|(name, _)| !name.starts_with("__"));
        let kept = kept.filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let added = changes.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
        address(&self.path, kept.chain(added))
    }
}

/// A path with a query.
pub(super) fn address<'a>(path: &str, query: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut address = path.to_owned();
    for (index, (name, value)) in query.enumerate() {
        address.push(if index == 0 { '?' } else { '&' });
        address.push_str(&links::escape(name));
        address.push('=');
        address.push_str(&links::escape(value));
    }
    address
}

impl Visit {
    /// Wait for what this browser has seen, but not for long.
    pub fn fresh(&self) -> Freshness {
        patience(&self.request)
    }

    /// Names of the accounts that the viewer sees.
    pub async fn names(&self) -> Result<Names, AppError> {
        let filter = AccountsFilter { limit: 500, ..AccountsFilter::default() };
        let accounts = self.queries.accounts(&self.viewer, filter, self.fresh()).await?.value.items;
        Ok(accounts.into_iter().map(|account| (account.id, account.name)).collect())
    }

    /// Who these are, for admins; to others nobody is named.
    pub async fn people(&self, ids: Vec<UserId>) -> Result<Vec<Person>, AppError> {
        if self.viewer.is_admin() { self.queries.people(&self.viewer, &ids).await } else { Ok(Vec::new()) }
    }

    /// What the form without JavaScript that led here has done, in words, and where more is said of it. What is not
    /// visible yet is not told: then the page says that it is behind.
    async fn done(&self) -> Option<(Said, String)> {
        let id: EventId = self.asked.query(links::DONE)?.parse().ok()?;
        let event = self.event(id).await.ok()?;
        let read = decode(&event.event_type, event.schema, event.payload.as_bytes()).ok()?;
        let more = match event.stream.kind {
            StreamKind::Transfer => links::transfer(TransferId(event.stream.id)),
            _ => links::moment(event.stream, event.version),
        };
        Some((say_event(&read, event.currency, &self.locale), more))
    }

    /// The day of the request, UTC.
    pub fn today(&self) -> Date {
        Date::of_micros(self.request.now)
    }
}

/// What a page that is not shown to someone signed in gets to know.
pub(super) struct Stranger {
    pub request: Request,
    pub asked: Asked,
}

/// Shows a page to someone signed in; sends everyone else to sign in first.
pub(super) fn show<Page, Work>(page: Page) -> AnyView
where
    Page: FnOnce(Visit) -> Work + Send + 'static,
    Work: Future<Output = Result<Sheet, AppError>> + Send,
{
    let Stranger { request, asked } = stranger();
    let queries = expect_context::<Ports>().queries;
    let assets = expect_context::<Assets>();
    let answer = expect_context::<ResponseOptions>();
    Suspend::new(async move {
        let locale = request.locale;
        let result = match (request.viewer.clone(), queries) {
            (None, _) => Err(AppError::NotSignedIn),
            (_, None) => Err(AppError::Unavailable { retry_after: 5 }),
            (Some(viewer), Some(queries)) => {
                let visit = || Visit {
                    viewer: viewer.clone(),
                    queries: queries.clone(),
                    request: request.clone(),
                    locale,
                    asked: asked.clone(),
                };
                match page(visit()).await {
                    Ok(sheet) => Ok(Sheet { done: visit().done().await, ..sheet }),
                    Err(error) => Err(error),
                }
            }
        };
        let sheet = match result {
            Ok(sheet) => {
                if let Some(to) = &sheet.go {
                    see_other(&answer, to);
                }
                sheet
            }
            Err(AppError::NotSignedIn) => {
                let here = asked.with(&[]);
                let next = (here != "/").then_some(("next", here.as_str()));
                // A form was sent, and what was typed in it is in the address that one comes back to.
                let ended = asked.query("__err").map(|_| ("ended", "1"));
                see_other(&answer, &address(links::SIGN_IN, next.into_iter().chain(ended)));
                fault::sheet(&AppError::NotSignedIn, &asked.path)
            }
            Err(error) => {
                refuse(&answer, &error);
                fault::sheet(&error, &asked.with(&[]))
            }
        };
        document(&request, &assets, sheet)
    })
    .into_any()
}

/// What is known of whoever asks, signed in or not.
pub(super) fn stranger() -> Stranger {
    Stranger { request: expect_context::<Request>(), asked: Asked::here() }
}

/// Sends the browser on to another page of ours.
pub(super) fn see_other(answer: &ResponseOptions, to: &str) {
    if let Ok(to) = HeaderValue::try_from(to) {
        answer.set_status(StatusCode::SEE_OTHER);
        answer.insert_header(header::LOCATION, to);
    }
}

fn refuse(answer: &ResponseOptions, error: &AppError) {
    answer.set_status(StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    if let AppError::Unavailable { retry_after } | AppError::TooMany { retry_after } = error {
        answer.insert_header(header::RETRY_AFTER, HeaderValue::from(*retry_after));
    }
    if let AppError::Unavailable { retry_after } = error {
        // A page asks again by itself, with scripts and without; not so fast that it cannot be read.
        answer.insert_header(header::REFRESH, HeaderValue::from((*retry_after).max(AGAIN)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_escape_what_is_not_theirs() {
        assert_eq!(address("/a", [("q", "a&b=c d"), ("x", "é")].into_iter()), "/a?q=a%26b%3Dc%20d&x=%C3%A9");
        assert_eq!(address("/a", std::iter::empty()), "/a");
    }
}
