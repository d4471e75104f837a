//! One image at a time, checked like a batch: what is cheaper for a few images.

use std::sync::Arc;

use rand::CryptoRng;
use sphinx_check::{Limbs, project, random, reduce};
use sphinx_evaluation_keys::{LinearQuery, LinearResult, QueryLayout};
use sphinx_linalg::Profile;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{InferLinearRequest, InferLinearResponse};
use sphinx_quantise::Lowered;
use sphinx_secret::SecretKey;
use sphinx_wire::training::{BiasForm, Form, Geometries, forward_budget, forward_input_scale};
use zeroize::Zeroizing;

use super::Batches;
use crate::error::{ClientError, OneShotInferenceError, RecognitionError};
use crate::recognition::Prediction;
use crate::recognition::model::OpenedVersion;
use crate::recognition::offload::offload;
use crate::secure_rng;

/// Whole words of 32 bits, whatever batches have.
const PROFILE: Profile = Profile::Glwe2048T32;

/// The one layer of a network, as single images are asked and checked with.
pub(super) struct SingleLayer {
    layout: QueryLayout,
    product: Lowered,
    scale: f64,
    limit: i32,
    /// Secret and uniform, one per output: what sums are checked with, as long as this lives.
    tau: Limbs,
    /// τᵀ W.
    projected: Limbs,
}

/// A request, and what its answer is opened and checked with.
struct Asked {
    query: LinearQuery,
    key: SecretKey,
    expected: u64,
}

/// An answer that does not add up.
struct WrongProduct;

impl SingleLayer {
    pub fn new(opened: &OpenedVersion) -> Result<Self, ClientError> {
        let form = Form { profile: PROFILE, biases: BiasForm::AtHome };
        let bound = opened.spec.bias_bound;
        let stages = Geometries::new(opened.plan.clone(), form, bound).lower(&opened.weights);
        let stage = stages.map_err(OneShotInferenceError::from)?.into_iter().next();
        let product = stage.ok_or(OneShotInferenceError::NotLinear { got: 0 })?.forward;
        let shape = &opened.plan.stages[0];
        let tau = random(product.map.outputs(), &mut secure_rng());
        Ok(Self {
            layout: QueryLayout::new(&opened.plan).map_err(OneShotInferenceError::from)?,
            scale: forward_input_scale(shape, PROFILE),
            limit: forward_budget(shape, PROFILE).largest_message() as i32,
            projected: Limbs::new(&project(&product.map, &tau)),
            tau: Limbs::new(&tau),
            product,
        })
    }

    /// Encrypts features under a key of their own.
    fn ask(&self, features: &[f32], rng: &mut impl CryptoRng) -> Result<Asked, ClientError> {
        let key = SecretKey::generate(rng)?;
        let mut integers = Zeroizing::new(vec![0; features.len()]);
        sphinx_wire::training::encode(features, self.scale, self.limit, &mut integers);
        let (query, noisy) = key.encrypt_linear(&self.layout, &integers, rng)?;
        // What is known to be encrypted, noise included.
        let expected = reduce(u128::from(self.projected.dot(&noisy)));
        Ok(Asked { query, key, expected })
    }

    /// Decrypts and checks; then, and only then, makes logits of the products.
    fn open(
        &self,
        asked: &Asked,
        result: &LinearResult,
        biases: &[f32],
    ) -> Result<Result<Vec<f32>, WrongProduct>, ClientError> {
        let products = asked.key.decrypt_linear(result, self.product.map.outputs())?;
        if reduce(u128::from(self.tau.dot(&products))) != asked.expected {
            return Ok(Err(WrongProduct));
        }
        let scaled = products.iter().zip(&self.product.scales).zip(biases);
        let logit = |((&product, scale), bias): ((&i32, &f64), &f32)| {
            (f64::from(product) / scale) as f32 + bias
        };
        Ok(Ok(scaled.map(logit).collect()))
    }
}

impl Batches {
    /// One image by its features.
    pub(super) async fn single(
        &self,
        features: Zeroizing<Vec<f32>>,
    ) -> Result<Prediction, ClientError> {
        self.guard.admit()?;
        let model = Arc::clone(&self.model);
        let asked = offload(move || model.single.ask(&features, &mut secure_rng())).await??;
        let OpenedVersion { model_id, key_id, incarnation, version, .. } = &self.model.opened;
        let LinearQuery { seeds, bodies } = &asked.query;
        let request = InferLinearRequest {
            model_id: model_id.to_string(),
            key_id: key_id.to_string(),
            version: *version,
            incarnation: incarnation.clone(),
            seeds: seeds.clone().into(),
            bodies: bodies.clone().into(),
        };
        let ask = |channel| {
            let request = request.clone();
            self.counter.sent(&request);
            async move { InferenceClient::new(channel).infer_linear(request).await }
        };
        let reply = self.inference.call(ask).await?.into_inner();
        self.counter.received(&reply);
        let InferLinearResponse { version: got, masks, bodies } = reply;
        if got != *version {
            return Err(RecognitionError::VersionMismatch { got, expected: *version }.into());
        }
        let result = LinearResult { masks: masks.into(), bodies: bodies.into() };
        let this = self.clone();
        let opened = move || {
            let (layer, biases) = (&this.model.single, &this.model.opened.biases[0]);
            match layer.open(&asked, &result, biases)? {
                Ok(logits) => Ok(Prediction::new(logits)),
                Err(WrongProduct) => Err(this.reject()),
            }
        };
        offload(opened).await?
    }
}
