//! The layers and the drain, around a small service on a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::trainer_server::{SERVICE_NAME, Trainer, TrainerServer};
use sphinx_proto::v1::{
    CompareVersionsRequest, CompareVersionsResponse, CreateModelRequest, CreateModelResponse,
    DeleteModelRequest, DeleteModelResponse, ExportModelRequest, ExportModelResponse,
    GetModelRequest, GetModelResponse, ListModelsRequest, ListModelsResponse, ListVersionsRequest,
    ListVersionsResponse, PutBiasesRequest, PutBiasesResponse, RotateKeyRequest, RotateKeyResponse,
    SessionOpened, TrainRequest, TrainResponse, WatchModelRequest, WatchModelResponse,
    train_response,
};
use sphinx_runtime::{
    CancellationToken, Compute, Guard, Metrics, ServeError, Served, ServerConfig, ServiceInfo,
    serve,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

const SERVICE: ServiceInfo = ServiceInfo {
    name: "servingtest",
    grpc_name: SERVICE_NAME,
    version: "0",
    default_listen: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0),
};

/// Behaves as the model id says.
struct Behaviour {
    compute: Compute,
    /// Messages made for endless answers.
    made: Arc<AtomicUsize>,
}

#[async_trait]
impl Trainer for Behaviour {
    async fn create_model(
        &self,
        request: Request<CreateModelRequest>,
    ) -> Result<Response<CreateModelResponse>, Status> {
        let span = self.compute.run(|| tracing::Span::current().is_disabled()).await;
        drop(request);
        assert_eq!(span, Ok(false));
        Ok(Response::new(CreateModelResponse::default()))
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        match request.into_inner().model_id.as_str() {
            "panics" => panic!("a handler's bug"),
            "hangs" => std::future::pending().await,
            _ => Ok(Response::new(GetModelResponse::default())),
        }
    }

    async fn list_models(
        &self,
        _: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        Ok(Response::new(ListModelsResponse::default()))
    }

    async fn delete_model(
        &self,
        _: Request<DeleteModelRequest>,
    ) -> Result<Response<DeleteModelResponse>, Status> {
        Ok(Response::new(DeleteModelResponse::default()))
    }

    type WatchModelStream = Pin<Box<dyn Stream<Item = Result<WatchModelResponse, Status>> + Send>>;
    type ExportModelStream =
        Pin<Box<dyn Stream<Item = Result<ExportModelResponse, Status>> + Send>>;
    type TrainStream = Pin<Box<dyn Stream<Item = Result<TrainResponse, Status>> + Send>>;

    async fn put_biases(
        &self,
        _: Request<PutBiasesRequest>,
    ) -> Result<Response<PutBiasesResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn watch_model(
        &self,
        _: Request<WatchModelRequest>,
    ) -> Result<Response<Self::WatchModelStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_versions(
        &self,
        _: Request<ListVersionsRequest>,
    ) -> Result<Response<ListVersionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn compare_versions(
        &self,
        _: Request<CompareVersionsRequest>,
    ) -> Result<Response<CompareVersionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn export_model(
        &self,
        _: Request<ExportModelRequest>,
    ) -> Result<Response<Self::ExportModelStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn rotate_key(
        &self,
        _: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    /// Echoes; a message without a part is a bug, unless it is the first: then the answer has no
    /// end.
    async fn train(
        &self,
        request: Request<Streaming<TrainRequest>>,
    ) -> Result<Response<Self::TrainStream>, Status> {
        let mut messages = request.into_inner();
        if messages.message().await?.and_then(|first| first.part).is_none() {
            let large =
                SessionOpened { working_sha256: vec![0; 1 << 20].into(), ..Default::default() };
            let large = TrainResponse { part: Some(train_response::Part::Opened(large)) };
            let made = Arc::clone(&self.made);
            let endless = stream::repeat_with(move || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(large.clone())
            });
            return Ok(Response::new(Box::pin(endless)));
        }
        let answers = messages.map(|message| {
            assert!(message?.part.is_some(), "a stream's bug");
            Ok(TrainResponse::default())
        });
        // A panic must not be polled again, as after any stream that has ended.
        Ok(Response::new(Box::pin(answers.chain(stream::empty()))))
    }
}

struct Running {
    address: SocketAddr,
    client: TrainerClient<Channel>,
    made: Arc<AtomicUsize>,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), ServeError>>,
}

async fn start(change: impl FnOnce(&mut ServerConfig)) -> Running {
    let mut config = ServerConfig::new(SERVICE.default_listen);
    change(&mut config);
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let made = Arc::<AtomicUsize>::default();
    let service = Behaviour { compute: Compute::new(1).unwrap(), made: Arc::clone(&made) };
    let routes = Routes::new(TrainerServer::new(service));
    let served = tokio::spawn(async move {
        let (guard, metrics) = (Guard::default(), Metrics::new(&SERVICE, false));
        let (config, guard, metrics) = (&config, &guard, &metrics);
        let served = Served { service: &SERVICE, config, guard, metrics };
        serve(served, listener, routes, async {}, token).await
    });
    let client = TrainerClient::connect(format!("http://{address}")).await.unwrap();
    Running { address, client, made, shutdown, served }
}

fn get(model_id: &str) -> GetModelRequest {
    GetModelRequest { model_id: model_id.to_owned(), ..Default::default() }
}

fn echo() -> TrainRequest {
    use sphinx_proto::v1::OpenSession;
    use sphinx_proto::v1::train_request::Part;
    TrainRequest { part: Some(Part::Open(OpenSession::default())), ..TrainRequest::default() }
}

/// A training stream that stays open while the sender lives.
async fn open_stream(
    client: &mut TrainerClient<Channel>,
) -> (mpsc::Sender<TrainRequest>, Streaming<TrainResponse>) {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(echo()).await.unwrap();
    let stream = client.train(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    (sender, stream)
}

#[tokio::test]
async fn a_panicking_handler_answers_internal_and_the_service_goes_on() {
    let mut running = start(|_| ()).await;
    let status = running.client.get_model(get("panics")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("bug"), "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"));
    running.client.get_model(get("m")).await.unwrap();
}

#[tokio::test]
async fn a_panicking_stream_ends_with_internal_and_spares_its_connection() {
    let mut running = start(|config| config.max_concurrent_requests = 1).await;
    let (sender, mut stream) = open_stream(&mut running.client).await;
    sender.send(echo()).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    sender.send(TrainRequest::default()).await.unwrap();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
    // Same connection, and the only place is free again.
    running.client.get_model(get("m")).await.unwrap();
}

#[tokio::test]
async fn rejects_a_hanging_handler_but_not_a_long_stream() {
    let mut running = start(|config| config.request_timeout_ms = 200).await;
    let (sender, mut stream) = open_stream(&mut running.client).await;
    let start = Instant::now();
    let status = running.client.get_model(get("hangs")).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("200 ms"));
    assert!(start.elapsed() >= Duration::from_millis(200));
    tokio::time::sleep(Duration::from_millis(300)).await;
    sender.send(echo()).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
}

#[tokio::test]
async fn rejects_a_stream_whose_client_falls_silent() {
    let mut running = start(|config| config.idle_timeout_ms = 300).await;
    let (sender, mut stream) = open_stream(&mut running.client).await;
    for _ in 0..4 {
        // Slow, but not silent.
        tokio::time::sleep(Duration::from_millis(120)).await;
        sender.send(echo()).await.unwrap();
        assert!(stream.message().await.unwrap().is_some());
    }
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
}

#[tokio::test]
async fn rejects_the_surplus_while_streams_hold_the_places() {
    let mut running = start(|config| config.max_concurrent_requests = 2).await;
    let first = open_stream(&mut running.client).await;
    let second = open_stream(&mut running.client).await;
    let status = running.client.get_model(get("m")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.metadata().get("retry-after-ms").unwrap(), "200");
    assert!(status.metadata().contains_key("x-request-id"));

    // A busy service is not a dead one.
    let channel = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let mut health =
        tonic_health::pb::health_client::HealthClient::new(channel.connect().await.unwrap());
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();

    drop(first);
    let free = async {
        while running.client.get_model(get("m")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), free).await.unwrap();
    drop(second);
}

/// A client of its own connection, and a request of a tenant.
async fn of_tenant(
    running: &Running,
    tenant: &str,
) -> (TrainerClient<Channel>, Request<GetModelRequest>) {
    let client = TrainerClient::connect(format!("http://{}", running.address)).await.unwrap();
    let mut request = Request::new(get("m"));
    request.metadata_mut().insert("x-sphinx-tenant", tenant.parse().unwrap());
    (client, request)
}

#[tokio::test]
async fn a_greedy_tenant_keeps_nobody_else_out() {
    let mut running = start(|config| config.max_concurrent_requests = 8).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(open_stream(&mut running.client).await);
    }
    let status = running.client.get_model(get("m")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("tenant default has 6 requests under way"), "{status:?}");
    assert_eq!(status.metadata().get("retry-after-ms").unwrap(), "200");
    for tenant in ["modest", "other"] {
        let (mut client, request) = of_tenant(&running, tenant).await;
        client.get_model(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_tenant_s_rate_is_limited_and_another_s_is_its_own() {
    let mut running = start(|config| config.max_requests_per_second_of_tenant = 20).await;
    let mut refused = None;
    for _ in 0..100 {
        if let Err(status) = running.client.get_model(get("m")).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let wait = refused.metadata().get("retry-after-ms").unwrap().to_str().unwrap();
    assert!((1..=51).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    let (mut client, request) = of_tenant(&running, "other").await;
    client.get_model(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    running.client.get_model(get("m")).await.unwrap();
}

/// Half a megabyte.
fn large() -> TrainRequest {
    use sphinx_proto::v1::OpenSession;
    use sphinx_proto::v1::train_request::Part;
    let open = OpenSession { model_id: "m".repeat(1 << 19), ..OpenSession::default() };
    TrainRequest { part: Some(Part::Open(open)), ..TrainRequest::default() }
}

#[tokio::test]
async fn bytes_of_a_tenant_wait_and_when_too_many_do_it_is_refused() {
    let mut running = start(|config| {
        // A pause is no silence: all of it takes longer.
        (config.max_bytes_per_second_of_tenant, config.idle_timeout_ms) = (1 << 20, 2000);
    })
    .await;
    let mut senders = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..8 {
        let (sender, stream) = open_stream(&mut running.client).await;
        senders.push(sender);
        streams.push(stream);
    }
    let begun = Instant::now();
    for sender in senders {
        for _ in 0..2 {
            sender.send(large()).await.unwrap();
        }
    }
    let (mut other, request) = of_tenant(&running, "other").await;
    let refused = loop {
        match running.client.get_model(get("m")).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(refused) => break refused,
        }
        assert!(begun.elapsed() < Duration::from_secs(6));
    };
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("tenant default sends more than 1048576 bytes"));
    other.get_model(request).await.unwrap();
    // Nothing is lost, and it comes at the rate: eight megabytes, one of which comes at once, and
    // of the last piece of each stream nothing waits.
    for stream in &mut streams {
        for _ in 0..2 {
            assert!(stream.message().await.unwrap().is_some());
        }
        assert!(stream.message().await.unwrap().is_none());
    }
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(20), "{took:?}");
    // Whoever waits as long as he is told is served.
    if let Err(refused) = running.client.get_model(get("m")).await {
        let wait = refused.metadata().get("retry-after-ms").unwrap().to_str().unwrap();
        tokio::time::sleep(Duration::from_millis(wait.parse().unwrap())).await;
        running.client.get_model(get("m")).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_read_his_reply_loses_place_and_memory() {
    let change = |config: &mut ServerConfig| {
        (config.max_concurrent_requests, config.idle_timeout_ms) = (1, 400);
    };
    let mut running = start(change).await;
    let endless = tokio_stream::iter([TrainRequest::default()]);
    let mut unread = running.client.train(endless).await.unwrap().into_inner();
    let begun = Instant::now();
    let (mut client, _) = of_tenant(&running, "other").await;
    while client.get_model(get("m")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (waited, made) = (begun.elapsed(), running.made.load(Ordering::Relaxed));
    assert!(waited > Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    // What the windows of the connection take, and no more for as long as it is open.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(running.made.load(Ordering::Relaxed), made);
    assert!(made < 20, "{made}");
    // Whoever reads after all is told.
    let status = loop {
        match unread.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("nothing of the reply read for 400 ms"), "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
}

#[tokio::test]
async fn who_reads_slowly_gets_all_of_it() {
    let mut running = start(|config| config.idle_timeout_ms = 300).await;
    let endless = tokio_stream::iter([TrainRequest::default()]);
    let mut slow = running.client.train(endless).await.unwrap().into_inner();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(slow.message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn request_ids_are_kept_if_plain_and_made_otherwise() {
    let mut running = start(|_| ()).await;
    let mut id_for = async |sent: Option<&str>| {
        let mut request = Request::new(get("m"));
        if let Some(id) = sent {
            request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        }
        let reply = running.client.get_model(request).await.unwrap();
        reply.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(id_for(Some("job-17")).await, "job-17");
    for odd in [None, Some("a b"), Some("x\"y"), Some("z".repeat(65).as_str())] {
        assert_eq!(id_for(odd).await.len(), 36);
    }
}

#[tokio::test]
async fn computations_run_in_the_request_s_span() {
    // Enabled for the whole process, because the pool has threads of its own.
    let _ = tracing_subscriber::fmt().with_writer(std::io::sink).try_init();
    let mut running = start(|_| ()).await;
    running.client.create_model(CreateModelRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_connection_above_the_limit_waits_for_a_place() {
    let running = start(|config| config.max_connections = 1).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", running.address)).unwrap();
    let mut second = TrainerClient::new(endpoint.connect_lazy());
    let asking = tokio::spawn(async move { second.get_model(get("m")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asking.is_finished());
    drop(running.client);
    timeout(Duration::from_secs(5), asking).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_waits_for_streams_and_refuses_new_connections() {
    let mut running = start(|_| ()).await;
    let (sender, mut stream) = open_stream(&mut running.client).await;
    running.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!running.served.is_finished());
    let refused = TrainerClient::connect(format!("http://{}", running.address)).await;
    assert!(refused.is_err());
    sender.send(echo()).await.unwrap();
    assert!(stream.message().await.unwrap().is_some());
    drop((sender, running.client));
    assert!(stream.message().await.unwrap().is_none());
    timeout(Duration::from_secs(5), running.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let mut running = start(|config| config.drain_deadline_ms = 200).await;
    let held = open_stream(&mut running.client).await;
    running.shutdown.cancel();
    timeout(Duration::from_secs(5), running.served).await.unwrap().unwrap().unwrap();
    drop(held);
}
