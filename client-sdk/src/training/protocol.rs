//! Forms of the protocol of a session.

pub use sphinx_linalg::Profile;
use sphinx_network::Plan;
pub use sphinx_wire::training::BiasForm;
use sphinx_wire::training::{Form, profile};

use crate::error::{ClientError, TrainingError};

/// How a session talks. The default is what everybody should use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Dimension and words of the ciphertexts; `None` for the shortest that is precise enough for
    /// the network.
    pub profile: Option<Profile>,
    /// Who adds the biases.
    pub biases: BiasForm,
    /// Whether products are checked.
    pub checks: Checks,
}

/// Whether what the trainer computed is checked before anything is made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checks {
    /// Every slot of every product.
    #[default]
    Every,
    /// None: for experiments that show what a trainer learns from a client that believes it
    /// (`crates/attack`), and what checks cost. Never with images that are not public.
    None,
}

impl Protocol {
    /// The profile of a network's ciphertexts: the one asked for, or the shortest that will do.
    ///
    /// # Errors
    /// [`TrainingError::Profile`] for one that the network is too wide for.
    pub fn profile_of(&self, plan: &Plan) -> Result<Profile, ClientError> {
        match self.profile {
            Some(asked) => {
                profile::check(plan, asked).map_err(TrainingError::Profile)?;
                Ok(asked)
            }
            None => Ok(profile::chosen(plan)),
        }
    }

    /// What both sides have to agree on for a network.
    pub(crate) fn form(&self, plan: &Plan) -> Result<Form, ClientError> {
        Ok(Form { profile: self.profile_of(plan)?, biases: self.biases })
    }
}
