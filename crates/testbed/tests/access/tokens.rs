//! Credentials while a service runs: new, revoked, expired, gone.

use std::fs;

use sphinx_access::{Digest, Role};
use sphinx_client::{Security, TenantId, Token};
use sphinx_runtime::unix_seconds;
use sphinx_testbed::{Running, keyvault_with};

use crate::world::{World, ask, eventually};

async fn vault(world: &World) -> Running {
    keyvault_with(&world.store(), |config| config.access = world.access()).await
}

fn with(token: &Token) -> Security {
    Security { token: Some(token.clone()), ..Security::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_count_from_their_making_to_their_end() {
    let world = World::new();
    let first = world.token(Role::Owner);
    let vault = vault(&world).await;
    assert_eq!(ask(&vault.url, with(&first)).await, Ok(0));
    let second = world.token(Role::Contributor);
    eventually(async || ask(&vault.url, with(&second)).await.is_ok()).await;
    let short = world.token_until(Role::Owner, Some(unix_seconds() + 4));
    eventually(async || ask(&vault.url, with(&short)).await.is_ok()).await;
    eventually(async || ask(&vault.url, with(&short)).await.is_err()).await;
    world.revoke(first.digest());
    eventually(async || ask(&vault.url, with(&first)).await.is_err()).await;
    let error = ask(&vault.url, with(&first)).await.unwrap_err();
    assert!(error.contains("Unauthenticated") && error.contains("is revoked"), "{error}");
    assert_eq!(ask(&vault.url, with(&second)).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_credentials_change_nothing_and_none_let_nobody_in() {
    let world = World::new();
    let token = world.token(Role::Owner);
    let vault = vault(&world).await;
    assert_eq!(ask(&vault.url, with(&token)).await, Ok(0));
    let path = world.credentials();
    fs::write(&path, "[[credential]]\nid = ").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(ask(&vault.url, with(&token)).await, Ok(0));
    fs::remove_file(&path).unwrap();
    eventually(async || ask(&vault.url, with(&token)).await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_certificate_is_a_credential_as_well() {
    let world = World::new();
    world.certificates("a", &["127.0.0.1"]);
    world.enter_certificate("a", Role::Owner);
    let vault = keyvault_with(&world.store(), |config| {
        (config.tls, config.access) = (world.tls("a", true), world.access());
    })
    .await;
    let showing = Security { identity: Some(world.client("a")), ..world.believing("a") };
    assert_eq!(ask(&vault.url, showing.clone()).await, Ok(0));
    // A token counts more: who sends one wants to be its holder.
    let predictor = world.token(Role::Predictor);
    let as_predictor = Security { token: Some(predictor), ..showing.clone() };
    eventually(async || {
        let error = ask(&vault.url, as_predictor.clone()).await.unwrap_err();
        error.contains("ListKeys needs the role owner or contributor")
            && error.contains("has predictor")
    })
    .await;
    // Another certificate of the same authority is let through by TLS, and known to nobody.
    let other = Security { identity: Some(world.service("a")), ..showing.clone() };
    let error = ask(&vault.url, other).await.unwrap_err();
    assert!(error.contains("a credential is needed"), "{error}");
    let shown = sphinx_tls::certificates(&world.client("a").certificate).unwrap();
    world.revoke(Digest::of(&shown[0]));
    eventually(async || ask(&vault.url, showing.clone()).await.is_err()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_another_tenant_s_name_with_the_right_one() {
    let world = World::new();
    let token = world.token(Role::Owner);
    let vault = vault(&world).await;
    let endpoints = sphinx_client::Endpoints {
        keyvault: vault.url.clone(),
        tenant: TenantId::parse("foreign").unwrap(),
        security: with(&token),
        ..sphinx_client::Endpoints::default()
    };
    let client = sphinx_client::SphinxClient::new(&endpoints).unwrap();
    let error = client.list_keys().await.unwrap_err().to_string();
    for part in ["PermissionDenied", "is of tenant own", "names foreign", "SPHINX_TENANT"] {
        assert!(error.contains(part), "{error}");
    }
}
