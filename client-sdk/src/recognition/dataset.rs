//! Recognising a whole data set: tickets block by block, images in batches.

use rand::CryptoRng;
use sphinx_data::Dataset;
use sphinx_linalg::SLOTS;

use crate::error::ClientError;
use crate::recognition::{Prediction, Recogniser};
use crate::traffic::Traffic;

/// How far the recognition of a data set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatasetProgress {
    /// Images whose tickets have been prepared.
    pub prepared: usize,
    /// Images recognised.
    pub recognised: usize,
    /// Images of the data set.
    pub total: usize,
}

/// What the network says about a data set, and what that cost on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetPredictions {
    /// One per image, in order.
    pub predictions: Vec<Prediction>,
    /// Bytes of the messages that prepared the tickets.
    pub preparing: Traffic,
    /// Bytes of the messages of the online rounds.
    pub recognising: Traffic,
}

impl Recogniser {
    /// Recognises every image of a data set; `progress` is called after each block is prepared and
    /// recognised.
    ///
    /// # Errors
    /// As [`Recogniser::prepare`] and [`Recogniser::infer`].
    pub async fn classify_dataset(
        &self,
        dataset: &Dataset,
        rng: &mut impl CryptoRng,
        mut progress: impl FnMut(DatasetProgress),
    ) -> Result<DatasetPredictions, ClientError> {
        let total = dataset.len();
        let mut done = DatasetPredictions {
            predictions: Vec::with_capacity(total),
            preparing: Traffic::default(),
            recognising: Traffic::default(),
        };
        while done.predictions.len() < total {
            let first = done.predictions.len();
            let count = SLOTS.min(total - first);
            let start = self.traffic();
            let mut tickets = self.prepare(count, rng).await?;
            let prepared = self.traffic();
            progress(DatasetProgress { prepared: first + count, recognised: first, total });
            let images: Vec<_> =
                (first..first + count).filter_map(|index| dataset.pixels(index)).collect();
            let predictions = self.infer_batch(tickets.take_many(count)?, &images).await?;
            done.predictions.extend(predictions);
            let end = self.traffic();
            add(&mut done.preparing, start, prepared);
            add(&mut done.recognising, prepared, end);
            let recognised = done.predictions.len();
            progress(DatasetProgress { prepared: recognised, recognised, total });
        }
        Ok(done)
    }
}

fn add(sum: &mut Traffic, from: Traffic, to: Traffic) {
    sum.up += to.up - from.up;
    sum.down += to.down - from.down;
}
