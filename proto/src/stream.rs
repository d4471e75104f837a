//! Reading the streams of requests.

use tonic::{Code, Status, Streaming};

use crate::code::{ErrorCode, Reason, RpcError, to_status};

/// The bytes of a request's stream are not its messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream cannot be read: {cause}: send it again")]
pub struct Unreadable {
    /// What is wrong with the bytes.
    cause: String,
}

impl RpcError for Unreadable {
    fn code(&self) -> ErrorCode {
        ErrorCode::Aborted(Reason::StreamBroken)
    }
}

/// The next message of a request's stream, `None` at its end.
///
/// # Errors
/// ABORTED with [`Reason::StreamBroken`] for bytes that are not a message: by gRPC's own convention
/// they would be INTERNAL, although it is not this service that is at fault. Otherwise what tonic
/// and the layers say.
pub async fn next_message<T>(stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
    stream.message().await.map_err(|status| {
        if status.code() == Code::Internal {
            to_status(Unreadable { cause: status.message().to_owned() })
        } else {
            status
        }
    })
}
