//! One trace per step and query, from the command through the services, at a real collector.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::world::World;

/// A span, as far as is looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    process: String,
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
}

/// Takes whatever is sent to it.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_process in request.into_inner().resource_spans {
            let attributes = of_process.resource.unwrap().attributes;
            let name = attributes.into_iter().find(|one| one.key == "service.name").unwrap();
            let Some(Value::StringValue(process)) = name.value.unwrap().value else {
                panic!("a process without a name")
            };
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let spans = spans.map(|span| Span {
                process: process.clone(),
                name: span.name,
                trace: span.trace_id,
                id: span.span_id,
                parent: span.parent_span_id,
            });
            self.0.lock().unwrap().extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts one and says where it is.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(TraceServiceServer::new(collector.clone()));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, address)
    }

    /// The spans of a name of a process.
    fn spans(&self, process: &str, name: &str) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        all.iter()
            .filter(|span| (&*span.process, &*span.name) == (process, name))
            .cloned()
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_and_a_query_are_one_trace_from_the_command_through_all_services() {
    let (collector, address) = Collector::start().await;
    let world = World::with_key(&format!("[traces]\nendpoint = {address:?}\n")).await;
    let steps = world.train(&["--traces", &address]) as usize;
    let test = sphinx_mnist::load().unwrap().test;
    let digit = image::GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(world.directory.path().join("digit.png")).unwrap();
    world.json(&["infer", "needle-model", "digit.png", "--traces", &address, "--json"]);

    // Services send what they have every few seconds.
    let started = Instant::now();
    let by = |spans: &[Span]| spans.iter().map(|span| span.trace.clone()).collect::<BTreeSet<_>>();
    let seen = || {
        let parts = collector.spans("sphinx-trainer", "part");
        let answers = collector.spans("sphinx-inference", "rpc");
        let queries = by(&collector.spans("sphinx-client", "recognise"));
        parts.len() >= 2 * steps && answers.iter().any(|answer| queries.contains(&answer.trace))
    };
    while !seen() {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", collector.0.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let done = collector.spans("sphinx-client", "step");
    assert_eq!((done.len(), by(&done).len()), (steps, steps));
    let parents: BTreeMap<_, _> = done.iter().map(|step| (step.id.clone(), &step.trace)).collect();
    let parts = collector.spans("sphinx-trainer", "part");
    // A product forward and a commit in each step of this network, below the step.
    assert_eq!(parts.len(), 2 * steps);
    for part in &parts {
        assert_eq!(parents.get(&part.parent), Some(&&part.trace), "{part:?}");
    }
    let queries = collector.spans("sphinx-client", "recognise");
    assert_eq!(queries.len(), 1);
    // What the services ask the key vault on the way belongs to it too.
    assert!(!collector.spans("sphinx-keyvault", "rpc").is_empty());
    let text = format!("{:?}", collector.0.lock().unwrap());
    assert!(!text.contains(world.token.trim_start_matches("sphinx_")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_is_traced_and_a_silent_one_stops_nobody() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let world = World::with_key(&format!("[traces]\nendpoint = {address:?}\n")).await;
    assert!(world.train(&[]) >= 3);
}
