//! Connections by TLS.

use std::fmt;
use std::io;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use sphinx_tls::tokio_rustls::TlsConnector;
use sphinx_tls::tokio_rustls::client::TlsStream;
use sphinx_tls::tokio_rustls::rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tonic::transport::Uri;
use tower_service::Service;

/// Connects, and goes on only with who proves to be `name`.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    tls: TlsConnector,
    name: ServerName<'static>,
}

impl Connector {
    pub(crate) fn new(tls: TlsConnector, name: ServerName<'static>) -> Self {
        let mut tcp = HttpConnector::new();
        // It would refuse the scheme https, which is this connector's to speak.
        tcp.enforce_http(false);
        // Small messages (rounds of recognition) must not wait for an acknowledgement.
        tcp.set_nodelay(true);
        Self { tcp, tls, name }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(cx).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.tcp.call(uri);
        let (tls, name) = (self.tls.clone(), self.name.clone());
        Box::pin(async move {
            let socket = connecting.await.map_err(io::Error::other)?.into_inner();
            Ok(TokioIo::new(tls.connect(name, socket).await?))
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}
