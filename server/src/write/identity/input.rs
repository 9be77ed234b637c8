//! What may be an e-mail and a name, and how they are stored.

use super::PeopleError;

/// Most characters in a name; most bytes in an e-mail.
const NAME_MAX: usize = 80;
const EMAIL_MAX: usize = 254;

pub(super) fn email(text: &str) -> Result<String, PeopleError> {
    let email = text.trim().to_lowercase();
    let shaped = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !shaped || email.len() > EMAIL_MAX || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(PeopleError::Invalid { field: "email", problem: "is no e-mail address (like eva@example.org)" });
    }
    Ok(email)
}

pub(super) fn name(text: &str) -> Result<String, PeopleError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(PeopleError::Invalid { field: "name", problem: "has 1 to 80 characters" });
    }
    Ok(name.to_owned())
}
