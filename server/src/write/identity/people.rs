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
use sqlx::{PgPool, SqlitePool};
use tokio::sync::watch;

use super::{
    HashedPassword,
    input::{email, name},
};
use crate::bus::{Person, PersonChange};
use crate::write::in_time::InTime as _;

#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    #[error("there is someone with this e-mail already")]
    EmailTaken,
    #[error("someone has, or had, this id already")]
    IdTaken,
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
pub(in crate::write) struct EndDue {
    pub(super) command_id: CommandId,
    pub(super) user_id: UserId,
    pub(super) reason: EndReason,
    pub(super) actor: Actor,
}

/// The write database, migrated. The statements below are the same for both.
#[derive(Debug, Clone)]
pub enum PeopleDb {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl From<SqlitePool> for PeopleDb {
    fn from(pool: SqlitePool) -> Self {
        Self::Sqlite(pool)
    }
}

impl From<PgPool> for PeopleDb {
    fn from(pool: PgPool) -> Self {
        Self::Postgres(pool)
    }
}

/// Does the same with the pool of either database.
macro_rules! with_pool {
    ($db:expr, $pool:ident => $work:expr) => {
        match $db {
            PeopleDb::Sqlite($pool) => $work,
            PeopleDb::Postgres($pool) => async { $work }.in_time().await,
        }
    };
}

/// id, name, email, roles, password_hash, disabled, created_at
type Columns = (String, String, String, String, String, bool, i64);

macro_rules! select_people {
    ($rest:literal) => {
        concat!("SELECT id, name, email, roles, password_hash, disabled, created_at FROM people WHERE ", $rest)
    };
}

const END_DUE: &str = "INSERT INTO session_ends_due (command_id, user_id, reason, actor) VALUES ($1, $2, $3, $4)
    ON CONFLICT (command_id) DO NOTHING";

/// A row as it is stored, whoever it is about: to be moved to another database.
pub(in crate::write) type StoredPerson = (String, Option<String>, Option<String>, String, Option<String>, bool, i64);

pub struct People {
    db: PeopleDb,
    changes: watch::Sender<u64>,
}

impl People {
    pub fn new(db: impl Into<PeopleDb>) -> Self {
        Self { db: db.into(), changes: watch::Sender::new(0) }
    }

    /// Counts changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Adds someone; `now` in microseconds since 1970.
    pub async fn add(&self, new: NewPerson, now: i64) -> Result<UserId, PeopleError> {
        let id = UserId(random_id(now)?);
        self.insert(id, new, now, None).await?;
        Ok(id)
    }

    /// Adds someone under an id that nobody has had here: of a person whom an older backup does not know, say. Their sessions
    /// of before end. `by`: who did it, as the log will say.
    pub async fn add_as(&self, id: UserId, new: NewPerson, now: i64, by: Actor) -> Result<(), PeopleError> {
        let sql = "SELECT count(*) FROM people WHERE id = $1";
        let known: i64 =
            with_pool!(&self.db, pool => sqlx::query_scalar(sql).bind(id.to_string()).fetch_one(pool).await)?;
        if known > 0 {
            return Err(PeopleError::IdTaken);
        }
        self.insert(id, new, now, Some((EndReason::PasswordChanged, by))).await
    }

    /// `ends`: why all sessions that this person had end, and who says so.
    async fn insert(
        &self,
        id: UserId,
        new: NewPerson,
        now: i64,
        ends: Option<(EndReason, Actor)>,
    ) -> Result<(), PeopleError> {
        let (email, name) = (email(&new.email)?, name(&new.name)?);
        let sql =
            "INSERT INTO people (id, email, name, roles, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let (person, roles, password) = (id.to_string(), to_json(&new.roles)?, new.password.0);
        let due = ends.map(|(reason, by)| new_end(id, reason, by)).transpose()?;
        let added = with_pool!(&self.db, pool => async {
            let mut transaction = pool.begin().await?;
            let row = sqlx::query(sql).bind(person).bind(email).bind(name).bind(roles).bind(password).bind(now);
            row.execute(&mut *transaction).await?;
            if let Some([command_id, user_id, reason, actor]) = due {
                let due = sqlx::query(END_DUE).bind(command_id).bind(user_id).bind(reason).bind(actor);
                due.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        }.await);
        added.map_err(|error| match error.as_database_error() {
            Some(refused) if refused.is_unique_violation() => PeopleError::EmailTaken,
            _ => PeopleError::Store(error),
        })?;
        self.changed().await;
        Ok(())
    }

    /// Everyone who is known, by e-mail.
    pub async fn list(&self) -> Result<Vec<PersonRow>, PeopleError> {
        let sql = select_people!("email IS NOT NULL ORDER BY email");
        let rows: Vec<Columns> = with_pool!(&self.db, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.into_iter().map(person).collect()
    }

    pub async fn by_id(&self, id: UserId) -> Result<Option<PersonRow>, PeopleError> {
        self.one(select_people!("id = $1 AND email IS NOT NULL"), id.to_string()).await
    }

    pub async fn by_email(&self, address: &str) -> Result<Option<PersonRow>, PeopleError> {
        // Nobody is known by what is no e-mail address, and no database is to be asked for that.
        let Ok(email) = email(address) else { return Ok(None) };
        self.one(select_people!("email = $1"), email).await
    }

    async fn one(&self, sql: &'static str, key: String) -> Result<Option<PersonRow>, PeopleError> {
        let row: Option<Columns> =
            with_pool!(&self.db, pool => sqlx::query_as(sql).bind(key).fetch_optional(pool).await)?;
        row.map(person).transpose()
    }

    /// The latest word on everyone, those included who were forgotten.
    pub async fn published(&self) -> Result<Vec<PersonChange>, PeopleError> {
        let sql = "SELECT id FROM people WHERE email IS NULL";
        let ids: Vec<String> = with_pool!(&self.db, pool => sqlx::query_scalar(sql).fetch_all(pool).await)?;
        let forgotten = ids
            .iter()
            .map(|id| Ok(PersonChange::Forgotten(UserId(uuid("id", id)?))))
            .collect::<Result<Vec<_>, PeopleError>>()?;
        let known = self.list().await?.into_iter().map(|row| PersonChange::Known(row.person));
        Ok(known.chain(forgotten).collect())
    }

    /// Sets a new password and ends all sessions. `by`: who did it, as the log will say.
    pub async fn set_password(&self, id: UserId, password: &HashedPassword, by: Actor) -> Result<(), PeopleError> {
        let sql = "UPDATE people SET password_hash = $2 WHERE id = $1 AND email IS NOT NULL";
        self.change_and_end(id, EndReason::PasswordChanged, by, sql, Some(password.0.clone())).await
    }

    /// Sets what someone may do and ends all sessions.
    pub async fn set_roles(&self, id: UserId, roles: &[Role], by: Actor) -> Result<(), PeopleError> {
        let sql = "UPDATE people SET roles = $2 WHERE id = $1 AND email IS NOT NULL";
        self.change_and_end(id, EndReason::RolesChanged, by, sql, Some(to_json(roles)?)).await
    }

    /// Keeps someone from signing in, and ends all sessions.
    pub async fn disable(&self, id: UserId, by: Actor) -> Result<(), PeopleError> {
        let sql = "UPDATE people SET disabled = TRUE WHERE id = $1 AND email IS NOT NULL";
        self.change_and_end(id, EndReason::UserDisabled, by, sql, None).await
    }

    /// Deletes name, e-mail and password for good; the id stays, as events know it. Ends all sessions.
    ///
    /// SQLite zeroes what it frees, and PostgreSQL leaves it to vacuum; the write-ahead log of either holds old pages
    /// until they are reused.
    pub async fn forget(&self, id: UserId, by: Actor) -> Result<(), PeopleError> {
        let sql = "UPDATE people
            SET email = NULL, name = NULL, password_hash = NULL, roles = '[]', disabled = TRUE
            WHERE id = $1 AND email IS NOT NULL";
        self.change_and_end(id, EndReason::UserDisabled, by, sql, None).await
    }

    /// `sql`: changes the person `$1`, to `value` where it names `$2`.
    async fn change_and_end(
        &self,
        user: UserId,
        reason: EndReason,
        by: Actor,
        sql: &'static str,
        value: Option<String>,
    ) -> Result<(), PeopleError> {
        let due = new_end(user, reason, by)?;
        macro_rules! change {
            ($transaction:expr) => {{
                let mut transaction = $transaction;
                let mut change = sqlx::query(sql).bind(user.to_string());
                if let Some(value) = value {
                    change = change.bind(value);
                }
                if change.execute(&mut *transaction).await?.rows_affected() == 0 {
                    return Err(PeopleError::Unknown);
                }
                let [command_id, user_id, reason, actor] = due;
                let due = sqlx::query(END_DUE).bind(command_id).bind(user_id).bind(reason).bind(actor);
                due.execute(&mut *transaction).await?;
                transaction.commit().await?;
                Ok::<(), PeopleError>(())
            }};
        }
        match &self.db {
            PeopleDb::Sqlite(pool) => {
                let mut connection = pool.acquire().await?;
                sqlx::query("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
                change!(sqlx::Connection::begin_with(&mut *connection, "BEGIN IMMEDIATE").await?)?;
            }
            PeopleDb::Postgres(pool) => async { change!(pool.begin().await?) }.in_time().await?,
        }
        self.changed().await;
        Ok(())
    }

    /// Ends that the log has to be told, oldest first.
    pub(in crate::write) async fn ends_due(&self) -> Result<Vec<EndDue>, PeopleError> {
        let sql = "SELECT command_id, user_id, reason, actor FROM session_ends_due ORDER BY rowid";
        let rows: Vec<(String, String, String, String)> =
            with_pool!(&self.db, pool => sqlx::query_as(sql).fetch_all(pool).await)?;
        rows.iter()
            .map(|(command_id, user_id, reason, actor)| {
                Ok(EndDue {
                    command_id: CommandId(uuid("command_id", command_id)?),
                    user_id: UserId(uuid("user_id", user_id)?),
                    reason: from_json("reason", reason)?,
                    actor: actor.parse().map_err(|error| PeopleError::Corrupt(format!("actor: {error}")))?,
                })
            })
            .collect()
    }

    /// Whether the log has yet to be told that all sessions of this person ended.
    pub async fn end_is_due(&self, user: UserId) -> Result<bool, PeopleError> {
        let (sql, user) = ("SELECT count(*) FROM session_ends_due WHERE user_id = $1", user.to_string());
        let due: i64 = with_pool!(&self.db, pool => sqlx::query_scalar(sql).bind(user).fetch_one(pool).await)?;
        Ok(due > 0)
    }

    /// The log was told.
    pub(super) async fn end_told(&self, due: &EndDue) -> Result<(), PeopleError> {
        let sql = "DELETE FROM session_ends_due WHERE command_id = $1";
        let told = due.command_id.to_string();
        with_pool!(&self.db, pool => sqlx::query(sql).bind(told).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Everything that is known of anyone, as it is stored.
    pub(in crate::write) async fn stored(&self) -> Result<Vec<StoredPerson>, PeopleError> {
        let sql = "SELECT id, name, email, roles, password_hash, disabled, created_at FROM people ORDER BY id";
        Ok(with_pool!(&self.db, pool => sqlx::query_as(sql).fetch_all(pool).await)?)
    }

    /// Puts someone here as they are stored elsewhere, over what is known here.
    pub(in crate::write) async fn put(&self, person: &StoredPerson) -> Result<(), PeopleError> {
        let (id, name, email, roles, password, disabled, created_at) = person.clone();
        let sql = "INSERT INTO people (id, name, email, roles, password_hash, disabled, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, roles = excluded.roles,
            password_hash = excluded.password_hash, disabled = excluded.disabled, created_at = excluded.created_at";
        with_pool!(&self.db, pool => {
            let row = sqlx::query(sql).bind(id).bind(name).bind(email).bind(roles).bind(password).bind(disabled);
            row.bind(created_at).execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Puts here what the log still has to be told.
    pub(in crate::write) async fn put_end_due(&self, due: &EndDue) -> Result<(), PeopleError> {
        let [command_id, user_id] = [due.command_id.to_string(), due.user_id.to_string()];
        let (reason, actor) = (to_json(&due.reason)?, due.actor.to_string());
        with_pool!(&self.db, pool => {
            let row = sqlx::query(END_DUE).bind(command_id).bind(user_id).bind(reason).bind(actor);
            row.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Looks whether anyone changed anything, in this process or in another.
    pub(super) async fn notice(&self) -> Result<(), PeopleError> {
        let sql = "SELECT count FROM people_changes";
        let count: i64 = with_pool!(&self.db, pool => sqlx::query_scalar(sql).fetch_one(pool).await)?;
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

/// A UUID v7 of the moment `now`, microseconds since 1970.
pub(super) fn random_id(now: i64) -> Result<uuid::Uuid, getrandom::Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random)?;
    let millis = u64::try_from(now / 1000).unwrap_or(0);
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
}

/// What [`END_DUE`] binds, of an end that is new.
fn new_end(user: UserId, reason: EndReason, by: Actor) -> Result<[String; 4], PeopleError> {
    Ok([random_id(0)?.to_string(), user.to_string(), to_json(&reason)?, by.to_string()])
}

fn person((id, name, email, roles, password, disabled, created_at): Columns) -> Result<PersonRow, PeopleError> {
    let (id, roles) = (UserId(uuid("id", &id)?), from_json("roles", &roles)?);
    Ok(PersonRow {
        person: Person { id, name, email, roles },
        password: HashedPassword(password),
        disabled,
        created_at,
    })
}

fn uuid(column: &str, text: &str) -> Result<uuid::Uuid, PeopleError> {
    uuid::Uuid::try_parse(text).map_err(|error| PeopleError::Corrupt(format!("{column} {text:?}: {error}")))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, PeopleError> {
    serde_json::to_string(value).map_err(|error| PeopleError::Corrupt(error.to_string()))
}

fn from_json<T: serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T, PeopleError> {
    serde_json::from_str(text).map_err(|error| PeopleError::Corrupt(format!("{column} {text:?}: {error}")))
}
