//! What every client command is told: defaults < file < environment < flags.

use std::path::PathBuf;

use clap::Args;
use etcetera::{BaseStrategy, choose_base_strategy};
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use sphinx_client::{Endpoints, TenantId};
use sphinx_telemetry::LogConfig;

use crate::error::CliError;

/// Options of every client command.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Address of the trainer
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trainer: Option<String>,
    /// Address of the inference service
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    inference: Option<String>,
    /// Address of the key vault
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keyvault: Option<String>,
    /// Whose keys and models are meant
    #[arg(long, global = true, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Directory of secret keys and privacy ledgers
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    /// Which log lines are written to standard error, for example "info,sphinx_client=debug"
    #[arg(long, global = true, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Configuration file (TOML) [default: sphinx/config.toml in $XDG_CONFIG_HOME]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    #[serde(skip)]
    pub json: bool,
}

/// The result of all layers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    trainer: String,
    inference: String,
    keyvault: String,
    tenant: String,
    /// Empty for the default, which needs a home directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    log: String,
}

impl GlobalArgs {
    /// A flag that was given and means nothing to a service. Those that a service knows reach it.
    pub fn client_flag(&self) -> Option<&'static str> {
        [
            (self.trainer.is_some(), "--trainer"),
            (self.inference.is_some(), "--inference"),
            (self.tenant.is_some(), "--tenant"),
            (self.home.is_some(), "--home"),
            (self.log.is_some(), "--log"),
            (self.json, "--json"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }

    /// The same options from the environment.
    fn from_environment() -> Self {
        let text = |name| environment(name).map(|value| value.to_string_lossy().into_owned());
        Self {
            trainer: text("SPHINX_TRAINER"),
            inference: text("SPHINX_INFERENCE"),
            keyvault: text("SPHINX_KEYVAULT"),
            tenant: text("SPHINX_TENANT"),
            home: environment("SPHINX_HOME").map(PathBuf::from),
            log: text("SPHINX_LOG"),
            config: environment("SPHINX_CONFIG").map(PathBuf::from),
            json: false,
        }
    }
}

impl Config {
    /// Puts the layers together.
    pub fn load(flags: &GlobalArgs) -> Result<Self, CliError> {
        let environment = GlobalArgs::from_environment();
        let mut layers = Figment::from(Serialized::defaults(Self::defaults()));
        if let Some(file) = flags.config.as_ref().or(environment.config.as_ref()) {
            if !file.is_file() {
                return Err(CliError::NoConfigFile { path: file.clone() });
            }
            layers = layers.merge(Toml::file_exact(file));
        } else if let Ok(directories) = choose_base_strategy() {
            // Need not be there.
            let file = directories.config_dir().join(CONFIG_FILE);
            if file.is_file() {
                layers = layers.merge(Toml::file_exact(file));
            }
        }
        let layers =
            layers.merge(Serialized::defaults(environment)).merge(Serialized::defaults(flags));
        layers.extract().map_err(|error| CliError::Config(Box::new(error)))
    }

    fn defaults() -> Self {
        let Endpoints { trainer, inference, keyvault, tenant } = Endpoints::default();
        let (tenant, log) = (tenant.to_string(), "warn".to_owned());
        Self { trainer, inference, keyvault, tenant, home: None, log }
    }

    pub fn endpoints(&self) -> Result<Endpoints, CliError> {
        Ok(Endpoints {
            trainer: self.trainer.clone(),
            inference: self.inference.clone(),
            keyvault: self.keyvault.clone(),
            tenant: TenantId::parse(self.tenant.as_str())?,
        })
    }

    /// Directory of keys and ledgers.
    pub fn home(&self) -> Result<PathBuf, CliError> {
        match &self.home {
            Some(home) => Ok(home.clone()),
            None => choose_base_strategy()
                .map(|directories| directories.data_dir().join("sphinx"))
                .map_err(|_| CliError::NoHome),
        }
    }

    /// Starts logging to standard error.
    pub fn start_log(&self) -> Result<(), CliError> {
        LogConfig::text(self.log.as_str()).start()?;
        Ok(())
    }
}

/// Below the user's directory of configuration files.
const CONFIG_FILE: &str = "sphinx/config.toml";

/// A variable that is set and not empty.
fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
