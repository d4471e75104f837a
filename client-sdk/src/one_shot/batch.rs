//! Thousands of images in one shot: one request, one answer, every product checked.

mod pack;
mod single;
mod stream;

use std::fmt;
use std::sync::Arc;

use futures::stream::iter as stream_of;
use futures::{StreamExt, TryStreamExt};
use sphinx_data::Pipeline;
use sphinx_features::PublicStem;
use sphinx_linalg::{POLYNOMIAL_SIZE, Profile, SLOTS};
use sphinx_network::{Direction, NetworkSpec};
use sphinx_proto::ModelId;
use sphinx_quantise::Lowered;
use sphinx_secret::ReadKey;
use sphinx_wire::training::{
    BiasForm, Form, Geometries, MAX_BLOCKS, forward_budget, forward_input_scale, profile,
};
use tonic::Status;
use zeroize::Zeroizing;

use self::single::SingleLayer;
use self::stream::BatchRows;
use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, OneShotInferenceError, RecognitionError};
use crate::memory::Memory;
use crate::product::{Biases, CheckCost, Checked, Evaluation, Fresh, evaluate};
use crate::recognition::Prediction;
use crate::recognition::guard::Guard;
use crate::recognition::model::OpenedVersion;
use crate::recognition::offload::offload;
use crate::recognition::open::Opener;
use crate::traffic::{Counter, Traffic};

/// Input rows times blocks of one request: 270 MB of bodies on their way.
const ROWS_PER_REQUEST: usize = 1 << 15;
/// Requests for single images under way at once.
const UNDER_WAY: usize = 4;
/// What marks of suspect models name.
const PHASE: &str = "a batch in one shot";

/// Recognises whole batches with one version of a linear network
/// ([`OneShotInferenceError::NotLinear`] tells of others). Needs no keys at the key vault beyond
/// the model's: those of a request are made for it and forgotten with it. Clones share the
/// connection, and what happens when a product was wrong.
///
/// ```no_run
/// use std::sync::Arc;
/// use sphinx_client::one_shot::Batches;
/// use sphinx_client::{Endpoints, ModelName, RootKey, SphinxClient};
///
/// # async fn example(
/// #     root: &RootKey,
/// #     model: &ModelName,
/// #     images: &[Vec<f32>],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// let batches = Batches::new(&client, Arc::new(root.read_key(model))).await?;
/// for prediction in batches.infer(images).await? {
///     println!("{}", prediction.class);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Batches {
    inference: Connection,
    counter: Arc<Counter>,
    guard: Arc<Guard>,
    model: Arc<Layer>,
}

/// The one layer of a network, as its products are checked with.
struct Layer {
    opened: OpenedVersion,
    stem: PublicStem,
    profile: Profile,
    product: Lowered,
    single: SingleLayer,
}

impl Batches {
    /// For the newest version of the read key's model, without a memory beyond this program.
    ///
    /// # Errors
    /// As [`crate::recognition::Recogniser::new`]; [`OneShotInferenceError::NotLinear`].
    pub async fn new(client: &SphinxClient, read_key: Arc<ReadKey>) -> Result<Self, ClientError> {
        Self::remembering(client, read_key, Memory::default()).await
    }

    /// The same with a memory of suspect models and of the versions seen.
    ///
    /// # Errors
    /// As [`Batches::new`] and [`crate::recognition::Recogniser::remembering`].
    pub async fn remembering(
        client: &SphinxClient,
        read_key: Arc<ReadKey>,
        memory: Memory,
    ) -> Result<Self, ClientError> {
        let opener = Opener::remembering(client, read_key, memory)?;
        let (opened, _) = opener.newest().await?;
        let model = Arc::new(offload(move || Layer::new(opened)).await??);
        let Opener { inference, counter, guard, .. } = opener;
        Ok(Self { inference, counter, guard, model })
    }

    /// The model.
    pub fn model_id(&self) -> &ModelId {
        &self.model.opened.model_id
    }

    /// The version that is asked.
    pub fn version(&self) -> u64 {
        self.model.opened.version
    }

    /// The model's network.
    pub fn network(&self) -> &NetworkSpec {
        &self.model.opened.spec
    }

    /// As [`crate::recognition::Recogniser::pipeline`].
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.model.opened.pipeline.as_ref()
    }

    /// Bytes of all messages so far.
    pub fn traffic(&self) -> Traffic {
        self.counter.total()
    }

    /// Most images of one request.
    pub fn images_per_request(&self) -> usize {
        let inputs = self.model.product.map.inputs();
        SLOTS * (ROWS_PER_REQUEST / inputs.max(1)).clamp(1, MAX_BLOCKS)
    }

    /// Recognises images (pixels in [0, 1], channel by channel), in order. A request has up to
    /// [`Batches::images_per_request`] images and costs as much as if its last 2048 slots were
    /// full; a few images, for which that is more to send, go one by one (`InferLinear`).
    ///
    /// # Errors
    /// [`RecognitionError::ImageSize`]; [`crate::StateError::WrongProduct`] if a product was wrong:
    /// that is final, and nothing of its request is returned; otherwise what the connection says.
    pub async fn infer<I: AsRef<[f32]>>(
        &self,
        images: &[I],
    ) -> Result<Vec<Prediction>, ClientError> {
        let expected = self.model.opened.plan.input.len();
        if let Some(got) = images.iter().map(|image| image.as_ref().len()).find(|&n| n != expected)
        {
            return Err(RecognitionError::ImageSize { got, expected }.into());
        }
        let mut predictions = Vec::with_capacity(images.len());
        for images in images.chunks(self.images_per_request()) {
            let model = Arc::clone(&self.model);
            let images: Vec<Vec<f32>> =
                images.iter().map(|image| image.as_ref().to_vec()).collect();
            let features = offload(move || pack::features(&model, images)).await??;
            predictions.extend(self.some(features).await?);
        }
        Ok(predictions)
    }

    /// The same for what the network's public stem made of images.
    ///
    /// # Errors
    /// As [`Batches::infer`].
    pub async fn infer_features(
        &self,
        features: Vec<Vec<f32>>,
    ) -> Result<Vec<Prediction>, ClientError> {
        let expected = self.model.product.map.inputs();
        if let Some(got) = features.iter().map(Vec::len).find(|&n| n != expected) {
            return Err(RecognitionError::ImageSize { got, expected }.into());
        }
        let mut predictions = Vec::with_capacity(features.len());
        let mut rest = features.into_iter().map(Zeroizing::new);
        loop {
            let some: Vec<_> = rest.by_ref().take(self.images_per_request()).collect();
            if some.is_empty() {
                return Ok(predictions);
            }
            predictions.extend(self.some(some).await?);
        }
    }

    /// One request, or one per image where that is less to send.
    #[tracing::instrument(name = "batch", skip_all)]
    async fn some(
        &self,
        features: Vec<Zeroizing<Vec<f32>>>,
    ) -> Result<Vec<Prediction>, ClientError> {
        if features.len() <= self.fewest() {
            let singles = features.into_iter().map(|features| self.single(features));
            return stream_of(singles).buffered(UNDER_WAY).try_collect().await;
        }
        let inputs = self.model.product.map.inputs();
        self.request(offload(move || pack::blocks(&features, inputs)).await??).await
    }

    /// Images for which a block of 2048 is no more to send than image after image.
    fn fewest(&self) -> usize {
        let map = &self.model.product.map;
        let words = map.inputs() + POLYNOMIAL_SIZE * map.outputs();
        SLOTS * (map.inputs() + 2 * map.outputs()) / words.max(1)
    }

    /// One request.
    async fn request(&self, images: pack::Packed) -> Result<Vec<Prediction>, ClientError> {
        self.guard.admit()?;
        let images = Arc::new(images);
        let attempt = |channel| {
            let (this, images) = (self.clone(), Arc::clone(&images));
            async move {
                let rows = BatchRows::open(&this, channel, images.blocks.len()).await?;
                // Keys and noise afresh at each attempt.
                let fresh = Fresh::from_system(images.blocks.len());
                let work = move || this.model.evaluate(rows, &images, fresh);
                match offload(work).await.and_then(|done| done) {
                    Err(error) if error.is_transient() => {
                        Err(Status::unavailable(error.to_string()))
                    }
                    done => Ok(done),
                }
            }
        };
        match self.inference.call(attempt).await?? {
            Checked::Right(tensors) => {
                let count = images.images;
                offload(move || pack::predictions(&tensors, count)).await
            }
            Checked::Wrong(_) => {
                let this = self.clone();
                Err(offload(move || this.reject()).await?)
            }
        }
    }

    /// A product was wrong: the end of everything for this model. Blocks for some milliseconds.
    fn reject(&self) -> ClientError {
        let OpenedVersion { model_id, key_id, incarnation, version, .. } = &self.model.opened;
        self.guard.reject((model_id, key_id, incarnation), *version, 0, PHASE)
    }
}

impl Layer {
    fn new(opened: OpenedVersion) -> Result<Self, ClientError> {
        let got = opened.plan.stages.len();
        if got != 1 {
            return Err(OneShotInferenceError::NotLinear { got }.into());
        }
        let profile = profile::chosen(&opened.plan);
        let form = Form { profile, biases: BiasForm::AtHome };
        let geometries = Geometries::new(opened.plan.clone(), form, opened.spec.bias_bound);
        let stages = geometries.lower(&opened.weights);
        let stage = stages.map_err(OneShotInferenceError::from)?.into_iter().next();
        let stage = stage.ok_or(OneShotInferenceError::NotLinear { got: 0 })?;
        let stem = PublicStem::new(&opened.plan)?;
        let single = SingleLayer::new(&opened)?;
        Ok(Self { opened, stem, profile, product: stage.forward, single })
    }

    /// Encrypts, sends, decrypts and checks. Blocks.
    fn evaluate(
        &self,
        mut rows: BatchRows,
        images: &pack::Packed,
        fresh: Fresh,
    ) -> Result<Checked, ClientError> {
        let stage = &self.opened.plan.stages[0];
        let evaluation = Evaluation {
            stage: 0,
            direction: Direction::Forward,
            blocks: images.blocks.len(),
            profile: self.profile,
            product: &self.product,
            scale: forward_input_scale(stage, self.profile),
            limit: forward_budget(stage, self.profile).largest_message() as i32,
            biases: Biases::Added(&self.opened.biases[0]),
        };
        let blocks: Vec<_> = images.blocks.iter().collect();
        evaluate(&mut rows, &evaluation, &blocks, fresh, &mut CheckCost::default())
    }
}

/// Without weights and biases.
impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OpenedVersion { model_id, version, .. } = &self.model.opened;
        let mut shown = f.debug_struct("Batches");
        shown.field("model_id", model_id).field("version", version).finish_non_exhaustive()
    }
}
