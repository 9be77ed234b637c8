//! Tasks that end together.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[derive(Default)]
pub struct Tasks {
    cancelled: CancellationToken,
    running: TaskTracker,
}

impl Tasks {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    /// Is cancelled when they are to end.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancelled.clone()
    }

    /// Returns when all have ended.
    pub async fn end(self) {
        self.cancelled.cancel();
        self.running.close();
        self.running.wait().await;
    }
}
