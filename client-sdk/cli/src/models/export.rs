//! `sphinx models export`: weights and biases as safetensors.

use std::collections::HashMap;
use std::path::PathBuf;

use clap::Args;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use sphinx_client::{ModelId, ModelParameters};
use sphinx_network::{Linear, Plan};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::files::create;
use crate::output::table;

/// Bring a model's weights and biases home
#[derive(Debug, Args)]
pub struct Export {
    /// The model
    model: String,
    /// File to write [default: MODEL.safetensors]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Exported {
    model: String,
    version: u64,
    file: String,
    tensors: Vec<Described>,
}

#[derive(Debug, Serialize)]
struct Described {
    name: String,
    shape: Vec<usize>,
}

/// A tensor to be written; its values are wiped when dropped, biases are secret.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    bytes: Zeroizing<Vec<u8>>,
}

impl Export {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let path = match &self.output {
            Some(path) => path.clone(),
            None => PathBuf::from(format!("{model_id}.safetensors")),
        };
        if path.exists() {
            return Err(CliError::OutputExists { path });
        }
        let key_id = context.workspace.client().model(&model_id).await?.key_id;
        let root = context.workspace.home().root(&key_id)?;
        let parameters = context.workspace.client().export_model(&model_id, &root).await?;
        let (version, tensors) = (parameters.model.version, tensors(&parameters)?);
        let bytes = encode(&model_id, &parameters, &tensors)?;
        create(&path, &bytes)?;
        let describe = |tensor: Tensor| Described { name: tensor.name, shape: tensor.shape };
        let exported = Exported {
            model: model_id.to_string(),
            version,
            file: path.display().to_string(),
            tensors: tensors.into_iter().map(describe).collect(),
        };
        context.output.result(&exported, || {
            let rows = exported.tensors.iter().map(|t| [t.name.clone(), format!("{:?}", t.shape)]);
            format!(
                "{}\n\nmodel {model_id} at version {version} is in {}\n\
                 The file holds the biases, which no service has seen: keep it as secret as the key \
                 (mode 0600).",
                table(["TENSOR", "SHAPE"], rows),
                exported.file
            )
        })
    }
}

/// `stage<i>.weight` and `stage<i>.bias`, in the shapes of PyTorch's layers.
fn tensors(parameters: &ModelParameters) -> Result<Vec<Tensor>, CliError> {
    let plan = Plan::new(&parameters.model.network)?;
    let mut tensors = Vec::with_capacity(2 * plan.stages.len());
    for (index, (stage, values)) in plan.stages.iter().zip(&parameters.stages).enumerate() {
        let shape = match stage.linear {
            Linear::Conv { in_channels, out_channels, kernel, .. } => {
                vec![out_channels, in_channels, kernel, kernel]
            }
            Linear::Dense { inputs, outputs } => vec![outputs, inputs],
        };
        let tensor = |kind, shape, values: &[f32]| Tensor {
            name: format!("stage{index}.{kind}"),
            shape,
            bytes: Zeroizing::new(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        };
        tensors.push(tensor("weight", shape, &values.weights));
        tensors.push(tensor("bias", vec![values.biases.len()], &values.biases));
    }
    Ok(tensors)
}

fn encode(
    model_id: &ModelId,
    parameters: &ModelParameters,
    tensors: &[Tensor],
) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let views = tensors
        .iter()
        .map(|tensor| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes)?;
            Ok::<_, CliError>((tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let metadata = HashMap::from([
        ("model".to_owned(), model_id.to_string()),
        ("version".to_owned(), parameters.model.version.to_string()),
        ("network".to_owned(), parameters.model.network.to_toml()?),
    ]);
    Ok(Zeroizing::new(safetensors::serialize(views, Some(metadata))?))
}
