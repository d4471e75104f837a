//! What an attacker sees of every step.

use sphinx_client::{ClearTwin, Evaluator, Event, Observed};
use sphinx_network::StageParameters;

/// One step as the attacker sees it.
pub struct Seen {
    /// The parameters that the gradient was computed on; the biases are granted to the attacker.
    pub before: Vec<StageParameters>,
    /// The noised gradient of the weights, divided by the expected batch size.
    pub gradient: Vec<Vec<f32>>,
}

/// A twin that adds every step to `seen`.
pub fn tapped<'a>(twin: &'a mut ClearTwin, seen: &'a mut Vec<Seen>) -> impl Evaluator + 'a {
    Observed::new(twin, |twin: &&'a mut ClearTwin, event: Event<'_>| {
        if let Event::Committing { update, .. } = event {
            let (before, gradient) = (twin.parameters().to_vec(), update.gradient.clone());
            seen.push(Seen { before, gradient });
        }
    })
}
