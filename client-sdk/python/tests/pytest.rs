//! Runs the tests of the Python package, where a Python with NumPy, scikit-learn and pytest is at
//! hand; says SKIPPED where not.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the tests need besides Python itself.
const NEEDED: &str = "import numpy, sklearn, pytest, tqdm";

/// `PYTHON`, or the one in PATH, if it has what is needed.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", NEEDED]).stderr(Stdio::null()).status().ok()?;
    probe.success().then(|| python.into())
}

/// `target/release`, in which this test lies in `deps`.
fn target() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// The package as a wheel lays it out: the Python half, and the library that cargo has built beside
/// this test.
fn package(root: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/sphinx_client");
    let package = root.join("sphinx_client");
    fs::create_dir(&package).unwrap();
    for entry in fs::read_dir(source).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), package.join(entry.file_name())).unwrap();
        }
    }
    let built = target().join(format!("{DLL_PREFIX}sphinx_native{DLL_SUFFIX}"));
    let deps = target().join("deps").join(built.file_name().unwrap());
    let built = if built.exists() { built } else { deps };
    fs::copy(built, package.join("_native.abi3.so")).unwrap();
    root.to_owned()
}

#[test]
fn the_python_tests_pass() {
    let command = target().join(format!("sphinx{EXE_SUFFIX}"));
    let (Some(python), true) = (python(), command.exists()) else {
        println!("SKIPPED: needs python3 with NumPy, scikit-learn, tqdm and pytest (PYTHON names");
        println!("it), and the command beside this test");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=10"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
        .env("PYTHONPATH", package(directory.path()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SPHINX_PROGRAM", command)
        .status()
        .unwrap();
    assert!(status.success(), "pytest: {status}");
}
