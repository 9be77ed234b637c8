//! Tasks that end together, and of which it is known when one has ended as it should not.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Default)]
pub struct Tasks {
    cancelled: CancellationToken,
    panicked: CancellationToken,
    running: TaskTracker,
}

impl Tasks {
    /// Tasks that are to end with `cancelled`.
    #[cfg(feature = "query")]
    pub fn until(cancelled: CancellationToken) -> Self {
        Self { cancelled, ..Self::default() }
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let (task, panicked) = (tokio::spawn(task), self.panicked.clone());
        self.running.spawn(async move {
            if task.await.is_err() {
                panicked.cancel();
            }
        });
    }

    /// Is cancelled when they are to end.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancelled.clone()
    }

    /// Is cancelled when one of them has panicked.
    pub fn panicked(&self) -> CancellationToken {
        self.panicked.clone()
    }

    /// Returns when all have ended.
    pub async fn end(&self) {
        self.cancelled.cancel();
        self.running.close();
        self.running.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_known_and_the_others_go_on_until_all_end() {
        let tasks = Tasks::default();
        let (cancelled, panicked) = (tasks.cancelled(), tasks.panicked());
        tasks.spawn(async move { cancelled.cancelled().await });
        assert!(!panicked.is_cancelled());
        tasks.spawn(async { panic!("a bug") });
        panicked.cancelled().await;
        assert_eq!(tasks.running.len(), 1);
        tasks.end().await;
    }
}
