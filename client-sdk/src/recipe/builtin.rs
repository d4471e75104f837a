//! The recipes that come with Sphinx, from the folder `recipes`.

use super::{Recipe, RecipeError};

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../recipes/", $name, ".toml")))),*]
    };
}

/// Name and text.
const RECIPES: [(&str, &str); 11] = recipes![
    "deskew-linear-eps1",
    "deskew-linear-eps2",
    "deskew-linear-eps3",
    "scatter-linear-eps2",
    "fashion-linear-eps2",
    "fashion-linear-eps3",
    "cnn-eps2",
    "sphinx-mnist-no-privacy",
    "mlp-100-no-privacy",
    "conv-180-no-privacy",
    "deskew-mlp-no-privacy",
];

impl Recipe {
    /// The built-in recipe called `name`, `None` if there is none.
    ///
    /// # Errors
    /// [`RecipeError`] never in a released build: the tests read every built-in recipe.
    pub fn builtin(name: &str) -> Result<Option<Self>, RecipeError> {
        let found = RECIPES.into_iter().find(|(known, _)| *known == name);
        found.map(|(name, text)| Self::parse(name, text)).transpose()
    }

    /// The names that [`Recipe::builtin`] knows.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        RECIPES.into_iter().map(|(name, _)| name)
    }
}
