//! The trace context of W3C, in and out of metadata.
//!
//! Owns the two properties that carry it. What becomes of it without and with the feature
//! `opentelemetry` stands in `mod.rs`.

use evenfold_core::message::{Metadata, Recorded};
use tracing::Span;

const TRACEPARENT: &str = "traceparent";

/// Lets the span of an attempt go on with the trace of its message.
pub(super) fn go_on(span: &Span, message: &Recorded) {
    // Metadata that does not read is found out by the handler.
    let metadata = message.metadata().unwrap_or_default();
    if let Some(traceparent) = text(&metadata, TRACEPARENT) {
        span.record(TRACEPARENT, traceparent);
        #[cfg(feature = "opentelemetry")]
        w3c::set_parent(span, traceparent, text(&metadata, w3c::TRACESTATE));
    }
}

fn text<'a>(metadata: &'a Metadata, property: &str) -> Option<&'a str> {
    metadata.properties.get(property)?.as_str()
}

#[cfg(feature = "opentelemetry")]
pub(crate) use w3c::put_on;

#[cfg(feature = "opentelemetry")]
mod w3c {
    use evenfold_core::message::Metadata;
    use opentelemetry::Context;
    use opentelemetry::trace::{
        SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
    };
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::TRACEPARENT;

    pub(super) const TRACESTATE: &str = "tracestate";

    pub(super) fn set_parent(span: &Span, traceparent: &str, tracestate: Option<&str>) {
        if let Some(parent) = parse(traceparent, tracestate) {
            // Where no layer makes traces of spans, there is nothing to link.
            _ = span.set_parent(Context::new().with_remote_span_context(parent));
        }
    }

    /// Puts the trace of the present span on a message that is about to be written, if there is one.
    pub(crate) fn put_on(metadata: &mut Metadata) {
        let context = Span::current().context();
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return;
        }
        let flags = (span.trace_flags() & TraceFlags::SAMPLED).to_u8();
        let traceparent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
        metadata.properties.insert(TRACEPARENT.to_owned(), traceparent.into());
        // The state of another span says nothing of this one.
        match span.trace_state().header() {
            state if state.is_empty() => metadata.properties.remove(TRACESTATE),
            state => metadata.properties.insert(TRACESTATE.to_owned(), state.into()),
        };
    }

    /// `00-<trace>-<span>-<flags>`; a later version may have more parts.
    fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<SpanContext> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, length| {
            let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
            part.len() == length && part.bytes().all(is_digit)
        };
        let is_whole = is_hex(version, 2)
            && is_hex(trace, 32)
            && is_hex(span, 16)
            && is_hex(flags, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none());
        if !is_whole {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let state = tracestate.and_then(|state| state.parse::<TraceState>().ok());
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let context = SpanContext::new(trace, span, flags, true, state.unwrap_or_default());
        context.is_valid().then_some(context)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_trace_context_is_read_as_w3c_says() {
            let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
            let read = parse(&format!("00-{trace}-{span}-01"), Some("a=1,b=2")).unwrap();
            assert_eq!(
                (read.trace_id().to_string(), read.span_id().to_string()),
                (trace.into(), span.into())
            );
            assert!(read.is_sampled() && read.is_remote());
            assert_eq!(read.trace_state().header(), "a=1,b=2");
            assert!(parse(&format!("01-{trace}-{span}-00-more"), None).is_some());
            for refused in [
                String::new(),
                "garbage".to_owned(),
                format!("00-{trace}-{span}"),
                format!("00-{trace}-{span}-01-more"),
                format!("ff-{trace}-{span}-01"),
                format!("00-{}-{span}-01", trace.to_uppercase()),
                format!("00-{}-{span}-01", "0".repeat(32)),
                format!("00-{trace}-{}-01", "0".repeat(16)),
            ] {
                assert!(parse(&refused, None).is_none(), "{refused}");
            }
        }
    }
}
