//! The studio: a local web application on the SDK, served by the client on loopback for the one
//! person who started it.
//!
//! Pages are made here, in Rust; a small module of JavaScript draws curves and takes drawings.
//! Nothing is fetched from anywhere else, so it works offline, and the browser is told to fetch
//! nothing else. Secret keys stay in this process.

mod app;
mod assets;
mod error;
mod guard;
mod histogram;
mod layout;
mod pages;
mod record;
mod runs;
mod sets;

use std::sync::Arc;

use axum::Router;
use sphinx_client::workspace::Workspace;
use tokio::net::TcpListener;

use app::App;
use guard::Door;

/// A studio that listens, and is served once [`Studio::serve`] is awaited.
pub struct Studio {
    listener: TcpListener,
    router: Router,
    address: String,
}

impl Studio {
    /// A studio for a workspace on a listener of the loopback interface.
    ///
    /// # Errors
    /// What the system says of the listener; [`std::io::ErrorKind::InvalidInput`] if other machines
    /// could reach it.
    pub fn new(workspace: Workspace, listener: TcpListener) -> std::io::Result<Self> {
        let local = listener.local_addr()?;
        if !local.ip().is_loopback() {
            let text = format!("{local} is reachable from other machines: the studio has no login");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
        }
        let door = Door::new(local);
        let address = door.address();
        let app = Arc::new(App::new(workspace));
        let router = guard::guarded(pages::router(app), door);
        Ok(Self { listener, router, address })
    }

    /// What to open in a browser, with the token that opens the door once.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Serves until `shutdown` is done; pages that are open then are cut off.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> std::io::Result<()> {
        tokio::select! {
            served = axum::serve(self.listener, self.router).into_future() => served,
            () = shutdown => Ok(()),
        }
    }
}
