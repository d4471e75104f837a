//! The online rounds, for one or many images at once.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use rayon::prelude::*;
use sphinx_network::apply_steps;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{InferRequest, InferResponse};
use sphinx_wire::masked::GROUP_VALUES;
use zeroize::Zeroizing;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::masks::expand;
use crate::recognition::model::{IntegerLayer, IntegerModel};
use crate::recognition::offload::{INLINE_NANOS, offload};
use crate::recognition::{Prediction, Recogniser, Ticket};

/// Groups of images on their way through the rounds at once: while one waits for the server,
/// another computes.
const GROUPS: usize = 4;
/// Rough cost of one scalar on this side: encode, mask, unmask, decode and, above all, its
/// activation.
const NANOS_PER_SCALAR: usize = 30;

/// An image on its way through the network.
pub(crate) struct InFlight {
    ticket: Ticket,
    /// The activations that enter the next stage; logits in the end.
    values: Zeroizing<Vec<f32>>,
}

impl Recogniser {
    /// Recognises many images, using up as many tickets; answers come in the images' order.
    ///
    /// Images share messages of at most 1.5 MB, and a few messages are under way at once.
    ///
    /// # Errors
    /// As [`Recogniser::infer`], and [`RecognitionError::Pairs`]. All tickets are spent in any
    /// case.
    pub async fn infer_batch<I: AsRef<[f32]>>(
        &self,
        tickets: Vec<Ticket>,
        images: &[I],
    ) -> Result<Vec<Prediction>, ClientError> {
        let (tickets_given, images_given) = (tickets.len(), images.len());
        if tickets_given != images_given {
            let (tickets, images) = (tickets_given, images_given);
            return Err(RecognitionError::Pairs { tickets, images }.into());
        }
        let queries = tickets.into_iter().zip(self.features(images).await?);
        let queries = queries.map(|(ticket, features)| InFlight::new(self, ticket, features));
        let groups = grouped(queries.collect::<Result<_, _>>()?);
        stream::iter(groups).map(|group| self.rounds(group)).buffered(GROUPS).try_concat().await
    }

    /// Checks the size of images.
    pub(crate) fn check_sizes<I: AsRef<[f32]>>(
        &self,
        images: &[I],
    ) -> Result<(), RecognitionError> {
        let expected = self.model.plan.input.len();
        let mut sizes = images.iter().map(|image| image.as_ref().len());
        match sizes.find(|&got| got != expected) {
            Some(got) => Err(RecognitionError::ImageSize { got, expected }),
            None => Ok(()),
        }
    }

    /// Checks the size of images; what the network's public stem makes of them.
    async fn features<I: AsRef<[f32]>>(
        &self,
        images: &[I],
    ) -> Result<Vec<Zeroizing<Vec<f32>>>, ClientError> {
        self.check_sizes(images)?;
        let images: Vec<_> =
            images.iter().map(|image| Zeroizing::new(image.as_ref().to_vec())).collect();
        if self.model.stem.is_empty() {
            return Ok(images);
        }
        let model = Arc::clone(&self.model);
        offload(move || {
            let images = images.par_iter().map_init(
                || model.stem.worker(),
                |worker, image| Ok(Zeroizing::new(worker.apply(image)?)),
            );
            images.collect()
        })
        .await?
    }

    /// Carries images with tickets of one version through all stages.
    pub(crate) async fn rounds(
        &self,
        mut queries: Vec<InFlight>,
    ) -> Result<Vec<Prediction>, ClientError> {
        let Some(model) = queries.first().map(|query| Arc::clone(&query.ticket.model)) else {
            return Ok(Vec::new());
        };
        for (index, layer) in model.stages.iter().enumerate() {
            let shared = Arc::clone(&model);
            let nanos = queries.len() * NANOS_PER_SCALAR * layer.inputs;
            let (values, masked) = on_cores(nanos, move |parallel| {
                (mask(&shared.stages[index], index, &queries, parallel), queries)
            })
            .await?;
            let reply = self.ask(&model, index, masked.len(), values.into()).await?;
            let shared = Arc::clone(&model);
            let nanos = masked.len() * NANOS_PER_SCALAR * layer.outputs;
            queries = on_cores(nanos, move |parallel| {
                unmask(&shared.stages[index], index, masked, &reply, parallel)
            })
            .await?;
        }
        Ok(queries
            .into_iter()
            .map(|mut query| Prediction::new(std::mem::take(&mut query.values)))
            .collect())
    }

    /// One round: the masked integers of all images there, the products back.
    async fn ask(
        &self,
        model: &IntegerModel,
        stage: usize,
        images: usize,
        values: Bytes,
    ) -> Result<Bytes, ClientError> {
        let request = InferRequest {
            model_id: model.model_id.to_string(),
            key_id: model.key_id.to_string(),
            version: model.version,
            stage: stage as u32,
            images: images as u32,
            values,
            incarnation: model.incarnation.clone(),
        };
        let infer = |channel| {
            let request = request.clone();
            self.counter.sent(&request);
            async move { InferenceClient::new(channel).infer(request).await }
        };
        let result_bytes = images * model.stages[stage].masked().result_bytes();
        let deadline = self.round_deadline(request.values.len() + result_bytes);
        let reply = self.inference.call_within(deadline, infer).await?.into_inner();
        self.counter.received(&reply);
        let InferResponse { version: got, values } = reply;
        let expected = model.version;
        if got != expected {
            return Err(RecognitionError::VersionMismatch { got, expected }.into());
        }
        let expected = result_bytes;
        if values.len() == expected {
            Ok(values)
        } else {
            let got = format_args!("{} bytes of results", values.len());
            Err(self.inference.protocol(got, expected))
        }
    }
}

impl InFlight {
    /// Checks that a ticket fits the recogniser; `features` are what the stem made of an image.
    pub(crate) fn new(
        recogniser: &Recogniser,
        ticket: Ticket,
        mut features: Zeroizing<Vec<f32>>,
    ) -> Result<Self, RecognitionError> {
        if !ticket.model.same_model(&recogniser.model) {
            return Err(RecognitionError::ForeignTicket {
                got: ticket.model.model_id.to_string(),
                expected: recogniser.model.model_id.to_string(),
            });
        }
        let steps = &ticket.model.plan.input_steps;
        let values = Zeroizing::new(apply_steps(steps, std::mem::take(&mut *features)));
        Ok(Self { ticket, values })
    }
}

/// Cuts queries into groups of one version whose messages keep to the limit.
fn grouped(queries: Vec<InFlight>) -> Vec<Vec<InFlight>> {
    let mut groups: Vec<Vec<InFlight>> = Vec::new();
    for query in queries {
        let layers = query.ticket.model.stages.iter();
        let images = layers.map(|layer| layer.masked().images_within(GROUP_VALUES));
        let limit = images.min().unwrap_or(1).max(1);
        let fits = |group: &&mut Vec<InFlight>| {
            group.len() < limit
                && group.iter().all(|other| Arc::ptr_eq(&other.ticket.model, &query.ticket.model))
        };
        match groups.last_mut().filter(fits) {
            Some(group) => group.push(query),
            None => groups.push(vec![query]),
        }
    }
    groups
}

/// Masks and packs the activations of all images.
fn mask(layer: &IntegerLayer, stage: usize, queries: &[InFlight], parallel: bool) -> Vec<u8> {
    let (form, size) = (layer.masked(), layer.masked().query_bytes());
    let mut packed = vec![0; queries.len() * size];
    let mask_one = |(packed, query): (&mut [u8], &InFlight)| {
        let mut masks = Zeroizing::new(vec![0; layer.inputs]);
        expand(&query.ticket.seed, stage, layer.modulus_bits, &mut masks);
        let mut words = vec![0; layer.inputs];
        layer.mask(&query.values, &masks, &mut words);
        form.pack(&words, packed);
    };
    if parallel {
        packed.par_chunks_exact_mut(size).zip(queries).for_each(mask_one);
    } else {
        packed.chunks_exact_mut(size).zip(queries).for_each(mask_one);
    }
    packed
}

/// Unpacks the products of all images, unmasks them and takes the client's steps up to the next
/// stage.
fn unmask(
    layer: &IntegerLayer,
    stage: usize,
    mut queries: Vec<InFlight>,
    reply: &[u8],
    parallel: bool,
) -> Vec<InFlight> {
    let (form, size) = (layer.masked(), layer.masked().result_bytes());
    let unmask_one = |(query, packed): (&mut InFlight, &[u8])| {
        let mut words = vec![0; layer.outputs];
        form.unpack(packed, &mut words);
        let sums = layer.unmask(&words, &query.ticket.answers[stage]);
        query.values = Zeroizing::new(apply_steps(&layer.steps, sums));
    };
    if parallel {
        queries.par_iter_mut().zip(reply.par_chunks_exact(size)).for_each(unmask_one);
    } else {
        queries.iter_mut().zip(reply.chunks_exact(size)).for_each(unmask_one);
    }
    queries
}

/// Does short work here and long work, in parallel, on another thread.
async fn on_cores<T: Send + 'static>(
    nanos: usize,
    work: impl FnOnce(bool) -> T + Send + 'static,
) -> Result<T, ClientError> {
    if nanos <= INLINE_NANOS { Ok(work(false)) } else { offload(move || work(true)).await }
}
