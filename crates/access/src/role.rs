//! What a caller may be.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a caller may be. The order is that of listings; no role contains another by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// All of the tenant: its keys, its models.
    Owner,
    /// Trains models that exist, and predicts.
    Contributor,
    /// Predicts: prepares tickets, recognises, reads what that needs.
    Predictor,
    /// Runs the services: reflection and metrics, no tenant's objects.
    Operator,
    /// A service that asks the key vault, for any tenant.
    Service,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Owner, Self::Contributor, Self::Predictor, Self::Operator, Self::Service];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Contributor => "contributor",
            Self::Predictor => "predictor",
            Self::Operator => "operator",
            Self::Service => "service",
        }
    }

    /// Whether who has it belongs to one tenant.
    pub fn is_tenants(self) -> bool {
        match self {
            Self::Owner | Self::Contributor | Self::Predictor => true,
            Self::Operator | Self::Service => false,
        }
    }

    /// The role of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
