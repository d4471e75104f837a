//! Where the command `sphinx` is, for programs other than itself.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The command for a program that lies at `executable`: that one itself if it is the command, else
/// the one beside it or one folder above, where cargo puts it for tests and examples, else the
/// first one in the folders of `path`.
pub(crate) fn find(executable: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    let name = format!("sphinx{EXE_SUFFIX}");
    if executable.file_name() == Some(OsStr::new(&name)) {
        return Some(executable.to_owned());
    }
    let near = executable.ancestors().skip(1).take(2).map(Path::to_owned);
    let folders = path.map(std::env::split_paths).into_iter().flatten();
    near.chain(folders).map(|folder| folder.join(&name)).find(|program| program.is_file())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed set-up fails the test")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn finds_itself_its_neighbour_the_folder_above_and_the_path_in_this_order() {
        let directory = tempfile::tempdir().unwrap();
        let name = format!("sphinx{EXE_SUFFIX}");
        let [target, examples, bin] =
            ["target", "target/examples", "bin"].map(|folder| directory.path().join(folder));
        for folder in [&examples, &bin] {
            fs::create_dir_all(folder).unwrap();
        }
        let executable = examples.join("twin");
        let search = || find(&executable, Some(bin.as_os_str()));
        assert_eq!(search(), None);
        for folder in [&bin, &target, &examples] {
            fs::write(folder.join(&name), "").unwrap();
            assert_eq!(search(), Some(folder.join(&name)));
        }
        let itself = directory.path().join(&name);
        assert_eq!(find(&itself, None), Some(itself));
    }
}
