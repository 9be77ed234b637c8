//! What a form's last try was refused with, where the form was posted without JavaScript: the server function sent the
//! browser back here with the refusal in the address.

use leptos::server_fn::error::ServerFnUrlError;

use crate::{api::AppError, domain::Currency, locale::Locale, words::describe_error};

use super::visit::Asked;

/// A refusal in words, by field.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    /// The first field of the form.
    first: String,
    /// The field it is about, if it is about one, and the words.
    said: Option<(Option<String>, String)>,
}

impl Refusal {
    /// What the server function at `endpoint` answered, if it sent the browser here. `fields`: those of the form shown,
    /// as they follow each other; a refusal about any other is about the whole form.
    pub fn read(asked: &Asked, endpoint: &str, fields: &[&str], currency: Option<Currency>, locale: &Locale) -> Self {
        let first = fields.first().copied().unwrap_or_default().to_owned();
        let Some(error) = asked.query("__path").filter(|path| path.ends_with(endpoint)).and(asked.query("__err"))
        else {
            return Self { first, said: None };
        };
        let error = ServerFnUrlError::<AppError>::decode_err(&error);
        let (field, words) = describe_error(&error, currency, locale);
        Self { first, said: Some((field.filter(|field| fields.contains(&field.as_str())), words)) }
    }

    /// The refusal that is about this field.
    pub fn of(&self, field: &str) -> Option<String> {
        self.said.as_ref().filter(|(about, _)| about.as_deref() == Some(field)).map(|(_, words)| words.clone())
    }

    /// Whether typing goes on in this field: it was refused, or none was, and it is the first of the form.
    pub fn points_at(&self, field: &str) -> bool {
        self.said.as_ref().and_then(|(about, _)| about.as_deref()).unwrap_or(&self.first) == field
    }

    /// The same, but what is about `from` is shown beside `to`.
    pub fn moved(&self, from: &str, to: &str) -> Self {
        let name = |field: &String| if field == from { to.to_owned() } else { field.clone() };
        let moved = |(field, words): &(Option<String>, String)| (field.as_ref().map(name), words.clone());
        Self { first: name(&self.first), said: self.said.as_ref().map(moved) }
    }

    /// The refusal that is about no single field.
    pub fn whole(&self) -> Option<String> {
        self.said.as_ref().filter(|(about, _)| about.is_none()).map(|(_, words)| words.clone())
    }
}
