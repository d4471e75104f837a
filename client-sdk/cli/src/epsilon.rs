//! ε as programs and people read it.

use serde::Serialize;
use sphinx_privacy::{Delta, Epsilon, Proof};

/// What stands where ε would, and why.
pub const NONE_PROVEN: &str = "\
none proven: in some steps not every gradient was noised, so one image may change all later ones beyond what clipping \
bounds";

/// All bounds on ε, as fields of a JSON object; `None` where nothing is proven.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct EpsilonFields {
    /// The smallest that is proven.
    pub epsilon: Option<f64>,
    /// By privacy loss distributions; `None` also where they would take too fine a grid.
    pub epsilon_pld: Option<f64>,
    /// By Rényi divergences, improved conversion.
    pub epsilon_rdp: Option<f64>,
    /// By Rényi divergences, classical conversion.
    pub epsilon_classical: Option<f64>,
    /// What proves `epsilon`.
    pub epsilon_proof: Option<Proof>,
}

impl From<Option<Epsilon>> for EpsilonFields {
    fn from(epsilon: Option<Epsilon>) -> Self {
        Self {
            epsilon: epsilon.map(|epsilon| epsilon.proven()),
            epsilon_pld: epsilon.and_then(|epsilon| epsilon.pld),
            epsilon_rdp: epsilon.map(|epsilon| epsilon.rdp),
            epsilon_classical: epsilon.map(|epsilon| epsilon.classical),
            epsilon_proof: epsilon.map(|epsilon| epsilon.proof()),
        }
    }
}

/// ε by all accountants and what is proven, or that nothing is.
pub fn text(epsilon: Option<Epsilon>, delta: Delta) -> String {
    match epsilon {
        Some(epsilon) => format!("{} at δ = {:e}{}", bounds(&epsilon), delta.get(), note(&epsilon)),
        None => format!("ε {NONE_PROVEN}"),
    }
}

/// ε = 2.000 (RDP 2.218, classical 2.554)
pub fn bounds(epsilon: &Epsilon) -> String {
    let [rdp, classical] = [epsilon.rdp, epsilon.classical].map(short);
    match (epsilon.proof(), epsilon.pld.map(short)) {
        (Proof::Pld, Some(pld)) => format!("ε = {pld} (RDP {rdp}, classical {classical})"),
        (_, Some(pld)) => format!("ε = {rdp} (PLD {pld}, classical {classical})"),
        (_, None) => format!("ε = {rdp} (no PLD, classical {classical})"),
    }
}

/// Why ε is not that by privacy loss distributions.
fn note(epsilon: &Epsilon) -> &'static str {
    if epsilon.adaptive {
        "; proven by RDP, as a training with other noise followed: PLD holds for what is fixed in advance"
    } else if epsilon.pld.is_none() {
        "; PLD would take too fine a grid"
    } else {
        ""
    }
}

/// An ε beyond all sense is not written out digit by digit.
fn short(epsilon: f64) -> String {
    if epsilon < 1e6 { format!("{epsilon:.3}") } else { format!("{epsilon:.3e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_which_bound_is_proven_and_why() {
        let delta = Delta::new(1e-5).unwrap();
        let planned = Epsilon { pld: Some(2.0), rdp: 2.218, classical: 2.55, adaptive: false };
        let said = text(Some(planned), delta);
        assert_eq!(said, "ε = 2.000 (RDP 2.218, classical 2.550) at δ = 1e-5");
        let further = Epsilon { adaptive: true, ..planned };
        let said = text(Some(further), delta);
        assert!(said.starts_with("ε = 2.218 (PLD 2.000, classical 2.550) at δ = 1e-5; proven by"));
        let long = Epsilon { pld: None, rdp: 2e7, ..planned };
        assert!(text(Some(long), delta).starts_with("ε = 2.000e7 (no PLD, classical"));
        assert!(text(None, delta).starts_with("ε none proven"));
        let fields = EpsilonFields::from(Some(further));
        assert_eq!((fields.epsilon, fields.epsilon_proof), (Some(2.218), Some(Proof::Rdp)));
    }
}
