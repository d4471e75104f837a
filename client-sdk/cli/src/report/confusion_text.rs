//! The confusion matrix for a terminal.

use super::Confusion;

/// Aligned counts, true digits down, predicted digits across, and the recall of each class; zeros
/// off the diagonal are dots.
pub fn confusion_text(confusion: &Confusion) -> String {
    let widest = confusion.iter().flatten().max().map_or(1, |count| count.to_string().len());
    let width = widest + 2;
    let header: String = (0..10).map(|digit| format!("{digit:>width$}")).collect();
    let mut text = format!("true \\ predicted\n    {header}    recall\n");
    for (digit, row) in confusion.iter().enumerate() {
        text.push_str(&format!("{digit:>4}"));
        for (predicted, &count) in row.iter().enumerate() {
            let cell =
                if count == 0 && predicted != digit { "·".to_owned() } else { count.to_string() };
            text.push_str(&format!("{cell:>width$}"));
        }
        let share = match recall(row, digit) {
            Some(recall) => format!("{:.2} %", 100.0 * recall),
            None => "–".to_owned(),
        };
        text.push_str(&format!("{share:>10}\n"));
    }
    text
}

/// Share of the images of `digit` that were recognised; `None` if there were none.
pub(super) fn recall(row: &[u64; 10], digit: usize) -> Option<f64> {
    let total: u64 = row.iter().sum();
    (total > 0).then(|| row[digit] as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_recall_is_per_true_class() {
        let mut confusion = [[0; 10]; 10];
        for (digit, row) in confusion.iter_mut().enumerate().skip(1) {
            row[digit] = 999;
        }
        confusion[3][5] = 1;
        let text = confusion_text(&confusion);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[1], "        0    1    2    3    4    5    6    7    8    9    recall");
        assert_eq!(lines[2], "   0    0    ·    ·    ·    ·    ·    ·    ·    ·    ·         –");
        assert_eq!(lines[5], "   3    ·    ·    ·  999    ·    1    ·    ·    ·    ·   99.90 %");
        assert!(lines[1..].iter().all(|l| l.chars().count() == lines[1].chars().count()));
    }
}
