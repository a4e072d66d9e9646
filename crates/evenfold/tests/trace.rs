//! A trace goes on from who writes a message to who handles it, and on to what that one writes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops there")]

mod story;

use std::sync::{Arc, Mutex};

use evenfold::message::Metadata;
use evenfold::prelude::*;
use evenfold::{Position, Store};
use futures::TryStreamExt;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use story::{AccountCommand, AccountEvent, Deposit, Deposited, memory};
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, Instrument, Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

/// Notes the trace that it is called in, and writes an event by following.
#[derive(Clone)]
struct Teller {
    store: Store,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

#[handler(AccountCommand)]
impl Teller {
    async fn deposit(&self, command: Received<Deposit>) -> Result<(), HandlerError> {
        self.seen.lock().unwrap().push(present());
        let event = Deposited { amount: command.amount };
        self.store.send::<AccountEvent>("1", event).following(&command).await?;
        Ok(())
    }
}

/// The trace and the span that this is called in.
fn present() -> (String, String) {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    (span.trace_id().to_string(), span.span_id().to_string())
}

/// Makes traces, and exports none.
fn traced() -> (SdkTracerProvider, Dispatch) {
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    (provider, Dispatch::new(tracing_subscriber::registry().with(layer)))
}

fn teller(store: &Store) -> Teller {
    Teller { store: store.clone(), seen: Arc::default() }
}

/// What the only message of a stream carries.
async fn carried(store: &Store, stream: &str) -> Metadata {
    let messages: Vec<_> = store.read_stream(stream, Position::START).try_collect().await.unwrap();
    assert_eq!(messages.len(), 1);
    messages[0].metadata().unwrap()
}

fn traceparent(metadata: &Metadata) -> (String, String) {
    let parts: Vec<_> = metadata.properties["traceparent"].as_str().unwrap().split('-').collect();
    assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", "01"));
    (parts[1].to_owned(), parts[2].to_owned())
}

#[tokio::test]
async fn a_trace_goes_through_the_handler_to_what_it_writes() {
    let (_provider, dispatch) = traced();
    async {
        let (store, request) = (memory(), info_span!("request"));
        let asked = async {
            store.send::<AccountCommand>("1", Deposit { amount: 5 }).await.unwrap();
            present()
        };
        let asked = asked.instrument(request).await;
        let command = carried(&store, "account:command-1").await;
        assert_eq!(traceparent(&command), asked);
        assert!(!command.properties.contains_key("tracestate"), "there is none");

        let teller = teller(&store);
        store.subscriber("teller", teller.clone()).run_until_caught_up().await.unwrap();
        let handled = teller.seen.lock().unwrap()[0].clone();
        assert_eq!(handled.0, asked.0, "the same trace");
        assert_ne!(handled.1, asked.1, "in a span of its own");
        let event = carried(&store, "account-1").await;
        assert_eq!(traceparent(&event), handled);
    }
    .with_subscriber(dispatch)
    .await;
}

#[tokio::test]
async fn a_trace_that_is_given_stands_with_its_state() {
    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (_provider, dispatch) = traced();
    async {
        let store = memory();
        let mut metadata = Metadata::default();
        metadata.properties.insert("traceparent".into(), GIVEN.into());
        metadata.properties.insert("tracestate".into(), "vendor=7".into());
        let write = store.send::<AccountCommand>("1", Deposit { amount: 5 });
        let write = write.metadata(metadata.clone());
        async { write.await.unwrap() }.instrument(info_span!("another")).await;
        assert_eq!(carried(&store, "account:command-1").await, metadata);

        let teller = teller(&store);
        store.subscriber("teller", teller.clone()).run_until_caught_up().await.unwrap();
        let event = carried(&store, "account-1").await;
        assert_eq!(traceparent(&event), teller.seen.lock().unwrap()[0]);
        assert_eq!(traceparent(&event).0, GIVEN.split('-').nth(1).unwrap());
        assert_eq!(event.properties["tracestate"], "vendor=7");
    }
    .with_subscriber(dispatch)
    .await;
}

#[tokio::test]
async fn without_traces_what_is_there_is_carried_along() {
    let store = memory();
    let mut metadata = Metadata::default();
    metadata.properties.insert("traceparent".into(), "of another client".into());
    store.send::<AccountCommand>("1", Deposit { amount: 5 }).metadata(metadata).await.unwrap();
    store.subscriber("teller", teller(&store)).run_until_caught_up().await.unwrap();
    let event = carried(&store, "account-1").await;
    assert_eq!(event.properties["traceparent"], "of another client");
    store.write("other-1", Deposited { amount: 1 }).await.unwrap();
    assert!(carried(&store, "other-1").await.properties.is_empty());
}
