//! Services in this process.

use sphinx_runtime::CancellationToken;
use tokio::net::TcpListener;

/// A free loopback port and its address.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// Starts a key vault on the store at `location` and returns its address.
pub async fn keyvault(location: &str, shutdown: CancellationToken) -> String {
    let (listener, address) = listen().await;
    let mut config = sphinx_keyvault::Config::defaults(&sphinx_keyvault::SERVICE);
    config.store = location.to_owned();
    tokio::spawn(async move { sphinx_keyvault::run(config, listener, shutdown).await.unwrap() });
    address
}

/// Starts an inference service on the same store and returns its address.
pub async fn inference(location: &str, keyvault: &str, shutdown: CancellationToken) -> String {
    let (listener, address) = listen().await;
    let mut config = sphinx_inference::Config::defaults(&sphinx_inference::SERVICE);
    (config.store, config.keyvault) = (location.to_owned(), keyvault.to_owned());
    tokio::spawn(async move { sphinx_inference::run(config, listener, shutdown).await.unwrap() });
    address
}
