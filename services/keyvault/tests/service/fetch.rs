//! Keys that change while a service fetches them, as the service's [`KeyDirectory`] sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_channel::{KeyDirectory, KeyDirectoryError, Security};
use sphinx_evaluation_keys::{MAX_KEY_BYTES, OneShotProfile};
use sphinx_proto::v1::{DeleteKeyRequest, Key};
use sphinx_proto::{ErrorCode, KeyId, RpcError, TenantId};
use sphinx_secret::SecretKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::common::{Vault, start};
use crate::evaluation::{EVALUATION, header, keys, send};

/// Bytes that the vault may send before the relay pauses. What else it can have under way, the
/// windows of HTTP/2 and a part, is far less than the rest of the keys.
const PASSED: u64 = 3 << 20;

/// A relay before a vault that pauses once in the midst of an answer.
#[derive(Default)]
struct Relay {
    paused: Notify,
    resumed: Notify,
}

impl Relay {
    /// Starts it and returns its address.
    async fn start(self: &Arc<Self>, vault: SocketAddr) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let relay = Arc::clone(self);
        tokio::spawn(async move {
            let mut first = true;
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(vault).await.unwrap();
                let (relay, pause) = (Arc::clone(&relay), std::mem::take(&mut first));
                tokio::spawn(async move { relay.forward(client, server, pause).await });
            }
        });
        address
    }

    async fn forward(&self, client: TcpStream, server: TcpStream, pause: bool) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let forth = tokio::io::copy(&mut from_client, &mut to_server);
        let back = async {
            if pause {
                tokio::io::copy(&mut (&mut from_server).take(PASSED), &mut to_client).await?;
                to_client.flush().await?;
                self.paused.notify_one();
                self.resumed.notified().await;
            }
            tokio::io::copy(&mut from_server, &mut to_client).await
        };
        let _ = tokio::join!(forth, back);
    }
}

fn names() -> (TenantId, KeyId) {
    (TenantId::default(), KeyId::parse("laptop").unwrap())
}

/// Fetches the registered keys, and does something to them while they are under way.
async fn fetch_while(
    vault: &Vault,
    key: &Key,
    change: impl AsyncFnOnce(&Vault),
) -> Result<Vec<u8>, KeyDirectoryError> {
    let relay = Arc::new(Relay::default());
    let directory =
        KeyDirectory::connect(&relay.start(vault.address).await, &Security::default()).unwrap();
    let (tenant, key_id) = names();
    let fetch = directory.fetch_evaluation(&tenant, &key_id, key, MAX_KEY_BYTES);
    let changing = async {
        relay.paused.notified().await;
        change(vault).await;
        relay.resumed.notify_one();
    };
    tokio::join!(fetch, changing).0
}

async fn remove(vault: &Vault) {
    let request = DeleteKeyRequest { key_id: "laptop".into(), kind: EVALUATION };
    vault.client.clone().delete_key(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_removed_while_they_are_fetched_are_no_fault_of_the_service() {
    let vault = start(|_| ()).await;
    let key = send(&vault, header("laptop", keys()), keys()).await.unwrap().key.unwrap();
    // A pause alone does no harm.
    let fetched = fetch_while(&vault, &key, async |_| ()).await.unwrap();
    assert!(fetched == keys());
    let error = fetch_while(&vault, &key, remove).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::NoEvaluation { .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_exchanged_while_they_are_fetched_are_named() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let others = SecretKey::generate(&mut rng).unwrap();
    let others = others.evaluation_keys(OneShotProfile::Standard, &mut rng).unwrap();
    let others = others.to_bytes().unwrap();
    let vault = start(|_| ()).await;
    let key = send(&vault, header("laptop", keys()), keys()).await.unwrap().key.unwrap();
    let exchange = async |vault: &Vault| {
        remove(vault).await;
        send(vault, header("laptop", &others), &others).await.unwrap();
    };
    let error = fetch_while(&vault, &key, exchange).await.unwrap_err();
    let expected = key.fingerprint;
    let exchanged =
        matches!(&error, KeyDirectoryError::Exchanged { expected: e, .. } if *e == expected);
    assert!(exchanged, "{error}");
    // Registered again while they are under way, they arrive.
    remove(&vault).await;
    let key = send(&vault, header("laptop", keys()), keys()).await.unwrap().key.unwrap();
    let again = async |vault: &Vault| {
        remove(vault).await;
        send(vault, header("laptop", keys()), keys()).await.unwrap();
    };
    assert!(fetch_while(&vault, &key, again).await.unwrap() == keys());
}
