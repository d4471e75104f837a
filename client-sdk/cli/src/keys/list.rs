//! `sphinx keys list`: the keys here and in the key vault, side by side.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use sphinx_client::{KeyKind, RegisteredKey};

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;
use crate::output::table;

/// Digits of a fingerprint shown in the table.
const SHOWN_DIGITS: usize = 16;

/// List the keys here and in the key vault, side by side
#[derive(Debug, Args)]
pub struct List {
    /// Do not ask the key vault
    #[arg(long)]
    local: bool,
}

#[derive(Debug, Default, Serialize)]
struct Row {
    key: String,
    /// The secret half is on this machine.
    secret: bool,
    local_fingerprint: Option<String>,
    registered_fingerprint: Option<String>,
    local_evaluation: Option<String>,
    registered_evaluation: Option<String>,
    registered: Option<String>,
    revoked: Option<String>,
    description: Option<String>,
}

impl List {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for id in context.workspace.home().key_ids()? {
            let row = rows.entry(id.to_string()).or_default();
            row.secret = true;
            row.local_fingerprint = Some(context.workspace.home().fingerprint(&id)?.to_string());
            let evaluation = context.workspace.home().evaluation_fingerprint(&id)?;
            row.local_evaluation = evaluation.map(|print| print.to_string());
        }
        let registered =
            if self.local { Vec::new() } else { context.workspace.client().list_keys().await? };
        for key in registered {
            let row = rows.entry(key.key_id.to_string()).or_default();
            row.revoked = key.revoked_unix_seconds.map(time);
            let RegisteredKey { kind, fingerprint, description, .. } = key;
            if kind == KeyKind::Evaluation {
                row.registered_evaluation = Some(fingerprint);
                continue;
            }
            row.registered_fingerprint = Some(fingerprint);
            row.registered = Some(time(key.created_unix_seconds));
            row.description = Some(description);
        }
        let rows: Vec<Row> = rows.into_iter().map(|(key, row)| Row { key, ..row }).collect();
        context.output.result(&rows, || {
            if rows.is_empty() {
                return "no keys: make one with `sphinx keys new`".to_owned();
            }
            let header = [
                "KEY",
                "SECRET",
                "FINGERPRINT HERE",
                "IN THE VAULT",
                "REGISTERED",
                "EVALUATION KEYS HERE",
                "IN THE VAULT",
                "",
            ];
            table(header, rows.iter().map(|row| self.cells(row)))
        })
    }

    fn cells(&self, row: &Row) -> [String; 8] {
        let short = |print: &Option<String>| match print {
            Some(print) => print.chars().take(SHOWN_DIGITS).collect(),
            None => "-".to_owned(),
        };
        let differ = |here: &Option<String>, there: &Option<String>| {
            here.is_some() && there.is_some() && here != there
        };
        let remark = if differ(&row.local_fingerprint, &row.registered_fingerprint)
            || differ(&row.local_evaluation, &row.registered_evaluation)
        {
            "DIFFERENT: not the same key".to_owned()
        } else if let Some(time) = &row.revoked {
            format!("REVOKED at {time}")
        } else {
            row.description.clone().unwrap_or_default()
        };
        let unknown = if self.local { "not asked" } else { "no" };
        [
            row.key.clone(),
            if row.secret { "here" } else { "elsewhere" }.to_owned(),
            short(&row.local_fingerprint),
            short(&row.registered_fingerprint),
            row.registered.clone().unwrap_or_else(|| unknown.to_owned()),
            short(&row.local_evaluation),
            short(&row.registered_evaluation),
            remark,
        ]
    }
}
