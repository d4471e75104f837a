//! Transport security: from certificate files to configurations of TLS 1.3, for both ends, and
//! certificates of one's own.
#![deny(clippy::indexing_slicing)]

mod authority;
mod client;
mod files;
mod pinned;
mod server;

pub use authority::{Authority, AuthorityError, Issued, Use};
pub use client::{Identity, client_config, pinned_client_config, server_name};
pub use files::{TlsError, TlsProblem, certificates};
pub use server::{ServerFiles, server_config};
/// What connects and accepts with the configurations made here.
pub use tokio_rustls;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// The name under which both ends agree on HTTP/2 (ALPN).
const HTTP2: &[u8] = b"h2";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
