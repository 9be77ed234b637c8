//! Who people are.

use app::{domain::UserId, ports::User, wire::Person};

use super::super::{
    columns::{json_array, text, unreadable},
    sql::{DbError, Row, Sql, Tx},
};

pub(super) async fn by_ids(tx: &mut Tx, ids: &[UserId]) -> Result<Vec<Person>, DbError> {
    let rows = Sql::new("SELECT id, name, email FROM people WHERE id IN (SELECT value FROM {keys})")
        .bind(json_array(ids))
        .fetch_all(tx)
        .await?;
    let person =
        |row: &Row| Ok(Person { id: text(row, "id")?, name: row.try_get("name")?, email: row.try_get("email")? });
    rows.iter().map(person).collect()
}

/// E-mails are kept in lower case.
pub(super) async fn by_email(tx: &mut Tx, email: &str) -> Result<Option<User>, DbError> {
    let row = Sql::new("SELECT id, email, name, roles FROM people WHERE email = ?")
        .bind(email.trim().to_lowercase())
        .fetch_optional(tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let roles = serde_json::from_str(row.try_get("roles")?).map_err(|error| unreadable("roles", error))?;
    Ok(Some(User { id: text(&row, "id")?, email: row.try_get("email")?, name: row.try_get("name")?, roles }))
}
