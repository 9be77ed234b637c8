//! What all server functions have in common: who asks, reading fields, and the answer's cookies, status and way back.

use std::str::FromStr;

use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use leptos::prelude::{expect_context, use_context};
use leptos_axum::ResponseOptions;

use super::AppError;
use crate::{
    domain::{CommandId, Currency, Date, UserId},
    links,
    ports::{Ports, Request, SignedIn, Viewer},
    wire::{Command, Receipt},
    words::{describe_amount_error, describe_error},
};

/// A refusal in words for the page's own script, percent-encoded: the field it is about (or nothing), a line feed, the
/// words. The body says the same as [`AppError`].
const REFUSAL: HeaderName = HeaderName::from_static("x-refusal");

/// Money is entered by its date of this year or later.
const EARLIEST_YEAR: i32 = 1900;

/// One call of a server function.
pub(super) struct Sender {
    pub ports: Ports,
    pub request: Request,
    /// That of the account, so the form says. What amounts are read by goes along with the command.
    pub currency: Option<Currency>,
    answer: ResponseOptions,
    /// A plain form without JavaScript: it is sent to a page, not given JSON.
    plain: bool,
}

impl Sender {
    pub fn here(currency: Option<&str>) -> Self {
        let accept = use_context::<Parts>().and_then(|parts| parts.headers.get(header::ACCEPT).cloned());
        Self {
            ports: expect_context(),
            request: expect_context(),
            currency: currency.and_then(|code| code.parse().ok()),
            answer: expect_context(),
            plain: accept.is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html"))),
        }
    }

    pub fn viewer(&self) -> Result<&Viewer, AppError> {
        self.request.viewer.as_ref().ok_or(AppError::NotSignedIn)
    }

    /// An amount as this reader writes it, in minor units of the form's currency.
    pub fn amount(&self, field: &str, text: &str) -> Result<i64, AppError> {
        let currency = self.currency.ok_or_else(|| AppError::invalid("currency", "which currency?"))?;
        let locale = &self.request.locale;
        locale
            .parse_amount(text, currency)
            .map_err(|error| AppError::invalid(field, describe_amount_error(error, currency, locale)))
    }

    /// Someone by id or by e-mail address. Only admins are told who has an address: to others it is no id.
    pub async fn person(&self, field: &str, text: Option<String>) -> Result<Option<UserId>, AppError> {
        let Some(email) =
            text.as_deref().filter(|text| text.contains('@') && self.viewer().is_ok_and(Viewer::is_admin))
        else {
            return read_optional(field, text);
        };
        let sessions = self.ports.sessions.as_ref().ok_or(AppError::NotFound)?;
        let found = sessions.by_email(email).await?;
        found.map(Some).ok_or_else(|| AppError::invalid(field, "nobody who can sign in has this e-mail address"))
    }

    /// Sends a command for the viewer; then this browser has seen its position, and a plain form goes to `next`.
    pub async fn send<C: Into<Command>>(
        self,
        command_id: &str,
        command: Result<C, AppError>,
        next: Option<&str>,
    ) -> Result<Receipt, AppError> {
        let result = self.try_send(command_id, command).await;
        if let Ok(receipt) = &result {
            self.cookie(&self.request.cookies.seen(receipt.position.max(self.request.seen)));
            let next = next.unwrap_or("/");
            // The page that one lands on says what happened.
            let said = receipt.events.first().map(|event| links::with_done(next, event.event_id));
            self.go(&said.unwrap_or_else(|| next.to_owned()));
        }
        self.done(result)
    }

    async fn try_send<C: Into<Command>>(
        &self,
        command_id: &str,
        command: Result<C, AppError>,
    ) -> Result<Receipt, AppError> {
        let command_id: CommandId = read("command_id", command_id)?;
        let commands = self.ports.commands.as_ref().ok_or(AppError::NotFound)?;
        commands.send(self.viewer()?, command_id, command?.into(), None).await
    }

    /// Gives the browser this session.
    pub fn sign_in(&self, session: &SignedIn) {
        self.cookie(&self.request.cookies.session(&session.token, session.viewer.expires_at, self.request.now));
    }

    pub fn cookie(&self, cookie: &str) {
        if let Ok(cookie) = HeaderValue::from_str(cookie) {
            self.answer.append_header(header::SET_COOKIE, cookie);
        }
    }

    /// Sends a plain form on, to a page of this site only.
    pub fn go(&self, next: &str) {
        let next = if links::is_ours(next) { next } else { "/" };
        if let (true, Ok(next)) = (self.plain, HeaderValue::from_str(next)) {
            self.answer.insert_header(header::LOCATION, next);
            self.answer.set_status(StatusCode::SEE_OTHER);
        }
    }

    /// A refusal goes back with its status and in words; a plain form is sent back to its page with it by Leptos.
    pub fn done<T>(&self, result: Result<T, AppError>) -> Result<T, AppError> {
        if let (Err(error), false) = (&result, self.plain) {
            self.answer.set_status(StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            let (field, words) = describe_error(error, self.currency, &self.request.locale);
            let refusal = links::escape(&format!("{}\n{words}", field.unwrap_or_default()));
            if let Ok(refusal) = HeaderValue::from_str(&refusal) {
                self.answer.insert_header(REFUSAL, refusal);
            }
            if let AppError::Unavailable { retry_after } | AppError::TooMany { retry_after } = error {
                self.answer.insert_header(header::RETRY_AFTER, HeaderValue::from(*retry_after));
            }
        }
        result
    }
}

/// A field that has to be there.
pub(super) fn read<T: FromStr<Err: ToString>>(field: &str, text: &str) -> Result<T, AppError> {
    text.trim().parse().map_err(|error: T::Err| AppError::invalid(field, error))
}

/// A field that may be left empty.
pub(super) fn read_optional<T: FromStr<Err: ToString>>(
    field: &str,
    text: Option<String>,
) -> Result<Option<T>, AppError> {
    filled(text).map(|text| read(field, &text)).transpose()
}

/// The day that something took effect, where it was not today. Older ones are slips of the pen.
pub(super) fn read_day(field: &str, text: Option<String>) -> Result<Option<Date>, AppError> {
    let day: Option<Date> = read_optional(field, text)?;
    if day.is_some_and(|day| day.year() < EARLIEST_YEAR) {
        return Err(AppError::invalid(field, format_args!("the earliest year is {EARLIEST_YEAR}")));
    }
    Ok(day)
}

/// A text that may be left empty.
pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
