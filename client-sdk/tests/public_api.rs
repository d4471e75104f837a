//! The SDK's public items are made of its own types: none of the messages on the wire.
#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// All files with Rust code below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The words of a piece of code.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

/// Names that a file has from the generated code.
fn generated(code: &str) -> BTreeSet<&str> {
    let imports =
        code.split("use sphinx_proto::v1").skip(1).filter_map(|rest| rest.split(';').next());
    let named = imports.flat_map(words).filter(|word| word.starts_with(char::is_uppercase));
    named.chain(["v1"]).collect()
}

/// Names of the types that are declared public.
fn public_types(code: &str) -> BTreeSet<String> {
    let declared = code.lines().filter_map(|line| {
        let mut words = line.strip_prefix("pub ")?.split(|letter: char| !letter.is_alphanumeric());
        let kind = words.next()?;
        ["struct", "enum", "trait", "type"].contains(&kind).then(|| words.next())?
    });
    declared.map(str::to_owned).collect()
}

/// Whether the block that a line without indentation begins can hold public items.
fn is_public(line: &str, types: &BTreeSet<String>) -> bool {
    match line.strip_prefix("impl") {
        Some(rest) => words(rest).any(|word| types.contains(word)),
        None => line.starts_with("pub "),
    }
}

/// What a file makes public: signatures, and fields of types.
fn public(code: &str, types: &BTreeSet<String>) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap();
    let mut items = Vec::new();
    let mut open: Option<String> = None;
    let mut inside = false;
    for line in code.lines().filter(|line| !line.trim().starts_with("//")) {
        if line.starts_with(char::is_alphabetic) {
            inside = is_public(line, types);
        }
        let line = line.trim();
        if inside && line.starts_with("pub ") {
            open = Some(String::new());
        }
        if let Some(item) = &mut open {
            item.push_str(line);
            item.push(' ');
            if line.ends_with(['{', ';', ',', '}']) && balanced(item) {
                items.extend(open.take());
            }
        }
    }
    items
}

/// Whether every parenthesis of a signature is closed.
fn balanced(code: &str) -> bool {
    code.matches('(').count() == code.matches(')').count()
}

/// Names of generated messages in the public items of a file.
fn leaks(code: &str, types: &BTreeSet<String>) -> Vec<String> {
    let names = generated(code);
    let leaks = |item: &String| words(item).any(|word| names.contains(word));
    public(code, types).into_iter().filter(leaks).collect()
}

#[test]
fn no_public_item_names_a_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| (fs::read_to_string(&path).unwrap(), path);
    let files: Vec<_> = sources(&folder).into_iter().map(read).collect();
    let types = files.iter().flat_map(|(code, _)| public_types(code)).collect();
    let mut seen = 0;
    for (code, path) in &files {
        seen += public(code, &types).len();
        assert_eq!(leaks(code, &types), Vec::<String>::new(), "{}", path.display());
    }
    assert!(seen > 300, "only {seen} public items were seen");
}

#[test]
fn finds_messages_in_signatures_fields_and_re_exports() {
    let code = "\
use sphinx_proto::v1::{self, Model, inference_client::InferenceClient};
pub use sphinx_proto::v1::Key;
pub struct Receipt {
    pub model: Model,
    own: Model,
}
impl Receipt {
    pub async fn ask(
        client: InferenceClient,
        names: &str,
    ) -> Result<u64, Status> {
        let model: Model = ask();
    }
    pub(crate) fn read(model: v1::Model) {}
}
pub(crate) struct Inner {
    pub model: Model,
}
impl Inner {
    pub fn new(model: Model) {}
}
pub fn fine(name: &str) -> u64 { 0 }
";
    let found = leaks(code, &public_types(code));
    let starts: Vec<&str> = found.iter().map(|item| &item[..item.len().min(16)]).collect();
    assert_eq!(starts, ["pub use sphinx_p", "pub model: Model", "pub async fn ask"]);
}

/// What a reader copies has to compile with the SDK as the only dependency besides the runtime.
#[test]
fn examples_need_no_other_crate() {
    for name in ["train", "recognise", "one_shot", "stream"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
        let code = fs::read_to_string(path).unwrap();
        let used = code.lines().filter_map(|line| line.strip_prefix("use "));
        let crates: BTreeSet<&str> = used.filter_map(|path| words(path).next()).collect();
        let other: Vec<_> = crates
            .iter()
            .filter(|name| !["std", "sphinx_client", "tokio"].contains(name))
            .collect();
        assert!(other.is_empty(), "{name} needs {other:?}");
        assert!(code.lines().count() < 75, "{name} is too long to copy");
    }
}
