//! Keys that are unknown, exchanged, damaged, and removed while requests run.

use std::time::Duration;

use sphinx_proto::v1::InferOnceRequest;
use tonic::Code;

use crate::world::{LARGE, SMALL, World, party, stranger};

#[tokio::test(flavor = "multi_thread")]
async fn rejects_queries_under_unknown_removed_exchanged_and_revoked_keys() {
    let world = World::start(&[]).await;
    let model = world.model("small", "mine", SMALL).await;
    let image = model.image(0);
    let refused = async |request| {
        let status = world.infer(request).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        status.message().to_owned()
    };
    assert!(refused(model.request(&image)).await.contains("no evaluation keys are registered"));
    let first = world.register("mine", &party().evaluation[0]).await;
    world.infer(model.request(&image)).await.unwrap();
    // Removed: refused at once, although the keys are in the service's memory.
    world.remove("mine").await;
    assert!(refused(model.request(&image)).await.contains("no evaluation keys are registered"));
    // Others under the same id: those who expect the first ones are told, the rest is served with
    // the new ones.
    let second = world.register("mine", &party().evaluation[1]).await;
    let old = InferOnceRequest { fingerprint: first.clone(), ..model.request(&image) };
    assert!(refused(old).await.contains(&second));
    let answer = world.infer(model.request(&image)).await.unwrap();
    assert_eq!(answer.fingerprint, second);
    // Revoked: refused at once, and for good.
    world.revoke("mine").await;
    assert!(refused(model.request(&image)).await.contains("was revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_keys_that_are_not_those_registered_until_they_are_again() {
    let world = World::start(&[]).await;
    let model = world.model("small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = model.image(0);
    // One bit of the key vault's copy, in the middle of the bootstrapping key: every size and
    // header is right.
    let tenants = std::fs::read_dir(world.store.path().join("parts")).unwrap();
    let parts = std::fs::read_dir(tenants.map(Result::unwrap).next().unwrap().path()).unwrap();
    let mut parts: Vec<_> = parts.map(|part| part.unwrap().path()).collect();
    parts.sort();
    let part = &parts[parts.len() / 2];
    let good = std::fs::read(part).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 4;
    std::fs::write(part, damaged).unwrap();
    let status = world.infer(model.request(&image)).await.unwrap_err();
    // The operator's fault, not the caller's: details are in the log.
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(world.log().contains("the key vault at"), "{}", world.log());
    std::fs::write(part, good).unwrap();
    world.infer(model.request(&image)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_run_while_their_key_is_removed_end_well_and_later_ones_are_refused() {
    let world = World::start(&[]).await;
    let model = world.model("large", "mine", LARGE).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = model.image(0);
    // The first brings keys and model in.
    model.check(&image, world.infer(model.request(&image)).await.unwrap());
    let mut client = world.inference.clone();
    let request = model.request(&image);
    let running = tokio::spawn(async move { client.infer_once(request).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    world.remove("mine").await;
    let status = world.infer(model.request(&image)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    model.check(&image, running.await.unwrap().unwrap().into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_with_the_same_ids_have_models_and_keys_of_their_own() {
    const OTHER: &str = "other";
    let world = World::start(&[]).await;
    let mine = world.model("small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = mine.image(0);
    mine.check(&image, world.infer(mine.request(&image)).await.unwrap());
    // Keys under this id are in the service's memory now.
    let theirs = world.model_as(OTHER, stranger(), "small", "mine", SMALL).await;
    let status = world.infer_as(OTHER, theirs.request(&image)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("of tenant other"), "{status:?}");
    let fingerprint = world.register_as(OTHER, "mine", &stranger().evaluation[0]).await;
    for _ in 0..2 {
        let answer = world.infer_as(OTHER, theirs.request(&image)).await.unwrap();
        assert_eq!(answer.fingerprint, fingerprint);
        theirs.check(&image, answer);
        mine.check(&image, world.infer(mine.request(&image)).await.unwrap());
    }
}
