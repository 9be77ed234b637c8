//! Keeps the topic of people as the write side knows them: whatever the topic says last and should not is put right.
//!
//! So a word that a held-up relay says too late is corrected by the one that holds the lease, and whoever was forgotten stays
//! so.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, Instant},
};

use super::{Ended, Go, pause};
use crate::bus::{
    BusError,
    kafka::people::{PeopleTopic, PersonMessage},
};

/// How long what another node changed may stay unnoticed.
const LOOK: Duration = Duration::from_secs(2);
/// What the topic says is read again from its beginning: a reader of one that was deleted and made again may hear nothing, and
/// not say so.
const ANEW: Duration = Duration::from_mins(5);
/// How often something is said in any case, where someone was forgotten: brokers begin a new file only when they are written to,
/// and take out what was overwritten only of those that are full.
const SWEEP: Duration = Duration::from_mins(61);

impl Go<'_> {
    pub(super) async fn people(&self) -> Infallible {
        let mut swept = Instant::now();
        loop {
            if let Err(error) = self.keep_right(&mut swept).await {
                pause(&error).await;
            }
        }
    }

    /// For a while.
    async fn keep_right(&self, swept: &mut Instant) -> Result<(), Ended> {
        let mut topic = PeopleTopic::open(&self.parts.settings).await?;
        let mut said: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        while !topic.is_read() {
            said.extend(topic.next().await?);
        }
        let mut changed = self.parts.people.clone();
        let until = Instant::now() + ANEW;
        while Instant::now() < until {
            changed.borrow_and_update();
            said.extend(topic.ready()?);
            self.put_right(&mut said).await?;
            if swept.elapsed() > SWEEP {
                *swept = Instant::now();
                if let Some((forgotten, _)) = said.iter().find(|(_, value)| value.is_none()) {
                    self.producer.person(forgotten, None).await?;
                }
            }
            let news = async {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            // Whatever it was, all is compared again.
            tokio::time::timeout(LOOK, news).await.unwrap_or(());
        }
        Ok(())
    }

    async fn put_right(&self, said: &mut BTreeMap<String, Option<Vec<u8>>>) -> Result<(), Ended> {
        let mut known = BTreeMap::new();
        for change in self.parts.log.people().await? {
            let (key, value) = PersonMessage::of(&change).map_err(|error| BusError(Box::new(error)))?;
            known.insert(key, value);
        }
        // Nobody whom the write side does not know.
        for key in said.keys().filter(|key| said[*key].is_some()) {
            known.entry(key.clone()).or_insert(None);
        }
        for (key, value) in known {
            // Of whoever was forgotten the topic may say nothing: made again, or a day later. A node may know them still.
            if said.get(&key) != Some(&value) {
                self.producer.person(&key, value.as_deref()).await?;
                said.insert(key, value);
            }
        }
        Ok(())
    }
}
