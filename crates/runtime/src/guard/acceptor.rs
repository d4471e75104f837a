//! The service's end of TLS, with the certificates that its files hold at the time.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sphinx_tls::tokio_rustls::rustls::ServerConfig;
use sphinx_tls::tokio_rustls::server::TlsStream;
use sphinx_tls::{ServerFiles, TlsError, server_config, tokio_rustls};
use tokio::net::TcpStream;

use super::stamp::Stamps;

/// Longest handshake; a client that takes longer would hold its place for nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Greets clients. Connections that are open keep the certificates that they were greeted with.
#[derive(Clone)]
pub(crate) struct Acceptor {
    files: Arc<ServerFiles>,
    stamps: Arc<Stamps>,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Acceptor {
    pub(super) fn open(files: ServerFiles) -> Result<Self, TlsError> {
        let stamps = Arc::new(Stamps::of(files.paths()));
        let current = Arc::new(RwLock::new(server_config(&files)?));
        Ok(Self { files: Arc::new(files), stamps, current })
    }

    /// Takes what the files hold now if they have changed and can be used: they may be half
    /// exchanged.
    pub(super) fn look(&self) {
        if !self.stamps.changed() {
            return;
        }
        match server_config(&self.files) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!("certificates read again");
            }
            Err(error) => {
                tracing::error!(%error, "changed certificates cannot be used; the last ones stay");
            }
        }
    }

    /// # Errors
    /// What is wrong with the handshake, or that it took too long.
    pub(crate) async fn greet(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let greeting = tokio_rustls::TlsAcceptor::from(config).accept(socket);
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
        tokio::time::timeout(HANDSHAKE, greeting).await.map_err(late)?
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("files", &self.files).finish_non_exhaustive()
    }
}
