//! Who people are, on a compacted topic: the latest word wins, an empty one is the last.

use std::collections::{BTreeMap, VecDeque};

use app::{domain::UserId, ports::Role};
use async_trait::async_trait;
use futures_util::FutureExt as _;
use rdkafka::{
    Offset,
    consumer::Consumer as _,
    error::{KafkaError, KafkaResult},
    message::{BorrowedMessage, Message as _},
};
use serde::{Deserialize, Serialize};

use super::{
    passes,
    reader::{Reader, partitions},
    settings::KafkaSettings,
    topics::{ANSWER, Topics, blocking},
};
use crate::bus::{BusError, People, Person, PersonChange};

/// Key and value of a message.
pub type Word = (String, Option<Vec<u8>>);

/// The value of a message; its key is the user's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonMessage {
    pub name: String,
    pub email: String,
    pub roles: Vec<Role>,
}

impl PersonMessage {
    /// Key and value.
    pub fn of(change: &PersonChange) -> Result<Word, serde_json::Error> {
        match change {
            PersonChange::Forgotten(id) => Ok((id.to_string(), None)),
            PersonChange::Known(person) => {
                let Person { id, name, email, roles } = person.clone();
                Ok((id.to_string(), Some(serde_json::to_vec(&Self { name, email, roles })?)))
            }
        }
    }
}

/// The topic, read from its beginning.
pub struct PeopleTopic {
    reader: Reader,
    /// Where each partition ended when it was opened, until it is read up to there.
    ends: BTreeMap<i32, i64>,
}

impl PeopleTopic {
    pub async fn open(settings: &KafkaSettings) -> Result<Self, BusError> {
        let (reader, topic) = (Reader::new(settings)?, Topics::new(&settings.prefix).people);
        let opened = blocking(move || {
            let count = partitions(&reader, &topic)?;
            let mut ends = BTreeMap::new();
            for partition in 0..count {
                let (begin, end) = reader.fetch_watermarks(&topic, partition, ANSWER)?;
                reader.read_from(&topic, &[(partition, Offset::Beginning)])?;
                if begin < end {
                    ends.insert(partition, end);
                }
            }
            Ok((count > 0).then_some(Self { reader, ends }))
        });
        opened.await?.ok_or_else(|| BusError("there is no topic of people yet".into()))
    }

    /// Whether everything was read that was there when it was opened.
    pub fn is_read(&self) -> bool {
        self.ends.is_empty()
    }

    /// The next word: a key, and what is said of it.
    pub async fn next(&mut self) -> Result<Option<Word>, BusError> {
        let message = self.reader.recv().await;
        Ok(word(&mut self.ends, message)?)
    }

    /// What is here already.
    pub fn ready(&mut self) -> Result<VecDeque<Word>, BusError> {
        let mut ready = VecDeque::new();
        while let Some(message) = self.reader.recv().now_or_never() {
            ready.extend(word(&mut self.ends, message)?);
        }
        Ok(ready)
    }
}

/// Compaction may have taken the last message before an end: the end of the partition counts as well.
fn word(ends: &mut BTreeMap<i32, i64>, message: KafkaResult<BorrowedMessage<'_>>) -> KafkaResult<Option<Word>> {
    match message {
        Ok(message) => {
            if ends.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                ends.remove(&message.partition());
            }
            let key = message.key().map(|key| String::from_utf8_lossy(key).into_owned());
            Ok(key.map(|key| (key, message.payload().map(<[u8]>::to_vec))))
        }
        Err(KafkaError::PartitionEOF(partition)) => {
            ends.remove(&partition);
            Ok(None)
        }
        Err(error) if passes(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A query node's subscription.
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
