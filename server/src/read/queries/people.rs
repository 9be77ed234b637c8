//! Who people are.

use app::ports::Person;
use sqlx::{Row as _, SqliteConnection};

use super::super::columns::{text, unreadable};

/// E-mails are kept in lower case.
pub(super) async fn by_email(tx: &mut SqliteConnection, email: &str) -> Result<Option<Person>, sqlx::Error> {
    let row = sqlx::query("SELECT id, email, name, roles FROM people WHERE email = ?")
        .bind(email.trim().to_lowercase())
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let roles = serde_json::from_str(row.try_get("roles")?).map_err(|error| unreadable("roles", error))?;
    Ok(Some(Person { id: text(&row, "id")?, email: row.try_get("email")?, name: row.try_get("name")?, roles }))
}
