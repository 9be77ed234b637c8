//! A query node's subscription to what is known of people: first everyone, then each change.

use std::collections::BTreeMap;

use app::domain::UserId;
use async_trait::async_trait;

use super::{
    people::{PeopleTopic, PersonMessage},
    settings::KafkaSettings,
};
use crate::bus::{BusError, People, Person, PersonChange};

/// The subscription.
pub struct PeopleSubscription {
    topic: PeopleTopic,
    /// What was read of the first word on everyone; `None` once that was brought.
    first: Option<BTreeMap<UserId, PersonChange>>,
}

impl PeopleSubscription {
    pub async fn open(settings: &KafkaSettings) -> Result<Self, BusError> {
        Ok(Self { topic: PeopleTopic::open(settings).await?, first: Some(BTreeMap::new()) })
    }
}

#[async_trait]
impl People for PeopleSubscription {
    async fn next(&mut self) -> Result<Vec<PersonChange>, BusError> {
        loop {
            if self.topic.is_read()
                && let Some(first) = self.first.take()
            {
                return Ok(first.into_values().collect());
            }
            let Some((key, value)) = self.topic.next().await? else { continue };
            let Some(change) = change(&key, value.as_deref()) else {
                tracing::warn!("a message on the topic of people that is not ours");
                continue;
            };
            match &mut self.first {
                None => return Ok(vec![change]),
                Some(first) => {
                    let (PersonChange::Forgotten(id) | PersonChange::Known(Person { id, .. })) = &change;
                    first.insert(*id, change.clone());
                }
            }
        }
    }
}

fn change(key: &str, value: Option<&[u8]>) -> Option<PersonChange> {
    let id = UserId::parse(key).ok()?;
    let Some(value) = value else { return Some(PersonChange::Forgotten(id)) };
    let PersonMessage { name, email, roles } = serde_json::from_slice(value).ok()?;
    Some(PersonChange::Known(Person { id, name, email, roles }))
}
