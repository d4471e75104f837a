//! TLS between clients and a service, and its certificates.

use std::fs;
use std::time::{Duration, Instant};

use sphinx_access::Role;
use sphinx_client::{
    Endpoints, KeyId, ModelId, RootKey, Security, SphinxClient, TlsIdentity, secure_rng,
};
use sphinx_runtime::OutgoingConfig;
use sphinx_testbed::training::small;
use sphinx_testbed::{keyvault, keyvault_with, trainer_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{World, ask, client, copy, eventually, own};

const HERE: &[&str] = &["127.0.0.1", "localhost"];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_believes_its_authority_and_no_other() {
    let world = World::new();
    world.certificates("right", HERE);
    world.certificates("wrong", HERE);
    let vault =
        keyvault_with(&world.store(), |config| config.tls = world.tls("right", false)).await;
    assert!(vault.url.starts_with("https://127.0.0.1:"));
    assert_eq!(ask(&vault.url, world.believing("right")).await, Ok(0));
    let by_name = vault.url.replace("127.0.0.1", "localhost");
    assert_eq!(ask(&by_name, world.believing("right")).await, Ok(0));
    let start = Instant::now();
    let error = ask(&vault.url, world.believing("wrong")).await.unwrap_err();
    assert!(error.contains("invalid peer certificate") && error.contains("--ca"), "{error}");
    // Said at once: it will be no other at the next try.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // Nor one of the system's.
    let error = ask(&vault.url, Security::default()).await.unwrap_err();
    assert!(error.contains("UnknownIssuer") || error.contains("no authority"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_certificate_of_another_name() {
    let world = World::new();
    world.certificates("elsewhere", &["sphinx.example"]);
    let tls = world.tls("elsewhere", false);
    let vault = keyvault_with(&world.store(), |config| config.tls = tls).await;
    let error = ask(&vault.url, world.believing("elsewhere")).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_falls_back_to_clear_text() {
    let world = World::new();
    world.certificates("a", HERE);
    let clear = keyvault(&world.store()).await;
    let url = clear.url.replace("http://", "https://");
    assert!(ask(&url, world.believing("a")).await.is_err());
    clear.stop().await;

    let vault = keyvault_with(&world.store(), |config| config.tls = world.tls("a", false)).await;
    let url = vault.url.replace("https://", "http://");
    assert!(ask(&url, world.believing("a")).await.is_err());
    // What is not TLS is answered by an alert at most, not by HTTP/2.
    let mut socket = TcpStream::connect(vault.url.trim_start_matches("https://")).await.unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The connection may also be reset.
    let _ = socket.read_to_end(&mut answer).await;
    assert!(answer.first().is_none_or(|first| *first == 21), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_clients_without_the_certificate_that_is_asked_for() {
    let world = World::new();
    world.certificates("right", HERE);
    world.certificates("wrong", HERE);
    let vault = keyvault_with(&world.store(), |config| config.tls = world.tls("right", true)).await;
    let showing =
        |name: &str| Security { identity: Some(world.client(name)), ..world.believing("right") };
    assert_eq!(ask(&vault.url, showing("right")).await, Ok(0));
    assert!(ask(&vault.url, showing("wrong")).await.is_err());
    assert!(ask(&vault.url, world.believing("right")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_certificates_are_taken_and_open_connections_stay() {
    let world = World::new();
    world.certificates("old", HERE);
    world.certificates("new", HERE);
    let vault = keyvault_with(&world.store(), |config| config.tls = world.tls("old", false)).await;
    let connected = client(&vault.url, world.believing("old")).unwrap();
    connected.list_keys().await.unwrap();

    let (old, new) = (world.service("old"), world.service("new"));
    // Half exchanged, then damaged: what was read last goes on to count.
    copy(&new.certificate, &old.certificate);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ask(&vault.url, world.believing("old")).await, Ok(0));
    fs::write(&old.key, "-----BEGIN PRIVATE KEY-----\nnothing").unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(ask(&vault.url, world.believing("old")).await, Ok(0));

    copy(&new.key, &old.key);
    let address = &vault.url;
    eventually(async || {
        let probe =
            tokio::time::timeout(Duration::from_millis(500), ask(address, world.believing("new")));
        probe.await == Ok(Ok(0))
    })
    .await;
    // By the connection of before, since its authority is not the new one's.
    connected.list_keys().await.unwrap();
    assert!(ask(&vault.url, world.believing("old")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_call_the_key_vault_by_tls_and_by_token() {
    let world = World::new();
    world.certificates("a", HERE);
    let owner = world.token(Role::Owner);
    world.token_file("service.token", &world.token(Role::Service));
    let vault = keyvault_with(&world.store(), |config| {
        (config.tls, config.access) = (world.tls("a", true), world.access());
    })
    .await;
    // Whether the trainer makes a model, for which it asks the key vault.
    let create = async |name: &str, token_file: &str| {
        let models = world.path(name);
        let trainer = trainer_with(models.to_str().unwrap(), &vault.url, |config| {
            (config.tls, config.access) = (world.tls("a", true), world.access());
            let TlsIdentity { certificate, key } = world.service("a");
            let token_file = world.path(token_file);
            let ca = world.path("a.ca");
            config.outgoing =
                OutgoingConfig { ca, certificate, key, token_file, insecure_cleartext: false };
        })
        .await;
        let security = Security {
            identity: Some(world.client("a")),
            token: Some(owner.clone()),
            ..world.believing("a")
        };
        let (trainer_url, keyvault) = (trainer.url.clone(), vault.url.clone());
        let client = SphinxClient::new(&Endpoints {
            trainer: trainer_url,
            keyvault,
            tenant: own(),
            security,
            ..Endpoints::default()
        })
        .unwrap();
        let (key_id, model) = (KeyId::parse(name).unwrap(), ModelId::parse("m").unwrap());
        let identity = RootKey::generate(&mut secure_rng()).identity();
        client.register_key(&key_id, &identity, "").await.unwrap();
        client.create_model(&model, &key_id, &small(), 1).await.map(|_| ())
    };
    create("served", "service.token").await.unwrap();
    // An operator's token opens no key of anybody.
    world.token_file("operator.token", &world.token(Role::Operator));
    let refused = create("refused", "operator.token").await.unwrap_err().to_string();
    assert!(refused.contains("Internal"), "{refused}");
}
