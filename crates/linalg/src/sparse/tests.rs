use proptest::prelude::*;

use super::*;

/// Output by output as the definition says.
fn expected(map: &LinearMap, added: &[u32], vector: &[u32], before: &[u32]) -> Vec<u32> {
    let mut out: Vec<u32> = before.iter().zip(added).map(|(b, a)| b.wrapping_add(*a)).collect();
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (row, &output) in patch.scatter.iter().enumerate() {
                let weights = &group.weights[row * group.taps..][..group.taps];
                for (&weight, &input) in weights.iter().zip(&patch.gather) {
                    let product = weight.cast_unsigned().wrapping_mul(vector[input as usize]);
                    out[output as usize] = out[output as usize].wrapping_add(product);
                }
            }
        }
    }
    out
}

fn words(seed: u32, count: usize) -> Vec<u32> {
    let mix = |i: u32| (i + seed + 1).wrapping_mul(2_654_435_761).rotate_left(seed % 31) ^ seed;
    (0..count as u32).map(mix).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Patches side by side, apart, and of another pattern; outputs side by side and not; all kinds
    /// of weights.
    #[test]
    fn agrees_with_the_definition(
        rows in 1usize..5,
        patches in 1usize..40,
        taps in 0usize..12,
        step in 1usize..3,
        odd_one in any::<bool>(),
        tickets in 1usize..=LANES,
        weights in proptest::collection::vec(-3i32..=3, 60),
    ) {
        let inputs = 12 * 2 + patches * step;
        let outputs = rows * patches;
        let places = (0..patches)
            .map(|p| Patch {
                gather: (0..taps)
                    .map(|k| if odd_one && p == 3 { k } else { p * step + 2 * k } as u32)
                    .collect(),
                scatter: (0..rows).map(|o| (o * patches + p) as u32).collect(),
            })
            .collect();
        let scaled = |&weight: &i32| if weight.abs() == 3 { weight * 80 } else { weight };
        let weights = weights[..rows * taps].iter().map(scaled).collect();
        let group = Group { taps, rows, weights, patches: places };
        let map = LinearMap::new(inputs, outputs, vec![group]).unwrap();
        let sparse = SparseMap::new(&map);
        let added = words(7, outputs);
        let vectors: Vec<Vec<u32>> = (0..tickets).map(|t| words(t as u32 + 50, inputs)).collect();
        let before: Vec<Vec<u32>> = (0..tickets).map(|t| words(t as u32 + 99, outputs)).collect();
        let mut lanes = vec![[0; LANES]; inputs];
        for (lane, vector) in vectors.iter().enumerate() {
            lanes.iter_mut().zip(vector).for_each(|(lanes, &word)| lanes[lane] = word);
        }
        let mut after = before.clone();
        let mut slices: Vec<&mut [u32]> = after.iter_mut().map(Vec::as_mut_slice).collect();
        sparse.add_products(&added, &lanes, &mut slices, &mut vec![7; 9]);
        for ((after, before), vector) in after.iter().zip(&before).zip(&vectors) {
            prop_assert_eq!(after, &expected(&map, &added, vector, before));
        }
    }
}

#[test]
fn zero_weights_cost_nothing() {
    let patches = (0..9).map(|p| Patch { gather: vec![p, p + 1], scatter: vec![p] }).collect();
    let group = Group { taps: 2, rows: 1, weights: vec![0, -5], patches };
    let map = LinearMap::new(10, 9, vec![group]).unwrap();
    let sparse = SparseMap::new(&map);
    assert_eq!((map.multiply_adds(), sparse.multiply_adds()), (18, 9));
    assert_eq!((sparse.inputs(), sparse.outputs()), (10, 9));
}
