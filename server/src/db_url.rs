//! Where a database is, as people write it: `sqlite:PATH` or `postgres://…`.

use std::{fmt, path::PathBuf, str::FromStr};

use sqlx::postgres::PgConnectOptions;

/// Where a database is. Shows no password.
#[derive(Clone, PartialEq, Eq)]
pub enum DbUrl {
    /// A file, made if it is not there.
    Sqlite(PathBuf),
    /// As PostgreSQL writes it, `sslmode` and all.
    Postgres(String),
}

/// Text that is no URL of a database.
#[derive(Debug, thiserror::Error)]
#[error("is neither sqlite:PATH nor postgres://USER:PASSWORD@HOST/DATABASE{0}")]
pub struct NoDbUrl(String);

impl FromStr for DbUrl {
    type Err = NoDbUrl;

    fn from_str(text: &str) -> Result<Self, NoDbUrl> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let read = PgConnectOptions::from_str(text);
            return read.map(|_| Self::Postgres(text.to_owned())).map_err(|error| NoDbUrl(format!(" ({error})")));
        }
        Err(NoDbUrl(String::new()))
    }
}

impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    let (user, host, port) = (options.get_username(), options.get_host(), options.get_port());
                    write!(f, "postgres://{user}@{host}:{port}/{}", options.get_database().unwrap_or(user))
                }
                Err(_) => f.write_str("postgres://"),
            },
        }
    }
}

impl fmt::Debug for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
