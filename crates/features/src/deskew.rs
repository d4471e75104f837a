//! Images whose strokes stand upright.

use sphinx_network::Shape;

/// Furthest that neighbouring rows move against each other, in pixels.
const MAX_SLOPE: f64 = 1.0;

/// Shears an image of that shape along its rows until rows and columns are uncorrelated, as
/// [`LayerSpec::Deskew`](sphinx_network::LayerSpec::Deskew) says. Values between two pixels are
/// interpolated linearly; what comes in from outside is black. A black image stays as it is.
pub(super) fn deskew(image: &[f32], shape: Shape) -> Vec<f32> {
    let Some((slope, centre)) = skew(image, shape) else { return image.to_vec() };
    let mut sheared = Vec::with_capacity(image.len());
    for (line, row) in image.chunks_exact(shape.width).enumerate() {
        let shift = slope * ((line % shape.height) as f64 - centre);
        let whole = shift.floor();
        let part = (shift - whole) as f32;
        let pixel = |column: i64| -> f32 {
            usize::try_from(column).ok().and_then(|column| row.get(column)).copied().unwrap_or(0.0)
        };
        sheared.extend((0..shape.width as i64).map(|column| {
            let from = column + whole as i64;
            (1.0 - part) * pixel(from) + part * pixel(from + 1)
        }));
    }
    sheared
}

/// How far a row's columns lie further right than those of the row above, and the mean row; `None`
/// for an image without any brightness, or of rows that do not differ.
fn skew(image: &[f32], shape: Shape) -> Option<(f64, f64)> {
    let (mut mass, mut rows, mut columns) = (0.0, 0.0, 0.0);
    let (mut rows_rows, mut rows_columns) = (0.0, 0.0);
    for (line, pixels) in image.chunks_exact(shape.width).enumerate() {
        let y = (line % shape.height) as f64;
        for (x, &value) in pixels.iter().enumerate() {
            let (x, value) = (x as f64, f64::from(value));
            mass += value;
            rows += value * y;
            columns += value * x;
            rows_rows += value * y * y;
            rows_columns += value * y * x;
        }
    }
    if mass <= 0.0 {
        return None;
    }
    let centre = rows / mass;
    let variance = rows_rows / mass - centre * centre;
    let covariance = rows_columns / mass - centre * columns / mass;
    let slope = (covariance / variance).clamp(-MAX_SLOPE, MAX_SLOPE);
    (variance > f64::EPSILON && slope.is_finite()).then_some((slope, centre))
}

#[cfg(test)]
mod tests {
    use sphinx_network::Shape;

    use super::{deskew, skew};

    const SHAPE: Shape = Shape::new(1, 28, 28);

    /// A stroke three pixels wide whose middle is `14 + slope (y - 13.5)` in row y of 4 to 23.
    fn stroke(slope: f64) -> Vec<f32> {
        let mut image = vec![0.0; 784];
        for y in 4..24 {
            let middle = 14.0 + slope * (f64::from(y) - 13.5);
            for x in 0..28 {
                let distance = (f64::from(x) - middle).abs();
                image[(y * 28 + x) as usize] = (2.0 - distance).clamp(0.0, 1.0) as f32;
            }
        }
        image
    }

    #[test]
    fn slanted_strokes_stand_upright() {
        let upright = stroke(0.0);
        for slope in [-0.75, -0.3, 0.0, 0.5, 1.0] {
            let straight = deskew(&stroke(slope), SHAPE);
            let (left, _) = skew(&straight, SHAPE).unwrap();
            assert!(left.abs() < 0.01, "slope {slope} leaves {left}");
            let worst = straight.iter().zip(&upright).map(|(a, b)| (a - b).abs());
            let worst = worst.fold(0.0, f32::max);
            // Interpolation blurs by half a pixel at most.
            assert!(worst <= 0.3, "slope {slope}: {worst}");
        }
    }

    #[test]
    fn digits_lose_their_skew_and_keep_the_range_of_pixels() {
        let test = sphinx_mnist::load().unwrap().test;
        let (mut before, mut after) = (0.0, 0.0);
        for index in 0..200 {
            let image = test.pixels(index).unwrap();
            let straight = deskew(&image, SHAPE);
            assert!(straight.iter().all(|value| (0.0..=1.0).contains(value)));
            before += skew(&image, SHAPE).unwrap().0.abs();
            after += skew(&straight, SHAPE).unwrap().0.abs();
        }
        assert!(after < before / 20.0, "{after} of {before} left");
    }

    #[test]
    fn channels_move_together() {
        let slanted = stroke(0.4);
        let both = deskew(&[slanted.clone(), vec![0.25; 784]].concat(), Shape::new(2, 28, 28));
        let alone = deskew(&slanted, SHAPE);
        // An even channel takes weight without a slant, so both move less than the stroke alone
        // would.
        let slope = |image: &[f32]| skew(image, SHAPE).unwrap().0;
        let moved = slope(&both[..784]);
        assert!(moved > slope(&alone) + 0.1 && moved < slope(&slanted) - 0.01, "{moved}");
        assert!(both[784..].iter().any(|&value| value < 0.25), "black comes in from outside");
    }

    #[test]
    fn images_without_a_slant_to_measure_stay_as_they_are() {
        let mut line = vec![0.0; 784];
        line[5 * 28..6 * 28].fill(1.0);
        for image in [vec![0.0; 784], line] {
            assert_eq!(deskew(&image, SHAPE), image);
        }
    }
}
