//! `sphinx recipes list`.

use serde::Serialize;
use sphinx_client::recipe::{Published, Recipe, RecipeError, RecipePrivacy};

use crate::error::CliError;
use crate::output::{Output, table};

/// One recipe as JSON.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    description: String,
    network: String,
    /// `None` without privacy.
    epsilon: Option<f64>,
    published: Option<Published>,
}

pub fn run(output: Output) -> Result<(), CliError> {
    let row = |name| {
        let Recipe { description, network, privacy, published, .. } = Recipe::load(name)?;
        let epsilon = match privacy {
            RecipePrivacy::Budget { epsilon, .. } => Some(epsilon),
            RecipePrivacy::None => None,
        };
        Ok(Row { name, description, network, epsilon, published })
    };
    let rows: Vec<Row> = Recipe::builtin_names().map(row).collect::<Result<_, RecipeError>>()?;
    output.result(&rows, || {
        let header = ["RECIPE", "NETWORK", "EPSILON", "ACCURACY", "MINUTES"];
        table(header, rows.iter().map(cells))
    })
}

fn cells(row: &Row) -> [String; 5] {
    let missing = || "-".to_owned();
    [
        row.name.to_owned(),
        row.network.clone(),
        row.epsilon.map_or_else(|| "none".to_owned(), |epsilon| epsilon.to_string()),
        row.published.map_or_else(missing, |published| accuracy(&published)),
        row.published.map_or_else(missing, |published| format!("{:.0}", published.minutes)),
    ]
}

/// 98.43 ± 0.06 %
pub fn accuracy(published: &Published) -> String {
    format!("{:.2} ± {:.2} %", 100.0 * published.accuracy, 100.0 * published.deviation)
}
