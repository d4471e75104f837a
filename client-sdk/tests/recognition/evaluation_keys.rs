//! Evaluation keys on their way to the key vault: connections that break, keys that are there, keys
//! that are none.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sphinx_client::one_shot::OneShot;
use sphinx_client::{ChannelError, ClientError, Endpoints, SphinxClient, evaluation_fingerprint};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_runtime::CancellationToken;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tonic::Code;

use sphinx_testbed::listen;

use crate::world::World;

/// Forwards connections to `target`, of the first only `limit` bytes of the client; that one ends
/// when `cut` says so.
async fn breaking_proxy(target: String, limit: u64, cut: Arc<Notify>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut limit = Some(limit);
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.unwrap();
            let (limit, cut) = (limit.take(), Arc::clone(&cut));
            tokio::spawn(async move {
                let Some(limit) = limit else {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    return;
                };
                let (mut from_server, mut to_server) = server.split();
                let (from_client, mut to_client) = client.split();
                let mut from_client = from_client.take(limit);
                let forth = tokio::io::copy(&mut from_client, &mut to_server);
                let back = tokio::io::copy(&mut from_server, &mut to_client);
                tokio::select! { () = cut.notified() => (), _ = futures::future::join(forth, back) => () }
            });
        }
    });
    address
}

/// Parts of uploads that the key vault keeps.
fn parts(world: &World) -> usize {
    let tenants = std::fs::read_dir(world.store.path().join("parts")).into_iter().flatten();
    tenants.map(|tenant| std::fs::read_dir(tenant.unwrap().path()).unwrap().count()).sum()
}

fn code(error: &ClientError) -> Code {
    match error {
        ClientError::Channel(ChannelError::Refused { code, .. }) => *code,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_go_on_where_their_connection_broke_and_are_made_once() {
    let mut world = World::start().await;
    let keys = world.key.evaluation_keys(OneShotProfile::Standard, &mut world.rng).unwrap();
    let keys = Bytes::from(keys.to_bytes().unwrap());
    let total = keys.len() as u64;
    let target = world.endpoints.keyvault.strip_prefix("http://").unwrap().to_owned();
    let cut = Arc::new(Notify::new());
    let keyvault = breaking_proxy(target, 8 << 20, Arc::clone(&cut)).await;
    let endpoints = Endpoints { keyvault, ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();

    let upload = client.register_evaluation_keys(&world.key_id, &keys, "");
    let breaking = async {
        while parts(&world) < 6 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cut.notify_one();
    };
    let (receipt, ()) = tokio::join!(upload, breaking);
    let receipt = receipt.unwrap();
    assert_eq!(receipt.key.fingerprint, evaluation_fingerprint(&keys).to_string());
    assert!(!receipt.already_registered);
    // Parts have a megabyte each; more than eight have not passed.
    let stored = total - receipt.sent_bytes;
    assert!((6 << 20..=8 << 20).contains(&stored), "{stored} bytes were not sent again");
    let receipt = client.register_evaluation_keys(&world.key_id, &keys, "").await.unwrap();
    assert_eq!((receipt.already_registered, receipt.sent_bytes), (true, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_keys_that_are_none_and_answers_under_others_than_expected() {
    let mut world = World::start().await;
    let client = world.client();
    let keys = world.key.evaluation_keys(OneShotProfile::Standard, &mut world.rng).unwrap();
    let keys = Bytes::from(keys.to_bytes().unwrap());
    let truncated = keys.slice(..keys.len() - 5);
    let refused = client.register_evaluation_keys(&world.key_id, &truncated, "").await;
    let error = refused.unwrap_err();
    assert_eq!(code(&error), Code::InvalidArgument, "{error}");
    let error = client.evaluation_keys(&world.key_id).await.unwrap_err();
    assert_eq!(code(&error), Code::NotFound, "{error}");

    client.register_evaluation_keys(&world.key_id, &keys, "").await.unwrap();
    let model = world.model("mlp-100").await;
    let key = Arc::clone(&world.key);
    let one_shot = OneShot::new(&client, key, world.read_key(&model)).await.unwrap();
    let others = evaluation_fingerprint(&[0]).to_string();
    let image = vec![0.5; 784];
    let error = one_shot.clone().expecting(others).infer(&image, &mut world.rng).await;
    let error = error.unwrap_err();
    assert_eq!(code(&error), Code::FailedPrecondition, "{error}");
    assert!(error.to_string().contains("fingerprint"), "{error}");
    let expected = evaluation_fingerprint(&keys).to_string();
    let prediction = one_shot.expecting(expected).infer(&image, &mut world.rng).await.unwrap();
    assert_eq!(prediction.probabilities.len(), 10);
}

/// Nobody answers for the key vault, which the service asks longer than a request may take.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_service_gives_up_is_not_sent_again() {
    let mut world = World::start().await;
    let model = world.model("mlp-100").await;
    let mut config = sphinx_inference::Config::defaults(&sphinx_inference::SERVICE);
    config.store = world.store.path().to_str().unwrap().to_owned();
    config.keyvault = "http://127.0.0.1:1".to_owned();
    config.server.request_timeout_ms = 500;
    let (listener, inference) = listen().await;
    tokio::spawn(sphinx_inference::run(config, listener, CancellationToken::new()));
    let endpoints = Endpoints { inference, ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    let key = Arc::clone(&world.key);
    let one_shot = OneShot::new(&client, key, world.read_key(&model)).await.unwrap();
    // The pauses between tries alone take longer.
    let asked = one_shot.infer(&[0.5; 784], &mut world.rng);
    let error = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap_err();
    assert_eq!(code(&error), Code::DeadlineExceeded, "{error}");
}
