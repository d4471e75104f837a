//! Recognition in one shot: one encrypted image out, encrypted logits back, nothing to prepare.
//!
//! Needs evaluation keys registered under the model's key
//! ([`SphinxClient::register_evaluation_keys`]) and a network with one activation between two
//! linear layers, such as `mlp-100`. Its biases are encrypted here and put at the trainer before
//! the first request.
//!
//! Answers that were bootstrapped and packed are no linear products, and nothing proves them.
//! Canaries ([`OneShot::with_canaries`]) catch a service that cheats often enough.

mod batch;
mod biases;
mod canaries;
mod messages;

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use rand::seq::SliceRandom;
use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_data::Pipeline;
use sphinx_evaluation_keys::{Answer, QueryLayout};
use sphinx_features::PublicStem;
use sphinx_network::{NetworkSpec, apply_steps};
use sphinx_proto::ModelId;
use sphinx_proto::v1;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_secret::{ReadKey, SecretKey};
use tonic::Code;
use zeroize::Zeroizing;

pub use batch::Batches;
pub use biases::{EncryptedBiases, PublicModel};
pub use canaries::detection;
pub use messages::{OneShotAnswer, OneShotRequest};

use biases::put_biases;
use canaries::{Canaries, Canary};

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, RecognitionError};
use crate::memory::Memory;
use crate::recognition::Prediction;
use crate::recognition::guard::Guard;
use crate::recognition::model::OpenedVersion;
use crate::recognition::offload::offload;
use crate::recognition::open::Opener;
use crate::secure_rng;
use crate::traffic::{Counter, Traffic};

/// Requests under way at once by [`OneShot::infer_many`]: one is computed while others travel.
const UNDER_WAY: usize = 3;
/// What marks of suspect models name.
const PHASE: &str = "one shot";

/// A request, and what its answer has to be if it is a canary.
type Asked = (Result<OneShotRequest, ClientError>, Option<Canary>);

/// Recognises images with one version of one model. Clones share the connection, and what happens
/// when a canary is answered wrongly: then none of them sends anything any more.
///
/// ```no_run
/// use std::sync::Arc;
/// use sphinx_client::one_shot::OneShot;
/// use sphinx_client::{Endpoints, ModelName, RootKey, SphinxClient};
///
/// # async fn example(
/// #     root: &RootKey,
/// #     model: &ModelName,
/// #     rng: &mut (impl rand::CryptoRng + Send),
/// #     image: &[f32],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// let (key, read_key) = (Arc::new(root.one_shot_key()?), Arc::new(root.read_key(model)));
/// let one_shot = OneShot::new(&client, key, read_key).await?;
/// let prediction = one_shot.infer(image, rng).await?;
/// println!("{} with probability {:.3}", prediction.class, prediction.probability());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct OneShot {
    inference: Connection,
    counter: Arc<Counter>,
    model: Arc<Described>,
    key: Arc<SecretKey>,
    guard: Arc<Guard>,
    canaries: Option<Arc<Canaries>>,
}

/// What requests for a model need.
#[derive(Clone)]
struct Described {
    opened: Arc<OpenedVersion>,
    stem: PublicStem,
    layout: QueryLayout,
    /// Fingerprint of the owner's evaluation keys; empty takes those that are registered.
    fingerprint: String,
}

/// Without weights and biases.
impl std::fmt::Debug for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let OpenedVersion { model_id, version, .. } = self.opened.as_ref();
        let mut described = f.debug_struct("Described");
        described.field("model_id", model_id).field("version", version).finish_non_exhaustive()
    }
}

impl OneShot {
    /// For the newest version of the read key's model, under the key of recognition in one shot,
    /// without a memory beyond this program. Encrypts the version's biases and puts them at the
    /// trainer, if they are not there.
    ///
    /// # Errors
    /// As [`crate::recognition::Recogniser::new`]; [`crate::OneShotInferenceError::Layout`] if the
    /// input does not fit one ciphertext.
    pub async fn new(
        client: &SphinxClient,
        key: Arc<SecretKey>,
        read_key: Arc<ReadKey>,
    ) -> Result<Self, ClientError> {
        Self::remembering(client, key, read_key, Memory::default()).await
    }

    /// The same with a memory of suspect models and of the versions seen.
    ///
    /// # Errors
    /// As [`OneShot::new`] and [`crate::recognition::Recogniser::remembering`].
    pub async fn remembering(
        client: &SphinxClient,
        key: Arc<SecretKey>,
        read_key: Arc<ReadKey>,
        memory: Memory,
    ) -> Result<Self, ClientError> {
        let opener = Opener::remembering(client, read_key, memory)?;
        let (opened, has_biases) = opener.newest().await?;
        let opened = Arc::new(opened);
        let (stem, layout) = (PublicStem::new(&opened.plan)?, QueryLayout::new(&opened.plan)?);
        if !has_biases {
            put_biases(client, &key, &opened).await?;
        }
        let model = Described { opened, stem, layout, fingerprint: String::new() };
        let Opener { inference, counter, guard, .. } = opener;
        Ok(Self { inference, counter, model: Arc::new(model), key, guard, canaries: None })
    }

    /// Mixes queries with known answers among the others, at random places: `share` of all queries,
    /// above 0 and below 1. The service cannot tell them apart. One that is answered wrongly beyond
    /// what noise can do is final, as [`crate::StateError::WrongProduct`].
    ///
    /// # Errors
    /// [`crate::OneShotInferenceError::CanaryShare`] for another share;
    /// [`crate::OneShotInferenceError::Network`] for a network that cannot be evaluated so.
    pub fn with_canaries(self, share: f64) -> Result<Self, ClientError> {
        let canaries = Canaries::new(&self.model.opened, share)?;
        Ok(Self { canaries: Some(Arc::new(canaries)), ..self })
    }

    /// Canaries that were answered, all rightly. [`detection`] says what that is worth.
    pub fn canaries(&self) -> u64 {
        self.canaries.as_ref().map_or(0, |canaries| canaries.answered())
    }

    /// Insists on evaluation keys of this fingerprint ([`crate::evaluation_fingerprint`]): with
    /// others under the same id the service refuses, where it would otherwise answer what this key
    /// cannot decrypt.
    pub fn expecting(self, fingerprint: String) -> Self {
        let model = Arc::unwrap_or_clone(self.model);
        Self { model: Arc::new(Described { fingerprint, ..model }), ..self }
    }

    /// The model.
    pub fn model_id(&self) -> &ModelId {
        &self.model.opened.model_id
    }

    /// The version that is asked.
    pub fn version(&self) -> u64 {
        self.model.opened.version
    }

    /// Bytes of all messages to and from the inference service so far.
    pub fn traffic(&self) -> Traffic {
        self.counter.total()
    }

    /// The model's network.
    pub fn network(&self) -> &NetworkSpec {
        &self.model.opened.spec
    }

    /// As [`crate::recognition::Recogniser::pipeline`].
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.model.opened.pipeline.as_ref()
    }

    /// The request for one image (pixels in [0, 1], channel by channel), with fresh encryption.
    ///
    /// # Errors
    /// [`RecognitionError::ImageSize`] for an image of another size;
    /// [`crate::StateError::WrongProduct`] once a canary was answered wrongly.
    pub fn request(
        &self,
        image: &[f32],
        rng: &mut impl CryptoRng,
    ) -> Result<OneShotRequest, ClientError> {
        self.guard.admit()?;
        let Described { opened, stem, layout, .. } = self.model.as_ref();
        let (got, expected) = (image.len(), opened.plan.input.len());
        if got != expected {
            return Err(RecognitionError::ImageSize { got, expected }.into());
        }
        let input = Zeroizing::new(apply_steps(&opened.plan.input_steps, stem.apply(image)?));
        self.request_of(layout, &input, rng)
    }

    /// The request for what enters the first linear layer.
    fn request_of(
        &self,
        layout: &QueryLayout,
        input: &[f32],
        rng: &mut impl CryptoRng,
    ) -> Result<OneShotRequest, ClientError> {
        let query = self.key.encrypt_query(layout, input, rng)?;
        let OpenedVersion { model_id, key_id, version, incarnation, .. } =
            self.model.opened.as_ref();
        Ok(OneShotRequest {
            model_id: model_id.clone(),
            key_id: key_id.clone(),
            version: *version,
            incarnation: incarnation.clone(),
            fingerprint: self.model.fingerprint.clone(),
            seed: query.seeds.concat().into(),
            bodies: query.bodies.into(),
        })
    }

    /// What an answer says.
    ///
    /// # Errors
    /// [`crate::OneShotInferenceError::Ciphertext`] if it has another size than this network's
    /// answers.
    pub fn decrypt(&self, answer: OneShotAnswer) -> Result<Prediction, ClientError> {
        decrypt(&self.key, answer, self.model.opened.plan.classes)
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
        let mut predictions = self.infer_many(&[image], rng).await?;
        predictions.pop().ok_or_else(|| self.inference.protocol("no image", "one"))
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
        let mut images = images.iter();
        let mut asked: Vec<Asked> = Vec::new();
        for canary in self.order(images.len()) {
            asked.extend(match canary {
                Some(canary) => {
                    let request = self.request_of(&self.model.layout, canary.input(), &mut rng);
                    Some((request, Some(canary)))
                }
                None => images.next().map(|image| (self.request(image.as_ref(), &mut rng), None)),
            });
        }
        let asked = asked.into_iter().map(|(request, canary)| async move {
            let prediction = self.decrypt(self.answer(request?).await?)?;
            match canary {
                Some(canary) => self.check(&canary, prediction).await.map(|()| None),
                None => Ok(Some(prediction)),
            }
        });
        let answered = stream::iter(asked).buffered(UNDER_WAY);
        answered.try_filter_map(|answer| std::future::ready(Ok(answer))).try_collect().await
    }

    /// The order of so many images and some canaries among them. The generator is the operating
    /// system's: where canaries are must not be guessed.
    fn order(&self, images: usize) -> Vec<Option<Canary>> {
        let mut rng = secure_rng();
        let mut order: Vec<Option<Canary>> = (0..images).map(|_| None).collect();
        if let Some(canaries) = &self.canaries {
            order.extend(canaries.among(images, &mut rng).into_iter().map(Some));
            order.shuffle(&mut rng);
        }
        order
    }

    /// Compares the answer to a canary with what is known.
    async fn check(&self, canary: &Canary, answer: Prediction) -> Result<(), ClientError> {
        let Some(canaries) = &self.canaries else { return Ok(()) };
        if canaries.is_right(canary, &answer.logits) {
            return Ok(());
        }
        let (guard, opened) = (Arc::clone(&self.guard), Arc::clone(&self.model.opened));
        let reject = move || {
            let OpenedVersion { model_id, key_id, incarnation, version, plan, .. } = &*opened;
            guard.reject((model_id, key_id, incarnation), *version, plan.stages.len() - 1, PHASE)
        };
        Err(offload(reject).await?)
    }

    /// Sends a request of [`OneShot::request`]; [`OneShot::decrypt`] reads the answer. A lost
    /// connection is repaired and the request sent again, but not one that the service has given
    /// up: it would compute as long again.
    ///
    /// # Errors
    /// As [`OneShot::infer`]; [`ChannelError::Refused`](crate::ChannelError::Refused) with
    /// DEADLINE_EXCEEDED if the service gave up.
    #[tracing::instrument(name = "one_shot", skip_all)]
    pub async fn answer(&self, request: OneShotRequest) -> Result<OneShotAnswer, ClientError> {
        self.guard.admit()?;
        let Self { inference, model, .. } = self;
        let fingerprint = request.fingerprint.clone();
        let request = v1::InferOnceRequest::from(request);
        let ask = |channel| {
            let request = request.clone();
            self.counter.sent(&request);
            async move {
                match InferenceClient::new(channel).infer_once(request).await {
                    Err(status) if status.code() == Code::DeadlineExceeded => Ok(Err(status)),
                    answer => answer.map(Ok),
                }
            }
        };
        let answer = inference.call(ask).await?.map_err(|status| inference.refused(&status))?;
        let answer = answer.into_inner();
        self.counter.received(&answer);
        let answer = OneShotAnswer::from(answer);
        if answer.version != model.opened.version {
            let expected = format_args!("version {}", model.opened.version);
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
