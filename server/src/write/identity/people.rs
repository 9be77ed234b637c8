//! The people who can sign in: a table of the write database, beside the log and never in it.
//!
//! Guarantees: e-mails are unique whatever their case; a change that ends a person's sessions is written together with
//! the end that the log still has to be told (`session_ends_due`), so that no crash can lose it; every change counts
//! up [`People::changes`], so that the bus says it again; that of another process does when it is noticed.

use app::{
    domain::{CommandId, UserId, session::EndReason},
    ports::Role,
    wire::Actor,
};
use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use tokio::sync::watch;

use super::HashedPassword;
use crate::bus::{Person, PersonChange};

/// Most characters in a name; most bytes in an e-mail.
const NAME_MAX: usize = 80;
const EMAIL_MAX: usize = 254;

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("there is someone with this e-mail already")]
    EmailTaken,
    #[error("there is no such person")]
    Unknown,
    #[error("{field} {problem}")]
    Invalid { field: &'static str, problem: &'static str },
    #[error("the people's table is not available")]
    Store(#[from] sqlx::Error),
    #[error("the people's table holds something unreadable: {0}")]
    Corrupt(String),
    #[error("no random numbers to be had")]
    Random(#[from] getrandom::Error),
}

/// Someone to be added.
#[derive(Debug, Clone)]
pub struct NewPerson {
    pub email: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub password: HashedPassword,
}

/// Someone who is known.
#[derive(Debug, Clone)]
pub struct PersonRow {
    pub person: Person,
    pub password: HashedPassword,
    /// Cannot sign in.
    pub disabled: bool,
    /// Microseconds since 1970.
    pub created_at: i64,
}

/// An end of sessions that the log does not know of yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndDue {
    pub(super) command_id: CommandId,
    pub(super) user_id: UserId,
    pub(super) reason: EndReason,
    pub(super) actor: Actor,
}

pub struct People {
    pool: SqlitePool,
    changes: watch::Sender<u64>,
}

impl People {
    /// `pool`: the write database, migrated.
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, changes: watch::Sender::new(0) }
    }

    /// Counts changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Adds someone; `now` in microseconds since 1970.
    pub async fn add(&self, new: NewPerson, now: i64) -> Result<UserId, PeopleError> {
        let email = email(&new.email)?;
        let name = name(&new.name)?;
        let id = UserId(random_id(now)?);
        sqlx::query("INSERT INTO people (id, email, name, roles, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(id.to_string())
            .bind(email)
            .bind(name)
            .bind(to_json(&new.roles)?)
            .bind(new.password.0)
            .bind(now)
            .execute(&self.pool)
            .await
            .map_err(|error| match error.as_database_error() {
                Some(refused) if refused.is_unique_violation() => PeopleError::EmailTaken,
                _ => PeopleError::Store(error),
            })?;
        self.changed().await;
        Ok(id)
    }

    /// Everyone who is known, by e-mail.
    pub async fn list(&self) -> Result<Vec<PersonRow>, PeopleError> {
        sqlx::query("SELECT * FROM people WHERE email IS NOT NULL ORDER BY email")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(person)
            .collect()
    }

    pub async fn by_id(&self, id: UserId) -> Result<Option<PersonRow>, PeopleError> {
        sqlx::query("SELECT * FROM people WHERE id = ? AND email IS NOT NULL")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(person)
            .transpose()
    }

    pub async fn by_email(&self, email: &str) -> Result<Option<PersonRow>, PeopleError> {
        sqlx::query("SELECT * FROM people WHERE email = ?")
            .bind(email.trim().to_lowercase())
            .fetch_optional(&self.pool)
            .await?
            .as_ref()
            .map(person)
            .transpose()
    }

    /// The latest word on everyone, those included who were forgotten.
    pub async fn published(&self) -> Result<Vec<PersonChange>, PeopleError> {
        let forgotten = sqlx::query("SELECT id FROM people WHERE email IS NULL")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| Ok(PersonChange::Forgotten(UserId(uuid(row, "id")?))))
            .collect::<Result<Vec<_>, PeopleError>>()?;
        let known = self.list().await?.into_iter().map(|row| PersonChange::Known(row.person));
        Ok(known.chain(forgotten).collect())
    }

    /// Sets a new password and ends all sessions. `by`: who did it, as the log will say.
    pub async fn set_password(&self, id: UserId, password: &HashedPassword, by: Actor) -> Result<(), PeopleError> {
        let change = sqlx::query("UPDATE people SET password_hash = ? WHERE id = ? AND email IS NOT NULL")
            .bind(password.0.clone())
            .bind(id.to_string());
        self.change_and_end(id, EndReason::PasswordChanged, by, change).await
    }

    /// Sets what someone may do and ends all sessions.
    pub async fn set_roles(&self, id: UserId, roles: &[Role], by: Actor) -> Result<(), PeopleError> {
        let change = sqlx::query("UPDATE people SET roles = ? WHERE id = ? AND email IS NOT NULL")
            .bind(to_json(roles)?)
            .bind(id.to_string());
        self.change_and_end(id, EndReason::RolesChanged, by, change).await
    }

    /// Keeps someone from signing in, and ends all sessions.
    pub async fn disable(&self, id: UserId, by: Actor) -> Result<(), PeopleError> {
        let change =
            sqlx::query("UPDATE people SET disabled = 1 WHERE id = ? AND email IS NOT NULL").bind(id.to_string());
        self.change_and_end(id, EndReason::UserDisabled, by, change).await
    }

    /// Deletes name, e-mail and password for good; the id stays, as events know it. Ends all sessions.
    ///
    /// The database zeroes what it frees; its write-ahead log holds old pages until it is checkpointed and reused.
    pub async fn forget(&self, id: UserId, by: Actor) -> Result<(), PeopleError> {
        let change = sqlx::query(
            "UPDATE people SET email = NULL, name = NULL, password_hash = NULL, roles = '[]', disabled = 1
             WHERE id = ? AND email IS NOT NULL",
        )
        .bind(id.to_string());
        self.change_and_end(id, EndReason::UserDisabled, by, change).await
    }

    async fn change_and_end(
        &self,
        user: UserId,
        reason: EndReason,
        by: Actor,
        change: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), PeopleError> {
        let mut connection = self.pool.acquire().await?;
        sqlx::query("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
        let mut transaction = sqlx::Connection::begin_with(&mut *connection, "BEGIN IMMEDIATE").await?;
        if change.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Err(PeopleError::Unknown);
        }
        end_due(&mut transaction, user, reason, by).await?;
        transaction.commit().await?;
        self.changed().await;
        Ok(())
    }

    /// Ends that the log has to be told, oldest first.
    pub(super) async fn ends_due(&self) -> Result<Vec<EndDue>, PeopleError> {
        sqlx::query("SELECT * FROM session_ends_due ORDER BY rowid")
            .fetch_all(&self.pool)
            .await?
            .iter()
            .map(|row| {
                Ok(EndDue {
                    command_id: CommandId(uuid(row, "command_id")?),
                    user_id: UserId(uuid(row, "user_id")?),
                    reason: from_json(row, "reason")?,
                    actor: actor(row)?,
                })
            })
            .collect()
    }

    /// The log was told.
    pub(super) async fn end_told(&self, due: &EndDue) -> Result<(), PeopleError> {
        sqlx::query("DELETE FROM session_ends_due WHERE command_id = ?")
            .bind(due.command_id.to_string())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Looks whether anyone changed anything, in this process or in another.
    pub(super) async fn notice(&self) -> Result<(), PeopleError> {
        let count: i64 = sqlx::query_scalar("SELECT count FROM people_changes").fetch_one(&self.pool).await?;
        let count = u64::try_from(count).unwrap_or_default();
        self.changes.send_if_modified(|known| std::mem::replace(known, count) != count);
        Ok(())
    }

    /// After a change of our own: it is stored, so it has not failed if it is only noticed later.
    async fn changed(&self) {
        if let Err(error) = self.notice().await {
            tracing::warn!(%error, "a change to people is published later");
        }
    }
}

async fn end_due(
    connection: &mut SqliteConnection,
    user: UserId,
    reason: EndReason,
    by: Actor,
) -> Result<(), PeopleError> {
    sqlx::query("INSERT INTO session_ends_due (command_id, user_id, reason, actor) VALUES (?, ?, ?, ?)")
        .bind(random_id(0)?.to_string())
        .bind(user.to_string())
        .bind(to_json(&reason)?)
        .bind(by.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// A UUID v7 of the moment `now`, microseconds since 1970.
pub(super) fn random_id(now: i64) -> Result<uuid::Uuid, getrandom::Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let millis = u64::try_from(now / 1000).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

fn email(text: &str) -> Result<String, PeopleError> {
    let email = text.trim().to_lowercase();
    let shaped = email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
    if !shaped || email.len() > EMAIL_MAX || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(PeopleError::Invalid { field: "email", problem: "is no e-mail address (like eva@example.org)" });
    }
    Ok(email)
}

fn name(text: &str) -> Result<String, PeopleError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(PeopleError::Invalid { field: "name", problem: "has 1 to 80 characters" });
    }
    Ok(name.to_owned())
}

fn person(row: &SqliteRow) -> Result<PersonRow, PeopleError> {
    Ok(PersonRow {
        person: Person {
            id: UserId(uuid(row, "id")?),
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            roles: from_json(row, "roles")?,
        },
        password: HashedPassword(row.try_get("password_hash")?),
        disabled: row.try_get("disabled")?,
        created_at: row.try_get("created_at")?,
    })
}

fn uuid(row: &SqliteRow, column: &str) -> Result<uuid::Uuid, PeopleError> {
    let text: String = row.try_get(column)?;
    uuid::Uuid::try_parse(&text).map_err(|error| PeopleError::Corrupt(format!("{column} {text:?}: {error}")))
}

fn actor(row: &SqliteRow) -> Result<Actor, PeopleError> {
    row.try_get::<String, _>("actor")?.parse().map_err(|error| PeopleError::Corrupt(format!("actor: {error}")))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, PeopleError> {
    serde_json::to_string(value).map_err(|error| PeopleError::Corrupt(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, PeopleError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| PeopleError::Corrupt(format!("{column} {text:?}: {error}")))
}
