//! Trainings that are interrupted end where undisturbed ones do.

use sphinx_client::{TrainingOptions, TrainingRequest};
use sphinx_optimizer::OptimizerSpec;

use crate::world::{World, model_id, private};

/// Weights and biases of the newest version, by their bits.
async fn bits(world: &World) -> Vec<Vec<u32>> {
    let stages = world.client.export_model(&model_id(), &world.key).await.unwrap().stages;
    let vectors = stages.into_iter().flat_map(|stage| [stage.weights, stage.biases]);
    vectors.map(|vector| vector.into_iter().map(f32::to_bits).collect()).collect()
}

/// With moments and noise.
fn request(world: &World, seed: u8) -> TrainingRequest {
    let options =
        TrainingOptions { optimizer: OptimizerSpec::ADAM, learning_rate: 0.01, ..private(8.0) };
    TrainingRequest { seed: Some([seed; 32]), ..world.request(options) }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_trainings_end_bit_for_bit_where_uninterrupted_ones_do() {
    let whole = World::with_model().await;
    let summary = whole.client.train_model(request(&whole, 7), |_| true).await.unwrap();
    assert!(summary.steps > 5, "{}", summary.steps);
    let expected = bits(&whole).await;

    // Stopped by its user, stopped again after a crash of the service, and finished.
    let mut broken = World::with_model().await;
    for stop in [2, 5, u64::MAX] {
        let trained = broken.client.train_model(request(&broken, 7), move |made| made.step < stop);
        let trained = trained.await.unwrap();
        assert!(stop == u64::MAX || trained.version == stop, "{}", trained.version);
        broken.trainer.kill();
        broken.trainer.restart();
    }
    assert_eq!(broken.version().await, summary.version);
    assert_eq!(bits(&broken).await, expected);

    // Another seed leads elsewhere.
    let other = World::with_model().await;
    other.client.train_model(request(&other, 8), |_| true).await.unwrap();
    assert_ne!(bits(&other).await, expected);
}
