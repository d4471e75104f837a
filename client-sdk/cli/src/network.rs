//! `--network NAME|FILE.toml`.

use std::path::Path;

use sphinx_network::{NetworkSpec, Plan};

use crate::error::CliError;

/// The built-in network of that name, else the one in that file, checked.
pub fn load(name: &str) -> Result<NetworkSpec, CliError> {
    if let Some(spec) = NetworkSpec::builtin(name) {
        return Ok(spec);
    }
    let path = Path::new(name);
    if !path.exists() {
        let known = NetworkSpec::builtin_names().collect();
        return Err(CliError::UnknownNetwork { got: name.to_owned(), known });
    }
    let text = std::fs::read_to_string(path)
        .map_err(|source| CliError::File { path: path.to_owned(), source })?;
    let in_file = |source| CliError::Network { path: path.to_owned(), source };
    let spec = NetworkSpec::from_toml(&text).map_err(in_file)?;
    Plan::new(&spec).map_err(in_file)?;
    Ok(spec)
}
