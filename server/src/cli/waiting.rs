//! Waiting for what a process needs: the order in which a deployment starts does not matter.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::sync::watch;

/// How long it waits before it tries again: at first, and at most.
const PATIENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

/// What a process waits for that starts, in words for whoever asks it.
#[derive(Debug, Clone)]
pub struct Waiting(Arc<watch::Sender<String>>);

impl Default for Waiting {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new("starting".to_owned())))
    }
}

impl Waiting {
    /// What is said now. It names no address.
    pub fn words(&self) -> watch::Receiver<String> {
        self.0.subscribe()
    }

    /// Tries `open` until it works or fails with something that is not `away`; says what it waits for, called `what` in
    /// the log.
    pub async fn until_it_answers<T, E: Error, F: Future<Output = Result<T, E>>>(
        &self,
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
                    self.0.send_replace(format!("starting, and waiting: {error}"));
                    tokio::time::sleep(patience).await;
                    patience = PATIENCE[1].min(patience * 2);
                }
                other => {
                    self.0.send_replace("starting".to_owned());
                    return other;
                }
            }
        }
    }
}
