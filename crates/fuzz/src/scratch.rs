//! Files for decoders that read files.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static DIRECTORY: OnceCell<TempDir> = const { OnceCell::new() };
}

/// The path of a name in this thread's directory, in memory where the system has that.
pub(crate) fn path(name: &str) -> PathBuf {
    DIRECTORY.with(|directory| {
        let memory = Path::new("/dev/shm");
        let directory = directory.get_or_init(|| {
            let inside = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            TempDir::new_in(inside).unwrap()
        });
        directory.path().join(name)
    })
}

/// A file of these bytes, of mode 0600.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut options = File::options();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(bytes).unwrap();
    path
}

/// What `write` writes to a file.
pub(crate) fn written(name: &str, write: impl FnOnce(&Path)) -> Vec<u8> {
    let path = path(name);
    // There may be none.
    let _ = fs::remove_file(&path);
    write(&path);
    fs::read(&path).unwrap()
}
