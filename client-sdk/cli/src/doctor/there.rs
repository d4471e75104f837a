//! What answers elsewhere: the three services, further trainers, and what they know of this home.

use std::time::Duration;

use sphinx_client::workspace::Workspace;
use sphinx_client::{ClientError, Endpoints, KeyKind, Model, ModelId, RegisteredKey, SphinxClient};

use super::Finding;
use crate::output::program;

/// Longest wait for an answer. Requests to a service that is away are tried again for longer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn look(workspace: &Workspace, endpoints: &Endpoints) -> Vec<Finding> {
    let client = workspace.client();
    let (keys, models, inference) = tokio::join!(
        asked(client.list_keys()),
        asked(client.list_models()),
        asked(inference(workspace)),
    );
    let mut findings = vec![
        answered("key vault", &keys),
        answered("trainer", &models),
        answered("inference", &inference),
    ];
    for address in &endpoints.further_trainers {
        findings.push(further(endpoints, address, models.as_ref().ok()).await);
    }
    if let Ok(registered) = &keys {
        findings.extend(registrations(workspace, registered));
    }
    if let Ok(models) = &models {
        findings.extend(owners(workspace, models));
    }
    findings
}

/// Why there is no answer.
enum Silence {
    /// None within the patience.
    Late,
    Refused(ClientError),
}

async fn asked<T>(request: impl Future<Output = Result<T, ClientError>>) -> Result<T, Silence> {
    let answer = tokio::time::timeout(PATIENCE, request).await;
    answer.map_err(|_| Silence::Late)?.map_err(Silence::Refused)
}

/// Whether a trainer for shards answers, from the store of the first one.
async fn further(endpoints: &Endpoints, address: &str, models: Option<&Vec<Model>>) -> Finding {
    let what = format!("further trainer {address}");
    let alone = Endpoints {
        trainer: address.to_owned(),
        further_trainers: Vec::new(),
        ..endpoints.clone()
    };
    let list = async { SphinxClient::new(&alone)?.list_models().await };
    let answer = asked(list).await;
    let same = |theirs: &[Model], ours: &[Model]| {
        let of = |model: &Model| (model.model_id.clone(), model.incarnation);
        theirs.iter().map(of).eq(ours.iter().map(of))
    };
    match (&answer, models) {
        (Ok(theirs), Some(ours)) if !same(theirs, ours) => {
            let found = "answers with other models than the trainer does";
            Finding::bad(&what, found, "give both services one `store`")
        }
        _ => answered(&what, &answer),
    }
}

/// Any answer of the service will do: nobody has a model of this name.
async fn inference(workspace: &Workspace) -> Result<(), ClientError> {
    let nobody = ModelId::parse("doctor-asks-for-no-model")?;
    workspace.client().reach_inference(&nobody).await
}

fn answered<T>(what: &str, answer: &Result<T, Silence>) -> Finding {
    match answer {
        Ok(_) => Finding::good(what, "answers, and lets this client in"),
        Err(Silence::Late) => {
            let found = format!("no answer within {} s", PATIENCE.as_secs());
            let advice = "is it running, and is its address right? See the addresses of `--help`, and \
                          the service's log";
            Finding::bad(what, found, advice)
        }
        Err(Silence::Refused(error)) => Finding::bad(what, error.to_string(), advice(error)),
    }
}

/// By what the error says: certificates, credentials, or something else.
fn advice(error: &ClientError) -> String {
    let text = error.to_string();
    let has = |part: &str| text.to_lowercase().contains(part);
    if has("unauthenticated") || has("permission") {
        return "bring a token of this tenant (SPHINX_TOKEN, --token-file); an operator makes one with \
                `sphinx tokens new`"
            .to_owned();
    }
    if has("certificate") || has("tls") {
        return "bring the authority's certificate (--ca); look at its dates and names, and at this \
                machine's clock"
            .to_owned();
    }
    "see docs/operations.md".to_owned()
}

/// Keys of this home that the key vault does not know, knows otherwise or has revoked.
fn registrations(workspace: &Workspace, registered: &[RegisteredKey]) -> Vec<Finding> {
    let (home, sphinx) = (workspace.home(), program());
    let ids = home.key_ids().unwrap_or_default();
    let look = |id: &sphinx_client::KeyId| {
        let print = home.fingerprint(id).ok()?.to_string();
        let what = format!("key {id} at the key vault");
        let mut known = registered.iter().filter(|key| key.key_id == *id);
        let known = known.find(|key| key.kind == KeyKind::Identity);
        Some(match known {
            None => {
                let advice = format!("`{sphinx} keys register {id}`");
                Finding::doubtful(&what, "not registered", advice)
            }
            Some(key) if key.revoked_unix_seconds.is_some() => {
                let advice = format!("`{sphinx} keys rotate MODEL --to KEY` moves its models");
                Finding::bad(&what, "revoked", advice)
            }
            Some(key) if key.fingerprint != print => {
                let found =
                    format!("another key is registered under the name: {}", key.fingerprint);
                Finding::bad(
                    &what,
                    found,
                    "use another name, or restore the key that belongs to it",
                )
            }
            Some(_) => Finding::good(what, "registered"),
        })
    };
    ids.iter().filter_map(look).collect()
}

/// Models whose key is not here.
fn owners(workspace: &Workspace, models: &[Model]) -> Vec<Finding> {
    let ids = workspace.home().key_ids().unwrap_or_default();
    let foreign = models.iter().filter(|model| !ids.contains(&model.key_id));
    let names: Vec<String> =
        foreign.map(|model| format!("{} (key {})", model.model_id, model.key_id)).collect();
    if models.is_empty() {
        return Vec::new();
    }
    vec![match names.is_empty() {
        true => Finding::good("models", format!("{}, with keys that are here", models.len())),
        false => {
            let found = format!("without their keys here: {}", names.join(", "));
            let advice = "`keys restore` brings a key, `keys import-read` one that recognises";
            Finding::doubtful("models", found, advice)
        }
    }]
}
