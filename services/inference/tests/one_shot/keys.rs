//! Keys that are unknown, exchanged, damaged, and removed while requests run.

use std::time::Duration;

use sphinx_proto::v1::InferOnceRequest;
use tonic::Code;

use crate::world::{LARGE, SMALL, World, party};

#[tokio::test(flavor = "multi_thread")]
async fn rejects_queries_under_unknown_revoked_and_exchanged_keys() {
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
    // Others under the same id: those who expect the first ones are told, the rest is served with the new ones.
    let second = world.register("mine", &party().evaluation[1]).await;
    let old = InferOnceRequest { fingerprint: first.clone(), ..model.request(&image) };
    assert!(refused(old).await.contains(&second));
    let answer = world.infer(model.request(&image)).await.unwrap();
    assert_eq!(answer.fingerprint, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_keys_that_are_not_those_registered_until_they_are_again() {
    let world = World::start(&[]).await;
    let model = world.model("small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = model.image(0);
    // One bit of the key vault's copy, in the middle of the bootstrapping key: every size and header is right.
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
    let before = model.decrypt(world.infer(model.request(&image)).await.unwrap());
    let mut client = world.inference.clone();
    let request = model.request(&image);
    let running = tokio::spawn(async move { client.infer_once(request).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    world.remove("mine").await;
    let status = world.infer(model.request(&image)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let after = model.decrypt(running.await.unwrap().unwrap().into_inner());
    assert_eq!(before.len(), after.len());
}
