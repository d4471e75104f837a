//! What one tenant can take from the others: sessions, the network, the disk.

use std::time::{Duration, Instant};

use sphinx_proto::v1::{
    DeleteModelRequest, Direction, TrainRequest, TrainResponse, train_request::Part,
    train_response::Part as Reply,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::biases;
use crate::common::{KEY, Trainer, assert_refused, connect, creation, of_tenant, start};
use crate::talk::{OUTPUTS, evaluation, opening};

/// A trainer on which both tenants have a model `m`.
async fn start_with_two(change: impl FnOnce(&mut sphinx_trainer::Config)) -> Trainer {
    let mut trainer = start(change).await;
    trainer.create("m").await.unwrap();
    trainer.vault.register("acme", KEY).await;
    trainer.client.create_model(of_tenant("acme", creation("m"))).await.unwrap();
    trainer
}

/// An open session of a tenant on its own `m`.
struct Session {
    requests: mpsc::Sender<TrainRequest>,
    replies: Streaming<TrainResponse>,
}

impl Session {
    async fn open(trainer: &Trainer, tenant: &str, session: u8) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(128);
        // A connection of its own: what waits fills the windows of one.
        let mut client = connect(trainer.address).await;
        send(&requests, Part::Open(opening(session))).await;
        let replies = client.train(of_tenant(tenant, ReceiverStream::new(stream))).await?;
        let mut session = Self { requests, replies: replies.into_inner() };
        assert!(matches!(session.reply().await?, Reply::Opened(_)));
        Ok(session)
    }

    async fn reply(&mut self) -> Result<Reply, Status> {
        Ok(self.replies.message().await?.unwrap().part.unwrap())
    }

    /// So many products of the first stage, each with some 300 kB sent; how long they take.
    async fn evaluate(&mut self, times: usize) -> Duration {
        let begun = Instant::now();
        for _ in 0..times {
            for part in evaluation(0, Direction::Forward) {
                send(&self.requests, part).await;
            }
        }
        let mut missing = times * OUTPUTS[0];
        while missing > 0 {
            if let Reply::Output(rows) = self.reply().await.unwrap() {
                missing -= rows.rows.len();
            }
        }
        begun.elapsed()
    }
}

async fn send(requests: &mpsc::Sender<TrainRequest>, part: Part) {
    requests.send(TrainRequest { part: Some(part), ..TrainRequest::default() }).await.unwrap();
}

#[tokio::test]
async fn a_greedy_tenant_leaves_sessions_to_the_others() {
    let trainer = start_with_two(|config| config.limits.max_sessions = 4).await;
    let mut held = Vec::new();
    for number in 1..=3 {
        held.push(Session::open(&trainer, "default", number).await.unwrap());
    }
    let refused = Session::open(&trainer, "default", 4).await.err().unwrap();
    let words = "tenant default has 3 training sessions and 1 of 4 are free";
    assert_refused(&refused, Code::ResourceExhausted, words);
    assert_eq!(refused.metadata().get("retry-after-ms").unwrap(), "1000");
    Session::open(&trainer, "acme", 1).await.unwrap().evaluate(1).await;
}

#[tokio::test]
async fn bytes_of_a_tenant_come_at_its_rate_and_hold_nobody_else_up() {
    let trainer =
        start_with_two(|config| config.server.max_bytes_per_second_of_tenant = 1 << 20).await;
    // 3.5 MB, of which one may come at once.
    let mut fast = Session::open(&trainer, "default", 1).await.unwrap();
    let mut modest = Session::open(&trainer, "acme", 1).await.unwrap();
    let (fast, modest) = futures::join!(fast.evaluate(12), modest.evaluate(2));
    assert!(fast > Duration::from_millis(1500) && fast < Duration::from_secs(15), "{fast:?}");
    assert!(modest < fast / 2, "{modest:?} beside {fast:?}");
}

#[tokio::test]
async fn a_tenant_that_has_stored_its_share_gets_no_more_until_it_deletes() {
    let mut trainer =
        start_with_two(|config| config.limits.max_stored_bytes_of_tenant = 4000).await;
    let mut made = Vec::new();
    let refused = loop {
        let name = format!("m{}", made.len());
        match trainer.create(&name).await {
            Ok(_) => made.push(name),
            Err(refused) => break refused,
        }
        assert!(made.len() < 20, "each takes some hundred bytes");
    };
    let words = "and 456 more would be above the limit of 4000: delete models";
    assert_refused(&refused, Code::ResourceExhausted, words);
    assert!(refused.message().contains("tenant default"), "{refused:?}");
    // Waiting does not help.
    assert!(refused.metadata().get("retry-after-ms").is_none(), "{refused:?}");
    // The same request for what is there is answered as before, and so is everything that reads.
    trainer.create("m0").await.unwrap();
    assert_eq!(trainer.models("default").await.len(), 1 + made.len());
    // Another tenant has a share of its own.
    trainer.client.create_model(of_tenant("acme", creation("other"))).await.unwrap();
    let delete = DeleteModelRequest { model_id: made.pop().unwrap() };
    trainer.client.delete_model(delete).await.unwrap();
    trainer.create("again").await.unwrap();
}

#[tokio::test]
async fn a_session_and_biases_need_room_too() {
    let mut trainer = start_with_two(|_| ()).await;
    let store = trainer.dir.path().to_str().unwrap().to_owned();
    let keyvault = trainer.vault.running.url.clone();
    // The same store, by a service that allows less than is there.
    let mut full = start(|config| {
        (config.store, config.keyvault) = (store, keyvault);
        config.limits.max_stored_bytes_of_tenant = 100;
    })
    .await;
    let refused = Session::open(&full, "default", 1).await.err().unwrap();
    assert_refused(&refused, Code::ResourceExhausted, "0 more would be above the limit of 100");
    let biases = biases::request(&mut trainer, 0, 1).await;
    let refused = full.client.put_biases(biases.clone()).await.unwrap_err();
    assert_refused(&refused, Code::ResourceExhausted, "above the limit of 100");
    trainer.client.put_biases(biases).await.unwrap();
    Session::open(&trainer, "default", 1).await.unwrap().evaluate(1).await;
}
