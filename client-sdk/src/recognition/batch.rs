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
use crate::recognition::model::IntegerModel;
use crate::recognition::offload::{INLINE_NANOS, offload};
use crate::recognition::{Prediction, Recogniser, Ticket};
use crate::witness::{Product, Sight};

/// Groups of images on their way through the rounds at once: while one waits for the server,
/// another computes.
const GROUPS: usize = 4;
/// Rough cost of one scalar on this side: encode, mask, unmask, decode and, above all, its
/// activation.
const NANOS_PER_SCALAR: usize = 30;
/// Most images that one thread unmasks together.
const TOGETHER: usize = 8;

/// An image on its way through the network.
pub(crate) struct InFlight {
    ticket: Ticket,
    /// The activations that enter the next stage; logits in the end.
    values: Zeroizing<Vec<f32>>,
    /// What the products under way have to add up to.
    expected: u64,
}

impl Recogniser {
    /// Recognises many images, using up as many tickets; answers come in the images' order.
    ///
    /// Images share messages of at most 1.5 MB, and a few messages are under way at once.
    ///
    /// # Errors
    /// As [`Recogniser::infer`], and [`RecognitionError::Pairs`]. All tickets are spent in any
    /// case.
    #[tracing::instrument(name = "recognise", skip_all)]
    pub async fn infer_batch<I: AsRef<[f32]>>(
        &self,
        tickets: Vec<Ticket>,
        images: &[I],
    ) -> Result<Vec<Prediction>, ClientError> {
        self.opener.guard.admit()?;
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
            if let Some(query) = queries.first() {
                let (product, values) = (Product::Recognition { stage: index }, &query.values);
                self.inference.show(Sight::Hidden { product, values, slots: 1 });
            }
            let shared = Arc::clone(&model);
            let nanos = queries.len() * NANOS_PER_SCALAR * layer.inputs;
            let (values, masked) = on_cores(nanos, move |parallel| {
                (mask(&shared, index, &mut queries, parallel), queries)
            })
            .await?;
            let reply = self.ask(&model, index, masked.len(), values.into()).await?;
            let shared = Arc::clone(&model);
            let nanos = masked.len() * NANOS_PER_SCALAR * layer.outputs;
            let unmasked =
                on_cores(nanos, move |parallel| unmask(&shared, index, masked, &reply, parallel));
            queries = match unmasked.await? {
                Ok(queries) => queries,
                Err(WrongProduct) => {
                    // Nothing that was made of the wrong product is left.
                    let guilty = Arc::clone(&model);
                    return Err(offload(move || guilty.reject(index)).await?);
                }
            };
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
        // Another query may have found the service out meanwhile.
        model.guard.admit()?;
        let product = Product::Recognition { stage };
        self.inference.show(Sight::Left { product, bytes: &values });
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
    ) -> Result<Self, ClientError> {
        ticket.model.guard.admit()?;
        if !ticket.model.same_model(&recogniser.model) {
            return Err(RecognitionError::ForeignTicket {
                got: ticket.model.model_id.to_string(),
                expected: recogniser.model.model_id.to_string(),
            }
            .into());
        }
        let steps = &ticket.model.plan.input_steps;
        let values = Zeroizing::new(apply_steps(steps, std::mem::take(&mut *features)));
        Ok(Self { ticket, values, expected: 0 })
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

/// Masks and packs the activations of all images, and notes what their products have to add up to.
fn mask(model: &IntegerModel, stage: usize, queries: &mut [InFlight], parallel: bool) -> Vec<u8> {
    let layer = &model.stages[stage];
    let (form, size) = (layer.masked(), layer.masked().query_bytes());
    let mut packed = vec![0; queries.len() * size];
    let mask_some = |(packed, queries): (&mut [u8], &mut [InFlight])| {
        let mut integers = Zeroizing::new(vec![0; queries.len() * layer.inputs]);
        let mut masks = Zeroizing::new(vec![0; layer.inputs]);
        let mut words = vec![0; layer.inputs];
        let images = integers.chunks_exact_mut(layer.inputs).zip(packed.chunks_exact_mut(size));
        for ((integers, packed), query) in images.zip(&*queries) {
            layer.encode(&query.values, integers);
            expand(&query.ticket.seed, stage, layer.modulus_bits, &mut masks);
            for (word, (integer, mask)) in words.iter_mut().zip(integers.iter().zip(&*masks)) {
                *word = integer.cast_unsigned().wrapping_sub(*mask);
            }
            form.pack(&words, packed);
        }
        model.guard.timed(|| {
            let images = queries.iter_mut().zip(integers.chunks_exact(layer.inputs));
            images.for_each(|(query, integers)| query.expected = layer.check.expected(integers));
        });
    };
    let some = together(queries.len(), parallel);
    if parallel {
        packed.par_chunks_mut(some * size).zip(queries.par_chunks_mut(some)).for_each(mask_some);
    } else {
        packed.chunks_mut(some * size).zip(queries.chunks_mut(some)).for_each(mask_some);
    }
    packed
}

/// A product of an image that does not add up.
struct WrongProduct;

/// Unpacks the products of all images, unmasks and checks them, and takes the client's steps up to
/// the next stage if all are right.
fn unmask(
    model: &IntegerModel,
    stage: usize,
    mut queries: Vec<InFlight>,
    reply: &[u8],
    parallel: bool,
) -> Result<Vec<InFlight>, WrongProduct> {
    let layer = &model.stages[stage];
    let (form, size) = (layer.masked(), layer.masked().result_bytes());
    let unmask_some = |(queries, packed): (&mut [InFlight], &[u8])| {
        let mut sums = Zeroizing::new(vec![0; queries.len() * layer.outputs]);
        let mut words = vec![0; layer.outputs];
        let images = sums.chunks_exact_mut(layer.outputs).zip(packed.chunks_exact(size));
        for ((sums, packed), query) in images.zip(&*queries) {
            form.unpack(packed, &mut words);
            layer.unmask(&words, &query.ticket.answers[stage], sums);
        }
        let right = model.guard.timed(|| {
            let mut images = queries.iter().zip(sums.chunks_exact(layer.outputs));
            images.all(|(query, sums)| layer.check.of_results(sums) == query.expected)
        });
        if !right {
            return Err(WrongProduct);
        }
        for (query, sums) in queries.iter_mut().zip(sums.chunks_exact(layer.outputs)) {
            query.values = Zeroizing::new(apply_steps(&layer.steps, layer.decode(sums)));
        }
        Ok(())
    };
    let some = together(queries.len(), parallel);
    if parallel {
        let packed = reply.par_chunks(some * size);
        queries.par_chunks_mut(some).zip(packed).try_for_each(unmask_some)?;
    } else {
        queries.chunks_mut(some).zip(reply.chunks(some * size)).try_for_each(unmask_some)?;
    }
    Ok(queries)
}

/// How many of so many images one thread does together: their sums stay in its cache, and the clock
/// is asked once for all.
fn together(images: usize, parallel: bool) -> usize {
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    images.div_ceil(2 * threads).clamp(1, TOGETHER)
}

/// Does short work here and long work, in parallel, on another thread.
async fn on_cores<T: Send + 'static>(
    nanos: usize,
    work: impl FnOnce(bool) -> T + Send + 'static,
) -> Result<T, ClientError> {
    if nanos <= INLINE_NANOS { Ok(work(false)) } else { offload(move || work(true)).await }
}
