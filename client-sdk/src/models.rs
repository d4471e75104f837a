//! Models at the trainer: create, list, show, delete, bring home.

use sphinx_network::{NetworkSpec, Plan, StageParameters};
use sphinx_proto::conversion::required;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{
    self, CreateModelRequest, DeleteModelRequest, GetModelRequest, GetModelResponse,
    ListModelsRequest, ParameterSet, WeightsPart,
};
use sphinx_proto::{ConversionError, KeyId, ModelId};
use sphinx_secret::RootKey;
use sphinx_wire::parameters::{WEIGHTS_PER_PART, append_weights};
use sphinx_wire::state::WeightState;

use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::training::ModelMirror;

/// A model at the trainer.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub model_id: ModelId,
    /// The key that its states are sealed under.
    pub key_id: KeyId,
    /// Its network.
    pub network: NetworkSpec,
    /// Number of commits; 0 for a fresh model.
    pub version: u64,
    /// Scalars in the clear.
    pub weights: u64,
    /// Scalars that only the owner knows.
    pub biases: u64,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_unix_seconds: i64,
    /// When it was last trained.
    pub updated_unix_seconds: i64,
    /// What tells it from a deleted model of the same name.
    pub incarnation: [u8; 16],
}

impl TryFrom<v1::Model> for Model {
    type Error = ConversionError;

    fn try_from(model: v1::Model) -> Result<Self, ConversionError> {
        Ok(Self {
            model_id: ModelId::parse(model.model_id)?,
            key_id: KeyId::parse(model.key_id)?,
            network: required("model.network", "the model's network", model.network)?.try_into()?,
            version: model.version,
            weights: model.weights,
            biases: model.biases,
            created_unix_seconds: model.created_unix_seconds,
            updated_unix_seconds: model.updated_unix_seconds,
            incarnation: model.incarnation.as_ref().try_into().map_err(|_| {
                let (field, got) = ("model.incarnation", model.incarnation.len());
                ConversionError::Length { field, got, expected: 16 }
            })?,
        })
    }
}

/// A model's parameters at home. `Debug` is left out: biases are secret.
pub struct ModelParameters {
    /// The model and the version the parameters are of.
    pub model: Model,
    /// Weights and biases of every stage.
    pub stages: Vec<StageParameters>,
}

impl SphinxClient {
    /// Creates a model at version 0 with random weights from `seed` and zero biases.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with FAILED_PRECONDITION if the key
    /// is not registered, or the trainer's build gets other weights from the seed; ALREADY_EXISTS
    /// if another model has this id.
    pub async fn create_model(
        &self,
        model_id: &ModelId,
        key_id: &KeyId,
        spec: &NetworkSpec,
        seed: u64,
    ) -> Result<Model, ClientError> {
        // Checked here first: the error then names the layer without a journey.
        let plan = Plan::new(spec)?;
        let weights = WeightState::initial(&plan, seed).weights_sha256();
        let request = CreateModelRequest {
            model_id: model_id.to_string(),
            key_id: key_id.to_string(),
            network: Some(spec.into()),
            seed,
            parameter_set: ParameterSet::Glwe2048V1.into(),
            weights_sha256: weights.to_vec().into(),
        };
        let reply = self
            .trainer
            .call(|channel| {
                let request = request.clone();
                async move { TrainerClient::new(channel).create_model(request).await }
            })
            .await?;
        self.described(reply.into_inner().model)
    }

    /// A model's description and newest version.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is none.
    pub async fn model(&self, model_id: &ModelId) -> Result<Model, ClientError> {
        Ok(self.get_model(model_id, None, None).await?.0)
    }

    /// The tenant's models, by model id.
    ///
    /// # Errors
    /// [`ClientError`] if the trainer does not answer.
    pub async fn list_models(&self) -> Result<Vec<Model>, ClientError> {
        let list = |channel| async move {
            TrainerClient::new(channel).list_models(ListModelsRequest {}).await
        };
        let models = self.trainer.call(list).await?.into_inner().models;
        models.into_iter().map(|model| self.described(Some(model))).collect()
    }

    /// Removes a model with all its versions.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is none.
    pub async fn delete_model(&self, model_id: &ModelId) -> Result<(), ClientError> {
        let delete = |channel| async move {
            let request = DeleteModelRequest { model_id: model_id.to_string() };
            TrainerClient::new(channel).delete_model(request).await
        };
        self.trainer.call(delete).await.map(|_| ())
    }

    /// Brings a model home: the newest weights, checked against what their owner left, and the
    /// biases of the sealed state.
    ///
    /// # Errors
    /// [`crate::StateError`] if anything is not what the owner left.
    pub async fn export_model(
        &self,
        model_id: &ModelId,
        root: &RootKey,
    ) -> Result<ModelParameters, ClientError> {
        let mirror = ModelMirror::fetch(self, root, model_id).await?;
        let (model, _) = self.get_model(model_id, None, None).await?;
        let model = Model { version: mirror.version, ..model };
        let stages = mirror.weights.weights.into_iter().zip(mirror.state.biases);
        let stages = stages.map(|(weights, biases)| StageParameters { weights, biases });
        Ok(ModelParameters { model, stages: stages.collect() })
    }

    pub(crate) async fn weights(
        &self,
        model_id: &ModelId,
        version: u64,
        stage: usize,
        expected: usize,
    ) -> Result<Vec<f32>, ClientError> {
        let mut weights = Vec::with_capacity(expected);
        while weights.len() < expected {
            let offset = weights.len() as u64;
            let part = WeightsPart { stage: stage as u32, offset, count: WEIGHTS_PER_PART };
            let part = Some(Part::Weights(part));
            let (_, reply) = self.get_model(model_id, Some(version), part).await?;
            append_weights(&reply.weights, expected, &mut weights)
                .map_err(|wrong| self.trainer.mismatch(wrong))?;
        }
        Ok(weights)
    }

    pub(crate) async fn get_model(
        &self,
        model_id: &ModelId,
        version: Option<u64>,
        part: Option<Part>,
    ) -> Result<(Model, GetModelResponse), ClientError> {
        let request = GetModelRequest { model_id: model_id.to_string(), part, version };
        let get = |channel| {
            let request = request.clone();
            async move { TrainerClient::new(channel).get_model(request).await }
        };
        let mut reply = self.trainer.call(get).await?.into_inner();
        let model = self.described(reply.model.take())?;
        Ok((model, reply))
    }

    fn described(&self, model: Option<v1::Model>) -> Result<Model, ClientError> {
        let model = model.ok_or_else(|| self.trainer.protocol("no model", "the model"))?;
        Model::try_from(model).map_err(|error| self.trainer.protocol(error, "a model"))
    }
}
