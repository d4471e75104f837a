//! The one layer of a linear network on an image in the coefficients of ciphertexts, whole words
//! and nothing packed: answers that the client can check as products.

use std::sync::atomic::AtomicBool;

use sphinx_evaluation_keys::{LinearQuery, LinearResult, QueryError, QueryLayout};
use sphinx_network::{FoldedStage, Linear, Plan};

use crate::control::Control;
use crate::linear::{FirstLayer, Transform};
use crate::network::OneShotNetworkError;

/// Integer weights modulo 2^32, transformed once.
pub struct LinearLayer {
    layout: QueryLayout,
    first: FirstLayer,
}

impl LinearLayer {
    /// For a plan of one dense stage and its integer weights, `[output][input]`.
    ///
    /// # Errors
    /// [`OneShotNetworkError`] for other plans, or weights that cannot be multiplied exactly.
    pub fn new(plan: &Plan, weights: &[i32]) -> Result<Self, OneShotNetworkError> {
        let layout = QueryLayout::new(plan)?;
        let dense = matches!(plan.stages.as_slice(), [stage] if matches!(stage.linear, Linear::Dense { .. }));
        let Some(stage) = plan.stages.first().filter(|_| dense) else {
            let (stage, op) = (0, "more than one dense layer".to_owned());
            return Err(OneShotNetworkError::Unsupported { stage, op });
        };
        let shape = FoldedStage::new(stage);
        let (got, expected) = (weights.len(), stage.linear.weight_count());
        if got != expected {
            return Err(OneShotNetworkError::Count { stage: Some(0), got, expected });
        }
        let rows = weights.chunks_exact(weights.len() / shape.outputs.max(1));
        let sums = rows.map(|row| row.iter().map(|w| u64::from(w.unsigned_abs())).sum::<u64>());
        let (got, limit) = (sums.max().unwrap_or(0), Transform::LARGEST_NORM);
        if got > limit {
            return Err(OneShotNetworkError::WeightsTooLarge { stage: 0, got, limit });
        }
        let transform = Transform::new().ok_or(OneShotNetworkError::NoTransform)?;
        let first = FirstLayer::new(transform, &layout, shape, weights);
        Ok(Self { layout, first })
    }

    /// Bytes of the transformed weights.
    pub fn bytes(&self) -> usize {
        self.first.bytes()
    }

    /// A sample per output: mask and body modulo 2^32, whole.
    ///
    /// # Errors
    /// [`QueryError`] for a query of another size.
    pub fn evaluate(&self, query: &LinearQuery) -> Result<LinearResult, QueryError> {
        query.check(&self.layout)?;
        // Some milliseconds, which nobody need cut short.
        let going_on = AtomicBool::new(false);
        let control = Control::new(&going_on, &|_| ());
        let samples = self.first.products(query.masks(), &query.body(), &control);
        Ok(LinearResult::new(samples.iter().map(|sample| sample.iter().map(|&word| word as u32))))
    }
}

impl std::fmt::Debug for LinearLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinearLayer")
            .field("inputs", &self.layout.scalars())
            .finish_non_exhaustive()
    }
}
