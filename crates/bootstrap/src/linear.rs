//! The linear parts of an evaluation that need transforms.

mod first;
mod transform;

pub(crate) use first::FirstLayer;
pub(crate) use transform::Transform;
