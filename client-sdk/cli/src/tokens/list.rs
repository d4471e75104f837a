//! `sphinx tokens list`: the credentials of a file; tokens themselves are in none.

use clap::Args;
use sphinx_access::Register;

use super::{Place, Shown};
use crate::error::CliError;
use crate::output::{Output, table};

/// List the credentials of a file
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
}

impl List {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let register = Register::load(&self.place.file)?;
        let shown: Vec<_> = register.credentials().iter().map(Shown::of).collect();
        output.result(&shown, || {
            let rows = shown.iter().map(|shown| {
                let counts = match (&shown.revoked, &shown.expires) {
                    (Some(date), _) => format!("REVOKED {date}"),
                    (None, Some(date)) => format!("until {date}"),
                    (None, None) => String::new(),
                };
                let tenant = shown.tenant.clone().unwrap_or_default();
                let role = shown.role.to_string();
                [
                    shown.credential.clone(),
                    role,
                    tenant,
                    shown.created.clone(),
                    counts,
                    shown.note.clone(),
                ]
            });
            table(["credential", "role", "tenant", "made", "", "note"], rows)
        })
    }
}
