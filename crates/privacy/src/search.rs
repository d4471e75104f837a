//! The last number of a range that meets a bound.

/// The number nearest to `outside` that keeps within a bound, given that `inside` does and
/// `outside` does not and all between them do up to some point. `excess` says by how much a number
/// is beyond the bound: at most 0 within, infinite where that is not known.
///
/// Regula falsi with the Illinois rule (Dowell & Jarratt 1971): a handful of evaluations where the
/// excess is smooth.
pub(crate) fn last_within(
    (mut inside, mut at_inside): (u64, f64),
    (mut outside, mut at_outside): (u64, f64),
    mut excess: impl FnMut(u64) -> f64,
) -> u64 {
    while inside.abs_diff(outside) > 1 {
        let part = at_inside / (at_inside - at_outside);
        let (low, high) = (inside.min(outside), inside.max(outside));
        let guess = inside as f64 + part * (outside as f64 - inside as f64);
        let guess = if guess.is_finite() && at_outside.is_finite() && at_inside.is_finite() {
            (guess.round() as u64).clamp(low + 1, high - 1)
        } else {
            low + (high - low) / 2
        };
        let value = excess(guess);
        if value <= 0.0 {
            (inside, at_inside) = (guess, value);
            at_outside /= 2.0;
        } else {
            (outside, at_outside) = (guess, value);
            at_inside /= 2.0;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_number_in_few_evaluations() {
        let mut evaluations = 0;
        let growing = |root: f64| move |at: u64| (at as f64).sqrt() - root.sqrt();
        for root in [3.5, 1000.5, 123_456.5, 9.9e8 + 0.5] {
            let excess = growing(root);
            let ends = [(1, excess(1)), (1 << 30, excess(1 << 30))];
            let found = last_within(ends[0], ends[1], |at| {
                evaluations += 1;
                excess(at)
            });
            assert_eq!(found, root as u64);
            let falling = |at: u64| -excess(at);
            assert_eq!(
                last_within((1 << 30, falling(1 << 30)), (1, falling(1)), falling),
                found + 1
            );
        }
        assert!(evaluations < 80, "{evaluations}");
    }

    #[test]
    fn bisects_where_the_excess_is_not_known() {
        let excess = |at: u64| if at <= 777 { -1.0 } else { f64::INFINITY };
        assert_eq!(last_within((0, -1.0), (4096, f64::INFINITY), excess), 777);
    }
}
