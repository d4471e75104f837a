//! Services in this process.

use std::fmt::Debug;
use std::future::Future;

use sphinx_inference::InferenceLimits;
use sphinx_keyvault::VaultLimits;
use sphinx_runtime::{CancellationToken, Config, TlsConfig};
use sphinx_trainer::TrainerLimits;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running service. It drains when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Its address.
    pub url: String,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

impl Running {
    async fn start<F, E>(
        tls: &TlsConfig,
        run: impl FnOnce(TcpListener, CancellationToken) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Debug + Send,
    {
        let (listener, mut url) = listen().await;
        if tls.files().is_some() {
            url = url.replace("http://", "https://");
        }
        let shutdown = CancellationToken::new();
        let served = run(listener, shutdown.clone());
        let served = tokio::spawn(async move { served.await.unwrap() });
        Self { url, shutdown, served }
    }

    /// Lets it drain and waits for its end.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.served).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A free loopback port and its address.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// Starts a key vault on the store at `location`.
pub async fn keyvault(location: &str) -> Running {
    keyvault_with(location, |_| ()).await
}

/// The same with the defaults changed by `change`.
pub async fn keyvault_with(
    location: &str,
    change: impl FnOnce(&mut Config<VaultLimits>),
) -> Running {
    let mut config = Config::defaults(&sphinx_keyvault::SERVICE);
    config.store = location.to_owned();
    change(&mut config);
    config.validate().unwrap();
    let tls = config.tls.clone();
    Running::start(&tls, |listener, stop| sphinx_keyvault::run(config, listener, stop)).await
}

/// Starts a trainer on the store at `location`.
pub async fn trainer(location: &str, keyvault: &str) -> Running {
    trainer_with(location, keyvault, |_| ()).await
}

/// The same with the defaults changed by `change`.
pub async fn trainer_with(
    location: &str,
    keyvault: &str,
    change: impl FnOnce(&mut Config<TrainerLimits>),
) -> Running {
    let mut config = Config::defaults(&sphinx_trainer::SERVICE);
    (config.store, config.keyvault) = (location.to_owned(), keyvault.to_owned());
    change(&mut config);
    config.validate().unwrap();
    let tls = config.tls.clone();
    Running::start(&tls, |listener, stop| sphinx_trainer::run(config, listener, stop)).await
}

/// Starts a replica of the inference service on the store at `location`.
pub async fn inference(location: &str, keyvault: &str) -> Running {
    inference_with(location, keyvault, |_| ()).await
}

/// The same with the defaults changed by `change`.
pub async fn inference_with(
    location: &str,
    keyvault: &str,
    change: impl FnOnce(&mut Config<InferenceLimits>),
) -> Running {
    let mut config = Config::defaults(&sphinx_inference::SERVICE);
    (config.store, config.keyvault) = (location.to_owned(), keyvault.to_owned());
    change(&mut config);
    config.validate().unwrap();
    let tls = config.tls.clone();
    Running::start(&tls, |listener, stop| sphinx_inference::run(config, listener, stop)).await
}
