//! Every combination of values, as recipes.

use std::str::FromStr;

use sphinx_client::recipe::{Recipe, RecipeError};

use crate::error::CliError;

/// Most settings of a grid.
const MOST: usize = 1000;

/// A value of a recipe's file, by its path, and what to try for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Varied {
    key: String,
    values: Vec<String>,
}

/// The settings, each with what was varied.
pub struct Grid {
    pub recipes: Vec<(Recipe, Vec<(String, String)>)>,
}

impl FromStr for Varied {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            "expected a key of the recipe's file and values, as in training.epochs=10,20";
        let (key, values) = text.split_once('=').ok_or(expected)?;
        let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
        if key.trim().is_empty() || values.iter().any(String::is_empty) {
            return Err(expected.to_owned());
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }
}

impl Grid {
    pub fn new(recipe: &Recipe, vary: &[Varied]) -> Result<Self, CliError> {
        let settings = vary.iter().try_fold(1, |count: usize, varied| {
            count.checked_mul(varied.values.len()).filter(|count| *count <= MOST)
        });
        if settings.is_none() {
            return Err(CliError::Usage(format!("--vary: more than {MOST} settings")));
        }
        let mut all: Vec<Vec<(String, String)>> = vec![Vec::new()];
        for Varied { key, values } in vary {
            let longer = |one: Vec<(String, String)>| {
                values.iter().map(move |value| {
                    let mut one = one.clone();
                    one.push((key.clone(), value.clone()));
                    one
                })
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        let text = recipe.to_toml()?;
        let recipes = all.into_iter().map(|values| Ok((changed(&text, &values)?, values)));
        Ok(Self { recipes: recipes.collect::<Result<_, CliError>>()? })
    }
}

/// The recipe with other values; what it was published with is not true of it.
fn changed(text: &str, values: &[(String, String)]) -> Result<Recipe, CliError> {
    let wrong =
        |source| RecipeError::Toml { recipe: "the grid".to_owned(), source: Box::new(source) };
    let mut file: toml::Table = toml::from_str(text).map_err(wrong)?;
    file.remove("published");
    for (key, value) in values {
        if key == "network" || key.starts_with("network.") {
            let text = "--vary network: one search is of one network, name another recipe";
            return Err(CliError::Usage(text.to_owned()));
        }
        let value: toml::Table = toml::from_str(&format!("it = {value}")).map_err(wrong)?;
        let mut path: Vec<&str> = key.split('.').collect();
        let last = path.pop().unwrap_or_default();
        let mut table = &mut file;
        for name in path {
            let Some(toml::Value::Table(inner)) = table.get_mut(name) else {
                return Err(CliError::Usage(format!("--vary {key}: the recipe has no {name}")));
            };
            table = inner;
        }
        table.extend(value.into_iter().map(|(_, value)| (last.to_owned(), value)));
    }
    let text = toml::to_string(&file)?;
    Ok(Recipe::parse("the grid", &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(vary: &[&str]) -> Result<Grid, CliError> {
        let vary: Vec<Varied> = vary.iter().map(|text| text.parse().unwrap()).collect();
        Grid::new(&Recipe::load("deskew-linear-eps2").unwrap(), &vary)
    }

    #[test]
    fn every_combination_is_a_recipe() {
        let vary = ["training.learning_rate=4,6", "privacy.budget.clipping_norm=0.1,0.2,0.4"];
        let grid = grid(&vary).unwrap();
        let tried: Vec<(f32, &str)> = grid
            .recipes
            .iter()
            .map(|(recipe, values)| (recipe.training.learning_rate, values[1].1.as_str()))
            .collect();
        assert_eq!(
            tried,
            [(4.0, "0.1"), (4.0, "0.2"), (4.0, "0.4"), (6.0, "0.1"), (6.0, "0.2"), (6.0, "0.4")]
        );
        let (recipe, _) = &grid.recipes[1];
        assert!(recipe.published.is_none() && recipe.training.epochs == 30.0);
    }

    #[test]
    fn rejects_keys_and_values_that_a_recipe_does_not_have() {
        for (vary, expected) in [
            ("training.rate=4", "rate"),
            ("privacy.none.epsilon=1", "the recipe has no none"),
            ("training.epochs=many", "the grid"),
            ("training.epochs=-1", "training.epochs is -1"),
            ("network=\"lola\"", "one search is of one network"),
        ] {
            let error = grid(&[vary]).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{vary}: {error}");
        }
        for text in ["epochs", "=1", "training.epochs=", "training.epochs=1,,2"] {
            assert!(text.parse::<Varied>().is_err(), "{text}");
        }
        let many: Vec<String> = (1..=40).map(|value| value.to_string()).collect();
        let many = format!("training.epochs={}", many.join(","));
        let error =
            grid(&[&many, &many.replace("epochs", "learning_rate")]).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("more than 1000 settings"), "{error}");
    }
}
