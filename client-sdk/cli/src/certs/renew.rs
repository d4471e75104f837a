//! `sphinx certs renew`: certificates anew, before they expire or after a name has changed.

use std::fs;

use clap::Args;
use sphinx_tls::Authority;

use super::{AUTHORITY, CLIENT, Place, SERVICES, file, replace};
use crate::error::CliError;
use crate::output::Output;

/// Make the certificates of services and clients anew, by the same authority
#[derive(Debug, Args)]
pub struct Renew {
    #[command(flatten)]
    place: Place,
}

impl Renew {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let place = &self.place;
        let path = place.key(AUTHORITY);
        let key = fs::read_to_string(&path).map_err(|error| file(&path, error))?;
        let authority = Authority::of_key(&zeroize::Zeroizing::new(key))?;
        for (name, made) in place.issue(&authority)? {
            // A service that looks in between finds that they do not fit, and looks again.
            replace(&place.key(name), &made.key)?;
            replace(&place.certificate(name), &made.certificate)?;
        }
        let made = place.made(SERVICES.into_iter().chain([CLIENT]))?;
        output.result(&made, || {
            let hosts = made.hosts.join(", ");
            format!(
                "renewed in {} for {hosts}; services take them by themselves",
                made.directory.display()
            )
        })
    }
}
