//! Two clients who train one model at two trainers.

use std::sync::Arc;

use sphinx_client::{
    ChannelError, ClientError, EncryptedSession, Evaluator, Protocol, SessionOptions, Update,
};
use sphinx_network::Plan;
use sphinx_proto::{Reason, SessionId};
use sphinx_testbed::training::{blocking, key_id, model_id, rule, small};

use crate::world::World;

const ROUNDS: u8 = 20;

fn update() -> Update {
    let plan = Plan::new(&small()).unwrap();
    let filled = |count: usize, value: f32| vec![value; count];
    Update {
        gradient: plan.stages.iter().map(|s| filled(s.linear.weight_count(), 0.125)).collect(),
        bias_gradient: plan.stages.iter().map(|s| filled(s.linear.bias_count(), 0.5)).collect(),
        adopts_average: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_clients_of_one_model_one_wins_and_the_other_is_told() {
    let world = World::in_bucket().await;
    let trainers = [world.trainer(), world.trainer()];
    let clients = trainers.each_ref().map(|trainer| world.client(&trainer.url(), ""));
    world.create_model(&clients[0]).await;
    let mut wins = [0, 0];
    let mut told = None;
    for round in 0..ROUNDS {
        let mut racing = Vec::new();
        for (number, client) in (0..).zip(&clients) {
            let options = SessionOptions {
                model_id: model_id(),
                key_id: key_id(),
                key: Arc::clone(&world.key),
                session_id: SessionId([2 * round + number; 16]),
                rule: rule(),
                protocol: Protocol::default(),
            };
            let mut session = EncryptedSession::open(client, options).await.unwrap();
            let sealed = session.seal(0, &update(), false).unwrap();
            racing.push((session, sealed));
        }
        let commits = racing.into_iter().map(|(mut session, sealed)| {
            tokio::spawn(blocking(move || session.commit_sealed(0, &sealed)))
        });
        let mut winners = 0;
        for (number, commit) in commits.collect::<Vec<_>>().into_iter().enumerate() {
            match commit.await.unwrap() {
                Ok(()) => {
                    wins[number] += 1;
                    winners += 1;
                }
                Err(error) => {
                    let ClientError::Channel(ChannelError::Refused { reason, .. }) = &error else {
                        panic!("{error}")
                    };
                    assert_eq!(*reason, Some(Reason::BaseMoved), "{error}");
                    told = Some(error.to_string());
                }
            }
        }
        assert_eq!(winners, 1, "round {round}");
        for client in &clients {
            let version = client.model(&model_id()).await.unwrap().version;
            assert_eq!(version, u64::from(round) + 1);
        }
    }
    println!("{ROUNDS} rounds, won by the one and the other: {wins:?}; the loser reads: {told:?}");
    let told = told.unwrap();
    assert!(told.contains("model m is at version"), "{told}");
}
