//! Who people are, on a compacted topic: the latest word wins, an empty one is the last.

use std::collections::BTreeMap;

use app::ports::Role;
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
use crate::bus::{BusError, Person, PersonChange};

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
    #[cfg(feature = "command")]
    pub fn ready(&mut self) -> Result<std::collections::VecDeque<Word>, BusError> {
        use futures_util::FutureExt as _;
        let mut ready = std::collections::VecDeque::new();
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
