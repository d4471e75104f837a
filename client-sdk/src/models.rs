//! Models at the trainer: create, list, show, delete, bring home.

use sphinx_linalg::{BIAS_GRID_LOG2, BIAS_SCALE_LOG2, POLYNOMIAL_SIZE};
use sphinx_network::{NetworkSpec, Plan, StageParameters};
use sphinx_proto::conversion::required;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{
    self, BiasesPart, CreateModelRequest, DeleteModelRequest, GetModelRequest, GetModelResponse,
    ListModelsRequest, ParameterSet, WeightsPart,
};
use sphinx_proto::{ConversionError, KeyId, ModelId};
use sphinx_secret::SecretKey;
use sphinx_wire::parameters::{BIASES_PER_PART, WEIGHTS_PER_PART, append_weights, read_biases};
use zeroize::Zeroizing;

use crate::client::SphinxClient;
use crate::error::ClientError;

/// A model at the trainer.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Its name.
    pub model_id: ModelId,
    /// The key that its biases are encrypted under.
    pub key_id: KeyId,
    /// Its network.
    pub network: NetworkSpec,
    /// Number of commits; 0 for a fresh model.
    pub version: u64,
    /// Scalars in the clear.
    pub weights: u64,
    /// Encrypted scalars.
    pub biases: u64,
    /// When it was made, in seconds since 1970-01-01 UTC.
    pub created_unix_seconds: i64,
    /// When it was last trained.
    pub updated_unix_seconds: i64,
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
        })
    }
}

/// A model's parameters at home, biases decrypted. `Debug` is left out: biases are secret.
pub struct ModelParameters {
    /// The model and the version the parameters are of.
    pub model: Model,
    /// Weights and biases of every stage.
    pub stages: Vec<StageParameters>,
}

impl SphinxClient {
    /// Creates a model at version 0 with random weights from `seed` and encrypted zero biases.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with FAILED_PRECONDITION if the key
    /// is not registered, ALREADY_EXISTS if another model has this id.
    pub async fn create_model(
        &self,
        model_id: &ModelId,
        key_id: &KeyId,
        spec: &NetworkSpec,
        seed: u64,
    ) -> Result<Model, ClientError> {
        // Checked here first: the error then names the layer without a journey.
        Plan::new(spec)?;
        let request = CreateModelRequest {
            model_id: model_id.to_string(),
            key_id: key_id.to_string(),
            network: Some(spec.into()),
            seed,
            parameter_set: ParameterSet::Glwe2048V1.into(),
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

    /// Brings a model home: its newest weights, and its biases decrypted with `key`.
    ///
    /// # Errors
    /// [`ChannelError::Protocol`](crate::ChannelError::Protocol) if the parts do not fit the
    /// network.
    pub async fn export_model(
        &self,
        model_id: &ModelId,
        key: &SecretKey,
    ) -> Result<ModelParameters, ClientError> {
        let (model, _) = self.get_model(model_id, None, None).await?;
        let plan = Plan::new(&model.network)?;
        let mut stages = Vec::with_capacity(plan.stages.len());
        for (index, stage) in plan.stages.iter().enumerate() {
            let (weights, biases) = (stage.linear.weight_count(), stage.linear.bias_count());
            stages.push(StageParameters {
                weights: self.weights(model_id, model.version, index, weights).await?,
                biases: self.biases(model_id, model.version, index, biases, key).await?,
            });
        }
        Ok(ModelParameters { model, stages })
    }

    async fn weights(
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

    /// Decrypted biases of a stage. They lie on a grid, so they are exact.
    pub(crate) async fn biases(
        &self,
        model_id: &ModelId,
        version: u64,
        stage: usize,
        expected: usize,
        key: &SecretKey,
    ) -> Result<Vec<f32>, ClientError> {
        let mut biases = Vec::with_capacity(expected);
        while biases.len() < expected {
            let offset = biases.len() as u32;
            let count = BIASES_PER_PART.min(expected as u32 - offset);
            let part = Some(Part::Biases(BiasesPart { stage: stage as u32, offset, count }));
            let (_, reply) = self.get_model(model_id, Some(version), part).await?;
            let rows = read_biases(&reply.biases, count)
                .map_err(|error| self.trainer.protocol(error, "whole encrypted biases"))?;
            biases.extend((0..rows.len()).map(|bias| decrypt_bias(rows.row(bias), key)));
        }
        Ok(biases)
    }

    async fn get_model(
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

/// The bias whose ciphertext `row` is (mask, then body), rounded to its grid: exact as long as the
/// gathered noise stays below half a step of the grid, 2^31.
pub(crate) fn decrypt_bias(row: &[u64], key: &SecretKey) -> f32 {
    let (mask, body) = row.split_at(POLYNOMIAL_SIZE);
    let mut phase = Zeroizing::new(body.to_vec());
    key.decrypt_words(mask, &mut phase, &mut Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
    let step = BIAS_SCALE_LOG2 - BIAS_GRID_LOG2;
    let steps = phase[0].cast_signed().wrapping_add(1 << (step - 1)) >> step;
    (steps as f64 / f64::from(BIAS_GRID_LOG2).exp2()) as f32
}
