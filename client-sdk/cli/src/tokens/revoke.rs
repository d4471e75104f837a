//! `sphinx tokens revoke`: a credential that counts no more.

use clap::Args;
use sphinx_access::{RegisterError, edit};
use sphinx_runtime::unix_seconds;

use super::{Place, Shown};
use crate::error::CliError;
use crate::output::Output;

/// Revoke a credential, for good; services notice within seconds
#[derive(Debug, Args)]
pub struct Revoke {
    /// The credential, as `sphinx tokens list` names it
    credential: String,
    #[command(flatten)]
    place: Place,
}

impl Revoke {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        if !self.place.file.is_file() {
            let path = self.place.file.clone();
            return Err(RegisterError::File { path, cause: "is not there".to_owned() }.into());
        }
        let revoked = edit(&self.place.file, |register| {
            let revoked = register.revoke(&self.credential, unix_seconds())?;
            Ok::<_, RegisterError>(Shown::of(revoked))
        })?;
        output.result(&revoked, || format!("{} is revoked", revoked.credential))
    }
}
