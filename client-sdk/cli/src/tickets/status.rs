//! `sphinx tickets status`.

use clap::Args;
use indicatif::DecimalBytes;
use serde::Serialize;
use sphinx_client::tickets::BlockStatus;
use sphinx_client::{KeyId, ModelId};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{program, table};

/// Show how many tickets there are
#[derive(Debug, Args)]
pub struct Status {
    /// The model; without it, all models with tickets
    model: Option<String>,
}

/// The tickets of one model under one key.
#[derive(Debug, Serialize)]
struct Store {
    model: String,
    key: String,
    /// The newest version at the service.
    newest: Newest,
    versions: Vec<Version>,
    /// Damaged files that were put aside, and files of other keys or models in this place.
    set_aside: usize,
    foreign: usize,
    useless_bytes: u64,
    /// Why nothing is known of the tickets.
    problem: Option<String>,
}

/// What the service has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Newest {
    Version(u64),
    /// Deleted, or deleted and made again.
    Gone,
    Unknown,
}

/// Tickets of one version.
#[derive(Debug, Serialize)]
struct Version {
    version: u64,
    /// Made for a deleted model of the same name.
    of_deleted_model: bool,
    unused: usize,
    used: usize,
    /// Taken by processes that are running.
    in_use: usize,
    lost: usize,
    bytes: u64,
}

impl Status {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model = self.model.as_deref().map(ModelId::parse).transpose()?;
        let mut stores = Vec::new();
        let mut reachable = true;
        for (model, key) in
            context.workspace.home().ticket_stores(context.workspace.tenant(), model.as_ref())?
        {
            stores.push(look(context, &model, &key, &mut reachable).await);
        }
        context.output.result(&stores, || text(&stores))
    }
}

/// Looks at one store; what goes wrong is part of the result.
async fn look(context: &Context, model: &ModelId, key: &KeyId, reachable: &mut bool) -> Store {
    let mut store = Store {
        model: model.to_string(),
        key: key.to_string(),
        newest: Newest::Unknown,
        versions: Vec::new(),
        set_aside: 0,
        foreign: 0,
        useless_bytes: 0,
        problem: None,
    };
    let (home, tenant) = (context.workspace.home(), context.workspace.tenant());
    let status = match home.ticket_status(tenant, model, key) {
        Ok(status) => status,
        Err(error) => return Store { problem: Some(error.to_string()), ..store },
    };
    let mut incarnation = None;
    if *reachable {
        store.newest = match context.workspace.client().served_model(model).await {
            Ok(found) if found.key_id != *key => Newest::Gone,
            Ok(found) => {
                incarnation = Some(found.incarnation.to_vec());
                Newest::Version(found.version)
            }
            Err(error) if error.is_not_found() => Newest::Gone,
            Err(error) => {
                // Asking for every model would take long.
                *reachable = !error.is_transient();
                store.problem = Some(error.to_string());
                Newest::Unknown
            }
        };
    }
    for block in status.blocks {
        let other = |own: &Vec<u8>| *own != block.edition.incarnation;
        let deleted = match &store.newest {
            Newest::Version(_) => incarnation.as_ref().is_some_and(other),
            Newest::Gone => true,
            Newest::Unknown => false,
        };
        add(&mut store.versions, &block, deleted);
    }
    store.set_aside = status.set_aside;
    store.foreign = status.foreign;
    store.useless_bytes = status.useless_bytes;
    store
}

fn add(versions: &mut Vec<Version>, block: &BlockStatus, of_deleted_model: bool) {
    let number = block.edition.version;
    let same = |version: &Version| {
        (version.version, version.of_deleted_model) == (number, of_deleted_model)
    };
    let place = versions.iter().position(same).unwrap_or_else(|| {
        let (unused, used, in_use, lost, bytes) = (0, 0, 0, 0, 0);
        versions.push(Version {
            version: number,
            of_deleted_model,
            unused,
            used,
            in_use,
            lost,
            bytes,
        });
        versions.len() - 1
    });
    let version = &mut versions[place];
    version.unused += block.unused;
    version.used += block.used;
    version.in_use += block.held;
    version.lost += block.lost;
    version.bytes += block.bytes;
    versions.sort_by_key(|version| (version.of_deleted_model, version.version));
}

fn text(stores: &[Store]) -> String {
    let sphinx = program();
    let none = stores.iter().all(|store| {
        store.versions.is_empty() && store.problem.is_none() && store.useless_bytes == 0
    });
    if none {
        return format!(
            "no tickets: `{sphinx} tickets prepare MODEL` makes some, `{sphinx} infer` when it needs them"
        );
    }
    let header = ["MODEL", "KEY", "VERSION", "NEWEST", "UNUSED", "USED", "IN USE", "LOST", "SIZE"];
    let rows = stores.iter().flat_map(|store| {
        let newest = match &store.newest {
            Newest::Version(version) => version.to_string(),
            Newest::Gone => "deleted".to_owned(),
            Newest::Unknown => "?".to_owned(),
        };
        store.versions.iter().map(move |version| {
            let deleted = if version.of_deleted_model { " (deleted)" } else { "" };
            [
                store.model.clone(),
                store.key.clone(),
                format!("{}{deleted}", version.version),
                newest.clone(),
                version.unused.to_string(),
                version.used.to_string(),
                version.in_use.to_string(),
                version.lost.to_string(),
                DecimalBytes(version.bytes).to_string(),
            ]
        })
    });
    let mut text = table(header, rows);
    for store in stores {
        let Store { model, set_aside, foreign, useless_bytes, problem, .. } = store;
        if let Some(problem) = problem {
            text += &format!("\n{model}: {problem}");
        }
        if set_aside + foreign > 0 {
            let bytes = DecimalBytes(*useless_bytes);
            text += &format!(
                "\n{model}: {set_aside} damaged files put aside and {foreign} of other keys or models ({bytes}); \
                 `{sphinx} tickets clear {model}` deletes all"
            );
        }
        if store.versions.iter().any(|version| version.of_deleted_model) {
            text += &format!(
                "\n{model}: the model was deleted, its tickets are of no use; `{sphinx} tickets clear {model}` deletes them"
            );
        }
    }
    text
}
