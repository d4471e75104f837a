//! What every client command is told: defaults < file < environment < flags.

use std::path::PathBuf;

use clap::Args;
use etcetera::{BaseStrategy, choose_base_strategy};
use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use sphinx_client::{ClientError, Endpoints, Security, TenantId, TlsIdentity, Token};
use sphinx_runtime::expand_home;
use sphinx_telemetry::{LogConfig, Telemetry, TraceConfig};

use crate::error::CliError;
use crate::passphrase::PassphraseSource;

/// Options of every client command.
#[derive(Debug, Clone, Default, Args, Serialize)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Address of the trainer
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trainer: Option<String>,
    /// Addresses of further trainers on the same store, with commas between, for `sphinx train
    /// --shards`
    #[arg(long, global = true, value_name = "URLS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    further_trainers: Vec<String>,
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
    /// PEM file of the authorities that may vouch for the services [default: the system's]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    /// PEM file of the certificate to show to the services
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_key: Option<PathBuf>,
    /// File of the token that says who calls [the token itself: $SPHINX_TOKEN]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    /// File of the passphrase of sealed keys [the passphrase itself: $SPHINX_PASSPHRASE]
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase_file: Option<PathBuf>,
    /// Speak clear text to other machines too: everybody on the way can read and change it
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    insecure_cleartext: bool,
    /// Directory of secret keys and privacy ledgers
    #[arg(long, global = true, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    /// Which log lines are written to standard error, for example "info,sphinx_client=debug"
    #[arg(long, global = true, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Address of a collector on this machine that takes traces (OTLP by gRPC): one of each
    /// training step and each query
    #[arg(long, global = true, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    traces: Option<String>,
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
    further_trainers: Vec<String>,
    inference: String,
    keyvault: String,
    tenant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    passphrase_file: Option<PathBuf>,
    insecure_cleartext: bool,
    /// Empty for the default, which needs a home directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    home: Option<PathBuf>,
    log: String,
    /// Empty for no traces.
    traces: String,
}

impl GlobalArgs {
    /// A flag that was given and means nothing to a service. Those that a service knows reach it.
    pub fn client_flag(&self) -> Option<&'static str> {
        [
            (self.trainer.is_some(), "--trainer"),
            (!self.further_trainers.is_empty(), "--further-trainers"),
            (self.inference.is_some(), "--inference"),
            (self.tenant.is_some(), "--tenant"),
            (self.ca.is_some(), "--ca"),
            (self.certificate.is_some(), "--certificate"),
            (self.certificate_key.is_some(), "--certificate-key"),
            (self.token_file.is_some(), "--token-file"),
            (self.passphrase_file.is_some(), "--passphrase-file"),
            (self.home.is_some(), "--home"),
            (self.log.is_some(), "--log"),
            (self.traces.is_some(), "--traces"),
            (self.json, "--json"),
        ]
        .into_iter()
        .find_map(|(given, flag)| given.then_some(flag))
    }

    /// The tenant named by a flag.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The addresses named by flags: of the trainer, of the inference service, of the key vault.
    pub fn addresses(&self) -> [Option<&str>; 3] {
        [&self.trainer, &self.inference, &self.keyvault].map(Option::as_deref)
    }

    /// The same options from the environment.
    fn from_environment() -> Self {
        let text = |name| environment(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name| environment(name).map(PathBuf::from);
        Self {
            trainer: text("SPHINX_TRAINER"),
            further_trainers: text("SPHINX_FURTHER_TRAINERS")
                .map(|list| list.split(',').map(|one| one.trim().to_owned()).collect())
                .unwrap_or_default(),
            inference: text("SPHINX_INFERENCE"),
            keyvault: text("SPHINX_KEYVAULT"),
            tenant: text("SPHINX_TENANT"),
            ca: path("SPHINX_CA"),
            certificate: path("SPHINX_CERTIFICATE"),
            certificate_key: path("SPHINX_CERTIFICATE_KEY"),
            token_file: path("SPHINX_TOKEN_FILE"),
            passphrase_file: path("SPHINX_PASSPHRASE_FILE"),
            // Only ever said by hand or by a file: a variable is inherited unseen.
            insecure_cleartext: false,
            home: path("SPHINX_HOME"),
            log: text("SPHINX_LOG"),
            traces: text("SPHINX_TRACES"),
            config: path("SPHINX_CONFIG"),
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
        let mut config: Self =
            layers.extract().map_err(|error| CliError::Config(Box::new(error)))?;
        config.expand()?;
        Ok(config)
    }

    /// Paths below `~` become whole: no shell sees those of a file.
    fn expand(&mut self) -> Result<(), CliError> {
        for (option, path) in [
            ("home", &mut self.home),
            ("ca", &mut self.ca),
            ("certificate", &mut self.certificate),
            ("certificate_key", &mut self.certificate_key),
            ("token_file", &mut self.token_file),
            ("passphrase_file", &mut self.passphrase_file),
        ] {
            if let Some(path) = path {
                let whole = expand_home(path);
                *path = whole.ok_or_else(|| CliError::Tilde { option, path: path.clone() })?;
            }
        }
        Ok(())
    }

    fn defaults() -> Self {
        let Endpoints { trainer, further_trainers, inference, keyvault, tenant, .. } =
            Endpoints::default();
        Self {
            trainer,
            further_trainers,
            inference,
            keyvault,
            tenant: tenant.to_string(),
            ca: None,
            certificate: None,
            certificate_key: None,
            token_file: None,
            passphrase_file: None,
            insecure_cleartext: false,
            home: None,
            log: "warn".to_owned(),
            traces: String::new(),
        }
    }

    pub fn endpoints(&self) -> Result<Endpoints, CliError> {
        Ok(Endpoints {
            trainer: self.trainer.clone(),
            further_trainers: self.further_trainers.clone(),
            inference: self.inference.clone(),
            keyvault: self.keyvault.clone(),
            tenant: TenantId::parse(self.tenant.as_str())?,
            security: self.security()?,
        })
    }

    /// Where passphrases of sealed keys come from.
    pub fn passphrases(&self) -> PassphraseSource {
        PassphraseSource::new(environment("SPHINX_PASSPHRASE"), self.passphrase_file.clone())
    }

    /// How services are called. `SPHINX_TOKEN` counts more than a file.
    fn security(&self) -> Result<Security, CliError> {
        let identity = match (&self.certificate, &self.certificate_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(TlsIdentity { certificate: certificate.clone(), key: key.clone() })
            }
            (Some(_), None) | (None, Some(_)) => {
                let needed = "--certificate and --certificate-key belong together";
                return Err(CliError::Usage(needed.to_owned()));
            }
        };
        let token = match environment("SPHINX_TOKEN") {
            Some(text) => {
                let text = zeroize::Zeroizing::new(text.to_string_lossy().into_owned());
                Some(Token::parse(&text).map_err(ClientError::from)?)
            }
            None => {
                let file = self.token_file.as_deref();
                file.map(Token::load).transpose().map_err(ClientError::from)?
            }
        };
        let insecure_cleartext = self.insecure_cleartext;
        Ok(Security { ca: self.ca.clone(), identity, token, insecure_cleartext })
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

    /// Starts logging to standard error, and tracing if a collector is named. Needs the context of
    /// a runtime.
    pub fn start_telemetry(&self) -> Result<Telemetry, CliError> {
        let traces = TraceConfig { endpoint: self.traces.clone(), ..TraceConfig::default() };
        let log = LogConfig::text(self.log.as_str());
        Ok(sphinx_telemetry::start("client", &log, &traces)?)
    }
}

/// Below the user's directory of configuration files.
const CONFIG_FILE: &str = "sphinx/config.toml";

/// A variable that is set and not empty.
pub fn environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
