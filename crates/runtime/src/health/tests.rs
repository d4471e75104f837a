use std::time::Duration;

use sphinx_proto::v1::{key_vault_server, trainer_server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use super::*;
use crate::config::{ServerConfig, TlsConfig};
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::serve::{Served, serve};

const fn service(grpc_name: &'static str) -> ServiceInfo {
    let default_listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    ServiceInfo { name: "healthtest", grpc_name, version: "0", default_listen }
}

const SERVICE: ServiceInfo = service(trainer_server::SERVICE_NAME);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(SERVICE.default_listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A service without RPCs of its own, under real layers and health; it serves when this returns.
async fn start() -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    start_when(async {}).await
}

/// The same, which is ready when `ready` has come.
async fn start_when(
    ready: impl Future<Output = ()> + Send + 'static,
) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let (listener, address) = listen().await;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let served = tokio::spawn(async move {
        let config = ServerConfig::new(address);
        let metrics = Metrics::new(&SERVICE, false);
        let (config, guard) = (&config, &Guard::default());
        let served = Served { service: &SERVICE, config, guard, metrics: &metrics };
        serve(served, listener, Routes::default(), ready, token).await.unwrap();
    });
    (address, shutdown, served)
}

#[tokio::test]
async fn a_service_is_healthy_while_it_serves_and_not_after_its_drain() {
    let (address, shutdown, served) = start().await;
    assert_eq!(check(&SERVICE, address, &TlsConfig::default()).await, Ok(()));
    let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    assert_eq!(check(&SERVICE, everywhere, &TlsConfig::default()).await, Ok(()));

    shutdown.cancel();
    served.await.unwrap();
    let gone = check(&SERVICE, address, &TlsConfig::default()).await.unwrap_err();
    let CheckError::Health(HealthError::Unreachable { address: at, .. }) = &gone else {
        panic!("{gone}")
    };
    assert_eq!(*at, address);
    assert!(gone.to_string().contains("refused"), "{gone}");
}

#[tokio::test]
async fn a_service_serves_by_its_name_when_what_it_needs_has_answered() {
    let (come, coming) = tokio::sync::oneshot::channel::<()>();
    let ready = async { coming.await.unwrap() };
    let (address, _shutdown, _served) = start_when(ready).await;
    let ask = |name| health::ask(address, name, None);
    let not_yet = ask(SERVICE.grpc_name).await.unwrap_err();
    assert!(matches!(not_yet, HealthError::NotServing { .. }), "{not_yet}");
    assert_eq!(ask("").await, Ok(()));
    come.send(()).unwrap();
    while ask(SERVICE.grpc_name).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn rejects_another_service_at_the_address() {
    let (address, _shutdown, _served) = start().await;
    let name = key_vault_server::SERVICE_NAME;
    let expected = HealthError::Unknown { address, name, code: Code::NotFound };
    assert_eq!(check(&service(name), address, &TlsConfig::default()).await, Err(expected.into()));
}

#[tokio::test]
async fn rejects_a_service_that_drains() {
    let (listener, address) = listen().await;
    let (reporter, health) = tonic_health::server::health_reporter();
    let name = SERVICE.grpc_name;
    reporter.set_service_status(name, ServingStatus::NotServing).await;
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(health).serve_with_incoming(incoming));
    let status = ServingStatus::NotServing;
    let expected = HealthError::NotServing { address, name, status };
    assert_eq!(check(&SERVICE, address, &TlsConfig::default()).await, Err(expected.into()));
}

#[tokio::test]
async fn rejects_a_peer_that_accepts_and_is_silent() {
    let (_listener, address) = listen().await;
    assert_eq!(
        check(&SERVICE, address, &TlsConfig::default()).await,
        Err(HealthError::Silent { address }.into())
    );
}

#[tokio::test]
async fn rejects_a_port_that_only_the_system_knows() {
    let any = SERVICE.default_listen;
    assert_eq!(check(&SERVICE, any, &TlsConfig::default()).await, Err(CheckError::AnyPort(any)));
}

#[test]
fn every_address_is_asked_on_the_loopback() {
    for (listen, expected) in [
        ("0.0.0.0:7001", "127.0.0.1:7001"),
        ("[::]:7001", "[::1]:7001"),
        ("192.0.2.1:7001", "192.0.2.1:7001"),
    ] {
        assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
    }
}
