//! What a form's last try was refused with, where the form was posted without JavaScript: the server function sent the
//! browser back here with the refusal in the address.

use leptos::server_fn::error::ServerFnUrlError;

use crate::{
    api::AppError,
    domain::Currency,
    locale::Locale,
    words::{describe_rejection, rejected_field},
};

use super::visit::Asked;

/// A refusal in words, by field.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// The field it is about, if it is about one, and the words.
    said: Option<(Option<String>, String)>,
}

impl Refusal {
    /// What the server function at `endpoint` answered, if it sent the browser here. `fields`: those of the form shown;
    /// a refusal about any other is about the whole form.
    pub fn read(asked: &Asked, endpoint: &str, fields: &[&str], currency: Option<Currency>, locale: &Locale) -> Self {
        let Some(error) = asked.query("__path").filter(|path| path.ends_with(endpoint)).and(asked.query("__err"))
        else {
            return Self::default();
        };
        let error = ServerFnUrlError::<AppError>::decode_err(&error);
        let (field, words) = say(&error, currency, locale);
        Self { said: Some((field.filter(|field| fields.contains(&field.as_str())), words)) }
    }

    /// The refusal that is about this field.
    pub fn of(&self, field: &str) -> Option<String> {
        self.said.as_ref().filter(|(about, _)| about.as_deref() == Some(field)).map(|(_, words)| words.clone())
    }

    /// The same, but what is about `from` is shown beside `to`.
    pub fn moved(&self, from: &str, to: &str) -> Self {
        let moved = |(field, words): &(Option<String>, String)| {
            (field.as_ref().map(|field| if field == from { to.to_owned() } else { field.clone() }), words.clone())
        };
        Self { said: self.said.as_ref().map(moved) }
    }

    /// The refusal that is about no single field.
    pub fn whole(&self) -> Option<String> {
        self.said.as_ref().filter(|(about, _)| about.is_none()).map(|(_, words)| words.clone())
    }
}

fn say(error: &AppError, currency: Option<Currency>, locale: &Locale) -> (Option<String>, String) {
    match error {
        AppError::Rejected { rejection } => {
            (rejected_field(rejection).map(str::to_owned), describe_rejection(rejection, currency, locale))
        }
        AppError::Invalid { field, message } => {
            let mut words = message.clone();
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            (Some(field.clone()), words)
        }
        AppError::WrongCredentials => (None, "E-mail or password is wrong.".to_owned()),
        AppError::TooMany { retry_after } => (None, format!("Too many tries. Try again in {retry_after} seconds.")),
        AppError::Unavailable { retry_after } => {
            (None, format!("Too busy right now; nothing was done. Try again in {retry_after} seconds."))
        }
        AppError::NotFound => (None, "There is no such thing, or it is not yours to change.".to_owned()),
        AppError::NotSignedIn => (None, "Please sign in again.".to_owned()),
        AppError::IdReused => (None, "This form was used already. Reload the page for a fresh one.".to_owned()),
        AppError::VersionMismatch { .. } => {
            (None, "The account has changed meanwhile. Look at it and try again.".to_owned())
        }
        AppError::Internal { id } => {
            (None, format!("Something went wrong here; nothing that was confirmed is lost. Error {id}."))
        }
    }
}
