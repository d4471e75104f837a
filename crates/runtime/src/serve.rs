//! Serving a service's routes until it is told to stop, then draining.

use std::convert::Infallible;
use std::io::{self, Write};
use std::time::Duration;

use sphinx_proto::DESCRIPTORS;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::admission::AdmissionLayer;
use crate::config::ServerConfig;
use crate::guard::Guard;
use crate::info::ServiceInfo;
use crate::metrics::Metrics;
use crate::{connections, layers};

/// Bytes a peer may send ahead on one stream and on one connection. The defaults (64 kB) would make
/// bulk streams of ciphertexts wait for a window update every few rows.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Largest HTTP/2 frame; the default of 16 kB splits one chunk of rows into dozens.
const MAX_FRAME: u32 = 1 << 20;
/// Largest set of request headers, bytes; they are held per stream before any check.
const MAX_HEADERS: u32 = 16 << 10;
/// A peer that vanished without a word is noticed after both.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// What clients are given to ask for what they have begun, and to fetch the end of an answer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a service ended other than by its drain.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("serving failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The reflection service refused the schema.
    #[error("the schema cannot be reflected: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The listener has no address.
    #[error("the listener has no address: {0}")]
    Listener(#[from] io::Error),
}

/// What is served, and what surrounds it.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// What tells the service from others.
    pub service: &'a ServiceInfo,
    /// Listening, and what protects the service from too much.
    pub config: &'a ServerConfig,
    /// Whom it lets in.
    pub guard: &'a Guard,
    /// Where its requests are measured.
    pub metrics: &'a Metrics,
}

/// Serves `routes`, wrapped in the layers, with health and reflection, until `shutdown` is
/// cancelled.
///
/// The process is SERVING at once (the empty name), the service by its name when `ready` has come;
/// exactly one line, `listening on IP:PORT`, goes to standard output. A cancelled `shutdown` turns
/// health NOT_SERVING, closes the port and lets running RPCs end; connections on which nothing runs
/// are cut then, and after the drain deadline the rest is left to the end of the process. Meanwhile
/// files of the guard are read again when they change.
///
/// # Errors
/// [`ServeError`] when the service cannot start or its transport fails.
pub async fn serve(
    served: Served<'_>,
    listener: TcpListener,
    routes: Routes,
    ready: impl Future<Output = ()>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let Served { service, config, guard, metrics } = served;
    let address = listener.local_addr()?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let routes = with_reflection(service, routes)?.add_service(health_service);
    let admission = AdmissionLayer::new(config, metrics);
    let layers = (admission.clone(), guard, metrics);
    let app = layers::wrap(service.name, config, layers, routes.prepare());
    let acceptor = guard.acceptor.clone();
    let incoming = connections::accept(listener, config.max_connections, acceptor);
    let drain = shutdown.clone().cancelled_owned();
    let server = server(config).serve_with_incoming_shutdown(app, incoming, drain);

    health.set_service_status("", ServingStatus::Serving).await;
    health.set_service_status(service.grpc_name, ServingStatus::NotServing).await;
    // The socket listens since it was bound, so a connection made now waits at most for the next
    // line.
    if let Err(error) = announce(address) {
        tracing::warn!(%error, "nobody reads where this service listens");
    }
    tracing::info!(%address, encrypted = guard.acceptor.is_some(), "serving");
    let ready = async {
        ready.await;
        if !shutdown.is_cancelled() {
            report(&health, service, ServingStatus::Serving).await;
            tracing::info!("ready");
        }
        std::future::pending::<Infallible>().await
    };

    let cut = async {
        shutdown.cancelled().await;
        report(&health, service, ServingStatus::NotServing).await;
        tracing::info!(deadline = ?config.drain_deadline(), "draining");
        tokio::time::sleep(config.drain_deadline()).await;
    };
    // Connections end by themselves unless their client is silent; nobody waits for those.
    let silent = async {
        shutdown.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
        admission.all_ended().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        result = server => {
            result?;
            tracing::info!("drained");
        }
        () = silent => tracing::info!("drained; silent connections are cut"),
        never = ready => match never {},
        never = guard.keep_watching() => match never {},
        () = cut => tracing::warn!("drain deadline passed; open streams are cut"),
    }
    Ok(())
}

fn server(config: &ServerConfig) -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_FRAME)
        .http2_max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(config.max_streams_per_connection)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// Adds reflection under both names: newer tools speak v1, older ones only v1alpha. It lists what
/// this service serves, not the whole schema.
fn with_reflection(service: &ServiceInfo, routes: Routes) -> Result<Routes, ServeError> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(service.grpc_name)
            .with_service_name("grpc.health.v1.Health")
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

async fn report(health: &HealthReporter, service: &ServiceInfo, status: ServingStatus) {
    for name in ["", service.grpc_name] {
        health.set_service_status(name, status).await;
    }
}

fn announce(address: std::net::SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {address}")?;
    stdout.flush()
}
