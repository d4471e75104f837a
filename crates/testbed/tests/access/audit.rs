//! The audit log of a service that serves: what is in it, and what happens when it cannot be
//! written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sphinx_access::Role;
use sphinx_audit::verify;
use sphinx_client::Token;
use sphinx_proto::code::RETRY_AFTER_MS;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{KeyKind, ListKeysRequest, RevokeKeyRequest};
use sphinx_testbed::{Running, key_header, keyvault_with, upload};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::world::World;

const MATERIAL: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

struct Audited {
    world: World,
    vault: Running,
    owner: Token,
    client: KeyVaultClient<Channel>,
}

impl Audited {
    /// A key vault whose log is what the link `audit.log` points to.
    async fn start() -> Self {
        let world = World::new();
        let owner = world.token(Role::Owner);
        point(&world, &world.path("file"));
        let vault = keyvault_with(&world.store(), |config| {
            config.access = world.access();
            config.audit.path = world.path("audit.log");
        })
        .await;
        let client = KeyVaultClient::connect(vault.url.clone()).await.unwrap();
        Self { world, vault, owner, client }
    }

    async fn list(&mut self) -> Result<usize, Status> {
        let request = by(&self.owner, ListKeysRequest {});
        Ok(self.client.list_keys(request).await?.into_inner().keys.len())
    }

    async fn register(&mut self, key_id: &str) -> Result<(), Status> {
        let messages = upload(key_header(key_id, KeyKind::Identity, &MATERIAL), &MATERIAL, 16);
        let request = by(&self.owner, tokio_stream::iter(messages));
        self.client.exchange_keys(request).await.map(|_| ())
    }

    async fn revoke(&mut self, by_whom: &Token) -> Result<(), Status> {
        let request = by(by_whom, RevokeKeyRequest { key_id: "k".to_owned() });
        self.client.revoke_key(request).await.map(|_| ())
    }
}

fn by<T>(token: &Token, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", token.expose());
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    request
}

/// Lets the log be another file from now on.
fn point(world: &World, target: &Path) {
    let link = world.path("audit.log");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(target, &link).unwrap();
}

fn refused(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("audit log"), "{status:?}");
    assert!(status.message().contains("tell whoever runs the service"), "{status:?}");
    assert!(status.metadata().contains_key(RETRY_AFTER_MS), "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_requests_before_anything_is_done_and_room_lets_them_in_again() {
    let mut audited = Audited::start().await;
    audited.register("first").await.unwrap();
    point(&audited.world, Path::new("/dev/full"));
    for _ in 0..3 {
        refused(&audited.register("second").await.unwrap_err());
        refused(&audited.list().await.unwrap_err());
    }
    // A service that refuses is not a dead one.
    let health = Channel::from_shared(audited.vault.url.clone()).unwrap().connect_lazy();
    let mut health = tonic_health::pb::health_client::HealthClient::new(health);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();

    point(&audited.world, &audited.world.path("file"));
    assert_eq!(audited.list().await.unwrap(), 1);
    audited.register("second").await.unwrap();
    assert_eq!(audited.list().await.unwrap(), 2);
    audited.vault.stop().await;
    verify(&[audited.world.path("file")], None).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_what_to_which_object_is_in_the_log_and_no_contents_are() {
    let mut audited = Audited::start().await;
    let predictor = audited.world.token(Role::Predictor);
    // Services read the file once a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    audited.register("k").await.unwrap();
    let owner = audited.owner.clone();
    audited.revoke(&predictor).await.unwrap_err();
    audited.revoke(&owner).await.unwrap();
    assert_eq!(audited.revoke(&owner).await.map_err(|status| status.code()), Ok(()));
    // Of strangers there is nothing.
    let stranger = Token::generate(&mut sphinx_client::secure_rng());
    audited.revoke(&stranger).await.unwrap_err();
    audited.vault.stop().await;

    let log = audited.world.path("file");
    let verified = verify(std::slice::from_ref(&log), None).unwrap();
    let text = fs::read_to_string(&log).unwrap();
    let (own, other) = (owner.digest().id(), predictor.digest().id());
    let expected = [
        ("opened", "", "", "", ""),
        ("begins", "ExchangeKeys", own.as_str(), "key k", ""),
        ("ended", "ExchangeKeys", &own, "", "Ok"),
        ("denied", "RevokeKey", &other, "", "PermissionDenied"),
        ("begins", "RevokeKey", &own, "key k", ""),
        ("ended", "RevokeKey", &own, "", "Ok"),
        ("begins", "RevokeKey", &own, "key k", ""),
        ("ended", "RevokeKey", &own, "", "Ok"),
    ];
    assert_eq!(verified.lines, expected.len() as u64, "{text}");
    for (line, (what, rpc, credential, object, outcome)) in text.lines().zip(expected) {
        let says = |field: &str, value: &str| {
            let expected = format!("\"{field}\":\"{value}\"");
            assert!(value.is_empty() || line.contains(&expected), "{expected} in {line}");
        };
        says("what", what);
        says("credential", credential);
        says("object", object);
        says("outcome", outcome);
        if !rpc.is_empty() {
            says("rpc", &format!("sphinx.v1.KeyVault/{rpc}"));
        }
        if what == "begins" || what == "ended" {
            says("tenant", "own");
        }
    }
    assert!(!text.contains(&hex::encode(MATERIAL)) && !text.contains("ghijklmn"));
    assert!(!text.contains("a test's"));
    for token in [owner, predictor, stranger] {
        assert!(!text.contains(token.expose().trim_start_matches("sphinx_")));
    }

    // One digit of one line, and the line is named.
    let line = text.lines().nth(4).unwrap();
    fs::write(&log, text.replace(line, &line.replace("key k", "key l"))).unwrap();
    let broken = verify(&[log], None).unwrap_err().to_string();
    assert!(broken.contains("line 5") && broken.contains("was altered"), "{broken}");
}
