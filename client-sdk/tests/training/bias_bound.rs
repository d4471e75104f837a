//! Biases that reach the network's bound.

use sphinx_client::{EncryptedSession, Evaluator, ModelLedger, TrainingOptions};
use sphinx_network::NetworkSpec;
use sphinx_proto::SessionId;

use crate::world::{EXAMPLES, World, delta, key_id, model_id, open, rule, small};

/// 0.1 is not a multiple of the biases' grid: rounded to the nearest, a bias at the bound would
/// exceed it.
#[tokio::test(flavor = "multi_thread")]
async fn biases_at_their_bound_leave_the_model_trainable() {
    let world = World::start().await;
    let spec = NetworkSpec { bias_bound: 0.1, ..small() };
    world.client.create_model(&model_id(), &key_id(), &spec, 5).await.unwrap();
    ModelLedger::create(&world.ledger(), "m", EXAMPLES, delta()).unwrap();
    let steep = || world.request(TrainingOptions { learning_rate: 5.0, ..open(1.0) });
    let first = world.client.train_model(steep(), |_| true).await.unwrap();
    let session = world.session(SessionId([9; 16]), rule());
    let session = EncryptedSession::open(&world.client, session).await.unwrap();
    let largest = session.biases().iter().flatten().fold(0.0f32, |most, bias| most.max(bias.abs()));
    assert_eq!(largest, 6553.0 / 65_536.0);
    drop(session);
    let second = world.client.train_model(steep(), |_| true).await.unwrap();
    assert_eq!(second.version, first.version + second.steps);
}
