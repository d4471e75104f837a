//! Queries with known answers among those of recognition in one shot.

use std::sync::Arc;

use sphinx_client::one_shot::OneShot;
use sphinx_client::{ClientError, Endpoints, SphinxClient, StateError};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_proto::v1::{InferOnceRequest, InferOnceResponse};
use sphinx_testbed::liar::{Liar, Lie, Lies};

use crate::agreement::test_images;
use crate::liars::{memory, suspects};
use crate::world::World;

/// Answers in one shot are no products: canaries among them are all there is.
#[tokio::test(flavor = "multi_thread")]
async fn canaries_find_out_who_answers_wrongly_in_one_shot() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let keys = world.key.evaluation_keys(OneShotProfile::Standard, &mut world.rng).unwrap();
    let keys = keys.to_bytes().unwrap().into();
    world.client().register_evaluation_keys(&world.key_id, &keys, "").await.unwrap();
    let images = test_images(2);

    let (client, key, read_key) = (world.client(), &world.key, world.read_key(&model));
    let honest = OneShot::new(&client, Arc::clone(key), Arc::clone(&read_key)).await.unwrap();
    let honest = honest.with_canaries(0.6).unwrap();
    while honest.canaries() < 3 {
        let seen = honest.infer_many(&images, &mut world.rng).await.unwrap();
        assert_eq!(seen.len(), 2, "canaries are no answers");
        for (image, seen) in images.iter().zip(seen) {
            let clear = model.clear.classify(image).unwrap();
            let pairs = clear.iter().zip(&seen.logits);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2.0, "the answer to another image: off by {worst}");
        }
    }

    let infer_once: Lie<InferOnceRequest, InferOnceResponse> = Box::new(|_, answer| {
        let mut bodies = answer.bodies.to_vec();
        // The top bit of the first logit.
        bodies[3] ^= 0x80;
        answer.bodies = bodies.into();
        Ok(())
    });
    let lies = Lies { infer_once: Some(infer_once), ..Lies::default() };
    let liar = Liar::start(&world.endpoints.inference, lies).await;
    let endpoints = Endpoints { inference: liar.url.clone(), ..world.endpoints.clone() };
    let (client, home) = (SphinxClient::new(&endpoints).unwrap(), tempfile::tempdir().unwrap());
    let asked = OneShot::remembering(&client, Arc::clone(key), read_key, memory(&home)).await;
    let asked = asked.unwrap().with_canaries(0.6).unwrap();
    let error = loop {
        // Who has sent no canary yet knows nothing.
        match asked.infer_many(&images, &mut world.rng).await {
            Ok(_) => assert_eq!(asked.canaries(), 0),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, ClientError::State(StateError::WrongProduct { phase: "one shot", .. })),
        "{error}"
    );
    let mark = suspects(&home).find(&model.id).unwrap().unwrap();
    assert_eq!((mark.version, &*mark.phase), (1, "one shot"));
    let calls = liar.calls();
    assert!(asked.infer(&images[0], &mut world.rng).await.is_err());
    assert_eq!(liar.calls(), calls, "nothing is sent any more");
}
