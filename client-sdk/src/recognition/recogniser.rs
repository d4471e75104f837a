//! The recogniser of one model.

use std::sync::Arc;
use std::time::Duration;

use sphinx_data::Pipeline;
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{DescribeModelRequest, DescribeModelResponse};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::ReadKey;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, RecognitionError};
use crate::memory::Memory;
use crate::recognition::model::IntegerModel;
use crate::recognition::open::{DESCRIBE_DEADLINE, Opener};
use crate::traffic::Counter;
use crate::traffic::Traffic;

/// Longest wait for the answer of a round, besides what its bytes take.
const ROUND_DEADLINE: Duration = Duration::from_secs(10);
/// Of the slowest line that is reckoned with.
const BYTES_PER_SECOND: f64 = 65_536.0;

/// Recognises images with one version of one model. Clones share connection, counters and what
/// happens when the service answers wrongly: then none of them sends anything any more.
///
/// ```no_run
/// use std::sync::Arc;
/// use sphinx_client::recognition::Recogniser;
/// use sphinx_client::{Endpoints, ReadKey, SphinxClient};
///
/// # async fn example(
/// #     read_key: Arc<ReadKey>,
/// #     rng: &mut (impl rand::CryptoRng + Send),
/// #     image: &[f32],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// let recogniser = Recogniser::new(&client, read_key).await?;
/// // Offline, for up to 2048 images at once; then one ticket per image.
/// let mut tickets = recogniser.prepare(2048, rng).await?;
/// let prediction = recogniser.infer(tickets.take()?, image).await?;
/// println!("{} with probability {:.3}", prediction.class, prediction.probability());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Recogniser {
    pub(crate) inference: Connection,
    pub(crate) model: Arc<IntegerModel>,
    pub(crate) counter: Arc<Counter>,
    pub(crate) opener: Opener,
    round_deadline: Duration,
}

impl Recogniser {
    /// A recogniser with the newest version of the read key's model, without a memory beyond this
    /// program.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model; [`crate::RecognitionError::ModelGone`] if it is another of the same name;
    /// [`crate::StateError`] if the version is not as its owner left it, or the read key is of
    /// another key; [`crate::RecognitionError::Precision`] if its tickets could not be exact.
    pub async fn new(client: &SphinxClient, read_key: Arc<ReadKey>) -> Result<Self, ClientError> {
        Self::remembering(client, read_key, Memory::default()).await
    }

    /// The same with a memory of suspect models and of the versions seen.
    ///
    /// # Errors
    /// As [`Recogniser::new`]; [`crate::MemoryError::Suspect`] if the model is marked,
    /// [`crate::StateError::OlderVersion`] if the service has an older version than was seen.
    pub async fn remembering(
        client: &SphinxClient,
        read_key: Arc<ReadKey>,
        memory: Memory,
    ) -> Result<Self, ClientError> {
        let opener = Opener::remembering(client, read_key, memory)?;
        let (inference, counter) = (opener.inference.clone(), Arc::clone(&opener.counter));
        let model = opener.open(None, None).await?;
        Ok(Self { inference, model, counter, opener, round_deadline: ROUND_DEADLINE })
    }

    /// How long the answer of a round may take before it is asked for again, on a new connection,
    /// up to five times; 10 s by default. Large messages may take longer, as if a second carried 64
    /// kB.
    #[must_use]
    pub fn with_round_deadline(self, deadline: Duration) -> Self {
        Self { round_deadline: deadline, ..self }
    }

    /// Deadline of a round with so many bytes in both directions.
    pub(crate) fn round_deadline(&self, bytes: usize) -> Duration {
        self.round_deadline + Duration::from_secs_f64(bytes as f64 / BYTES_PER_SECOND)
    }

    /// A recogniser with the version that is the newest now; this one if that has not changed.
    ///
    /// # Errors
    /// [`crate::RecognitionError::ModelGone`] if the model was deleted, or made again under the
    /// same name; [`crate::StateError::OlderVersion`] if the service went back to an older one;
    /// otherwise as [`Recogniser::new`].
    pub async fn refreshed(&self) -> Result<Self, ClientError> {
        let opened = self.opener.open(None, Some(&self.model)).await;
        let model = opened.map_err(|error| self.gone_if_not_found(error))?;
        Ok(Self { model, ..self.clone() })
    }

    /// The error that says that the model is no more.
    pub(crate) fn gone(&self) -> ClientError {
        RecognitionError::ModelGone { model: self.model.model_id.to_string() }.into()
    }

    fn gone_if_not_found(&self, error: ClientError) -> ClientError {
        if error.is_not_found() { self.gone() } else { error }
    }

    /// The model.
    pub fn model_id(&self) -> &ModelId {
        &self.model.model_id
    }

    /// The key that the model was made with.
    pub fn key_id(&self) -> &KeyId {
        &self.model.key_id
    }

    /// The version of the model that tickets are prepared for.
    pub fn version(&self) -> u64 {
        self.model.version
    }

    /// The model's network.
    pub fn network(&self) -> &NetworkSpec {
        &self.model.spec
    }

    /// What pictures become before the network gets them, as the version's owner left it; none of
    /// versions that were never trained or are of earlier releases.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        self.model.pipeline.as_ref()
    }

    /// Bytes of all messages sent and received so far, repeated ones included.
    pub fn traffic(&self) -> Traffic {
        self.counter.total()
    }

    /// CPU time that the checks of answers have taken so far, of all threads.
    pub fn check_cpu(&self) -> Duration {
        self.opener.guard.check_cpu()
    }
}

/// A model as the inference service serves it. Nothing of this is verified: it says what to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    /// The key that it was made with.
    pub key_id: KeyId,
    /// What tells the model from a deleted one of the same name.
    pub incarnation: [u8; 16],
    /// The newest version.
    pub version: u64,
}

impl SphinxClient {
    /// The key that a model was made with, as the inference service knows it.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model.
    pub async fn key_of_model(&self, model_id: &ModelId) -> Result<KeyId, ClientError> {
        Ok(self.served_model(model_id).await?.key_id)
    }

    /// What the inference service says of a model.
    ///
    /// # Errors
    /// As [`SphinxClient::key_of_model`].
    pub async fn served_model(&self, model_id: &ModelId) -> Result<ServedModel, ClientError> {
        let request = DescribeModelRequest { model_id: model_id.to_string(), version: None };
        let describe = |channel| {
            let request = request.clone();
            async move { InferenceClient::new(channel).describe_model(request).await }
        };
        let described = self.inference.call_within(DESCRIBE_DEADLINE, describe).await?;
        let DescribeModelResponse { key_id, incarnation, version, .. } = described.into_inner();
        let got = incarnation.len();
        let incarnation = incarnation.as_ref().try_into().map_err(|_| {
            let expected = "an incarnation of 16 bytes";
            self.inference.protocol(format_args!("{got} bytes of incarnation"), expected)
        })?;
        Ok(ServedModel { key_id: KeyId::parse(key_id)?, incarnation, version })
    }
}
