//! What the topics say of the log: a log that does not hold what they have is an older one, restored or failed over to, or
//! another one. Publishing it would give positions a second meaning, so whoever has it is told to stop.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use app::wire::{Envelope, GENESIS, Hash, Position, StreamId, Version, event_hash};
use rdkafka::{Message as _, Offset, consumer::Consumer as _, error::KafkaError};

use super::{
    control::Control,
    reader::{Reader, partitions},
    received,
    settings::KafkaSettings,
    topics::{ANSWER, Topics, blocking},
};
use crate::bus::{BusError, LogHead, LogSource, head::HeadKeys};

/// Messages at the end of a partition that are looked at, usually: a relay that began again has repeated itself there.
const LAST: i64 = 2_000;
/// How long a message that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The furthest that the topics know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Signed heads, by position: the last ones; the topic keeps them for a day.
    pub heads: BTreeMap<Position, LogHead>,
    /// The furthest event of each partition that is whole: its hash follows from that of the event before it in its stream.
    pub events: Vec<Envelope>,
    /// What is further, where the event before was not read: the log may have it.
    pub open: Vec<Envelope>,
}

impl Said {
    /// The furthest head.
    pub fn head(&self) -> Option<LogHead> {
        self.heads.last_key_value().map(|(_, head)| *head)
    }
}

/// The log is not the one that was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Replaced {
    #[error(
        "the topics {prefix}.* hold the log up to position {said}, but here it ends at {log}: it was restored from an older \
         backup, or failed over to an older copy. Nothing is served nor published, or positions would mean two things. \
         `daybook recover` takes in what is missing from the topics; or begin with topics of another prefix (--bus) and \
         empty read databases, and give up what came after position {log}"
    )]
    Ahead { prefix: String, said: Position, log: Position },
    #[error(
        "the topics {prefix}.* hold another event at position {position} than the log here: they belong to another ledger. \
         Begin with topics of another prefix (--bus) and empty read databases"
    )]
    Another { prefix: String, position: Position },
}

/// Reads what the topics say; nothing where they are not there. Heads count if one of `keys` signed them.
pub async fn said(settings: &KafkaSettings, keys: &HeadKeys) -> Result<Said, KafkaError> {
    Ok(look(settings, keys, LAST).await?.0)
}

/// [`said`], with heads from as far back as it takes for one that does not go beyond the events, if the topic has one: a relay
/// that was behind has said many that do.
pub async fn said_far_back(settings: &KafkaSettings, keys: &HeadKeys) -> Result<Said, KafkaError> {
    let mut last = LAST;
    loop {
        let (said, all) = look(settings, keys, last).await?;
        let published = said.events.iter().map(|event| event.position).min();
        let reaches_back = said.heads.keys().next().is_some_and(|first| Some(*first) <= published);
        if all || reaches_back || published.is_none() {
            return Ok(said);
        }
        last *= 8;
    }
}

/// The `last` heads; whether these are all.
async fn look(settings: &KafkaSettings, keys: &HeadKeys, last: i64) -> Result<(Said, bool), KafkaError> {
    let (settings, keys) = (settings.clone(), keys.clone());
    let topics = Topics::new(&settings.prefix);
    let reader = Reader::new(&settings)?;
    let mut said = Said::default();
    let (reader, count) = {
        let (events, control) = (topics.events.clone(), topics.control.clone());
        blocking(move || {
            let counts = (partitions(&reader, &events)?, partitions(&reader, &control)?);
            Ok((reader, counts))
        })
        .await?
    };
    drop(reader);
    let mut all = true;
    if count.1 > 0 {
        let mut stranger = None;
        all = last_messages(&settings, &topics.control, 0, last, |message| {
            let Control::LogHead(signed) = Control::read(message) else { return };
            if !keys.signed(&signed) {
                stranger = Some(signed.key_id);
                return;
            }
            stranger = None;
            let known = said.heads.entry(signed.head.position).or_insert(signed.head);
            if known.at < signed.head.at {
                *known = signed.head;
            }
        })
        .await?;
        if let Some(key) = stranger {
            tracing::warn!(key, "the last log head on {} was signed by a key that is not known here", topics.control);
        }
    }
    let mut partitions = Vec::new();
    for partition in 0..count.0 {
        let mut read = Vec::new();
        last_messages(&settings, &topics.events, partition, LAST, |message| {
            if let received::Read::Event(event) = received::read(message) {
                read.push(*event);
            }
        })
        .await?;
        partitions.push(read);
    }
    (said.events, said.open) = furthest(partitions);
    Ok((said, all))
}

/// Of each partition the furthest whole event, and what is further and may be. Any other proves nothing: a damaged copy may
/// claim to be anywhere (B3).
fn furthest(partitions: Vec<Vec<Envelope>>) -> (Vec<Envelope>, Vec<Envelope>) {
    let mut hashes = HashMap::<(StreamId, Version), Vec<Hash>>::new();
    for event in partitions.iter().flatten() {
        hashes.entry((event.stream, event.version)).or_default().push(event.hash);
    }
    let (mut whole, mut open) = (Vec::new(), Vec::new());
    for mut events in partitions {
        events.sort_by_key(|event| event.position);
        for event in events.into_iter().rev() {
            let before = match event.version {
                Version(0) => continue,
                Version(1) => Some(&[GENESIS][..]),
                Version(version) => hashes.get(&(event.stream, Version(version - 1))).map(Vec::as_slice),
            };
            match before {
                Some(before) if before.iter().any(|before| event_hash(&event, before) == event.hash) => {
                    whole.push(event);
                    break;
                }
                Some(_) => {}
                None => open.push(event),
            }
        }
    }
    (whole, open)
}

/// Reads the `last` messages of a partition; whether these are all.
async fn last_messages(
    settings: &KafkaSettings,
    topic: &str,
    partition: i32,
    last: i64,
    mut each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> Result<bool, KafkaError> {
    let (reader, name) = (Reader::new(settings)?, topic.to_owned());
    let (reader, begins, ends, all) = blocking(move || {
        let (first, end) = reader.fetch_watermarks(&name, partition, ANSWER)?;
        let from = first.max(end - last);
        reader.read_from(&name, &[(partition, Offset::Offset(from))])?;
        Ok((reader, from, end, from == first))
    })
    .await?;
    let mut next = begins;
    while next < ends {
        let late = KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut);
        match tokio::time::timeout(PATIENCE, reader.recv()).await.map_err(|_| late)? {
            Ok(message) => {
                next = message.offset() + 1;
                each(&message);
            }
            // Behind the last one there may be marks that are no messages.
            Err(KafkaError::PartitionEOF(_)) => return Ok(all),
            Err(error) if super::passes(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Whether `log` holds what the topics have, of which `said` was read before.
pub async fn compare(said: &Said, log: &dyn LogSource, settings: &KafkaSettings) -> Result<Option<Replaced>, BusError> {
    // Read behind the topics, which only say what is in the log already.
    let ends = log.head().await?;
    let prefix = || settings.prefix.clone();
    let furthest = said.events.iter().map(|event| event.position).chain(said.head().map(|head| head.position)).max();
    if let Some(said) = furthest.max(furthest_that_follows(&said.open, log, ends.position).await?)
        && said > ends.position
    {
        return Ok(Some(Replaced::Ahead { prefix: prefix(), said, log: ends.position }));
    }
    if said.head().is_some_and(|head| head.position == ends.position && head.hash != ends.hash) {
        return Ok(Some(Replaced::Another { prefix: prefix(), position: ends.position }));
    }
    for event in &said.events {
        let there = log.read(Position(event.position.0.saturating_sub(1)), 1).await?;
        if there.first().is_none_or(|there| there.hash != event.hash) {
            return Ok(Some(Replaced::Another { prefix: prefix(), position: event.position }));
        }
    }
    Ok(None)
}

/// The furthest of `events` beyond `end` whose hash follows from the event before, which `log` has.
async fn furthest_that_follows(
    events: &[Envelope],
    log: &dyn LogSource,
    end: Position,
) -> Result<Option<Position>, BusError> {
    let mut furthest = None;
    for event in events.iter().filter(|event| event.position > end) {
        let before = log.hash_of(event.stream, Version(event.version.0 - 1)).await?;
        if before.is_some_and(|before| event_hash(event, &before) == event.hash) {
            furthest = furthest.max(Some(event.position));
        }
    }
    Ok(furthest)
}
