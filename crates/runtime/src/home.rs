//! Paths that begin with `~`, as people write them where no shell sees them.

use std::path::{Component, Path, PathBuf};

/// A path with `~` at its beginning replaced by the home directory; other paths as they are.
/// `None` for `~user`, and where there is no home directory: never a directory called `~`.
pub fn expand_home(path: &Path) -> Option<PathBuf> {
    within(path, std::env::var_os("HOME").map(PathBuf::from))
}

fn within(path: &Path, home: Option<PathBuf>) -> Option<PathBuf> {
    let mut parts = path.components();
    match parts.next() {
        Some(Component::Normal(first)) if first == "~" => {
            Some(home.filter(|home| home.is_absolute())?.join(parts.as_path()))
        }
        Some(Component::Normal(first)) if first.as_encoded_bytes().starts_with(b"~") => None,
        Some(_) | None => Some(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(path: &str, home: &str) -> Option<String> {
        let home = Some(home).filter(|home| !home.is_empty()).map(PathBuf::from);
        within(Path::new(path), home).map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_tilde_is_the_home_directory_and_never_a_name() {
        for (path, expected) in [
            ("~", Some("/home/me")),
            ("~/", Some("/home/me")),
            ("~/a/b", Some("/home/me/a/b")),
            ("~you/a", None),
            ("", Some("")),
            ("a/~/b", Some("a/~/b")),
            ("./~", Some("./~")),
            ("/a", Some("/a")),
            ("file:///a", Some("file:///a")),
        ] {
            let got = expanded(path, "/home/me");
            assert_eq!(got.as_deref().map(|path| path.trim_end_matches('/')), expected, "{path}");
        }
        assert_eq!(expanded("~/a", ""), None);
        assert_eq!(expanded("~/a", "relative"), None);
    }
}
