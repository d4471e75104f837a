//! A relay of bytes that cuts connections.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast;

use crate::listen;

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Both directions, at once.
    Whole,
    /// The service reads an end while its replies still pass.
    Half,
}

/// A running relay; it ends with the runtime. Clones share it.
#[derive(Debug, Clone)]
pub struct TcpRelay {
    /// Where clients connect to.
    pub url: String,
    cuts: Arc<broadcast::Sender<Cut>>,
}

impl TcpRelay {
    /// Starts a relay before the service at `upstream`, a URL.
    pub async fn start(upstream: &str) -> Self {
        let upstream = upstream.strip_prefix("http://").unwrap().to_owned();
        let (listener, url) = listen().await;
        let cuts = Arc::new(broadcast::Sender::new(4));
        let relay = Self { url, cuts: Arc::clone(&cuts) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let upstream = upstream.clone();
                let told = cuts.subscribe();
                tokio::spawn(async move {
                    // A service that is away refuses the connection, and so does the relay, by
                    // closing it.
                    if let Ok(service) = TcpStream::connect(upstream).await {
                        forward(client, service, told).await;
                    }
                });
            }
        });
        relay
    }

    /// Cuts all open connections. New ones pass.
    pub fn cut(&self, how: Cut) {
        // Nobody may be connected.
        let _ = self.cuts.send(how);
    }
}

async fn forward(client: TcpStream, service: TcpStream, mut told: broadcast::Receiver<Cut>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let back = async {
        tokio::io::copy(&mut from_service, &mut to_client).await?;
        to_client.shutdown().await
    };
    let forth = async {
        let how = tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_service) => {
                return to_service.shutdown().await;
            }
            how = told.recv() => how.unwrap_or(Cut::Whole),
        };
        if how == Cut::Whole {
            return Err(std::io::ErrorKind::ConnectionAborted.into());
        }
        to_service.shutdown().await?;
        // What the client goes on sending is lost.
        tokio::io::copy(&mut from_client, &mut tokio::io::sink()).await.map(drop)
    };
    // The first error ends both directions; an end of the client's bytes lets the replies go on.
    let _ = tokio::try_join!(forth, back);
}
