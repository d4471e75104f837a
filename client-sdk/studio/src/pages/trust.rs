//! Trust: keys and fingerprints, versions and hash chain, checks, tickets, ways to the services.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use maud::{Markup, html};
use serde::Serialize;
use sphinx_client::workspace::Workspace;
use sphinx_client::{KeyId, Model, ModelId, Reach, Suspect};

use crate::app::App;
use crate::error::StudioError;
use crate::layout::{self, Place};

/// A key as it stands here and in the key vault.
struct Key {
    id: KeyId,
    fingerprint: String,
    sealed: bool,
    registration: Result<(), String>,
}

pub async fn page(State(app): State<Arc<App>>) -> Result<Markup, StudioError> {
    let keys = keys(&app).await?;
    let models = app.workspace.client().list_models().await?;
    let (home, tenant) = (app.workspace.home(), app.workspace.tenant());
    let workspace = app.workspace.clone();
    let tickets = tokio::task::spawn_blocking(move || tickets(&workspace)).await??;
    let suspects = home.suspects(tenant).list().map_err(sphinx_client::ClientError::from)?;
    Ok(layout::page(
        Place::Trust,
        &html! {
            p { "Tenant " strong { (tenant) } ", home " code { (home.root_directory().display()) } "." }
            (keys_table(&keys))
            (models_table(&app, &models))
            section aria-labelledby="checks" {
                h2 #checks { "Checks" }
                @if suspects.is_empty() {
                    p.good { "No answer was ever found wrong. Every product of training and of interactive recognition is \
                              checked before anything that depends on it leaves; a wrong one passes with a probability of \
                              about 2⁻⁶¹." }
                    p.quiet { "Answers in one shot that were computed through activations are no linear products, and \
                               nothing proves them." }
                } @else { (wrong(&suspects)) }
            }
            section aria-labelledby="tickets" {
                h2 #tickets { "Tickets" }
                @if tickets.is_empty() { p { "None: they are prepared when something is to be recognised." } }
                @else { (tickets_table(&tickets)) }
            }
            (ways_table(app.workspace.client().reaches()))
        },
    ))
}

/// Tickets of a model's version under a key, or why nothing is known of them.
struct Tickets {
    model: ModelId,
    key: KeyId,
    found: Result<Vec<(u64, usize, usize)>, String>,
}

/// Version, unused and used tickets of every store; opens files.
fn tickets(workspace: &Workspace) -> Result<Vec<Tickets>, StudioError> {
    let (home, tenant) = (workspace.home(), workspace.tenant());
    let stores = home.ticket_stores(tenant, None)?.into_iter();
    let look = |(model, key): (ModelId, KeyId)| {
        let status = home.ticket_status(tenant, &model, &key);
        let found = status.map_err(|error| error.to_string()).map(|status| {
            let mut versions = BTreeMap::new();
            for block in status.blocks {
                let (unused, used) = versions.entry(block.edition.version).or_insert((0, 0));
                *unused += block.unused;
                *used += block.used;
            }
            versions.into_iter().map(|(version, (unused, used))| (version, unused, used)).collect()
        });
        Tickets { model, key, found }
    };
    Ok(stores.map(look).collect())
}

fn tickets_table(tickets: &[Tickets]) -> Markup {
    html! { table {
        thead { tr { th scope="col" { "model" } th scope="col" { "key" } th scope="col" { "version" }
            th scope="col" { "unused" } th scope="col" { "used" } } }
        tbody { @for store in tickets { @match &store.found {
            Ok(versions) => { @for (version, unused, used) in versions { tr {
                th scope="row" { (store.model) }
                td { (store.key) } td { (version) } td { (unused) } td { (used) }
            } } },
            Err(problem) => tr { th scope="row" { (store.model) } td { (store.key) }
                td.bad colspan="3" { (problem) } },
        } } }
    } }
}

fn ways_table(reaches: &[Reach]) -> Markup {
    html! {
        section aria-labelledby="ways" {
            h2 #ways { "Ways to the services" }
            table {
                thead { tr { th scope="col" { "service" } th scope="col" { "address" }
                    th scope="col" { "on the way" } th scope="col" { "its certificate" }
                    th scope="col" { "who you are" } } }
                tbody { @for reach in reaches { tr {
                    th scope="row" { (reach.service) }
                    td { code { (reach.address) } }
                    td { @if reach.encrypted { span.good { "TLS 1.3" } } @else { "clear text" } }
                    td { @match (reach.encrypted, &reach.authority) {
                        (false, _) => { "none" },
                        (true, Some(file)) => { "vouched for by " code { (file.display()) } },
                        (true, None) => { "vouched for by an authority of this system" },
                    } }
                    td { @match (reach.mutual, reach.token) {
                        (true, true) => { "certificate and token" },
                        (true, false) => { "certificate" },
                        (false, true) => { "token" },
                        (false, false) => { "not said" },
                    } }
                } } }
            }
        }
    }
}

async fn keys(app: &App) -> Result<Vec<Key>, StudioError> {
    let home = app.workspace.home();
    let mut keys = Vec::new();
    for id in home.key_ids()? {
        let registration = app.workspace.check_registration(&id).await;
        let registration = registration.map_err(|error| StudioError::from(error).text());
        let (fingerprint, sealed) = (home.fingerprint(&id)?.to_string(), home.is_sealed(&id)?);
        keys.push(Key { id, fingerprint, sealed, registration });
    }
    Ok(keys)
}

fn keys_table(keys: &[Key]) -> Markup {
    html! {
        section aria-labelledby="keys" {
            h2 #keys { "Keys of this machine" }
            @if keys.is_empty() { p { "None yet: the first training makes one and registers it." } }
            @else { table {
                thead { tr { th scope="col" { "key" } th scope="col" { "fingerprint" } th scope="col" { "file" }
                    th scope="col" { "in the key vault" } } }
                tbody { @for key in keys { tr {
                    th scope="row" { (key.id) }
                    td { code.long { (key.fingerprint) } }
                    td { @if key.sealed { "sealed by a passphrase" } @else { "readable by its owner" } }
                    td { @match &key.registration {
                        Ok(()) => span.good { "✓ the same identity" },
                        Err(text) => span.bad { "✗ " (text) },
                    } }
                } } }
            } }
        }
    }
}

fn models_table(app: &App, models: &[Model]) -> Markup {
    let (home, tenant) = (app.workspace.home(), app.workspace.tenant());
    html! {
        section aria-labelledby="models" {
            h2 #models { "Models" }
            @if models.is_empty() { p { "None yet." } } @else { table {
                thead { tr { th scope="col" { "model" } th scope="col" { "version" } th scope="col" { "key" }
                    th scope="col" { "ε spent" } th scope="col" { "hash chain" } } }
                tbody { @for model in models { tr {
                    th scope="row" { (model.model_id) }
                    td { (model.version) }
                    td { (model.key_id) }
                    td { @match home.ledger_status(tenant, &model.model_id) {
                        Ok(status) => { (status.epsilon.map_or("none proven".to_owned(), |spent| format!("{spent:.3}"))) },
                        Err(_) => { "no ledger here, or in use" },
                    } }
                    td { button.second data-post=(format!("/trust/{}/verify", model.model_id))
                        data-into=(format!("chain-{}", model.model_id))
                        aria-label=(format!("Verify {}", model.model_id)) { "Verify" }
                        code.long id=(format!("chain-{}", model.model_id)) role="status" {} }
                } } }
            } }
        }
    }
}

fn wrong(suspects: &[Suspect]) -> Markup {
    html! {
        ul { @for suspect in suspects {
            li.bad { (suspect.model) ": " (suspect.reason()) }
        } }
    }
}

/// What a check came to.
#[derive(Serialize)]
pub struct Verified {
    text: String,
}

pub async fn verify(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
) -> Result<Json<Verified>, StudioError> {
    let (version, chain) = Box::pin(app.workspace.verify(&ModelId::parse(model)?)).await?;
    Ok(Json(Verified { text: format!("✓ version {version}, {}", hex::encode(chain)) }))
}
