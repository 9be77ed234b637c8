//! Waiting for what a process needs: the order in which a deployment starts does not matter.

use std::{error::Error, time::Duration};

/// How long it waits before it tries again: at first, and at most.
const PATIENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// Tries `open` until it works or fails with something that is not `away`; says what it waits for, called `what`.
pub async fn until_it_answers<T, E: Error, F: Future<Output = Result<T, E>>>(
    what: &str,
    away: impl Fn(&E) -> bool,
    open: impl Fn() -> F,
) -> Result<T, E> {
    let mut patience = PATIENCE[0];
    loop {
        match open().await {
            Err(error) if away(&error) => {
                let why = error.source().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%error, why, "waiting for {what}");
                tokio::time::sleep(patience).await;
                patience = PATIENCE[1].min(patience * 2);
            }
            other => return other,
        }
    }
}
