//! A model version made ready for evaluation.

use std::sync::Arc;

use sphinx_linalg::PackedMap;
use sphinx_network::Direction;
use sphinx_wire::training::StageIntegers;

/// The products of one stage of one version.
#[derive(Debug)]
pub(crate) struct PreparedStage {
    forward: Arc<PackedMap<u32>>,
    backward: Option<Arc<PackedMap<u32>>>,
}

impl PreparedStage {
    /// Orders the integers of a stage for the kernel.
    pub fn new(integers: StageIntegers) -> Self {
        Self {
            forward: Arc::new(PackedMap::new(integers.forward.map)),
            backward: integers.backward.map(|product| Arc::new(PackedMap::new(product.map))),
        }
    }

    /// The product of a direction; none lies backward of the first stage.
    pub fn product(&self, direction: Direction) -> Option<&Arc<PackedMap<u32>>> {
        match direction {
            Direction::Forward => Some(&self.forward),
            Direction::Backward => self.backward.as_ref(),
        }
    }
}
