//! Linear maps on plain integers modulo 2^32, for the online rounds of recognition.

use crate::map::LinearMap;

/// Columns that are computed together.
const LANES: usize = 16;

/// Applies a map to `columns` vectors of integers modulo 2^32, stored vector after vector.
///
/// Returns the result vectors in the same order. One vector costs [`LinearMap::multiply_adds`]; sixteen at a time
/// share the reading of the weights.
pub fn apply_plain(map: &LinearMap, values: &[u32], columns: usize) -> Vec<u32> {
    let mut results = vec![0u32; columns * map.outputs()];
    let arch = pulp::Arch::new();
    let mut first = 0;
    while columns - first >= 2 {
        let width = LANES.min(columns - first);
        arch.dispatch(
            #[inline(always)]
            || apply_lanes(map, values, first, width, &mut results),
        );
        first += width;
    }
    if first < columns {
        let input = &values[first * map.inputs()..][..map.inputs()];
        let output = &mut results[first * map.outputs()..][..map.outputs()];
        arch.dispatch(
            #[inline(always)]
            || apply_one(map, input, output),
        );
    }
    results
}

/// One vector: the patch's inputs are gathered once, then every output is one contiguous inner product.
#[inline(always)]
fn apply_one(map: &LinearMap, input: &[u32], output: &mut [u32]) {
    let mut gathered = Vec::new();
    for group in map.groups() {
        for patch in group.patches.iter() {
            gathered.clear();
            gathered.extend(patch.gather.iter().map(|&row| input[row as usize]));
            for (lane, &row) in patch.scatter.iter().enumerate() {
                let weights = &group.weights[lane * group.taps..][..group.taps];
                output[row as usize] = inner_product(weights, &gathered);
            }
        }
    }
}

#[inline(always)]
fn inner_product(weights: &[i32], values: &[u32]) -> u32 {
    let mut sums = [0u32; LANES];
    let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
    let (value_chunks, value_rest) = values.as_chunks::<LANES>();
    for (weights, values) in weight_chunks.iter().zip(value_chunks) {
        for lane in 0..LANES {
            let product = weights[lane].cast_unsigned().wrapping_mul(values[lane]);
            sums[lane] = sums[lane].wrapping_add(product);
        }
    }
    let rest = weight_rest.iter().zip(value_rest).fold(0u32, |sum, (&weight, &value)| {
        sum.wrapping_add(weight.cast_unsigned().wrapping_mul(value))
    });
    sums.iter().fold(rest, |sum, &lane| sum.wrapping_add(lane))
}

/// Up to sixteen vectors side by side.
#[inline(always)]
fn apply_lanes(map: &LinearMap, values: &[u32], first: usize, width: usize, results: &mut [u32]) {
    let (inputs, outputs) = (map.inputs(), map.outputs());
    let mut rows = vec![[0u32; LANES]; inputs];
    for column in 0..width {
        let vector = &values[(first + column) * inputs..][..inputs];
        rows.iter_mut().zip(vector).for_each(|(row, &value)| row[column] = value);
    }
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (lane, &row) in patch.scatter.iter().enumerate() {
                let weights = &group.weights[lane * group.taps..][..group.taps];
                let mut sums = [0u32; LANES];
                for (&weight, &from) in weights.iter().zip(&patch.gather) {
                    let values = &rows[from as usize];
                    for (sum, &value) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(weight.cast_unsigned().wrapping_mul(value));
                    }
                }
                for (column, &sum) in sums.iter().enumerate().take(width) {
                    results[(first + column) * outputs + row as usize] = sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Group, Patch};

    #[test]
    fn one_and_many_columns_agree_with_the_definition() {
        let patches = (0..3u32)
            .map(|p| Patch {
                gather: (0..21).map(|k| (p + 2 * k) % 50).collect(),
                scatter: (0..5).map(|o| o * 3 + p).collect(),
            })
            .collect();
        let weights: Vec<i32> = (0..105).map(|k| k * 7919 % 255 - 127).collect();
        let group = Group { taps: 21, rows: 5, weights: weights.clone(), patches };
        let map = LinearMap::new(50, 15, vec![group.clone()]).unwrap();
        for columns in [1, 2, 16, 17, 40] {
            let values: Vec<u32> =
                (0..columns * 50).map(|i| (i as u32).wrapping_mul(2654435761)).collect();
            let results = apply_plain(&map, &values, columns);
            for column in 0..columns {
                for patch in group.patches.iter() {
                    for (lane, &row) in patch.scatter.iter().enumerate() {
                        let expected =
                            patch.gather.iter().enumerate().fold(0u32, |sum, (k, &from)| {
                                let weight = weights[lane * 21 + k] as u32;
                                sum.wrapping_add(
                                    weight.wrapping_mul(values[column * 50 + from as usize]),
                                )
                            });
                        assert_eq!(results[column * 15 + row as usize], expected);
                    }
                }
            }
        }
    }
}
