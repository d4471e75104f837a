//! What the last commit of a training brings.

use sphinx_client::{Evaluator, Event, Observed, Sealed, Update};
use sphinx_proto::v1::commit_chunk::Part;

/// A commit as it left.
#[derive(Default)]
pub struct Captured {
    /// Gradient of the weights by stage as the commit carried it: from its bytes where there are
    /// any.
    pub gradient: Vec<Vec<f32>>,
    /// What the server cannot read.
    pub bias_change: Vec<Vec<f32>>,
}

/// An evaluator whose last commit is kept in `captured`.
pub fn tapped<'a>(
    evaluator: &'a mut dyn Evaluator,
    captured: &'a mut Captured,
) -> impl Evaluator + 'a {
    Observed::new(evaluator, |_: &&'a mut dyn Evaluator, event: Event<'_>| {
        if let Event::Committing { update, sealed } = event {
            *captured = Captured {
                gradient: gradient_of(sealed, update),
                bias_change: update.bias_change.clone(),
            };
        }
    })
}

/// The weights' gradient in the parts of a commit, as the trainer reads it.
fn gradient_of(sealed: &Sealed, update: &Update) -> Vec<Vec<f32>> {
    if sealed.parts().is_empty() {
        return update.gradient.clone();
    }
    let mut gradient = vec![Vec::new(); update.gradient.len()];
    for chunk in sealed.parts() {
        if let Some(Part::Gradient(part)) = &chunk.part
            && let Some(stage) = gradient.get_mut(part.stage as usize)
        {
            let (values, _) = part.values.as_chunks::<4>();
            stage.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
        }
    }
    gradient
}
