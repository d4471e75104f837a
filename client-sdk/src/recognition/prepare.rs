//! Preparing tickets: the server computes W r on encryptions of r, a block of 2048 queries at once.

mod answers;
mod upload;

use std::sync::Arc;

use rand::{CryptoRng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::SLOTS;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{ParameterSet, PrepareHeader};
use sphinx_secret::SecretKey;
use tonic::Status;
use zeroize::Zeroizing;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::masks::{StageMasks, TicketSeed, ticket_seeds};
use crate::recognition::offload::offload;
use crate::recognition::{Recogniser, Ticket, TicketBook};
use crate::secure_rng;

/// u of one stage, ticket by ticket.
type StageAnswers = Vec<Zeroizing<Vec<u32>>>;

impl Recogniser {
    /// Prepares `count` (1 to 2048) tickets. The cost is that of 2048 whatever `count` is: for
    /// `sphinx-mnist` about 20 kB up and 103 kB down per ticket of a full block. Stages are
    /// prepared one after the other; in memory are the tickets (about 55 kB each), the masks of one
    /// stage and a few chunks of rows.
    ///
    /// # Errors
    /// [`RecognitionError::TicketCount`]; [`crate::StateError::WrongProduct`] if an answer was wrong
    /// before; otherwise what the connection says. Nothing is kept then, and preparing again is
    /// safe.
    pub async fn prepare(
        &self,
        count: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<TicketBook, ClientError> {
        if !(1..=SLOTS).contains(&count) {
            return Err(RecognitionError::TicketCount { got: count, limit: SLOTS }.into());
        }
        self.opener.guard.admit()?;
        let seeds = Arc::new(ticket_seeds(count, rng));
        // Of this preparation alone, and gone with it.
        let key = Arc::new(SecretKey::generate(&mut secure_rng())?);
        let mut tickets: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
        for stage in 0..self.model.stages.len() {
            let answers = self.prepare_stage(stage, &seeds, &key).await?;
            tickets.iter_mut().zip(answers).for_each(|(ticket, answers)| ticket.push(answers));
        }
        let tickets = tickets.into_iter().zip(seeds.iter()).map(|(answers, seed)| Ticket {
            model: Arc::clone(&self.model),
            seed: seed.clone(),
            answers,
        });
        Ok(TicketBook::new(tickets.collect()))
    }

    async fn prepare_stage(
        &self,
        stage: usize,
        seeds: &Arc<Vec<TicketSeed>>,
        key: &Arc<SecretKey>,
    ) -> Result<StageAnswers, ClientError> {
        let layer = &self.model.stages[stage];
        let (inputs, bits, tickets) = (layer.inputs, layer.ticket_bits, seeds.len());
        let seeds = Arc::clone(seeds);
        let masks = offload(move || StageMasks::new(&seeds, stage, inputs, bits)).await?;
        let masks = Arc::new(masks);
        let attempt = |channel| {
            // The same masks under fresh encryption noise: repeating a stream reveals nothing, and
            // neither does a copy of this process that goes on elsewhere.
            let rng = ChaCha20Rng::from_rng(&mut secure_rng());
            let requests = upload::requests(self, key, self.header(stage), bits, &masks, rng);
            async move {
                let replies = InferenceClient::new(channel).prepare(requests).await?.into_inner();
                match answers::read(self, key, stage, tickets, replies).await {
                    Ok(answers) => Ok(Ok(answers)),
                    Err(Interrupted::Connection(status)) => Err(status),
                    Err(Interrupted::Client(error)) => Ok(Err(error)),
                }
            }
        };
        self.inference.call(attempt).await?
    }

    fn header(&self, stage: usize) -> PrepareHeader {
        PrepareHeader {
            model_id: self.model.model_id.to_string(),
            key_id: self.model.key_id.to_string(),
            version: self.model.version,
            stage: stage as u32,
            parameter_set: ParameterSet::Glwe2048V1.into(),
            incarnation: self.model.incarnation.clone(),
        }
    }
}

/// Why reading an answer stopped: what the connection says may pass, what it said may not.
pub(super) enum Interrupted {
    Connection(Status),
    Client(ClientError),
}

impl From<Status> for Interrupted {
    fn from(status: Status) -> Self {
        Self::Connection(status)
    }
}

impl From<ClientError> for Interrupted {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
