//! Recognition in one shot: one encrypted image out, encrypted logits back, nothing to prepare.
//!
//! Needs evaluation keys registered under the model's key ([`SphinxClient::register_evaluation_keys`]) and a network with
//! one activation between two linear layers, such as `mlp-100`.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_bootstrap::{Answer, QueryLayout};
use sphinx_features::PublicStem;
use sphinx_network::{NetworkSpec, Plan, client_forward};
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{DescribeModelRequest, InferOnceRequest, InferOnceResponse};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::SecretKey;
use tonic::Code;
use zeroize::Zeroizing;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::recognition::{Prediction, RecognitionError};

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

/// What requests for a model need.
#[derive(Debug, Clone)]
struct Described {
    model_id: ModelId,
    key_id: KeyId,
    version: u64,
    incarnation: bytes::Bytes,
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
    /// [`ClientError::Refused`] with NOT_FOUND if there is no such model; [`ClientError::WrongKey`] if it is encrypted under
    /// another key than `key_id`; [`ClientError::OneShotNetwork`] if its input does not fit one ciphertext.
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
            return Err(ClientError::WrongKey { key_id: described.key_id });
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

    /// Insists on evaluation keys of this fingerprint ([`crate::evaluation_fingerprint`]): with others under the same id
    /// the service refuses, where it would otherwise answer what this key cannot decrypt.
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
    ) -> Result<InferOnceRequest, ClientError> {
        let Described { plan, stem, layout, .. } = self.model.as_ref();
        let (got, expected) = (image.len(), plan.input.len());
        if got != expected {
            return Err(RecognitionError::ImageSize { got, expected }.into());
        }
        let input = Zeroizing::new(client_forward(&plan.input_steps, stem.apply(image)?));
        let query = self.key.encrypt_query(layout, &input, rng)?;
        Ok(InferOnceRequest {
            model_id: self.model.model_id.to_string(),
            key_id: self.model.key_id.to_string(),
            version: Some(self.model.version),
            incarnation: self.model.incarnation.clone(),
            fingerprint: self.model.fingerprint.clone(),
            seed: query.seed.to_vec().into(),
            bodies: query.bodies.into(),
        })
    }

    /// What an answer says.
    ///
    /// # Errors
    /// [`ClientError::OneShot`] if it has another size than this network's answers.
    pub fn decrypt(&self, answer: InferOnceResponse) -> Result<Prediction, ClientError> {
        decrypt(&self.key, answer, self.model.plan.classes)
    }

    /// Recognises one image.
    ///
    /// # Errors
    /// As [`OneShot::request`] and [`OneShot::decrypt`]; [`ClientError::Refused`] with FAILED_PRECONDITION if no evaluation
    /// keys are registered, they are not the ones expected, or the network cannot be evaluated in one shot.
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

    async fn ask(&self, request: InferOnceRequest) -> Result<Prediction, ClientError> {
        self.decrypt(self.answer(request).await?)
    }

    /// Sends a request of [`OneShot::request`]; [`OneShot::decrypt`] reads the answer. A lost connection is repaired and
    /// the request sent again, but not one that the service has given up: it would compute as long again.
    ///
    /// # Errors
    /// As [`OneShot::infer`]; [`ClientError::Refused`] with DEADLINE_EXCEEDED if the service gave up.
    pub async fn answer(
        &self,
        request: InferOnceRequest,
    ) -> Result<InferOnceResponse, ClientError> {
        let Self { inference, model, .. } = self;
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
        let answer = answer.into_inner();
        if answer.version != model.version {
            let expected = format_args!("version {}", model.version);
            return Err(inference.protocol(format_args!("version {}", answer.version), expected));
        }
        if !request.fingerprint.is_empty() && answer.fingerprint != request.fingerprint {
            let expected = format_args!("an answer under evaluation keys {}", request.fingerprint);
            return Err(inference.protocol(format_args!("{:?}", answer.fingerprint), expected));
        }
        Ok(answer)
    }
}

/// Decrypts an answer with `classes` logits, wherever the request was made.
///
/// # Errors
/// [`ClientError::OneShot`] if it does not have the size of such an answer.
pub fn decrypt(
    key: &SecretKey,
    answer: InferOnceResponse,
    classes: usize,
) -> Result<Prediction, ClientError> {
    let InferOnceResponse { mask, bodies, logit_scale, .. } = answer;
    let answer = Answer { mask: mask.into(), bodies: bodies.into(), scale: logit_scale };
    let logits = key.decrypt_answer(&answer, classes)?;
    Ok(Prediction::new(logits.into_iter().map(|logit| logit as f32).collect()))
}
