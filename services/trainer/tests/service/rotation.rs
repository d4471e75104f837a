//! Models under another key.

use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::{DeleteModelRequest, RotateKeyRequest, RotateKeyResponse};
use sphinx_wire::state::{Link, gradient_sha256, hash_from, sealed_sha256};
use tonic::{Code, Status};

use crate::common::{Trainer, assert_refused, creation, of_tenant, start_with_model};
use crate::talk::{Talk, opening};

/// The next version under the key `second`, sealed as these bytes.
async fn request(trainer: &mut Trainer, sealed: &[u8]) -> RotateKeyRequest {
    let model = trainer.part(None).await.unwrap().model.unwrap();
    let state = trainer.state().await;
    let link = Link {
        previous: hash_from(&state.chain).unwrap(),
        gradient: gradient_sha256(&[]),
        weights: hash_from(&state.weights_sha256).unwrap(),
        sealed: sealed_sha256(sealed),
    };
    RotateKeyRequest {
        model_id: "m".to_owned(),
        incarnation: model.incarnation,
        base_version: state.version,
        key_id: "second".to_owned(),
        sealed: sealed.to_vec().into(),
        chain: link.chain().to_vec().into(),
    }
}

async fn rotate(
    trainer: &mut Trainer,
    request: &RotateKeyRequest,
) -> Result<RotateKeyResponse, Status> {
    Ok(trainer.client.rotate_key(request.clone()).await?.into_inner())
}

#[tokio::test]
async fn the_next_version_has_the_same_weights_and_another_key() {
    let mut trainer = start_with_model(|_| ()).await;
    trainer.vault.register("default", "second").await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    let (before, weights) = (trainer.state().await, trainer.weights(0).await);
    // What the test's own mirror reads again below.
    let request = request(&mut trainer, &before.sealed).await;
    let reply = rotate(&mut trainer, &request).await.unwrap();
    let model = reply.model.unwrap();
    assert_eq!((&*model.key_id, model.version, reply.repeated), ("second", 2, false));
    let state = trainer.state().await;
    assert_eq!(trainer.weights(0).await, weights);
    assert_eq!((&state.sealed, &state.chain), (&request.sealed, &request.chain));
    assert_eq!(state.previous_chain, before.chain);
    assert_eq!(
        (&state.optimizer_sha256, state.step, &state.session_id),
        (&before.optimizer_sha256, before.step, &before.session_id)
    );
    // Again, as after an answer that was lost.
    let again = rotate(&mut trainer, &request).await.unwrap();
    assert_eq!((again.model.unwrap(), again.repeated), (model, true));
    // The old key opens no session, and one that was open cannot commit.
    let status = Talk::begin(trainer.client.clone(), Part::Open(opening(1))).await.err().unwrap();
    assert_refused(&status, Code::FailedPrecondition, "was made with key second");
    let status = talk.commit(1, 1, 1).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    let mut open = opening(1);
    open.key_id = "second".to_owned();
    let mut talk = Talk::begin(trainer.client.clone(), Part::Open(open)).await.unwrap();
    assert_eq!(talk.opened.last_step, Some(0));
    talk.commit(1, 2, 1).await.unwrap();
    assert_eq!(trainer.state().await.version, 3);
    let late = rotate(&mut trainer, &request).await.unwrap();
    assert!(late.repeated && late.model.unwrap().version == 3);
}

#[tokio::test]
async fn rejects_rotations_that_are_of_no_version_and_changes_nothing() {
    let mut trainer = start_with_model(|_| ()).await;
    trainer.vault.register("default", "second").await;
    trainer.vault.register("default", "gone").await;
    trainer.vault.revoke("default", "gone").await;
    Talk::open(&trainer, 1).await.commit(0, 0, 1).await.unwrap();
    let before = (trainer.state().await, trainer.parameters().await);
    let good = request(&mut trainer, b"sealed anew").await;
    let bytes = |length: usize| vec![1; length].into();
    let rows = [
        (
            RotateKeyRequest { model_id: "n".into(), ..good.clone() },
            Code::NotFound,
            "does not exist",
        ),
        (
            RotateKeyRequest { model_id: "N".into(), ..good.clone() },
            Code::InvalidArgument,
            "model_id",
        ),
        (RotateKeyRequest { key_id: "".into(), ..good.clone() }, Code::InvalidArgument, "key_id"),
        (RotateKeyRequest { chain: bytes(31), ..good.clone() }, Code::InvalidArgument, "chain"),
        (RotateKeyRequest { chain: bytes(32), ..good.clone() }, Code::FailedPrecondition, "chain"),
        (RotateKeyRequest { sealed: bytes(9), ..good.clone() }, Code::FailedPrecondition, "chain"),
        (
            RotateKeyRequest { sealed: bytes((3 << 20) + 1), ..good.clone() },
            Code::InvalidArgument,
            "sealed state",
        ),
        (
            RotateKeyRequest { incarnation: bytes(16), ..good.clone() },
            Code::FailedPrecondition,
            "deleted and made again",
        ),
        (RotateKeyRequest { base_version: 0, ..good.clone() }, Code::FailedPrecondition, "chain"),
        (RotateKeyRequest { base_version: 7, ..good.clone() }, Code::NotFound, "version 7"),
        (
            RotateKeyRequest { key_id: "nobodys".into(), ..good.clone() },
            Code::FailedPrecondition,
            "nobodys",
        ),
        (
            RotateKeyRequest { key_id: "gone".into(), ..good.clone() },
            Code::FailedPrecondition,
            "gone",
        ),
    ];
    for (request, code, says) in rows {
        let status = rotate(&mut trainer, &request).await.unwrap_err();
        assert_refused(&status, code, says);
        assert_eq!((trainer.state().await, trainer.parameters().await), before, "{says}");
    }
    // Of the version before the newest.
    Talk::open(&trainer, 1).await.commit(1, 1, 1).await.unwrap();
    let status = rotate(&mut trainer, &good).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    let status = trainer.client.rotate_key(of_tenant("other", good.clone())).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "second");
    let deletion = DeleteModelRequest { model_id: "m".to_owned() };
    trainer.client.delete_model(deletion).await.unwrap();
    trainer.client.create_model(creation("m")).await.unwrap();
    let status = rotate(&mut trainer, &good).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "deleted and made again");
}
