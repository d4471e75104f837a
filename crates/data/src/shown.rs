//! Names as they may be shown: a file may be called anything, a terminal obeys some of it.

use std::path::Path;

/// A path for people: what is no UTF-8, controls a terminal or turns the direction of writing is
/// escaped.
pub fn shown(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&shown_text(chunk.valid()));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// As [`shown`], of a text that is not a path: a class, a line of a file.
pub fn shown_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns_writing(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Marks, embeddings and isolates of bidirectional text, separators of lines and paragraphs.
fn turns_writing(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped_and_the_rest_is_left() {
        assert_eq!(shown_text("Füße 猫.png"), "Füße 猫.png");
        assert_eq!(
            shown_text("a\u{1b}[31m\n\u{9b}b\u{202e}gnp"),
            "a\\u{1b}[31m\\n\\u{9b}b\\u{202e}gnp"
        );
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_escaped() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\xfe b.png"));
        assert_eq!(shown(path), "a\\xff\\xfe b.png");
    }
}
