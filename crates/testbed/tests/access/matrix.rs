//! Every RPC by every kind of caller, for his own tenant and for another: real services, real gRPC.

use std::collections::BTreeMap;
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use prost_types::FileDescriptorSet;
use sphinx_access::{Role, may_call};
use sphinx_client::Token;
use sphinx_runtime::unix_seconds;
use sphinx_testbed::{Running, inference_with, keyvault_with, trainer_with};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::world::World;

/// Every RPC of the schema: full name, by service.
pub fn rpcs() -> Vec<(String, String)> {
    let set = FileDescriptorSet::decode(sphinx_proto::DESCRIPTORS).unwrap();
    let mut rpcs = Vec::new();
    for service in set.file.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            let service = service.name().to_owned();
            rpcs.push((service.clone(), format!("sphinx.v1.{service}/{}", method.name())));
        }
    }
    assert!(rpcs.len() >= 19);
    rpcs
}

pub struct Services {
    pub world: World,
    pub channels: BTreeMap<&'static str, Channel>,
    _running: [Running; 3],
}

pub async fn start() -> Services {
    let world = World::new();
    // A file that lets nobody in is a file.
    let revoked = world.token(Role::Owner);
    world.revoke(revoked.digest());
    let keyvault = keyvault_with(&world.store(), |config| config.access = world.access()).await;
    let models = world.path("models").to_str().unwrap().to_owned();
    let trainer =
        trainer_with(&models, &keyvault.url, |config| config.access = world.access()).await;
    let inference =
        inference_with(&models, &keyvault.url, |config| config.access = world.access()).await;
    let connect = |url: &str| Endpoint::from_shared(url.to_owned()).unwrap().connect_lazy();
    let channels = [("KeyVault", &keyvault), ("Trainer", &trainer), ("Inference", &inference)];
    let channels = channels.map(|(name, running)| (name, connect(&running.url))).into();
    Services { world, channels, _running: [keyvault, trainer, inference] }
}

/// Sends one empty message, which is one of every RPC.
async fn call(
    channel: &Channel,
    rpc: &str,
    authorization: Option<&str>,
    tenant: Option<&str>,
) -> Result<(), Status> {
    let mut request = Request::new(tokio_stream::once(()));
    set(request.metadata_mut(), "authorization", authorization);
    set(request.metadata_mut(), "x-sphinx-tenant", tenant);
    send(channel, rpc, request).await
}

fn set(metadata: &mut MetadataMap, name: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        metadata.insert(name, value.parse().unwrap());
    }
}

async fn send<S>(channel: &Channel, rpc: &str, request: Request<S>) -> Result<(), Status>
where
    S: tokio_stream::Stream<Item = ()> + Send + 'static,
{
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = format!("/{rpc}").parse().unwrap();
    let answered = client.streaming(request, path, ProstCodec::<(), ()>::default());
    let mut answers = tokio::time::timeout(Duration::from_secs(20), answered).await.unwrap()?;
    answers.get_mut().message().await.map(|_| ())
}

fn code(result: Result<(), Status>) -> Code {
    result.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// Whether a caller got past the gate, whatever the RPC then thought of his empty message.
fn passed(code: Code) -> bool {
    !matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_by_every_role_for_its_own_tenant_and_for_another() {
    let services = start().await;
    let mut looked_at = 0;
    for role in Role::ALL {
        let token = services.world.token(role);
        let bearer = format!("Bearer {}", token.expose());
        // Services read the file once a second.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for (service, rpc) in rpcs() {
            let channel = &services.channels[service.as_str()];
            for tenant in [None, Some("own"), Some("foreign")] {
                let status = call(channel, &rpc, Some(&bearer), tenant).await;
                let text = format!("{rpc} by {role} for {tenant:?}: {status:?}");
                assert!(!text.contains(token.expose()));
                let foreign = role.is_tenants() && tenant == Some("foreign");
                if may_call(role, &rpc) && !foreign {
                    assert!(passed(code(status)), "{text}");
                } else {
                    let status = status.unwrap_err();
                    assert_eq!(status.code(), Code::PermissionDenied, "{text}");
                    let named = if foreign && may_call(role, &rpc) { "tenant own" } else { "role" };
                    assert!(status.message().contains(named), "{text}");
                    assert!(status.metadata().contains_key("x-request-id"), "{text}");
                }
                looked_at += 1;
            }
        }
    }
    assert_eq!(looked_at, rpcs().len() * Role::ALL.len() * 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_by_nobody_and_by_those_who_are_known_no_more() {
    let services = start().await;
    let world = &services.world;
    let revoked = world.token(Role::Owner);
    world.revoke(revoked.digest());
    let expired = world.token_until(Role::Owner, Some(unix_seconds()));
    let unknown = Token::generate(&mut sphinx_client::secure_rng());
    let good = world.token(Role::Owner);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let bearer = |token: &Token| Some(format!("Bearer {}", token.expose()));
    let callers = [
        ("nobody", None, "a credential is needed"),
        ("nothing", Some(String::new()), "a credential is needed"),
        ("basic", Some("Basic b3duZXI6b3duZXI=".to_owned()), "a credential is needed"),
        ("bare", Some(good.expose().to_owned()), "a credential is needed"),
        ("garbage", Some("Bearer sphinx_".to_owned()), "not known"),
        ("unknown", bearer(&unknown), "not known"),
        ("revoked", bearer(&revoked), "is revoked"),
        ("expired", bearer(&expired), "has expired"),
    ];
    for (service, rpc) in rpcs() {
        let channel = &services.channels[service.as_str()];
        for (name, authorization, expected) in &callers {
            let status = call(channel, &rpc, authorization.as_deref(), Some("own")).await;
            let status = status.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{rpc} by {name}: {status:?}");
            assert!(status.message().contains(expected), "{rpc} by {name}: {status:?}");
        }
        // The scheme may be written as one likes.
        let lower = format!("bearer  {}", good.expose());
        assert!(passed(code(call(channel, &rpc, Some(&lower), Some("own")).await)), "{rpc}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_before_any_body_is_read() {
    let services = start().await;
    let unread = Request::new(futures::stream::pending::<()>());
    let status = send(&services.channels["Trainer"], "sphinx.v1.Trainer/Train", unread).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_everybody_s_and_reflection_takes_any_credential() {
    let services = start().await;
    let operator = format!("Bearer {}", services.world.token(Role::Operator).expose());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for channel in services.channels.values() {
        let health = "grpc.health.v1.Health/Check";
        assert_eq!(code(call(channel, health, None, None).await), Code::Ok);
        for version in ["v1", "v1alpha"] {
            let reflection =
                format!("grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let refused = call(channel, &reflection, None, None).await;
            assert_eq!(code(refused), Code::Unauthenticated);
            assert!(passed(code(call(channel, &reflection, Some(&operator), None).await)));
        }
        // What no table knows is closed, to an owner as well.
        let owner = format!("Bearer {}", services.world.token(Role::Owner).expose());
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for unknown in ["sphinx.v1.Trainer/Everything", "sphinx.v2.Trainer/Train", "x"] {
            let status = call(channel, unknown, Some(&owner), None).await.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied, "{unknown}: {status:?}");
        }
    }
}
