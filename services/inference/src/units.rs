//! Answers that are computed unit by unit, a bounded number ahead of what the client reads.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use sphinx_linalg::Unit;
use sphinx_runtime::Compute;
use tonic::Status;

use crate::error::InferenceError;

/// Units of results under way per compute thread: one in work, one ready to be sent.
const PER_THREAD: usize = 2;

/// Units under way at once.
pub(crate) fn under_way(compute: &Compute) -> usize {
    PER_THREAD * compute.width()
}

/// What `answer` makes of each unit, in any order.
pub(crate) fn answers<T: Send + 'static>(
    compute: Compute,
    units: Vec<Unit>,
    answer: impl Fn(&Unit) -> Result<T, InferenceError> + Send + Sync + 'static,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    let (ahead, answer) = (under_way(&compute), Arc::new(answer));
    let one = move |unit: Unit| {
        let (compute, answer) = (compute.clone(), Arc::clone(&answer));
        async move {
            let result = compute.run(move || answer(&unit)).await;
            Ok(result.map_err(InferenceError::from)??)
        }
    };
    stream::iter(units).map(one).buffer_unordered(ahead)
}
