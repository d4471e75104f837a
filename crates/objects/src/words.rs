//! What a backend says, in one line that may be logged.

use object_store::Error as Backend;

/// Longest text that is passed on.
const LONGEST: usize = 300;

/// A backend's words without what comes in pages: of an XML answer the code and the message.
pub(crate) fn words(error: &Backend) -> String {
    let text = error.to_string();
    let (said, body) = match text.find('<') {
        Some(at) => text.split_at(at),
        None => (text.as_str(), ""),
    };
    let said = said.trim_end_matches([':', ' ', '\n']);
    let said = said.split_whitespace().map(without_query).collect::<Vec<_>>().join(" ");
    let parts = ["Code", "Message"].into_iter().filter_map(|name| element(body, name));
    let mut line = parts.fold(said, |line, part| format!("{line}: {part}"));
    line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// A word, and of an address no more than its place: what follows may be a signature.
fn without_query(word: &str) -> &str {
    match word.split_once('?') {
        Some((place, _)) if place.contains("://") => place,
        Some(_) | None => word,
    }
}

/// The text of the first element of this name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Backend {
        Backend::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn an_answer_in_xml_becomes_one_line_without_what_was_signed() {
        let body = "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code>\
                    <Message>It does not match.</Message><AWSAccessKeyId>AKIA1</AWSAccessKeyId>\
                    <StringToSign>secret words</StringToSign></Error>";
        let said = words(&error(&format!("status 403 Forbidden: {body}")));
        let expected = "Generic S3 error: status 403 Forbidden: SignatureDoesNotMatch: It does not \
                        match.";
        assert_eq!(said, expected);
    }

    #[test]
    fn what_an_address_was_signed_with_is_left_out() {
        let said = words(&error(
            "Error performing GET https://a.example/c/b?comp=list&sig=c2VjcmV0 in 3ms - why?",
        ));
        let expected = "Generic S3 error: Error performing GET https://a.example/c/b in 3ms - why?";
        assert_eq!(said, expected);
    }

    #[test]
    fn pages_are_cut_and_lines_are_joined() {
        assert_eq!(words(&error("a\n  b")), "Generic S3 error: a b");
        let said = words(&error(&"ü".repeat(1000)));
        assert_eq!(said.chars().count(), LONGEST + 1);
    }
}
