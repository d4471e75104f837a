//! Computing away from the threads that serve connections.

use crate::error::ClientError;

/// Work that takes less may be done on an asynchronous thread.
pub(crate) const INLINE_NANOS: usize = 500_000;

/// Runs `work` on a thread that may block; parallel iterators in it use all cores.
///
/// # Errors
/// [`ClientError::Task`] when it panicked or the runtime is shutting down.
pub(crate) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ClientError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ClientError::Task { cause: error.to_string() })
}
