//! `sphinx certs setup`: what services and a client need to trust each other, for a first start.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use sphinx_access::{Credential, Kind, Role, Scope, edit};
use sphinx_client::{ClientError, Endpoints, TenantId, Token, secure_rng};
use sphinx_runtime::unix_seconds;
use sphinx_tls::{Authority, Issued, Use};

use super::{Place, SERVICES, file, make_directory, replace};
use crate::config::GlobalArgs;
use crate::error::CliError;
use crate::output::Output;

/// Make what services and a client need to trust each other, in folders for each of them:
/// authority, access (the credentials), trainer, inference, keyvault and client. Authority and
/// tokens that are there are kept; certificates are made anew
#[derive(Debug, Args)]
pub struct Setup {
    #[command(flatten)]
    place: Place,
}

/// What is there now.
#[derive(Debug, Serialize)]
struct Ready {
    directory: PathBuf,
    hosts: Vec<String>,
    /// Whether this is the first time.
    new_authority: bool,
    /// Those whose tokens were made now.
    new_tokens: Vec<&'static str>,
}

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const TOKEN: &str = "token";
const CLIENT: &str = "client";
/// Where a client looks for its configuration.
const CLIENT_HOME: &str = "~/.config/sphinx";

impl Setup {
    pub fn run(&self, global: &GlobalArgs, output: Output) -> Result<(), CliError> {
        let root = &self.place.dir;
        let tenant = match global.tenant() {
            Some(name) => TenantId::parse(name)?,
            None => Endpoints::default().tenant,
        };
        for folder in SERVICES.into_iter().chain(["authority", "access", CLIENT]) {
            make_directory(&root.join(folder))?;
        }
        let (authority, ca, new_authority) = authority(&root.join("authority"))?;
        let hosts = self.place.hosts();
        for name in SERVICES {
            let folder = root.join(name);
            let title = format!("sphinx {name}");
            let issued = authority.issue(&title, &hosts, Use::Service, self.place.days)?;
            replace(&folder.join(CA), &ca)?;
            // A service that looks in between finds that they do not fit, and looks again.
            replace(&folder.join(KEY), &issued.key)?;
            replace(&folder.join(CERTIFICATE), &issued.certificate)?;
        }
        let client = root.join(CLIENT);
        replace(&client.join(CA), &ca)?;
        replace(&client.join("config.toml"), &configuration(global, &tenant))?;
        let mut new_tokens = Vec::new();
        for (name, role, tenant) in [
            ("trainer", Role::Service, None),
            ("inference", Role::Service, None),
            (CLIENT, Role::Owner, Some(tenant)),
        ] {
            let token = root.join(name).join(TOKEN);
            let register = root.join("access").join("credentials.toml");
            if entered(&token, &register, name, Scope::new(role, tenant)?)? {
                new_tokens.push(name);
            }
        }
        let directory = fs::canonicalize(root).map_err(|error| file(root, error))?;
        let ready = Ready { directory, hosts, new_authority, new_tokens };
        output.result(&ready, || ready.text())
    }
}

impl Ready {
    fn text(&self) -> String {
        let Self { directory, hosts, new_authority, new_tokens } = self;
        let authority = if *new_authority { "made" } else { "kept" };
        let tokens = match new_tokens.is_empty() {
            true => "kept".to_owned(),
            false => format!("made for {}", new_tokens.join(", ")),
        };
        let (directory, hosts) = (directory.display(), hosts.join(", "));
        format!(
            "folder         {directory}\nauthority      {authority}\ncertificates   for {hosts}\n\
             tokens         {tokens}\n\n\
             A client needs the files of {directory}/{CLIENT} in {CLIENT_HOME}, and nothing else of it."
        )
    }
}

/// The authority of a folder with its certificate, and whether it was made now. The key is written
/// last: whoever finds one finds a certificate beside it.
fn authority(folder: &Path) -> Result<(Authority, String, bool), CliError> {
    let (certificate, key) = (folder.join(CA), folder.join("ca.key"));
    if !key.exists() {
        let (authority, Issued { certificate: pem, key: secret }) = Authority::generate()?;
        replace(&certificate, &pem)?;
        replace(&key, &secret)?;
        return Ok((authority, pem, true));
    }
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| file(path, error));
    let secret = zeroize::Zeroizing::new(read(&key)?);
    Ok((Authority::of_key(&secret)?, read(&certificate)?, false))
}

/// Makes a token unless there is one, enters it unless it is known, and says whether it was made.
/// What was revoked stays so.
fn entered(path: &Path, register: &Path, name: &str, scope: Scope) -> Result<bool, CliError> {
    let made = !path.exists();
    let token = match made {
        true => Token::generate(&mut secure_rng()),
        false => Token::load(path).map_err(ClientError::from)?,
    };
    if made {
        replace(path, token.expose())?;
    }
    let credential = Credential {
        digest: token.digest(),
        kind: Kind::Token,
        scope,
        note: name.to_owned(),
        created_unix_seconds: unix_seconds(),
        expires_unix_seconds: None,
        revoked_unix_seconds: None,
    };
    edit(register, |register| match register.find(&credential.digest) {
        Some(_) => Ok(()),
        None => register.add(credential),
    })?;
    Ok(made)
}

/// A client's configuration, with the addresses that flags say.
fn configuration(global: &GlobalArgs, tenant: &TenantId) -> String {
    let [trainer, inference, keyvault] = global.addresses();
    let services = [sphinx_trainer::SERVICE, sphinx_inference::SERVICE, sphinx_keyvault::SERVICE];
    let [at_trainer, at_inference, at_keyvault] =
        services.map(|service| format!("https://localhost:{}", service.default_listen.port()));
    format!(
        "# Of a client: the files of this folder belong into {CLIENT_HOME}.\n\
         trainer = {:?}\ninference = {:?}\nkeyvault = {:?}\ntenant = {:?}\n\
         ca = \"{CLIENT_HOME}/{CA}\"\ntoken_file = \"{CLIENT_HOME}/{TOKEN}\"\n",
        trainer.unwrap_or(&at_trainer),
        inference.unwrap_or(&at_inference),
        keyvault.unwrap_or(&at_keyvault),
        tenant.to_string(),
    )
}
