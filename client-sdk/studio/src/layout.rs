//! What all pages have: head, way through, and how numbers are written.

use maud::{DOCTYPE, Markup, html};

/// The pages, in the order of the way through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Data,
    Train,
    Recognise,
    Cloud,
    Trust,
}

impl Place {
    const ALL: [Self; 5] = [Self::Data, Self::Train, Self::Recognise, Self::Cloud, Self::Trust];

    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Data => ("/data", "Data"),
            Self::Train => ("/train", "Train"),
            Self::Recognise => ("/recognise", "Recognise"),
            Self::Cloud => ("/cloud", "What the cloud sees"),
            Self::Trust => ("/trust", "Trust"),
        }
    }
}

/// A whole page.
pub fn page(place: Place, content: &Markup) -> Markup {
    let (_, title) = place.link();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Sphinx studio" }
                link rel="stylesheet" href="/assets/studio.css";
                link rel="icon" href="data:,";
                script type="module" src="/assets/studio.js" {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    span.brand { "Sphinx studio" }
                    nav aria-label="Pages" {
                        @for one in Place::ALL {
                            @let (address, name) = one.link();
                            a href=(address) aria-current=[(one == place).then_some("page")] { (name) }
                        }
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
                p #news role="status" aria-live="polite" {}
                footer { "Keys, images and answers stay on this machine." }
            }
        }
    }
}

/// 12.3 MB
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            let digits = usize::from(unit != "B" && value < 100.0);
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// 60 000
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What a budget has spent, as a gauge: `None` has no limit.
pub fn gauge(spent: f64, cap: Option<f64>) -> Markup {
    html! {
        @match cap {
            Some(cap) => {
                meter min="0" max=(cap) high=(cap * 0.8) value=(spent)
                    aria-label=(format!("ε {spent:.2} of {cap:.2} spent")) {}
                " ε " (format!("{spent:.2} of {cap:.2} spent, {:.2} left", (cap - spent).max(0.0)))
            }
            None => { " ε " (format!("{spent:.2} spent, no cap set")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345), "12.3 kB");
        assert_eq!(bytes(123_456_789), "123 MB");
        assert_eq!(count(60_000), "60\u{202f}000");
        assert_eq!(count(7), "7");
    }
}
