//! Where the log ends, signed, after each batch and every second: so that silence means something.

use std::time::Duration;

use super::{Go, Never};
use crate::bus::{LogHead, kafka::control::Control};

const TICK: Duration = Duration::from_secs(1);
/// The events come first; what is appended meanwhile is said together.
const PAUSE: Duration = Duration::from_millis(50);

impl Go<'_> {
    pub(super) async fn heads(&self) -> Never {
        let mut appended = self.parts.appended.clone();
        loop {
            appended.borrow_and_update();
            // As it is stored: another node may have appended since, or the log have failed over to a copy.
            self.say(self.parts.log.head().await?).await?;
            if matches!(tokio::time::timeout(TICK, appended.changed()).await, Ok(Err(_))) {
                tokio::time::sleep(TICK).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn say(&self, head: LogHead) -> Result<(), super::Ended> {
        let said = (self.parts.sign)(head);
        if let Some((headers, value)) = Control::LogHead(said).to_message(head.at) {
            self.producer.control(headers, &value).await?;
        }
        Ok(())
    }
}
