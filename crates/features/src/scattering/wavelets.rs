//! Products with wavelets in Fourier space, and moduli.

use num_complex::Complex;

use super::vectorised::vectorised;

type C = Complex<f32>;

/// A spectrum of `height × width` times one set of gains, sampled down by `step`: frequencies that
/// become the same are added. All in layout `[kx][ky]`; gains as by `Wavelets::gains`.
pub(crate) fn multiply(
    spectrum: &[C],
    (height, width): (usize, usize),
    gains: &[f32],
    step: usize,
    products: &mut [C],
) {
    let (coarse, lines) = (height / step, width / step);
    let length = 2 * coarse;
    let spectrum: &[f32] = bytemuck::cast_slice(spectrum);
    let products: &mut [f32] = bytemuck::cast_slice_mut(products);
    vectorised(
        #[inline(always)]
        || {
            for (line, target) in products.chunks_exact_mut(length).enumerate() {
                for alias in 0..step * step {
                    let (kx, ky) = (line + alias / step * lines, alias % step * length);
                    let start = kx * 2 * height + ky;
                    let factors = spectrum[start..][..length].iter().zip(&gains[start..][..length]);
                    if alias == 0 {
                        target.iter_mut().zip(factors).for_each(|(sum, (x, gain))| *sum = x * gain);
                    } else {
                        target
                            .iter_mut()
                            .zip(factors)
                            .for_each(|(sum, (x, gain))| *sum += x * gain);
                    }
                }
            }
        },
    );
}

/// The moduli of a stack of fields `[field][y][x]`, as a stack `[y][field][x]`.
pub(crate) fn moduli(fields: &[C], (height, width): (usize, usize), moduli: &mut [f32]) {
    let length = moduli.len() / height;
    vectorised(
        #[inline(always)]
        || {
            for (line, target) in moduli.chunks_exact_mut(length).enumerate() {
                let fields = fields.chunks_exact(height * width);
                for (field, target) in fields.zip(target.chunks_exact_mut(width)) {
                    let values = &field[line * width..][..width];
                    for (modulus, value) in target.iter_mut().zip(values) {
                        *modulus = (value.re * value.re + value.im * value.im).sqrt();
                    }
                }
            }
        },
    );
}

/// The spectra of two real fields a and b from that of a + ib, all `[kx][ky]`.
pub(crate) fn separate(both: &[C], (height, width): (usize, usize), a: &mut [C], b: &mut [C]) {
    for kx in 0..width {
        let (line, mirrored) = (kx * height, (width - kx) % width * height);
        for ky in 0..height {
            let z = both[line + ky];
            let w = both[mirrored + (height - ky) % height].conj();
            a[line + ky] = (z + w) * 0.5;
            // (z - w) / 2i
            b[line + ky] = C::new(z.im - w.im, w.re - z.re) * 0.5;
        }
    }
}
