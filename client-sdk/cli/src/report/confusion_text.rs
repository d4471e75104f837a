//! The confusion matrix for a terminal.

use sphinx_client::data::shown_text;
use sphinx_client::workspace::Confusion;

/// Aligned counts, true classes down, predicted classes across, and the recall of each class; zeros
/// off the diagonal are dots.
pub fn confusion_text(confusion: &Confusion) -> String {
    let names: Vec<String> =
        confusion.classes().names().iter().map(|name| shown_text(name)).collect();
    let counts = confusion.counts();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let widest = counts.iter().flatten().max().map_or(1, |count| count.to_string().len());
    let (margin, width) = (longest.max(4), widest.max(longest) + 2);
    let header: String = names.iter().map(|name| format!("{name:>width$}")).collect();
    let mut text = format!("true \\ predicted\n{:margin$}{header}    recall\n", "");
    for (class, (name, row)) in names.iter().zip(counts).enumerate() {
        text.push_str(&format!("{name:>margin$}"));
        for (predicted, &count) in row.iter().enumerate() {
            let cell =
                if count == 0 && predicted != class { "·".to_owned() } else { count.to_string() };
            text.push_str(&format!("{cell:>width$}"));
        }
        let share = match confusion.recall(class) {
            Some(recall) => format!("{:.2} %", 100.0 * recall),
            None => "–".to_owned(),
        };
        text.push_str(&format!("{share:>10}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use sphinx_client::data::Classes;

    use super::*;

    #[test]
    fn columns_line_up_and_recall_is_per_true_class() {
        let mut confusion = Confusion::new(Classes::numbered(10));
        for digit in 1..10 {
            confusion.add(digit, digit, 999);
        }
        confusion.add(3, 5, 1);
        let text = confusion_text(&confusion);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[1], "        0    1    2    3    4    5    6    7    8    9    recall");
        assert_eq!(lines[2], "   0    0    ·    ·    ·    ·    ·    ·    ·    ·    ·         –");
        assert_eq!(lines[5], "   3    ·    ·    ·  999    ·    1    ·    ·    ·    ·   99.90 %");
        assert!(lines[1..].iter().all(|l| l.chars().count() == lines[1].chars().count()));
    }

    #[test]
    fn names_longer_than_counts_line_up() {
        let mut confusion = Confusion::new(Classes::named(["ship", "aeroplane"]));
        confusion.add(1, 0, 12);
        let text = confusion_text(&confusion);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "                ship  aeroplane    recall");
        assert_eq!(lines[2], "     ship          0          ·         –");
        assert_eq!(lines[3], "aeroplane         12          0    0.00 %");
    }
}
