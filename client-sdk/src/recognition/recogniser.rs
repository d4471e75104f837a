//! The recogniser of one model.

use std::sync::Arc;
use std::time::Duration;

use sphinx_network::NetworkSpec;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{DescribeModelRequest, DescribeModelResponse};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::SecretKey;

use crate::client::SphinxClient;
use crate::connection::Connection;
use crate::error::{ClientError, ClientKeyError, RecognitionError};
use crate::recognition::model::IntegerModel;
use crate::traffic::Counter;
use crate::traffic::Traffic;

/// Longest wait for a description: the service may have to load the model first.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest wait for the answer of a round, besides what its bytes take.
const ROUND_DEADLINE: Duration = Duration::from_secs(10);
/// Of the slowest line that is reckoned with.
const BYTES_PER_SECOND: f64 = 65_536.0;

/// Recognises images with one version of one model. Clones share connection and counters.
///
/// ```no_run
/// use std::sync::Arc;
/// use sphinx_client::recognition::Recogniser;
/// use sphinx_client::{Endpoints, KeyId, ModelId, SphinxClient};
///
/// # async fn example(
/// #     key: Arc<sphinx_secret::SecretKey>,
/// #     rng: &mut (impl rand::CryptoRng + Send),
/// #     image: &[f32],
/// # ) -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// let (model, key_id) = (ModelId::parse("digits")?, KeyId::parse("mine")?);
/// let recogniser = Recogniser::new(&client, &model, key, &key_id).await?;
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
    pub(crate) key: Arc<SecretKey>,
    pub(crate) counter: Arc<Counter>,
    round_deadline: Duration,
}

impl Recogniser {
    /// A recogniser with the newest version of a model.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model; [`crate::ClientKeyError::WrongKey`] if it is encrypted under another key than
    /// `key_id`; [`crate::RecognitionError::Precision`] if its tickets could not be exact.
    pub async fn new(
        client: &SphinxClient,
        model_id: &ModelId,
        key: Arc<SecretKey>,
        key_id: &KeyId,
    ) -> Result<Self, ClientError> {
        let inference = client.inference.clone();
        let counter = Arc::new(Counter::default());
        let model = Arc::new(describe(&inference, &counter, model_id, None).await?);
        if model.key_id != *key_id {
            return Err(ClientKeyError::WrongKey { key_id: model.key_id.to_string() }.into());
        }
        Ok(Self { inference, model, key, counter, round_deadline: ROUND_DEADLINE })
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
    /// same name; otherwise as [`Recogniser::new`].
    pub async fn refreshed(&self) -> Result<Self, ClientError> {
        let described = describe(&self.inference, &self.counter, &self.model.model_id, None).await;
        let model = described.map_err(|error| self.gone_if_not_found(error))?;
        if !model.same_model(&self.model) {
            return Err(self.gone());
        }
        if model.version == self.model.version {
            return Ok(self.clone());
        }
        Ok(Self { model: Arc::new(model), ..self.clone() })
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

    /// The key that its tickets are prepared under.
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

    /// Bytes of all messages sent and received so far, repeated ones included.
    pub fn traffic(&self) -> Traffic {
        self.counter.total()
    }
}

/// What ties a model to a key.
pub(crate) struct ModelKey {
    /// Under which its tickets are prepared and its biases encrypted.
    pub key_id: KeyId,
    /// What tells the model from a deleted one of the same name.
    pub incarnation: [u8; 16],
}

impl SphinxClient {
    /// The key under which a model's tickets are prepared and its biases encrypted, as the
    /// inference service knows it.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model.
    pub async fn key_of_model(&self, model_id: &ModelId) -> Result<KeyId, ClientError> {
        Ok(self.key_and_incarnation(model_id).await?.key_id)
    }

    /// As [`SphinxClient::key_of_model`], with what names the model for good.
    pub(crate) async fn key_and_incarnation(
        &self,
        model_id: &ModelId,
    ) -> Result<ModelKey, ClientError> {
        let request = DescribeModelRequest { model_id: model_id.to_string(), version: None };
        let describe = |channel| {
            let request = request.clone();
            async move { InferenceClient::new(channel).describe_model(request).await }
        };
        let described = self.inference.call_within(DESCRIBE_DEADLINE, describe).await?;
        let DescribeModelResponse { key_id, incarnation, .. } = described.into_inner();
        let got = incarnation.len();
        let incarnation = incarnation.as_ref().try_into().map_err(|_| {
            let expected = "an incarnation of 16 bytes";
            self.inference.protocol(format_args!("{got} bytes of incarnation"), expected)
        })?;
        Ok(ModelKey { key_id: KeyId::parse(key_id)?, incarnation })
    }
}

/// Asks for the integer form of a version, by default the newest.
pub(crate) async fn describe(
    inference: &Connection,
    counter: &Counter,
    model_id: &ModelId,
    version: Option<u64>,
) -> Result<IntegerModel, ClientError> {
    let request = DescribeModelRequest { model_id: model_id.to_string(), version };
    let describe = |channel| {
        let request = request.clone();
        counter.sent(&request);
        async move { InferenceClient::new(channel).describe_model(request).await }
    };
    let described = inference.call_within(DESCRIBE_DEADLINE, describe).await?.into_inner();
    counter.received(&described);
    IntegerModel::new(described, inference)
}
