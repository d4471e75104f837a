//! Recognition in one shot: one encrypted image out, encrypted logits back, nothing to prepare.
//!
//! Needs evaluation keys registered under the model's key
//! ([`SphinxClient::register_evaluation_keys`]) and a network with one activation between two
//! linear layers, such as `mlp-100`.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_evaluation_keys::{Answer, QueryLayout};
use sphinx_features::PublicStem;
use sphinx_network::{NetworkSpec, Plan, apply_steps};
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{self, DescribeModelRequest};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::SecretKey;
use tonic::Code;
use zeroize::Zeroizing;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, ClientKeyError, RecognitionError};
use crate::recognition::Prediction;

/// Requests under way at once by [`OneShot::infer_many`]: one is computed while others travel.
const UNDER_WAY: usize = 3;

/// Recognises images with one version of one model. Clones share the connection.
///
/// ```no_run
/// use std::sync::Arc;
/// use sphinx_client::one_shot::OneShot;
/// use sphinx_client::{Endpoints, KeyId, ModelId, SphinxClient};
///
/// # async fn example(
/// #     key: Arc<sphinx_secret::SecretKey>,
/// #     rng: &mut (impl rand::CryptoRng + Send),
/// #     image: &[f32],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// let (model, key_id) = (ModelId::parse("digits")?, KeyId::parse("mine")?);
/// let one_shot = OneShot::new(&client, &model, key, &key_id).await?;
/// let prediction = one_shot.infer(image, rng).await?;
/// println!("{} with probability {:.3}", prediction.class, prediction.probability());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct OneShot {
    inference: Connection,
    model: Arc<Described>,
    key: Arc<SecretKey>,
}

/// An encrypted image on its way to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneShotRequest {
    /// The model.
    pub model_id: ModelId,
    /// The key whose evaluation keys are meant.
    pub key_id: KeyId,
    /// The version to ask.
    pub version: u64,
    /// Which life of the model is meant, if several had its name one after the other.
    pub incarnation: Bytes,
    /// Fingerprint of the evaluation keys that are expected; empty takes those that are registered.
    pub fingerprint: String,
    /// Seed of the ciphertext's mask, 16 bytes.
    pub seed: Bytes,
    /// The ciphertext's body, 4 bytes per scalar of the image.
    pub bodies: Bytes,
}

/// Encrypted logits on their way back.
#[derive(Debug, Clone, PartialEq)]
pub struct OneShotAnswer {
    /// The version that was asked.
    pub version: u64,
    /// The ciphertext's mask, 2048 words of 3 bytes.
    pub mask: Bytes,
    /// One body word of 4 bytes per logit.
    pub bodies: Bytes,
    /// Integers modulo 2^64 per unit of a logit.
    pub logit_scale: f64,
    /// Fingerprint of the evaluation keys that were used.
    pub fingerprint: String,
}

impl OneShotRequest {
    /// Bytes of the message that it travels in.
    pub fn message_bytes(&self) -> usize {
        v1::InferOnceRequest::from(self.clone()).encoded_len()
    }
}

impl OneShotAnswer {
    /// Bytes of the message that it travels in.
    pub fn message_bytes(&self) -> usize {
        let Self { version, mask, bodies, logit_scale, fingerprint } = self.clone();
        v1::InferOnceResponse { version, mask, bodies, logit_scale, fingerprint }.encoded_len()
    }
}

impl From<OneShotRequest> for v1::InferOnceRequest {
    fn from(request: OneShotRequest) -> Self {
        let OneShotRequest { model_id, key_id, version, incarnation, fingerprint, seed, bodies } =
            request;
        let (model_id, key_id, version) = (model_id.to_string(), key_id.to_string(), Some(version));
        Self { model_id, key_id, version, incarnation, fingerprint, seed, bodies }
    }
}

impl From<v1::InferOnceResponse> for OneShotAnswer {
    fn from(answer: v1::InferOnceResponse) -> Self {
        let v1::InferOnceResponse { version, mask, bodies, logit_scale, fingerprint } = answer;
        Self { version, mask, bodies, logit_scale, fingerprint }
    }
}

/// What requests for a model need.
#[derive(Debug, Clone)]
struct Described {
    model_id: ModelId,
    key_id: KeyId,
    version: u64,
    incarnation: Bytes,
    spec: NetworkSpec,
    plan: Plan,
    stem: PublicStem,
    layout: QueryLayout,
    /// Fingerprint of the owner's evaluation keys; empty takes those that are registered.
    fingerprint: String,
}

impl OneShot {
    /// For the newest version of a model.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model; [`crate::ClientKeyError::WrongKey`] if it is encrypted under another key than
    /// `key_id`; [`ClientError::OneShotNetwork`] if its input does not fit one ciphertext.
    pub async fn new(
        client: &SphinxClient,
        model_id: &ModelId,
        key: Arc<SecretKey>,
        key_id: &KeyId,
    ) -> Result<Self, ClientError> {
        let inference = client.inference.clone();
        let describe = |channel| async move {
            let request = DescribeModelRequest { model_id: model_id.to_string(), version: None };
            InferenceClient::new(channel).describe_model(request).await
        };
        let described = inference.call(describe).await?.into_inner();
        if described.key_id != key_id.as_str() {
            return Err(ClientKeyError::WrongKey { key_id: described.key_id }.into());
        }
        let network = described.network.ok_or_else(|| inference.protocol("no network", "one"))?;
        let spec = NetworkSpec::try_from(network)?;
        let plan = Plan::new(&spec)?;
        let (stem, layout) = (PublicStem::new(&plan)?, QueryLayout::new(&plan)?);
        let model = Described {
            model_id: model_id.clone(),
            key_id: key_id.clone(),
            version: described.version,
            incarnation: described.incarnation,
            spec,
            plan,
            stem,
            layout,
            fingerprint: String::new(),
        };
        Ok(Self { inference, model: Arc::new(model), key })
    }

    /// Insists on evaluation keys of this fingerprint ([`crate::evaluation_fingerprint`]): with
    /// others under the same id the service refuses, where it would otherwise answer what this key
    /// cannot decrypt.
    pub fn expecting(self, fingerprint: String) -> Self {
        let Self { inference, model, key } = self;
        let model = Arc::unwrap_or_clone(model);
        Self { inference, model: Arc::new(Described { fingerprint, ..model }), key }
    }

    /// The version that is asked.
    pub fn version(&self) -> u64 {
        self.model.version
    }

    /// The model's network.
    pub fn network(&self) -> &NetworkSpec {
        &self.model.spec
    }

    /// The request for one image (pixels in [0, 1], channel by channel), with fresh encryption.
    ///
    /// # Errors
    /// [`RecognitionError::ImageSize`] for an image of another size.
    pub fn request(
        &self,
        image: &[f32],
        rng: &mut impl CryptoRng,
    ) -> Result<OneShotRequest, ClientError> {
        let Described { plan, stem, layout, .. } = self.model.as_ref();
        let (got, expected) = (image.len(), plan.input.len());
        if got != expected {
            return Err(RecognitionError::ImageSize { got, expected }.into());
        }
        let input = Zeroizing::new(apply_steps(&plan.input_steps, stem.apply(image)?));
        let query = self.key.encrypt_query(layout, &input, rng)?;
        Ok(OneShotRequest {
            model_id: self.model.model_id.clone(),
            key_id: self.model.key_id.clone(),
            version: self.model.version,
            incarnation: self.model.incarnation.clone(),
            fingerprint: self.model.fingerprint.clone(),
            seed: query.seed.to_vec().into(),
            bodies: query.bodies.into(),
        })
    }

    /// What an answer says.
    ///
    /// # Errors
    /// [`crate::OneShotInferenceError::Ciphertext`] if it has another size than this network's
    /// answers.
    pub fn decrypt(&self, answer: OneShotAnswer) -> Result<Prediction, ClientError> {
        decrypt(&self.key, answer, self.model.plan.classes)
    }

    /// Recognises one image.
    ///
    /// # Errors
    /// As [`OneShot::request`] and [`OneShot::decrypt`];
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with FAILED_PRECONDITION if no
    /// evaluation keys are registered, they are not the ones expected, or the network cannot be
    /// evaluated in one shot.
    pub async fn infer(
        &self,
        image: &[f32],
        rng: &mut impl CryptoRng,
    ) -> Result<Prediction, ClientError> {
        let request = self.request(image, rng)?;
        self.ask(request).await
    }

    /// Recognises many images, a few of them under way at a time; in order.
    ///
    /// # Errors
    /// As [`OneShot::infer`]; the first one ends all.
    pub async fn infer_many<I: AsRef<[f32]>>(
        &self,
        images: &[I],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<Prediction>, ClientError> {
        let mut rng = ChaCha20Rng::from_rng(rng);
        let requests: Vec<_> =
            images.iter().map(|image| self.request(image.as_ref(), &mut rng)).collect();
        let asked = requests.into_iter().map(|request| async move { self.ask(request?).await });
        stream::iter(asked).buffered(UNDER_WAY).try_collect().await
    }

    async fn ask(&self, request: OneShotRequest) -> Result<Prediction, ClientError> {
        self.decrypt(self.answer(request).await?)
    }

    /// Sends a request of [`OneShot::request`]; [`OneShot::decrypt`] reads the answer. A lost
    /// connection is repaired and the request sent again, but not one that the service has given
    /// up: it would compute as long again.
    ///
    /// # Errors
    /// As [`OneShot::infer`]; [`ChannelError::Refused`](crate::ChannelError::Refused) with
    /// DEADLINE_EXCEEDED if the service gave up.
    pub async fn answer(&self, request: OneShotRequest) -> Result<OneShotAnswer, ClientError> {
        let Self { inference, model, .. } = self;
        let fingerprint = request.fingerprint.clone();
        let request = v1::InferOnceRequest::from(request);
        let ask = |channel| {
            let request = request.clone();
            async move {
                match InferenceClient::new(channel).infer_once(request).await {
                    Err(status) if status.code() == Code::DeadlineExceeded => Ok(Err(status)),
                    answer => answer.map(Ok),
                }
            }
        };
        let answer = inference.call(ask).await?.map_err(|status| inference.refused(&status))?;
        let answer = OneShotAnswer::from(answer.into_inner());
        if answer.version != model.version {
            let expected = format_args!("version {}", model.version);
            return Err(inference.protocol(format_args!("version {}", answer.version), expected));
        }
        if !fingerprint.is_empty() && answer.fingerprint != fingerprint {
            let expected = format_args!("an answer under evaluation keys {fingerprint}");
            return Err(inference.protocol(format_args!("{:?}", answer.fingerprint), expected));
        }
        Ok(answer)
    }
}

/// Decrypts an answer with `classes` logits, wherever the request was made.
///
/// # Errors
/// [`crate::OneShotInferenceError::Ciphertext`] if it does not have the size of such an answer.
pub fn decrypt(
    key: &SecretKey,
    answer: OneShotAnswer,
    classes: usize,
) -> Result<Prediction, ClientError> {
    let OneShotAnswer { mask, bodies, logit_scale, .. } = answer;
    let answer = Answer { mask: mask.into(), bodies: bodies.into(), scale: logit_scale };
    let logits = key.decrypt_answer(&answer, classes)?;
    Ok(Prediction::new(logits.into_iter().map(|logit| logit as f32).collect()))
}
