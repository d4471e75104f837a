//! A stream beside the one that commits moves on to what that one has committed.

use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Follow, Followed};
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::session::Session;
use crate::training::streams::Outbound;

/// Reads the version from the store, where another replica may have put it, and says what the
/// session computes with now.
pub(crate) async fn follow(
    service: &TrainerService,
    session: &mut Session,
    follow: &Follow,
    outbound: &Outbound,
) -> Result<(), Status> {
    if !session.follows {
        return Err(TrainerError::CommitsItself.into());
    }
    session.reload(service, follow.version).await?;
    let state = &session.state;
    let followed = Followed {
        version: state.version,
        chain: state.hashes.chain.to_vec().into(),
        working_sha256: state.working_sha256(),
    };
    outbound.send(Reply::Followed(followed)).await
}
