//! Right answers, and requests that are refused.

use sphinx_proto::v1::InferOnceRequest;
use tonic::Code;

use crate::world::{POOLED, SMALL, World, party};

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_network_in_the_clear() {
    let world = World::start(&[]).await;
    let model = world.model("small", "mine", SMALL).await;
    let fingerprint = world.register("mine", &party().evaluation[0]).await;
    for seed in 0..6 {
        let image = model.image(seed);
        let request = InferOnceRequest { version: Some(0), ..model.request(&image) };
        let sent = request.seed.len() + request.bodies.len();
        assert!(sent <= 20_000, "{sent}");
        let answer = world.infer(request).await.unwrap();
        assert_eq!((answer.version, answer.fingerprint.as_str()), (0, fingerprint.as_str()));
        let received = answer.mask.len() + answer.bodies.len();
        assert!(received <= 20_000, "{received}");
        model.check(&image, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_every_layer_is_traced_under_its_request() {
    let filter = "info,sphinx_inference=debug";
    let world = World::start(&[("SPHINX_INFERENCE__LOG__FILTER", filter)]).await;
    let model = world.model("small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    world.infer(model.request(&model.image(0))).await.unwrap();
    let log = world.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("layer done")).collect();
    let parts = [
        "layer=0 step=Linear samples=12",
        "layer=0 step=KeySwitching samples=12",
        "layer=0 step=Rotation samples=12",
        "layer=1 step=Linear samples=3",
        "layer=1 step=Packing samples=3",
    ];
    assert_eq!(lines.len(), parts.len(), "{log}");
    for (line, part) in lines.into_iter().zip(parts) {
        assert!(line.contains(part) && line.contains("method=\"InferOnce\""), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_requests_that_are_wrong_or_name_what_is_not_there() {
    let world = World::start(&[]).await;
    let model = world.model("small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    let good = model.request(&model.image(0));
    type Change = fn(&mut InferOnceRequest);
    let cases: [(Change, Code, &str); 12] = [
        (|r| r.model_id = "../small".into(), Code::InvalidArgument, "model_id"),
        (|r| r.model_id = "nobody".into(), Code::NotFound, "nobody"),
        (|r| r.key_id = String::new(), Code::InvalidArgument, "key_id"),
        (|r| r.key_id = "foreign".into(), Code::FailedPrecondition, "encrypted under key mine"),
        (|r| r.version = Some(1), Code::NotFound, "version"),
        (|r| r.incarnation = vec![8; 16].into(), Code::FailedPrecondition, "made again"),
        (|r| r.incarnation = vec![7; 3].into(), Code::FailedPrecondition, "made again"),
        (|r| r.fingerprint = "0123".into(), Code::FailedPrecondition, "fingerprint"),
        (|r| r.seed = vec![0; 15].into(), Code::InvalidArgument, "15 bytes of seed"),
        (|r| r.bodies = r.bodies.slice(1..), Code::InvalidArgument, "bytes of coefficients"),
        (|r| r.bodies = vec![0; 8192].into(), Code::InvalidArgument, "bytes of coefficients"),
        (|r| r.bodies = bytes::Bytes::new(), Code::InvalidArgument, "bytes of coefficients"),
    ];
    for (index, (change, code, expected)) in cases.into_iter().enumerate() {
        let mut request = good.clone();
        change(&mut request);
        let status = world.infer(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{index}: {status:?}");
        assert!(status.message().contains(expected), "{index}: {status:?}");
    }
    world.infer(good.clone()).await.unwrap();
    // The client would have to pool.
    let pooled = world.model("pooled", "mine", POOLED).await;
    let status = world.infer(pooled.request(&pooled.image(0))).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("AvgPool"), "{status:?}");
    // In another tenant's name there is no such model.
    let mut foreign = tonic::Request::new(good);
    foreign.metadata_mut().insert("x-sphinx-tenant", "other".parse().unwrap());
    let status = world.inference.clone().infer_once(foreign).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

/// The biases of a version come from its owner, and another upload takes the place of the first.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_versions_without_biases_and_takes_those_that_come_later() {
    let world = World::start(&[]).await;
    let model = world.bare_model("default", party(), "small", "mine", SMALL).await;
    world.register("mine", &party().evaluation[0]).await;
    let image = model.image(0);
    let status = world.infer(model.request(&image)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("has no biases for one-shot"), "{status:?}");
    world.put_biases(&model, &model.biases).await;
    model.check(&image, world.infer(model.request(&image)).await.unwrap());
    let other: Vec<Vec<f32>> = model.biases.iter().map(|stage| vec![1.5; stage.len()]).collect();
    world.put_biases(&model, &other).await;
    let moved = model.decrypt(world.infer(model.request(&image)).await.unwrap());
    world.put_biases(&model, &model.biases).await;
    let back = world.infer(model.request(&image)).await.unwrap();
    model.check(&image, back.clone());
    let pairs = moved.iter().zip(model.decrypt(back));
    assert!(pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) > 0.5, "{moved:?}");
}
