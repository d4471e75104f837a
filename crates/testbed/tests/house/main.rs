//! What keeps the house readable: no circles of imports, no long files, no wide comments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod imports;

use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::circles;

/// Lines of a source file.
const MOST_LINES: usize = 500;
/// Columns of a comment, its indentation included; code is kept to as many by rustfmt.
const MOST_COLUMNS: usize = 100;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files below the workspace's source folders with one of these endings.
fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> =
        ["client-sdk", "crates", "proto", "services"].iter().map(|dir| root().join(dir)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if endings.iter().any(|ending| path.extension().is_some_and(|e| e == *ending)) {
            files.push(path);
        }
    }
    assert!(files.len() > 10, "the sources are not where they are looked for");
    files.sort();
    files
}

#[test]
fn no_source_file_is_long() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> = sources(&["rs", "proto"])
        .into_iter()
        .filter_map(|path| Some(lines(&path)).filter(|n| *n > MOST_LINES).map(|n| (path, n)))
        .collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:?}");
}

/// Lines of a text whose comment is too wide, by number. An address cannot be broken.
fn wide(text: &str) -> Vec<usize> {
    let comment = |line: &str| line.trim_start().starts_with("//") && !line.contains("://");
    let too_wide = |line: &str| comment(line) && line.chars().count() > MOST_COLUMNS;
    let lines = text.lines().enumerate();
    lines.filter(|(_, line)| too_wide(line)).map(|(index, _)| index + 1).collect()
}

#[test]
fn no_comment_is_wide() {
    let mut found = Vec::new();
    for path in sources(&["rs", "proto"]) {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let lines = wide(&fs::read_to_string(&path).unwrap());
        found.extend(lines.iter().map(|line| format!("{name}:{line}")));
    }
    assert!(found.is_empty(), "comments over {MOST_COLUMNS} columns: {found:#?}");
}

#[test]
fn rejects_a_wide_comment_and_no_wide_code() {
    let x = "x".repeat(MOST_COLUMNS);
    assert_eq!(wide(&format!("// {x}\nlet {x};\n    /// {x}\n// ok\n// https://{x}")), [1, 3]);
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let mut found = Vec::new();
    for manifest in sources(&["toml"]) {
        let folder = manifest.parent().unwrap();
        for main in ["src/lib.rs", "src/main.rs"] {
            let main = folder.join(main);
            if main.is_file() {
                found.extend(circles(&main));
            }
        }
    }
    assert!(found.is_empty(), "circles of imports: {found:#?}");
}

#[test]
fn rejects_modules_that_import_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; mod c; pub use a::A;");
    write("a.rs", "mod inner; use crate::{c::C, b}; pub struct A(b::B); pub use self::inner::I;");
    write("a/inner.rs", "use super::A; pub struct I(A);");
    write("b.rs", "pub struct B; fn f() -> Option<crate::a::A> { None }");
    write("c.rs", "pub struct C; #[cfg(test)] mod tests { use crate::a::A; }");
    // A child may use its parent's items, and tests may use what they test.
    assert_eq!(circles(&folder.path().join("lib.rs")), ["a -> b -> a"]);
}
