//! Forms of the protocol of a session.

pub use sphinx_wire::training::BiasForm;

/// How a session talks. The default is what everybody should use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Protocol {
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
