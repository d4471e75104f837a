//! What is on this machine: the home, its keys, room on the disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sphinx_client::data::shown;
use sphinx_client::workspace::{Home, Workspace};

use super::Finding;
use crate::output::program;

/// Less room than this and a training may fail to record what it spends.
const ENOUGH_MEGABYTES: u64 = 200;

pub(super) fn look(workspace: &Workspace) -> Vec<Finding> {
    let home = workspace.home();
    let root = home.root_directory();
    let mut findings = vec![directory(root)];
    findings.extend(room(root));
    findings.extend(keys(home));
    findings
}

fn directory(root: &Path) -> Finding {
    let path = shown(root);
    let what = "home";
    let metadata = match fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let advice = format!("`{} keys new` makes it; or set SPHINX_HOME", program());
            return Finding::doubtful(what, format!("{path} is not there yet"), advice);
        }
        Err(error) => {
            return Finding::bad(
                what,
                format!("{path}: {error}"),
                "make it readable for this user",
            );
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    if !metadata.is_dir() {
        return Finding::bad(what, format!("{path} is no directory"), "set SPHINX_HOME to one");
    }
    if mode & 0o022 != 0 {
        let found = format!("{path} can be written by others (mode {mode:o})");
        return Finding::bad(what, found, format!("chmod 700 {path}"));
    }
    Finding::good(what, path)
}

fn room(root: &Path) -> Option<Finding> {
    let there = root.ancestors().find(|path| path.is_dir())?;
    let what = "disk";
    let found = rustix::fs::statvfs(there).ok()?;
    let megabytes = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
    let text = format!("{megabytes} MB free where the home is");
    Some(match megabytes < ENOUGH_MEGABYTES {
        true => Finding::bad(what, text, "make room: ledgers and keys are written before use"),
        false => Finding::good(what, text),
    })
}

fn keys(home: &Home) -> Vec<Finding> {
    let (what, sphinx) = ("keys here", program());
    let ids = match home.key_ids() {
        Ok(ids) => ids,
        Err(error) => {
            let advice = "make the home readable for this user";
            return vec![Finding::bad(what, error.to_string(), advice)];
        }
    };
    if ids.is_empty() {
        let advice = format!("`{sphinx} keys new` makes one, `keys restore` brings one back");
        return vec![Finding::doubtful(what, "none", advice)];
    }
    let look = |id: &sphinx_client::KeyId| {
        let what = format!("key {id}");
        let path = home.key_path(id);
        let whole = home.identity(id).map_err(|error| error.to_string());
        let sealed = whole.and_then(|_| home.is_sealed(id).map_err(|error| error.to_string()));
        let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o777);
        match (sealed, mode) {
            (_, Ok(mode)) if mode & 0o077 != 0 => {
                let found = format!("others can read {} (mode {mode:o})", shown(&path));
                Finding::bad(&what, found, format!("chmod 600 {}", shown(&path)))
            }
            (Err(error), _) => {
                let advice = format!("`{sphinx} keys restore FILE` brings it back from a backup");
                Finding::bad(&what, error, advice)
            }
            (Ok(true), _) => Finding::good(what, "whole, sealed by a passphrase"),
            (Ok(false), _) => Finding::good(what, "whole"),
        }
    };
    ids.iter().map(look).collect()
}
