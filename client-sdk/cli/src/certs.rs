//! `sphinx certs`: an authority of one's own, and certificates for services and clients.

mod init;
mod renew;
mod setup;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use sphinx_client::workspace::write_new;
use sphinx_tls::{Authority, Issued, Use};

use crate::config::GlobalArgs;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Certs {
    /// Make an authority, a certificate for each service and one for clients
    Init(init::Init),
    /// Make the certificates of services and clients anew, by the same authority
    Renew(renew::Renew),
    /// Make all that services and a client need to trust each other, on their first start
    Setup(setup::Setup),
}

/// Where certificates are, and for whom.
#[derive(Debug, Args)]
struct Place {
    /// Directory of certificates and keys
    #[arg(long, value_name = "DIR", default_value = "certs")]
    dir: PathBuf,
    /// Name or address under which clients reach the services, beside localhost, 127.0.0.1 and ::1;
    /// may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// How long the certificates count
    #[arg(long, value_name = "DAYS", default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    directory: PathBuf,
    hosts: Vec<String>,
    files: Vec<PathBuf>,
}

const AUTHORITY: &str = "ca";
const CLIENT: &str = "client";
const SERVICES: [&str; 3] = ["trainer", "inference", "keyvault"];
/// Every service is reached from its own machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Certs {
    pub fn run(&self, global: &GlobalArgs, output: Output) -> Result<(), CliError> {
        match self {
            Self::Init(init) => init.run(output),
            Self::Renew(renew) => renew.run(output),
            Self::Setup(setup) => setup.run(global, output),
        }
    }
}

impl Place {
    fn certificate(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    fn hosts(&self) -> Vec<String> {
        let mut hosts: Vec<_> = LOCAL.map(str::to_owned).into();
        for host in &self.host {
            // As it stands in an address.
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// Certificates of all services and of clients.
    fn issue(&self, authority: &Authority) -> Result<Vec<(&'static str, Issued)>, CliError> {
        let hosts = self.hosts();
        let mut issued = Vec::new();
        for name in SERVICES {
            let title = format!("sphinx {name}");
            issued.push((name, authority.issue(&title, &hosts, Use::Service, self.days)?));
        }
        issued.push((CLIENT, authority.issue("sphinx client", &[], Use::Client, self.days)?));
        Ok(issued)
    }

    fn made(&self, names: impl IntoIterator<Item = &'static str>) -> Result<Made, CliError> {
        let directory = fs::canonicalize(&self.dir).map_err(|error| file(&self.dir, error))?;
        let files = names.into_iter().flat_map(|name| [self.certificate(name), self.key(name)]);
        Ok(Made { files: files.collect(), hosts: self.hosts(), directory })
    }
}

/// Makes a directory for its owner only, unless it is there.
fn make_directory(path: &Path) -> Result<(), CliError> {
    let mut directory = fs::DirBuilder::new();
    directory.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
    directory.create(path).map_err(|error| file(path, error))
}

/// Writes a file that must not be there.
fn create(path: &Path, text: &str) -> Result<(), CliError> {
    write_new(path, text.as_bytes()).map_err(|error| file(path, error))
}

/// Writes a file in the place of another, whole or not at all, readable by its owner only.
fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let write = || -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut aside = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))?;
        aside.write_all(text.as_bytes())?;
        aside.as_file().sync_all()?;
        aside.persist(path)?;
        Ok(())
    };
    write().map_err(|error| file(path, error))
}

fn file(path: &Path, source: io::Error) -> CliError {
    CliError::File { path: path.to_owned(), source }
}
