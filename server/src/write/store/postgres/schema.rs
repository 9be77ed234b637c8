//! Whether the tables are those of this program, and who makes them.

use std::str::FromStr as _;

use sqlx::{
    AssertSqlSafe, Connection as _, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};

use super::super::newest;
use super::{StoreError, broken};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/write/postgres");

/// What a node needs to do its work.
const GRANTS: [&str; 5] = [
    "SELECT ON _sqlx_migrations",
    "SELECT, INSERT ON events",
    "SELECT, UPDATE ON log_head, people_changes",
    "SELECT, INSERT, UPDATE ON checkpoints, leases, people",
    "SELECT, INSERT, DELETE ON session_ends_due",
];

/// Why the log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the write database is at version {found}, and this program needs {needed}: run `daybook migrate`, or give \
         --write-db-admin"
    )]
    Older { found: i64, needed: i64 },
    #[error("the write database is at version {found}, and this program knows only {known}: it needs a newer one")]
    Newer { found: i64, known: i64 },
    #[error("migration {0} of the write database is not the one that this program has")]
    Differs(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) async fn check(pool: &PgPool) -> Result<(), OpenError> {
    let sql = "SELECT version, checksum FROM _sqlx_migrations ORDER BY version";
    let applied: Vec<(i64, Vec<u8>)> = match sqlx::query_as(sql).fetch_all(pool).await {
        Ok(applied) => applied,
        // There is no such table.
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("42P01")) => vec![],
        Err(error) => return Err(broken(error).into()),
    };
    let needed = newest(&MIGRATIONS);
    let found = applied.last().map_or(0, |(version, _)| *version);
    if found > needed {
        return Err(OpenError::Newer { found, known: needed });
    }
    for migration in MIGRATIONS.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            Some((_, checksum)) if **checksum == *migration.checksum => {}
            Some(_) => return Err(OpenError::Differs(migration.version)),
            None => return Err(OpenError::Older { found, needed }),
        }
    }
    Ok(())
}

/// W1 rests on what the server does at a commit.
pub(super) async fn check_durability(pool: &PgPool) -> Result<(), OpenError> {
    let sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync'), \
        current_setting('full_page_writes')";
    let (commit, fsync, pages): (String, String, String) = sqlx::query_as(sql).fetch_one(pool).await.map_err(broken)?;
    if !matches!(commit.as_str(), "on" | "remote_apply") {
        tracing::error!(
            "THE SERVER SAYS synchronous_commit={commit}: WHAT IS ACKNOWLEDGED CAN BE LOST. It has to be on."
        );
    }
    if fsync != "on" || pages != "on" {
        tracing::error!(
            "THE SERVER SAYS fsync={fsync}, full_page_writes={pages}: A CRASH CAN DESTROY THE LOG. Both have to be on."
        );
    }
    Ok(())
}

pub(super) async fn migrate(admin_url: &str, role: Option<&str>) -> Result<(), OpenError> {
    let options = PgConnectOptions::from_str(admin_url).map_err(broken)?;
    let mut connection = sqlx::PgConnection::connect_with(&options).await.map_err(broken)?;
    // Waits while another process does the same.
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) => OpenError::Newer { found, known: newest(&MIGRATIONS) },
        MigrateError::VersionMismatch(version) => OpenError::Differs(version),
        MigrateError::Execute(error) => broken(error).into(),
        other => broken(sqlx::Error::Migrate(Box::new(other))).into(),
    })?;
    if let Some(role) = role.filter(|role| *role != options.get_username()) {
        let mut transaction = connection.begin().await.map_err(broken)?;
        // Two that grant at the same moment would fail, other than by waiting for each other.
        let lock = "SELECT pg_advisory_xact_lock(hashtext('daybook grants'))";
        sqlx::raw_sql(lock).execute(&mut *transaction).await.map_err(broken)?;
        let role = role.replace('"', "\"\"");
        for grant in GRANTS {
            let sql = AssertSqlSafe(format!("GRANT {grant} TO \"{role}\""));
            sqlx::raw_sql(sql).execute(&mut *transaction).await.map_err(broken)?;
        }
        transaction.commit().await.map_err(broken)?;
    }
    connection.close().await.map_err(broken)?;
    Ok(())
}
