//! Why a recipe is refused.

use std::path::PathBuf;

use sphinx_network::SpecError;

/// A recipe that cannot be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// Neither a recipe of that name nor a file.
    #[error("{got:?} is neither a built-in recipe ({}) nor a file", known.join(", "))]
    Unknown {
        /// What was asked for.
        got: String,
        /// The built-in recipes.
        known: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("recipe {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is no recipe: no TOML, a field missing, unknown or of another type.
    #[error("recipe {recipe} is not TOML of the expected form: {source}")]
    Toml {
        /// Name or file.
        recipe: String,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A field has a value outside its domain.
    #[error("recipe {recipe}: {field} is {got}, expected {expected}")]
    Value {
        /// The recipe.
        recipe: String,
        /// Name of the field, tables separated by dots.
        field: &'static str,
        /// What it says.
        got: String,
        /// What it may say.
        expected: String,
    },
    /// A field has a value that the part it configures refuses.
    #[error("recipe {recipe}: {field}: {reason}")]
    Domain {
        /// The recipe.
        recipe: String,
        /// Name of the field, tables separated by dots.
        field: &'static str,
        /// What is wrong and what is expected.
        reason: String,
    },
    /// The network is neither built in nor a file.
    #[error(
        "recipe {recipe}: network {got:?} is neither built in ({}) nor a file beside the recipe", known.join(", ")
    )]
    UnknownNetwork {
        /// The recipe.
        recipe: String,
        /// The network asked for.
        got: String,
        /// The built-in networks.
        known: Vec<&'static str>,
    },
    /// The network's description is wrong.
    #[error("recipe {recipe}: network {network}: {source}")]
    Network {
        /// The recipe.
        recipe: String,
        /// The network.
        network: String,
        /// What is wrong.
        source: Box<SpecError>,
    },
}
