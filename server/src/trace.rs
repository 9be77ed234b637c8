//! Traces: one from a command on its way into the log, over the bus, to the views that show it, spoken as OTLP over HTTP.
//!
//! Who follows whom is said by W3C's `traceparent`, in requests, in the metadata of events and in Kafka's headers. Where no
//! endpoint was given, every span is nothing and costs nothing.

use std::{
    borrow::Cow,
    str,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{
        Span as _, SpanBuilder, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        Tracer as _, TracerProvider as _,
    },
};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};

pub use opentelemetry::trace::SpanKind as Kind;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// How long the last spans may take to be sent.
const LAST: Duration = Duration::from_secs(2);
/// How `traceparent` is written in metadata, which are ours and hold no text of anyone else's.
const IN_METADATA: &[u8] = b"\"traceparent\":\"";
/// Bytes of a `traceparent`.
const LENGTH: usize = 55;

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// Spans are sent until this ends.
pub struct Exporting(SdkTracerProvider);

impl Exporting {
    /// Sends this process' spans to `endpoint`, such as `http://127.0.0.1:4318`, from now on.
    pub fn start(endpoint: &str, role: &'static str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpJson).with_endpoint(url);
        // Not said: it may hold a password.
        let exporter = exporter.build().context("--otlp-endpoint")?;
        let about = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION")), KeyValue::new("daybook.role", role)];
        let about = Resource::builder().with_service_name("daybook").with_attributes(about).build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(about).build();
        anyhow::ensure!(TRACER.set(provider.tracer("daybook")).is_ok(), "this process sends its traces already");
        Ok(Self(provider))
    }

    /// Sends what is left.
    pub async fn end(self) {
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// Whether spans are sent.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// A step of a trace, from now until it is dropped.
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Follows `parent`, a `traceparent`; without one it begins a trace.
    pub fn begin(name: impl Into<Cow<'static, str>>, kind: SpanKind, parent: Option<&str>) -> Self {
        Self::begun(name, kind, parent, None)
    }

    /// [`Self::begin`], at `start`.
    pub fn begun(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<&str>,
        start: Option<SystemTime>,
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let parent =
            parent.and_then(read).map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = SpanBuilder { start_time: start, ..SpanBuilder::from_name(name).with_kind(kind) };
        Self(Some(tracer.build_with_context(builder, &parent)))
    }

    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// What follows from it says so by this.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_ref()?.span_context();
        let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        Some(format!("00-{trace}-{span}-{flags:02x}"))
    }
}

/// What `work` does follows `parent`.
pub async fn within<F: Future>(parent: Option<String>, work: F) -> F::Output {
    CURRENT.scope(parent, work).await
}

/// What this task's work follows.
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// The `traceparent` in the metadata of an event, as they are stored.
pub fn of_metadata(metadata: &[u8]) -> Option<&str> {
    let at = metadata.windows(IN_METADATA.len()).position(|part| part == IN_METADATA)?;
    let text = metadata.get(at + IN_METADATA.len()..)?.get(..LENGTH)?;
    str::from_utf8(text).ok().filter(|text| read(text).is_some())
}

/// What a `traceparent` says, if it is one.
fn read(text: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return None };
    let lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if *version != "00"
        || (trace.len(), span.len(), flags.len()) != (32, 16, 2)
        || ![*trace, span, flags].into_iter().all(lower)
    {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_taken_as_w3c_writes_it_and_not_otherwise() {
        assert!(read(PARENT).is_some_and(|context| context.is_sampled()));
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn metadata_say_what_an_event_follows_from_if_they_do() {
        let with = format!(r#"{{"actor":"operator","traceparent":"{PARENT}","digest":"00"}}"#);
        assert_eq!(of_metadata(with.as_bytes()), Some(PARENT));
        assert_eq!(of_metadata(br#"{"actor":"operator"}"#), None);
        assert_eq!(of_metadata(br#"{"traceparent":"00-"}"#), None);
    }

    #[tokio::test]
    async fn without_an_endpoint_nothing_is_traced() {
        let span = Span::begin("a step", Kind::Internal, Some(PARENT));
        assert_eq!(span.traceparent(), None);
        assert_eq!(within(span.traceparent(), async { current() }).await, None);
    }
}
