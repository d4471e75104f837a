//! Runs the tests of the Python package, where a Python with NumPy, scikit-learn and pytest is at
//! hand; says SKIPPED where not.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX, EXE_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the tests need besides Python itself.
const NEEDED: &str = "import numpy, sklearn, pytest, tqdm";
/// What those of the other NumPy need.
const NUMPY_1: &str = "import numpy, pytest; assert numpy.__version__.startswith('1.')";

/// The interpreter that a variable names, or the one in PATH, if it has what is needed.
fn python(variable: &str, needed: &str) -> Option<PathBuf> {
    let python = std::env::var_os(variable).unwrap_or_else(|| "python3".into());
    let probe = Command::new(&python).args(["-c", needed]).stderr(Stdio::null()).status().ok()?;
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
    // An earlier build of the package alone may have left one above.
    let age = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    let built = [built, deps].into_iter().max_by_key(age).unwrap();
    fs::copy(built, package.join("_native.abi3.so")).unwrap();
    root.to_owned()
}

/// Runs test files by an interpreter, all of them if none is named.
fn pytest(python: &Path, files: &[&str]) {
    let command = target().join(format!("sphinx{EXE_SUFFIX}"));
    if !command.exists() {
        println!("SKIPPED: needs the command beside this test");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = if files.is_empty() { &[""][..] } else { files };
    let status = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=10"])
        .args(files.iter().map(|file| tests.join(file)))
        .env("PYTHONPATH", package(directory.path()))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SPHINX_PROGRAM", command)
        .status()
        .unwrap();
    assert!(status.success(), "pytest: {status}");
}

#[test]
fn the_python_tests_pass() {
    let Some(python) = python("PYTHON", NEEDED) else {
        println!("SKIPPED: needs python3 with NumPy, scikit-learn, tqdm and pytest (PYTHON names");
        println!("it)");
        return;
    };
    pytest(&python, &[]);
}

/// Arrays cross as bytes, so the library has nothing of a NumPy's binary interface.
#[test]
fn another_major_version_of_numpy_does() {
    let Some(python) = python("PYTHON_NUMPY_1", NUMPY_1) else {
        println!("SKIPPED: needs a python3 with pytest and NumPy 1 (PYTHON_NUMPY_1 names it)");
        return;
    };
    pytest(&python, &["test_arrays.py", "test_services.py"]);
}
