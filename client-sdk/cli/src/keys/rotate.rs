//! `sphinx keys rotate`: a model under another key.

use clap::Args;
use serde::Serialize;
use sphinx_client::{KeyId, ModelId};

use crate::context::Context;
use crate::error::CliError;
use crate::output::program;

/// Give a model another key, without training it again
#[derive(Debug, Args)]
pub struct Rotate {
    /// The model
    model: String,
    /// The new key, registered before [default: one that is made and registered now]
    #[arg(long, value_name = "KEY")]
    to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rotated {
    model: String,
    from: String,
    key: String,
    version: u64,
    /// Models that are still under the old key.
    left: Vec<String>,
}

impl Rotate {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let workspace = &context.workspace;
        let model = ModelId::parse(self.model.as_str())?;
        let to = match &self.to {
            Some(to) => KeyId::parse(to.as_str())?,
            None => {
                // Whether there is such a model, before a key is made for it.
                let old = workspace.client().model(&model).await?.key_id;
                // What was sealed stays sealed, by the same passphrase.
                let sealed = workspace.home().is_sealed(&old)?;
                let passphrase = sealed.then(|| context.passphrases.of(&format!("key {old}")));
                let passphrase = passphrase.transpose().map_err(CliError::Passphrase)?;
                let id = workspace.make_key(None, passphrase.as_ref())?;
                workspace.register_key(&id, &format!("for model {model}")).await?;
                id
            }
        };
        let rotated = workspace.rotate_key(&model, &to).await?;
        let left = rotated.left.iter().map(ModelId::to_string).collect();
        let rotated = Rotated {
            model: model.to_string(),
            from: rotated.from.to_string(),
            key: rotated.to.to_string(),
            version: rotated.version,
            left,
        };
        context.output.result(&rotated, || rotated.text())
    }
}

impl Rotated {
    fn text(&self) -> String {
        let Self { model, from, key, version, left } = self;
        let head = format!("{model} is under key {key} from version {version} on");
        if from == key {
            return head;
        }
        let next = match left.as_slice() {
            [] => format!("revoke the old one    {} keys revoke {from}", program()),
            left => format!("still under {from}: {}", left.join(", ")),
        };
        format!(
            "{head}\n\nRead keys that were exported before open no version from now on: export them again.\n\
             {next}"
        )
    }
}
