//! The key vault as a process.

use std::process::ExitCode;

use sphinx_keyvault::KeyVaultService;

fn main() -> ExitCode {
    sphinx_runtime::main::<KeyVaultService>()
}
