//! Softmax cross-entropy.

use crate::tensor::Tensor;

/// What a block's logits say, over its examples without padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockLoss {
    /// Number of examples.
    pub examples: usize,
    /// Sum of the examples' cross-entropies, in nats.
    pub loss_sum: f64,
    /// Number of examples whose largest logit is that of their label.
    pub correct: usize,
}

/// Replaces every example's logits by the gradient of its cross-entropy, softmax − one-hot; zero
/// for padding. `None` if the logits of a slot are not finite.
///
/// Padding goes through the same steps, as of class 0: time does not tell how much of it there is.
///
/// `labels` has one entry per slot, each below the number of rows.
pub(crate) fn softmax_cross_entropy(
    logits: &mut Tensor,
    labels: &[Option<u8>],
) -> Option<BlockLoss> {
    let (classes, slots) = (logits.rows(), logits.slots());
    let mut block = BlockLoss { examples: 0, loss_sum: 0.0, correct: 0 };
    let mut column = vec![0.0f32; classes];
    let mut finite = true;
    for (slot, label) in labels.iter().enumerate() {
        let values = logits.as_mut_slice();
        for (class, logit) in column.iter_mut().enumerate() {
            *logit = values[class * slots + slot];
            finite &= logit.is_finite();
        }
        let (filled, label) = (label.is_some(), usize::from(label.unwrap_or(0)));
        let correct = predicted_class(&column) == label;
        let loss = cross_entropy_backward(&mut column, label);
        block.examples += usize::from(filled);
        block.correct += usize::from(filled & correct);
        block.loss_sum += if filled { loss } else { 0.0 };
        for (class, delta) in column.iter().enumerate() {
            values[class * slots + slot] = if filled { *delta } else { 0.0 };
        }
    }
    finite.then_some(block)
}

/// The class of the largest logit, the first of equal ones.
fn predicted_class(logits: &[f32]) -> usize {
    let first = (0, f32::NEG_INFINITY);
    let candidates = logits.iter().copied().enumerate();
    candidates.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}

/// The cross-entropy of one example, whose logits become its gradient.
///
/// In `f64`: 20 000 exponentials per block cost nothing, and the loss of a confident example keeps
/// its digits.
fn cross_entropy_backward(logits: &mut [f32], label: usize) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = |logit: f32| f64::from(logit) - f64::from(max);
    let sum: f64 = logits.iter().map(|&logit| shifted(logit).exp()).sum();
    let loss = sum.ln() - shifted(logits[label]);
    for (class, logit) in logits.iter_mut().enumerate() {
        let target = f64::from(u8::from(class == label));
        *logit = (shifted(*logit).exp() / sum - target) as f32;
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::{BlockLoss, softmax_cross_entropy};
    use crate::tensor::Tensor;

    #[test]
    fn loss_class_and_delta_of_known_logits() {
        let mut logits = Tensor::zeros(2, 16).unwrap();
        logits.as_mut_slice()[0] = 3.0f32.ln();
        let mut labels = vec![None; 16];
        (labels[0], labels[1]) = (Some(1), Some(0));
        let block = softmax_cross_entropy(&mut logits, &labels).unwrap();
        assert_eq!((block.examples, block.correct), (2, 1));
        assert!((block.loss_sum - (4.0f64.ln() + 2.0f64.ln())).abs() < 1e-6);
        let column = |slot: usize| [logits.row(0)[slot], logits.row(1)[slot]];
        assert!((column(0)[0] - 0.75).abs() < 1e-6 && (column(0)[1] + 0.75).abs() < 1e-6);
        assert_eq!(column(1), [-0.5, 0.5]);
        assert_eq!(column(2), [0.0, 0.0]);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut logits = Tensor::zeros(2, 16).unwrap();
        logits.as_mut_slice()[0] = 3e38;
        logits.as_mut_slice()[16] = -3e38;
        let mut labels = vec![None; 16];
        labels[0] = Some(0);
        let expected = BlockLoss { examples: 1, loss_sum: 0.0, correct: 1 };
        assert_eq!(softmax_cross_entropy(&mut logits, &labels), Some(expected));
        assert!(logits.as_slice().iter().all(|&delta| delta == 0.0));
    }

    #[test]
    fn rejects_logits_that_are_not_finite() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut logits = Tensor::zeros(2, 16).unwrap();
            logits.as_mut_slice()[3] = bad;
            assert_eq!(softmax_cross_entropy(&mut logits.clone(), &[Some(0); 16]), None);
            // Padding is computed too.
            assert_eq!(softmax_cross_entropy(&mut logits, &[None; 16]), None);
        }
    }
}
