//! Opening a version: what the service says of it is believed only as far as the owner left it so.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, FetchWeightsRequest, IntegerStage,
};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::ReadKey;
use sphinx_wire::parameters::append_weights;
use sphinx_wire::state::WeightState;
use tonic::Status;
use zeroize::Zeroizing;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, RecognitionError, StateError};
use crate::memory::Memory;
use crate::recognition::guard::Guard;
use crate::recognition::model::{IntegerModel, OpenedVersion};
use crate::recognition::offload::offload;
use crate::stated::StatedVersion;
use crate::suspects::mark::build;
use crate::traffic::Counter;

/// Longest wait for a description: the service may have to load the model first.
pub(crate) const DESCRIBE_DEADLINE: Duration = Duration::from_secs(30);

/// Who opens versions, and where.
#[derive(Debug, Clone)]
pub(crate) struct Opener {
    pub inference: Connection,
    pub counter: Arc<Counter>,
    pub read_key: Arc<ReadKey>,
    pub guard: Arc<Guard>,
}

impl Opener {
    /// For the read key's model, unless the memory forbids it.
    pub fn remembering(
        client: &SphinxClient,
        read_key: Arc<ReadKey>,
        memory: Memory,
    ) -> Result<Self, ClientError> {
        memory.admit(&ModelId::parse(read_key.model().model.as_str())?)?;
        let (counter, guard) = (Arc::new(Counter::default()), Arc::new(Guard::new(memory)));
        Ok(Self { inference: client.inference.clone(), counter, read_key, guard })
    }

    /// Opens a version, or the newest. For that the service is asked twice: for the description
    /// and, unless the version is known, for the weights.
    ///
    /// # Errors
    /// [`RecognitionError::ModelGone`] if the model is another than the read key's;
    /// [`StateError`] if anything is not what the owner left; as [`IntegerModel::new`].
    pub async fn open(
        &self,
        version: Option<u64>,
        known: Option<&Arc<IntegerModel>>,
    ) -> Result<Arc<IntegerModel>, ClientError> {
        let described = self.described(version).await?;
        if let Some(known) = known.filter(|known| known.version == described.version) {
            return Ok(Arc::clone(known));
        }
        let stages = described.stages.clone();
        let opened = self.verified(described).await?;
        if version.is_none() {
            self.guard.see(&opened.model_id, &opened.incarnation, opened.version)?;
        }
        let (key, guard) = (Arc::clone(&self.read_key), Arc::clone(&self.guard));
        let model = offload(move || IntegerModel::new(opened, &key, guard)).await??;
        check_build(&model, &stages)?;
        Ok(Arc::new(model))
    }

    /// The newest version for recognition in one shot, and whether the service says that it has
    /// biases for that.
    ///
    /// # Errors
    /// As [`Opener::open`].
    pub async fn newest(&self) -> Result<(OpenedVersion, bool), ClientError> {
        let described = self.described(None).await?;
        let has_biases = described.state.as_ref().is_some_and(|state| state.has_one_shot_biases);
        let opened = self.verified(described).await?;
        self.guard.see(&opened.model_id, &opened.incarnation, opened.version)?;
        Ok((opened, has_biases))
    }

    /// What the service says of a version of the read key's model.
    async fn described(&self, version: Option<u64>) -> Result<DescribeModelResponse, ClientError> {
        self.guard.admit()?;
        let model_id = self.model_id()?;
        let described = self.describe(&model_id, version).await?;
        if *described.incarnation != self.read_key.model().incarnation {
            return Err(RecognitionError::ModelGone { model: model_id.to_string() }.into());
        }
        match version.filter(|version| *version != described.version) {
            Some(expected) => {
                let got = described.version;
                Err(RecognitionError::VersionMismatch { got, expected }.into())
            }
            None => Ok(described),
        }
    }

    fn model_id(&self) -> Result<ModelId, ClientError> {
        Ok(ModelId::parse(self.read_key.model().model.as_str())?)
    }

    async fn describe(
        &self,
        model_id: &ModelId,
        version: Option<u64>,
    ) -> Result<DescribeModelResponse, ClientError> {
        let request = DescribeModelRequest { model_id: model_id.to_string(), version };
        let describe = |channel| {
            let request = request.clone();
            self.counter.sent(&request);
            async move { InferenceClient::new(channel).describe_model(request).await }
        };
        let reply = self.inference.call_within(DESCRIBE_DEADLINE, describe).await?;
        let described = reply.into_inner();
        self.counter.received(&described);
        Ok(described)
    }

    /// The version as its owner left it: weights, biases and chain.
    async fn verified(
        &self,
        described: DescribeModelResponse,
    ) -> Result<OpenedVersion, ClientError> {
        let model_id = self.model_id()?;
        let service = &self.inference;
        let missing = || service.protocol("a description without network or state", "both");
        let spec = NetworkSpec::try_from(described.network.clone().ok_or_else(missing)?)?;
        let state = described.state.clone().ok_or_else(missing)?;
        let plan = Plan::new(&spec)?;
        let stated = StatedVersion::read(service, &state)?;
        let (version, model) = (described.version, model_id.to_string());
        if stated.version != version {
            return Err(StateError::OtherChain { model, version }.into());
        }
        let own = stated.open(&self.read_key, &model_id, &spec, &plan)?;
        let pipeline = own.pipeline.clone();
        let biases = own.biases.into_iter().map(Zeroizing::new).collect();
        let key_id = KeyId::parse(described.key_id)?;
        let request = FetchWeightsRequest {
            model_id: model.clone(),
            key_id: key_id.to_string(),
            version,
            incarnation: described.incarnation.clone(),
        };
        let weights = self.weights(&plan, request).await?;
        let held = WeightState { weights, rule: None };
        if held.weights_sha256() != stated.weights {
            return Err(StateError::Weights { model, version }.into());
        }
        let (incarnation, weights) = (described.incarnation, held.weights);
        Ok(OpenedVersion {
            model_id,
            key_id,
            incarnation,
            version,
            spec,
            plan,
            weights,
            biases,
            pipeline,
        })
    }

    /// The weights of a version, stage by stage.
    async fn weights(
        &self,
        plan: &Plan,
        request: FetchWeightsRequest,
    ) -> Result<Vec<Vec<f32>>, ClientError> {
        let sizes: Vec<usize> =
            plan.stages.iter().map(|stage| stage.linear.weight_count()).collect();
        let attempt =
            |channel| {
                let (request, sizes) = (request.clone(), &sizes);
                self.counter.sent(&request);
                async move {
                    let parts = InferenceClient::new(channel).fetch_weights(request).await?;
                    let mut parts = parts.into_inner();
                    let mut stages: Vec<Vec<f32>> = vec![Vec::new(); sizes.len()];
                    while let Some(part) = parts.try_next().await? {
                        self.counter.received(&part);
                        let stage = part.stage as usize;
                        let place = stages.get_mut(stage).zip(sizes.get(stage));
                        let appended = match place {
                            Some((weights, &size)) => append_weights(&part.weights, size, weights)
                                .map_err(|wrong| self.inference.mismatch(wrong)),
                            None => Err(self
                                .inference
                                .protocol(format_args!("weights of stage {stage}"), sizes.len())),
                        };
                        if let Err(error) = appended {
                            return Ok(Err(error));
                        }
                    }
                    let whole = stages.iter().map(Vec::len).eq(sizes.iter().copied());
                    Ok::<_, Status>(whole.then_some(stages).ok_or_else(|| {
                        self.inference.protocol("fewer weights", "all of the network")
                    }))
                }
            };
        self.inference.call_within(DESCRIBE_DEADLINE, attempt).await?
    }
}

/// Both sides make the same integers of the same weights, unless their builds round differently.
fn check_build(model: &IntegerModel, described: &[IntegerStage]) -> Result<(), StateError> {
    let same = described.len() == model.stages.len()
        && model.stages.iter().zip(described).all(|(own, service)| {
            let bits = |scales: &[f64]| scales.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
            (own.inputs, own.outputs) == (service.inputs as usize, service.outputs as usize)
                && own.modulus_bits == service.modulus_bits
                && own.input_scale.to_bits() == service.input_scale.to_bits()
                && own.weight_norm_squared.to_bits() == service.weight_norm_squared.to_bits()
                && bits(&own.scales) == bits(&service.scales)
        });
    if same {
        return Ok(());
    }
    let model = model.model_id.to_string();
    let theirs = "of the inference service".to_owned();
    Err(StateError::OtherBuild { model, ours: build(), theirs })
}
