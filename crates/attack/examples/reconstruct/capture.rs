//! What the last commit of a training brings.

use sphinx_client::{Evaluator, Event, Observed, Sealed, Update};

/// A commit as it left.
#[derive(Default)]
pub struct Captured {
    /// Gradient of the weights by stage as the commit carried it: from its bytes where there are
    /// any.
    pub gradient: Vec<Vec<f32>>,
    /// What the server cannot read.
    pub bias_gradient: Vec<Vec<f32>>,
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
                bias_gradient: update.bias_gradient.clone(),
            };
        }
    })
}

/// The weights' gradient as the trainer reads it, or as it is where nothing is sent.
fn gradient_of(sealed: &Sealed, update: &Update) -> Vec<Vec<f32>> {
    if sealed.bytes().is_empty() { update.gradient.clone() } else { sealed.gradient() }
}
