//! The ε of a composition, by all the bounds that are known.

use serde::{Deserialize, Serialize};

/// Upper bounds on the ε that a composition of mechanisms satisfies at some δ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epsilon {
    /// By privacy loss distributions; `None` where they would take too fine a grid
    /// ([`Accountant::epsilon_by_loss`](crate::Accountant::epsilon_by_loss) says why). Proven where
    /// all parameters were fixed in advance.
    pub pld: Option<f64>,
    /// By Rényi divergences: Canonne, Kamath & Steinke, *The Discrete Gaussian for Differential
    /// Privacy* (2020), Prop. 12.
    pub rdp: f64,
    /// By Rényi divergences: Mironov, *Rényi Differential Privacy* (2017), Prop. 3, as the moments
    /// accountant reports. Never less than [`rdp`](Self::rdp).
    pub classical: f64,
    /// Whether some parameters may have been chosen after outputs had been seen
    /// ([`Accountant::compose_chosen`](crate::Accountant::compose_chosen)): then [`pld`](Self::pld)
    /// is only what it would be had they been fixed in advance.
    pub adaptive: bool,
}

/// What proves an ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Privacy loss distributions: [`Epsilon::pld`].
    Pld,
    /// Rényi divergences: [`Epsilon::rdp`].
    Rdp,
}

impl Epsilon {
    /// The smallest bound that is proven for the composition.
    pub fn proven(&self) -> f64 {
        match self.pld {
            Some(pld) if !self.adaptive => pld.min(self.rdp),
            Some(_) | None => self.rdp,
        }
    }

    /// What proves [`proven`](Self::proven).
    pub fn proof(&self) -> Proof {
        match self.pld {
            Some(pld) if !self.adaptive && pld <= self.rdp => Proof::Pld,
            Some(_) | None => Proof::Rdp,
        }
    }
}
