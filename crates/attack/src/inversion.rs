//! What a gradient of one example tells in closed form.

/// The label of the only example, from the gradient of the last dense layer's weights, `classes`
/// rows.
///
/// Each row is (p_k − 1\[k is the label\]) times the same activations, so the label's row points
/// against all others (Zhao et al. 2020, "iDLG", whose rule on signs is this one for activations
/// that are not negative).
pub fn label_of_single(last: &[f32], classes: usize) -> Option<usize> {
    if classes < 3 || last.is_empty() || !last.len().is_multiple_of(classes) {
        return None;
    }
    let rows: Vec<&[f32]> = last.chunks_exact(last.len() / classes).collect();
    let against = |row: usize| -> f64 {
        let others = (0..classes).filter(|&other| other != row);
        others.map(|other| cosine(rows[row], rows[other])).sum()
    };
    (0..classes).min_by(|&a, &b| against(a).total_cmp(&against(b)))
}

/// The image that a dense first layer's weight gradient, `outputs × image` values, is the outer
/// product with: its leading right singular vector, scaled to a largest pixel of 1. Exact up to
/// that scale for a single example.
pub fn rank_one_image(gradient: &[f32], image: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = gradient.chunks_exact(image.max(1)).collect();
    let mut vector = vec![1.0f64; image];
    for _ in 0..200 {
        let mut next = vec![0.0f64; image];
        for row in &rows {
            let along: f64 = row.iter().zip(&vector).map(|(&g, v)| f64::from(g) * v).sum();
            next.iter_mut().zip(*row).for_each(|(next, &g)| *next += along * f64::from(g));
        }
        let norm = next.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm == 0.0 {
            break;
        }
        next.iter_mut().for_each(|v| *v /= norm);
        vector = next;
    }
    // Pixels are not negative: the sign is the one of the larger part.
    let sign = if vector.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
    let peak = vector.iter().map(|v| sign * v).fold(f64::MIN_POSITIVE, f64::max);
    vector.iter().map(|v| (sign * v / peak).clamp(0.0, 1.0) as f32).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_and_image_of_an_outer_product() {
        let activations = [0.5f32, -0.25, 0.125];
        let residual = [0.2f32, 0.1, -0.6, 0.3];
        let outer: Vec<f32> = residual.iter().flat_map(|r| activations.map(|a| r * a)).collect();
        assert_eq!(label_of_single(&outer, 4), Some(2));
        let pixels = [0.0f32, 1.0, 0.5];
        let outer: Vec<f32> = residual.iter().flat_map(|r| pixels.map(|p| r * p)).collect();
        for (got, expected) in rank_one_image(&outer, 3).iter().zip(pixels) {
            assert!((got - expected).abs() < 1e-6);
        }
    }
}
