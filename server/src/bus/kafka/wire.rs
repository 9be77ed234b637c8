//! Events as messages: `CloudEvents` 1.0 in Kafka's binary mode. The value is the payload as it was stored, each part of the
//! envelope a header, the key the stream. So whoever reads the topic can check the hash chain.

use std::borrow::Cow;

use rdkafka::message::{Headers as _, Message};
use time::{Duration, OffsetDateTime};

/// The attribute `source` of everything that Daybook publishes.
pub const SOURCE: &str = "/daybook";
/// On the replay topic: the node that asked.
pub const NODE: &str = "ce_node";
/// The trace that an event was published in, where it is part of one.
pub const TRACE: &str = "traceparent";
pub const CONTENT_TYPE: &str = "content-type";
/// The headers of an event, all of them always there.
pub const HEADERS: [&str; 12] = [
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_position",
    "ce_version",
    "ce_schemaversion",
    "ce_hash",
    "ce_metadata",
    CONTENT_TYPE,
];

/// The value of a header, as text.
pub fn header<'m>(message: &'m impl Message, name: &str) -> Option<Cow<'m, str>> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == name)?.value.map(String::from_utf8_lossy)
}

/// Microseconds since 1970 as `2026-11-22T09:30:00.123456Z`.
pub fn rfc3339(micros: i64) -> String {
    let at = OffsetDateTime::UNIX_EPOCH.saturating_add(Duration::microseconds(micros));
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}
