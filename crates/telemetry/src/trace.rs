//! Traces: where they go, and how one follows a request from process to process.

use std::net::IpAddr;

use http::Uri;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::log::FilterError;

/// Name of the header, and of the field of messages, by W3C's recommendation "Trace Context".
const TRACEPARENT: &str = "traceparent";

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceConfig {
    /// Address of a collector that takes OTLP by gRPC, as `http://127.0.0.1:4317`; empty for no
    /// traces.
    pub endpoint: String,
    /// Share of the traces that begin here which are kept, 0 to 1. One that came with a request is
    /// kept if its sender keeps it.
    pub ratio: f64,
    /// Whether they may go to other machines in clear text. They carry what logs do: names of
    /// tenants and times, and no contents.
    pub insecure_cleartext: bool,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { endpoint: String::new(), ratio: 1.0, insecure_cleartext: false }
    }
}

/// Why logs or traces cannot be started.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// The filter of the log.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Where traces are to go.
    #[error("traces.endpoint {got:?}: {fault}")]
    Endpoint {
        /// As configured.
        got: String,
        /// What is wrong with it.
        fault: TraceFault,
    },
    /// Which are kept.
    #[error("traces.ratio is {got}: expected 0 to 1")]
    Ratio {
        /// As configured.
        got: f64,
    },
}

/// What is wrong with the address of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceFault {
    /// It is none.
    #[error("expected http://HOST:PORT of a collector that takes OTLP by gRPC")]
    Address,
    /// It is on another machine.
    #[error(
        "it is on another machine: put a collector on this one, or allow traces.insecure_cleartext"
    )]
    ClearText,
    /// The exporter did not come up.
    #[error("{0}")]
    Exporter(String),
}

impl TraceConfig {
    /// Checks address and share.
    ///
    /// # Errors
    /// [`TraceError`] for the first that makes no sense.
    pub fn validate(&self) -> Result<(), TraceError> {
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(TraceError::Ratio { got: self.ratio });
        }
        if self.endpoint.is_empty() {
            return Ok(());
        }
        let wrong = |fault| TraceError::Endpoint { got: self.endpoint.clone(), fault };
        let address: Uri = self.endpoint.parse().map_err(|_| wrong(TraceFault::Address))?;
        let host = address.host().filter(|_| address.scheme_str() == Some("http"));
        let host = host.ok_or_else(|| wrong(TraceFault::Address))?;
        let here = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if here || host == "localhost" || self.insecure_cleartext {
            return Ok(());
        }
        Err(wrong(TraceFault::ClearText))
    }
}

/// What sends spans; `None` where they go nowhere.
pub(crate) fn provider(
    service: &'static str,
    config: &TraceConfig,
) -> Result<Option<SdkTracerProvider>, TraceError> {
    config.validate()?;
    if config.endpoint.is_empty() {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&config.endpoint).build();
    let exporter = exporter.map_err(|error| TraceError::Endpoint {
        got: config.endpoint.clone(),
        fault: TraceFault::Exporter(error.to_string()),
    })?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.ratio)));
    let resource = Resource::builder_empty().with_service_name(format!("sphinx-{service}")).build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource);
    Ok(Some(provider.build()))
}

/// The one field that is carried.
#[derive(Default)]
struct Carried(Option<String>);

impl Injector for Carried {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

impl Extractor for Carried {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// What a request carries so that its trace goes on at the service; `None` outside of a trace.
pub fn traceparent() -> Option<String> {
    let mut carried = Carried::default();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carried);
    carried.0
}

/// Makes a span go on with the trace that a request carries. What is no trace is not heeded.
pub fn follow(span: &Span, traceparent: &str) {
    let carried = Carried(Some(traceparent.to_owned()));
    // Not the context of this thread: a request without a trace has none.
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carried);
    if context.span().span_context().is_valid() {
        // A span that began already stays where it is.
        let _ = span.set_parent(context);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
        TraceService, TraceServiceServer,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use tokio_stream::wrappers::TcpListenerStream;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn rejects_what_is_no_collector_of_this_machine() {
        let with = |endpoint: &str| TraceConfig {
            endpoint: endpoint.to_owned(),
            ..TraceConfig::default()
        };
        for good in ["", "http://127.0.0.1:4317", "http://[::1]:4317", "http://localhost:4317"] {
            assert_eq!(with(good).validate(), Ok(()), "{good}");
        }
        let fault = |endpoint: &str| match with(endpoint).validate() {
            Err(TraceError::Endpoint { fault, .. }) => Some(fault),
            _ => None,
        };
        for bad in ["127.0.0.1:4317", "https://127.0.0.1:4317", "grpc://localhost", "\n"] {
            assert_eq!(fault(bad), Some(TraceFault::Address), "{bad}");
        }
        assert_eq!(fault("http://10.0.0.1:4317"), Some(TraceFault::ClearText));
        let allowed = TraceConfig { insecure_cleartext: true, ..with("http://10.0.0.1:4317") };
        assert_eq!(allowed.validate(), Ok(()));
        let more = TraceConfig { ratio: 1.5, ..TraceConfig::default() };
        assert_eq!(more.validate(), Err(TraceError::Ratio { got: 1.5 }));
    }

    #[test]
    fn a_trace_goes_on_where_it_is_followed_and_nonsense_is_not() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let _default = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        assert_eq!(traceparent(), None);
        let step = tracing::info_span!("step");
        let carried = step.in_scope(traceparent).unwrap();
        assert!(carried.starts_with("00-") && carried.len() == 55, "{carried}");
        let trace = |text: &str| text.get(3..35).unwrap().to_owned();
        let part = tracing::info_span!("part");
        follow(&part, &carried);
        assert_eq!(trace(&part.in_scope(traceparent).unwrap()), trace(&carried));
        for nonsense in ["", "00-0-0-0", "\n", &"0".repeat(1000)] {
            let other = tracing::info_span!("other");
            follow(&other, nonsense);
            assert_ne!(trace(&other.in_scope(traceparent).unwrap()), trace(&carried));
        }
    }

    /// Takes whatever is sent to it.
    struct Collector;

    #[tonic::async_trait]
    impl TraceService for Collector {
        async fn export(
            &self,
            request: tonic::Request<ExportTraceServiceRequest>,
        ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
            drop(request);
            Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
        }
    }

    /// A measurement, for docs/benchmarks.md: of a span with what it carries, its way to a
    /// collector and the collector's part.
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "prints what a span costs"]
    async fn what_a_span_costs() {
        const SPANS: u32 = 100_000;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut server = tonic::transport::Server::builder();
        let server = server.add_service(TraceServiceServer::new(Collector));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let config = TraceConfig { endpoint, ..TraceConfig::default() };
        let provider = provider("test", &config).unwrap().unwrap();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        let _default = tracing::subscriber::set_default(subscriber);
        let cpu = || rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let begun = cpu();
        for number in 0..SPANS {
            let step = tracing::info_span!("step", number);
            let carried = step.in_scope(traceparent).unwrap();
            let part = tracing::info_span!("part", name = "evaluate");
            follow(&part, &carried);
            part.in_scope(|| ());
            if number % 500 == 0 {
                let provider = provider.clone();
                tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
            }
        }
        let ended = cpu();
        let seconds = (ended.tv_sec - begun.tv_sec) as f64;
        let nanos = seconds * 1e9 + (ended.tv_nsec - begun.tv_nsec) as f64;
        println!("ns of all threads for each span: {:.0}", nanos / f64::from(2 * SPANS));
    }
}
