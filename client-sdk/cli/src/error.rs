//! What a command can fail with, and how that is said: one line, what was wrong, what to do.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use sphinx_client::data::{DatasetError, PictureError, shown};
use sphinx_client::workspace::WorkspaceError;
use sphinx_client::{ChannelError, ClientError};
use sphinx_cluster::ClusterError;
use sphinx_privacy::AccountingError;
use sphinx_privacy::ledger::LedgerError;

use crate::report::ReportError;

/// Exit code of a wrong command line or configuration.
const USAGE: u8 = 2;
/// Exit code of a command stopped by Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Workspace(WorkspaceError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("{bad} of {of} things are not in order")]
    Unwell { bad: usize, of: usize },
    #[error(transparent)]
    Offline(#[from] sphinx_offline::OfflineError),
    #[error(transparent)]
    OneShotNetwork(#[from] sphinx_bootstrap::OneShotNetworkError),
    #[error("what was trained cannot be tested: {0}")]
    Quantisation(#[from] sphinx_quantise::QuantisationError),
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("configuration: {}", one_line(.0))]
    Config(Box<figment::Error>),
    #[error("configuration file {} is not there", path.display())]
    NoConfigFile { path: PathBuf },
    #[error(transparent)]
    Telemetry(#[from] sphinx_telemetry::TraceError),
    #[error("{option} = {path:?}: expected an absolute path, or one below ~/ with HOME set")]
    Tilde { option: &'static str, path: PathBuf },
    #[error("passphrase: {0}")]
    Passphrase(#[source] io::Error),
    #[error("no home directory: say where keys and ledgers are with --home or SPHINX_HOME")]
    NoHome,
    #[error("{}: {source}", shown(path))]
    File { path: PathBuf, source: io::Error },
    #[error("{got:?} is neither a built-in network ({}) nor a file", known.join(", "))]
    UnknownNetwork { got: String, known: Vec<&'static str> },
    #[error("network {}: {source}", path.display())]
    Network { path: PathBuf, source: sphinx_network::SpecError },
    #[error(transparent)]
    Recipe(#[from] sphinx_client::recipe::RecipeError),
    #[error("the recipe cannot be written as TOML: {0}")]
    RecipeText(#[from] toml::ser::Error),
    #[error("{failed} of {of} seeds failed")]
    SeedsFailed { failed: usize, of: usize },
    #[error("{0}")]
    Usage(String),
    #[error("export: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
    #[error(transparent)]
    Credentials(#[from] sphinx_access::RegisterError),
    #[error(transparent)]
    Audit(#[from] sphinx_audit::VerifyError),
    #[error(transparent)]
    Authority(#[from] sphinx_tls::AuthorityError),
    #[error(transparent)]
    Tls(#[from] sphinx_tls::TlsError),
    #[error("{} exists already: give another --dir, or see `sphinx certs renew`", path.display())]
    CertificateExists { path: PathBuf },
    #[error("{} exists already: move it away, or give another --output", path.display())]
    OutputExists { path: PathBuf },
    #[error("{failed} of {of} images could not be recognised")]
    ImagesFailed { failed: usize, of: usize },
    #[error("standard input ended within an image: {got} of {expected} bytes; see --format")]
    PartOfImage { got: usize, expected: usize },
    #[error("standard input begins as {what} does, not with pixels: {instead}")]
    NotRaw { what: &'static str, instead: &'static str },
    #[error("{} exists already: move it away, or give another --contact-sheet", shown(path))]
    SheetExists { path: PathBuf },
    #[error(
        "model {model} has its own way from pictures to its network: leave --size, --grey, --pipeline, --fit, \
         --resampling and --invert out"
    )]
    PipelineKept { model: String },
    #[error("{} cannot be watched: {cause}", shown(path))]
    Watch { path: PathBuf, cause: String },
    #[error("cannot write the results: {0}")]
    Output(#[source] io::Error),
    #[error("the system refused: {0}")]
    System(#[source] io::Error),
    #[error("stopped")]
    Interrupted,
}

impl CliError {
    /// Says what is wrong and with which code to exit.
    pub fn report(&self) -> ExitCode {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            // The reader has seen enough.
            return ExitCode::SUCCESS;
        }
        let hint = self.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
        note(&format!("sphinx: {self}{hint}"));
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        if self.is_interrupted() {
            return INTERRUPTED;
        }
        let usage = matches!(
            self,
            Self::Usage(_)
                | Self::Config(_)
                | Self::NoConfigFile { .. }
                | Self::Telemetry(_)
                | Self::NoHome
                | Self::Credentials(sphinx_access::RegisterError::Scope { .. })
                | Self::Tilde { .. }
                | Self::Workspace(WorkspaceError::WhichKey { .. })
                | Self::UnknownNetwork { .. }
                | Self::PipelineKept { .. }
                | Self::Recipe(_)
                | Self::Client(
                    ClientError::Name(_)
                        | ClientError::Token(_)
                        | ClientError::Channel(
                            ChannelError::Address { .. } | ChannelError::Security { .. }
                        )
                )
        );
        if usage { USAGE } else { 1 }
    }

    /// Whether the user asked to stop, be it at a question.
    fn is_interrupted(&self) -> bool {
        if let Self::Passphrase(asked)
        | Self::Workspace(WorkspaceError::Passphrase { source: asked, .. }) = self
        {
            return asked.kind() == io::ErrorKind::Interrupted;
        }
        matches!(self, Self::Interrupted)
    }

    /// What to do about errors whose text does not know of this command.
    fn hint(&self) -> Option<String> {
        if let Self::Workspace(error) = self {
            error.advice()
        } else if let Self::Client(error) = self {
            error.advice()
        } else {
            None
        }
    }
}

impl From<WorkspaceError> for CliError {
    fn from(error: WorkspaceError) -> Self {
        if let WorkspaceError::Client(error) = error {
            Self::Client(error)
        } else {
            Self::Workspace(error)
        }
    }
}

impl From<DatasetError> for CliError {
    fn from(error: DatasetError) -> Self {
        Self::Client(error.into())
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_proto::ConversionError> for CliError {
    fn from(error: sphinx_proto::ConversionError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_secret::KeyError> for CliError {
    fn from(error: sphinx_secret::KeyError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_secret::KeyFileError> for CliError {
    fn from(error: sphinx_secret::KeyFileError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_network::SpecError> for CliError {
    fn from(error: sphinx_network::SpecError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_client::RecognitionError> for CliError {
    fn from(error: sphinx_client::RecognitionError) -> Self {
        Self::Client(error.into())
    }
}

impl From<sphinx_privacy::PlanError> for CliError {
    fn from(error: sphinx_privacy::PlanError) -> Self {
        Self::Client(error.into())
    }
}

impl From<AccountingError> for CliError {
    fn from(error: AccountingError) -> Self {
        Self::Client(error.into())
    }
}

/// Says something on standard error. That nobody reads it is no reason to fail.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Figment writes one line per place.
fn one_line(error: &figment::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
