//! `sphinx certs init`: an authority, and what it gives out.

use std::fmt::Write;

use clap::Args;
use sphinx_tls::Authority;

use super::{AUTHORITY, CLIENT, Made, Place, SERVICES, create, make_directory};
use crate::error::CliError;
use crate::output::Output;

/// Make an authority, a certificate for each service and one for clients
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,
}

impl Init {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let place = &self.place;
        let mut names = vec![AUTHORITY, CLIENT];
        names.extend(SERVICES);
        // Nothing is begun where something would be in the way.
        for path in names.iter().flat_map(|name| [place.certificate(name), place.key(name)]) {
            if path.exists() {
                return Err(CliError::CertificateExists { path });
            }
        }
        let (authority, own) = Authority::generate()?;
        let mut issued = place.issue(&authority)?;
        issued.push((AUTHORITY, own));
        make_directory(&place.dir)?;
        for (name, made) in &issued {
            create(&place.key(name), &made.key)?;
            create(&place.certificate(name), &made.certificate)?;
        }
        let made = place.made(names)?;
        output.result(&made, || text(&made))
    }
}

fn text(made: &Made) -> String {
    let Made { directory, hosts, .. } = made;
    let path = |name: &str| directory.join(name).display().to_string();
    let mut text = format!("for {}\n", hosts.join(", "));
    for name in SERVICES {
        let (certificate, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let _ = write!(
            text,
            "\n# {name}.toml\n[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
             # client_ca = {ca:?}   to let in clients with a certificate only\n",
            ca = path("ca.pem"),
        );
        if name != "keyvault" {
            let _ = write!(
                text,
                "[outgoing]\nca = {ca:?}\ncertificate = {certificate:?}\nkey = {key:?}\n",
                ca = path("ca.pem"),
            );
        }
    }
    let _ = write!(
        text,
        "\n# sphinx/config.toml of clients, with https:// addresses\nca = {ca:?}\n\
         # certificate = {certificate:?}\n# certificate_key = {key:?}\n\n\
         Keep ca.key where no service runs: whoever has it can make certificates that clients believe.",
        ca = path("ca.pem"),
        certificate = path("client.pem"),
        key = path("client.key"),
    );
    text
}
