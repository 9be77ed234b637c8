//! A whole log as lines of JSON: out of one ledger, into another, the same bytes under the same hashes.
//!
//! `payload` and `metadata` are the stored text as a JSON string, not as JSON: what was hashed stays what it was.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Write},
    path::Path,
};

use app::{
    domain::EventId,
    wire::{Envelope, GENESIS, Hash, Position, StreamId, Version, event_hash, log_hash},
};
use serde::{Deserialize, Serialize};

use super::store::{EventStore, Head, StoreError};

/// Longest line, bytes: an event of 256 KiB, every byte of it escaped.
const LINE_MAX: u64 = 2 * 1024 * 1024;
/// Events read or written together.
const CHUNK: u32 = 1000;

/// One event, as a line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    position: Position,
    event_id: EventId,
    stream: StreamId,
    version: Version,
    #[serde(rename = "type", borrow)]
    event_type: std::borrow::Cow<'a, str>,
    schema: u32,
    recorded_at: i64,
    #[serde(borrow)]
    payload: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    metadata: std::borrow::Cow<'a, str>,
    hash: Hash,
}

/// Why a log did not get out or in.
#[derive(Debug, thiserror::Error)]
pub enum LogFileError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the log does not answer")]
    Store(#[from] StoreError),
    #[error("event {position} is missing from the log: `daybook verify` says what is still right")]
    Missing { position: Position },
    #[error("event {position} is not text and cannot be written as JSON")]
    NotText { position: Position },
    #[error("line {line}: {what}")]
    Line { line: u64, what: String },
    #[error(
        "the ledger holds {events} events that are not the beginning of this file; such a file goes into an empty one"
    )]
    NotEmpty { events: Position },
    #[error("event {position} does not fit a table: {source}")]
    Csv { position: Position, source: csv::Error },
}

/// What went out or came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transferred {
    /// Written now.
    pub events: u64,
    /// Where the log ends, by its running hash.
    pub head: Head,
}

fn text(bytes: &[u8], position: Position) -> Result<&str, LogFileError> {
    str::from_utf8(bytes).map_err(|_| LogFileError::NotText { position })
}

/// Hands every event to `each`, in order, up to where the log ends now.
async fn for_each(
    store: &dyn EventStore,
    mut each: impl FnMut(&Envelope) -> Result<(), LogFileError>,
) -> Result<Transferred, LogFileError> {
    let head = store.head().await?;
    let mut at = Position(0);
    while at < head.position {
        let left = u32::try_from(head.position.0 - at.0).unwrap_or(CHUNK);
        let events = store.read_log(at, left.min(CHUNK)).await?;
        if events.is_empty() {
            return Err(LogFileError::Missing { position: at.next() });
        }
        for event in events {
            if event.position != at.next() {
                return Err(LogFileError::Missing { position: at.next() });
            }
            at = event.position;
            each(&event)?;
        }
    }
    Ok(Transferred { events: at.0, head })
}

/// Writes the log as NDJSON.
pub async fn write_ndjson(store: &dyn EventStore, mut to: impl Write) -> Result<Transferred, LogFileError> {
    let written = for_each(store, |event| {
        let line = Line {
            position: event.position,
            event_id: event.event_id,
            stream: event.stream,
            version: event.version,
            event_type: event.event_type.as_str().into(),
            schema: event.schema,
            recorded_at: event.recorded_at,
            payload: text(&event.payload, event.position)?.into(),
            metadata: text(&event.metadata, event.position)?.into(),
            hash: event.hash,
        };
        serde_json::to_writer(&mut to, &line).map_err(io::Error::from)?;
        Ok(to.write_all(b"\n")?)
    })
    .await?;
    to.flush()?;
    Ok(written)
}

/// Writes the log as a table, for programs that read tables; it does not come back in.
pub async fn write_csv(store: &dyn EventStore, to: impl Write) -> Result<Transferred, LogFileError> {
    let mut table = csv::Writer::from_writer(to);
    let failed = |position| {
        move |source: csv::Error| match source.into_kind() {
            csv::ErrorKind::Io(error) => LogFileError::Io(error),
            other => LogFileError::Csv { position, source: io::Error::other(format!("{other:?}")).into() },
        }
    };
    table
        .write_record([
            "position",
            "event_id",
            "stream",
            "version",
            "type",
            "schema",
            "recorded_at",
            "payload",
            "metadata",
            "hash",
        ])
        .map_err(failed(Position(0)))?;
    let written = for_each(store, |event| {
        let record = [
            event.position.to_string(),
            event.event_id.to_string(),
            event.stream.to_string(),
            event.version.to_string(),
            event.event_type.clone(),
            event.schema.to_string(),
            event.recorded_at.to_string(),
            text(&event.payload, event.position)?.to_owned(),
            text(&event.metadata, event.position)?.to_owned(),
            event.hash.to_string(),
        ];
        table.write_record(record).map_err(failed(event.position))
    })
    .await?;
    table.flush()?;
    Ok(written)
}

/// Puts the log in the file at `path` into `store`, which is empty or holds the beginning of the same log. The file is
/// read twice: every line and every hash is checked before anything is stored.
pub async fn read_ndjson(store: &dyn EventStore, path: &Path, seen: impl Fn(u64)) -> Result<Transferred, LogFileError> {
    let held = store.head().await?;
    let mut chain = Chain::default();
    let mut begins_alike = held == Head::EMPTY;
    let mut lines = Lines::open(path)?;
    while let Some(event) = lines.next()? {
        chain.take(&event).map_err(|what| lines.bad(what))?;
        begins_alike |= chain.head == held;
        if event.position.0.is_multiple_of(10_000) {
            seen(event.position.0);
        }
    }
    if !begins_alike {
        return Err(LogFileError::NotEmpty { events: held.position });
    }

    let mut chain = Chain::default();
    let mut lines = Lines::open(path)?;
    let mut stored = held;
    let mut chunk = Vec::with_capacity(CHUNK as usize);
    loop {
        let event = lines.next()?;
        let at_end = event.is_none();
        if let Some(event) = event {
            chain.take(&event).map_err(|what| lines.bad(what))?;
            if event.position > held.position {
                chunk.push(event);
            }
        }
        if chunk.len() == CHUNK as usize || at_end && !chunk.is_empty() {
            store.append(stored.position, &chunk, &chain.head).await?;
            stored = chain.head;
            chunk.clear();
            seen(stored.position.0);
        }
        if at_end {
            return Ok(Transferred { events: stored.position.0 - held.position.0, head: stored });
        }
    }
}

/// The lines of a file, as events.
struct Lines {
    input: BufReader<File>,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { input: BufReader::with_capacity(1 << 16, File::open(path)?), line: 0, buffer: Vec::new() })
    }

    fn bad(&self, what: impl ToString) -> LogFileError {
        LogFileError::Line { line: self.line, what: what.to_string() }
    }

    fn next(&mut self) -> Result<Option<Envelope>, LogFileError> {
        self.buffer.clear();
        self.line += 1;
        if self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        let line: Line<'_> = serde_json::from_slice(&self.buffer).map_err(|error| self.bad(error))?;
        Ok(Some(Envelope {
            position: line.position,
            event_id: line.event_id,
            stream: line.stream,
            version: line.version,
            event_type: line.event_type.into_owned(),
            schema: line.schema,
            payload: line.payload.into_owned().into_bytes(),
            metadata: line.metadata.into_owned().into_bytes(),
            recorded_at: line.recorded_at,
            hash: line.hash,
        }))
    }
}

/// What a log has to keep to: nothing missing, nothing out of order, every hash as computed.
struct Chain {
    streams: HashMap<StreamId, (Version, Hash)>,
    head: Head,
}

impl Default for Chain {
    fn default() -> Self {
        Self { streams: HashMap::new(), head: Head::EMPTY }
    }
}

impl Chain {
    fn take(&mut self, event: &Envelope) -> Result<(), String> {
        if event.position != self.head.position.next() {
            return Err(format!("position {} instead of {}", event.position, self.head.position.next()));
        }
        let (version, previous) = self.streams.get(&event.stream).copied().unwrap_or((Version(0), GENESIS));
        if event.version != version.next() {
            return Err(format!("version {} of {} instead of {}", event.version, event.stream, version.next()));
        }
        if event.recorded_at < self.head.recorded_at {
            return Err("recorded before the event in front of it".to_owned());
        }
        if event_hash(event, &previous) != event.hash {
            return Err(format!("the hash of event {} is not that of its content", event.position));
        }
        self.streams.insert(event.stream, (event.version, event.hash));
        let hash = log_hash(&self.head.hash, &event.hash);
        self.head = Head { position: event.position, hash, recorded_at: event.recorded_at };
        Ok(())
    }
}
