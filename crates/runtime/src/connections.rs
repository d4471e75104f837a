//! Accepting connections, no more than allowed at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use sphinx_access::Digest;
use sphinx_tls::tokio_rustls::server::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;

use crate::guard::Acceptor;
use crate::identity::ClientCertificate;

/// Pause after a failed accept: out of file descriptors, the next try would fail at once, for ever.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The connections of a listener, at most `limit` at once; the surplus waits in the system's
/// backlog. With an acceptor each is greeted by TLS first, beside the others; one that fails is
/// only noted.
pub(crate) fn accept(
    listener: TcpListener,
    limit: usize,
    acceptor: Option<Acceptor>,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limit));
    let sockets = stream::unfold((listener, places), |(listener, places)| async move {
        let permit = Arc::clone(&places).acquire_owned().await.ok()?;
        let socket = match listener.accept().await {
            // Small messages (rounds of recognition) must not wait for an acknowledgement.
            Ok((socket, _)) => socket.set_nodelay(true).map(|()| (socket, permit)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Err(error)
            }
        };
        Some((socket, (listener, places)))
    });
    let greeted = sockets.map(move |socket| greet(socket, acceptor.clone()));
    greeted.buffer_unordered(limit).filter_map(std::future::ready)
}

/// `None` for a client that TLS does not come to terms with.
async fn greet(
    accepted: io::Result<(TcpStream, OwnedSemaphorePermit)>,
    acceptor: Option<Acceptor>,
) -> Option<io::Result<Connection>> {
    let (socket, permit) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => return Some(Err(error)),
    };
    let Some(acceptor) = acceptor else {
        return Some(Ok(Connection { socket: Socket::Clear(socket), _permit: permit }));
    };
    match acceptor.greet(socket).await {
        Ok(stream) => {
            Some(Ok(Connection { socket: Socket::Tls(Box::new(stream)), _permit: permit }))
        }
        Err(error) => {
            tracing::debug!(%error, "a handshake failed");
            None
        }
    }
}

/// A connection and its place among those allowed.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Socket {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = ClientCertificate;

    fn connect_info(&self) -> ClientCertificate {
        let Socket::Tls(stream) = &self.socket else { return ClientCertificate(None) };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        ClientCertificate(shown.map(|certificate| Digest::of(certificate)))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Clear(socket) => Pin::new(socket).poll_read(cx, buffer),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Clear(socket) => Pin::new(socket).poll_write(cx, bytes),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Clear(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Clear(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Clear(socket) => Pin::new(socket).poll_flush(cx),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Clear(socket) => Pin::new(socket).poll_shutdown(cx),
            Socket::Tls(socket) => Pin::new(socket.as_mut()).poll_shutdown(cx),
        }
    }
}
