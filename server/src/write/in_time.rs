//! How long PostgreSQL may take to answer: a server that is gone without a word, with its machine, would be waited for as
//! long as the system's network has patience.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

/// Longer than the server waits for a lock, so that it answers first.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub trait InTime<T, E>: Future<Output = Result<T, E>> + Send + Sized {
    /// What it answers, or that it did not.
    fn in_time(self) -> impl Future<Output = Result<T, E>> + Send;
}

impl<T, E: From<sqlx::Error>, F: Future<Output = Result<T, E>> + Send> InTime<T, E> for F {
    fn in_time(self) -> impl Future<Output = Result<T, E>> + Send {
        let answer = timeout(PATIENCE, self);
        async { answer.await.unwrap_or_else(|late| Err(sqlx::Error::Io(late.into()).into())) }
    }
}
