//! Gradient matching: images, labels and biases whose gradient points the way of the observed one.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_optimizer::{Decay, Optimizer, OptimizerSpec, Schedule};

use crate::inversion::label_of_single;
use crate::network::{AttackError, Network, Parameters, Pass, widen};

/// What the attacker knows of the model.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// Weights by stage, at the version that the gradient was computed on.
    pub weights: &'a [Vec<f32>],
    /// Biases by stage; `None` if they are encrypted. They are unknowns of the attack then.
    pub biases: Option<&'a [Vec<f32>]>,
}

/// A gradient as the server received it; its scale does not matter.
#[derive(Debug, Clone)]
pub struct Observation {
    /// Gradient of the weights by stage.
    pub weights: Vec<Vec<f32>>,
    /// Gradient of the biases by stage; `None` if it was encrypted.
    pub biases: Option<Vec<Vec<f32>>>,
}

/// Settings of the attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconstruction {
    /// Steps of Adam per start.
    pub iterations: u64,
    /// Random starts; the one that ends closest to the gradient counts.
    pub starts: u64,
    /// Largest step of the pixels' coordinates.
    pub rate: f32,
    /// Weight of the images' total variation beside the distance.
    pub total_variation: f64,
    /// Seed of the starts.
    pub seed: u64,
}

/// What an attack found.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconstructed {
    /// Pixels in `[0, 1]`, one vector per image.
    pub images: Vec<Vec<f32>>,
    /// The likeliest label of each.
    pub labels: Vec<usize>,
    /// 1 − cosine of the angle between its gradient and the observed one.
    pub distance: f64,
}

/// Distance and its derivatives with respect to the unknowns.
struct Slope {
    distance: f64,
    passes: Vec<Pass<f64>>,
}

/// A vector of unknowns and what improves it.
struct Unknowns {
    values: Vec<f32>,
    adam: Optimizer,
    rate: f32,
}

impl Reconstruction {
    /// Attacks the gradient of `batch` examples.
    ///
    /// # Errors
    /// [`AttackError::Count`] for parameters or gradients of another network,
    /// [`AttackError::Optimizer`] if the attack diverges.
    pub fn run(
        &self,
        network: &Network,
        known: Knowledge<'_>,
        observed: &Observation,
        batch: usize,
    ) -> Result<Reconstructed, AttackError> {
        let biases = known.biases.map_or_else(|| network.zero_biases(), widen);
        let parameters = Parameters { weights: widen(known.weights), biases };
        network.check(&parameters.weights, &parameters.biases)?;
        let biases = observed.biases.as_ref().map(|biases| widen(biases));
        let target = (widen(&observed.weights), biases);
        network.check(&target.0, target.1.as_ref().unwrap_or(&parameters.biases))?;
        // Of a single example, the last layer tells the label (Zhao et al. 2020).
        let label = match (batch, observed.weights.last()) {
            (1, Some(last)) => label_of_single(last, network.classes()),
            (_, _) => None,
        };
        let starts = (0..self.starts.max(1)).into_par_iter().map(|start| {
            let mut rng = ChaCha20Rng::seed_from_u64(self.seed.wrapping_add(start));
            let free = known.biases.is_none();
            self.descend(network, parameters.clone(), free, &target, batch, label, &mut rng)
        });
        let best = starts
            .try_reduce_with(|a, b| Ok(if b.distance < a.distance { b } else { a }))
            .transpose()?;
        best.ok_or(AttackError::Count { what: "starts", got: 0, expected: 1 })
    }

    #[expect(clippy::too_many_arguments, reason = "one call, each argument another thing")]
    fn descend(
        &self,
        network: &Network,
        mut parameters: Parameters<f64>,
        biases_free: bool,
        target: &(Vec<Vec<f64>>, Option<Vec<Vec<f64>>>),
        batch: usize,
        label: Option<usize>,
        rng: &mut impl Rng,
    ) -> Result<Reconstructed, AttackError> {
        let (pixels, classes) = (network.image_len(), network.classes());
        let mut uniform = |count: usize| -> Vec<f32> {
            (0..count).map(|_| 2.0 * rng.random::<f32>() - 1.0).collect()
        };
        let mut images = Unknowns::new(uniform(batch * pixels), self.rate)?;
        let mut labels = Unknowns::new(uniform(batch * classes), self.rate)?;
        let shape: Vec<usize> = parameters.biases.iter().map(Vec::len).collect();
        let mut biases = Unknowns::new(vec![0.0; shape.iter().sum()], 0.1 * self.rate)?;
        let (decay, total) = (Decay::Cosine { floor: 0.01 }, self.iterations.max(1));
        let schedule = Schedule { peak: 1.0, decay, warmup: 0, total };
        let mut distance = f64::INFINITY;
        for step in 0..self.iterations {
            let examples = examples(&images.values, &labels.values, label, pixels, classes);
            let slope = slope(network, &parameters, target, &examples);
            distance = slope.distance;
            let mut image_slope = Vec::with_capacity(images.values.len());
            let mut label_slope = Vec::with_capacity(labels.values.len());
            for ((image, probabilities), pass) in examples.iter().zip(&slope.passes) {
                let rough = self.roughness(image);
                for ((&x, &d), &r) in image.iter().zip(&pass.image).zip(&rough) {
                    image_slope.push(((d + r) * x * (1.0 - x)) as f32);
                }
                let mean: f64 = probabilities.iter().zip(&pass.label).map(|(p, d)| p * d).sum();
                for (&p, &d) in probabilities.iter().zip(&pass.label) {
                    label_slope.push((p * (d - mean)) as f32);
                }
            }
            let rate = schedule.rate(step);
            images.improve(&image_slope, rate)?;
            if label.is_none() {
                labels.improve(&label_slope, rate)?;
            }
            if biases_free {
                let bias_slope: Vec<f32> = (0..shape.len())
                    .flat_map(|stage| (0..shape[stage]).map(move |at| (stage, at)))
                    .map(|(stage, at)| slope.passes.iter().map(|p| p.biases[stage][at]).sum())
                    .map(|d: f64| d as f32)
                    .collect();
                biases.improve(&bias_slope, rate)?;
                let mut values = biases.values.iter().map(|&value| f64::from(value));
                parameters
                    .biases
                    .iter_mut()
                    .flatten()
                    .for_each(|b| *b = values.next().unwrap_or(0.0));
            }
        }
        let found = examples(&images.values, &labels.values, label, pixels, classes);
        let narrow = |image: &[f64]| image.iter().map(|&pixel| pixel as f32).collect();
        Ok(Reconstructed {
            images: found.iter().map(|(image, _)| narrow(image)).collect(),
            labels: found.iter().map(|(_, probabilities)| largest(probabilities)).collect(),
            distance,
        })
    }

    /// Derivative of the weighted total variation √(d² + 10⁻⁴) over horizontal and vertical
    /// neighbours.
    fn roughness(&self, image: &[f64]) -> Vec<f64> {
        let side = (image.len() as f64).sqrt().round() as usize;
        let mut slope = vec![0.0; image.len()];
        if self.total_variation == 0.0 || side * side != image.len() {
            return slope;
        }
        let mut pair = |a: usize, b: usize| {
            let difference = image[a] - image[b];
            let derivative = self.total_variation * difference / difference.hypot(1e-2);
            slope[a] += derivative;
            slope[b] -= derivative;
        };
        for at in 0..image.len() {
            if at % side + 1 < side {
                pair(at, at + 1);
            }
            if at + side < image.len() {
                pair(at, at + side);
            }
        }
        slope
    }
}

impl Unknowns {
    fn new(values: Vec<f32>, rate: f32) -> Result<Self, AttackError> {
        let adam = Optimizer::new(OptimizerSpec::ADAM, values.len())?;
        Ok(Self { values, adam, rate })
    }

    fn improve(&mut self, slope: &[f32], share: f32) -> Result<(), AttackError> {
        let rates = self.adam.spec().rates(share * self.rate, self.adam.state().steps + 1);
        Ok(self.adam.apply(&mut self.values, slope, &rates)?)
    }
}

/// Images and label probabilities from their unconstrained coordinates.
fn examples(
    images: &[f32],
    labels: &[f32],
    label: Option<usize>,
    pixels: usize,
    classes: usize,
) -> Vec<(Vec<f64>, Vec<f64>)> {
    let sigmoid = |u: &f32| 1.0 / (1.0 + (-f64::from(*u)).exp());
    let probabilities = |logits: &[f32]| -> Vec<f64> {
        if let Some(label) = label {
            return (0..classes).map(|class| f64::from(u8::from(class == label))).collect();
        }
        let exponentials: Vec<f64> = logits.iter().map(|&l| f64::from(l).exp()).collect();
        let total: f64 = exponentials.iter().sum();
        exponentials.into_iter().map(|e| e / total).collect()
    };
    let images = images.chunks_exact(pixels).map(|image| image.iter().map(sigmoid).collect());
    images.zip(labels.chunks_exact(classes).map(probabilities)).collect()
}

/// D = 1 − cos(Σ gradients, target), and for every example the derivatives of D.
fn slope(
    network: &Network,
    parameters: &Parameters<f64>,
    (target_weights, target_biases): &(Vec<Vec<f64>>, Option<Vec<Vec<f64>>>),
    examples: &[(Vec<f64>, Vec<f64>)],
) -> Slope {
    let passes: Vec<Pass<f64>> = examples
        .par_iter()
        .map(|(image, label)| network.pass(parameters, image, label, true))
        .collect();
    let total = |part: fn(&Pass<f64>) -> &Vec<Vec<f64>>| {
        let mut passes = passes.iter().map(part);
        let mut sum = passes.next().cloned().unwrap_or_default();
        for pass in passes {
            let pairs = sum.iter_mut().flatten().zip(pass.iter().flatten());
            pairs.for_each(|(sum, &value)| *sum += value);
        }
        sum
    };
    let mut weights = total(|pass| &pass.weights);
    let mut biases = total(|pass| &pass.biases);
    let mut products = products(&weights, target_weights);
    if let Some(target) = target_biases {
        let more = self::products(&biases, target);
        products = std::array::from_fn(|at| products[at] + more[at]);
    }
    let [inner, own, theirs] = products;
    let norms = (own * theirs).sqrt().max(1e-300);
    let cosine = inner / norms;
    // The derivative of D with respect to the gradient is the direction of the second pass.
    let turn = |gradient: &mut Vec<Vec<f64>>, target: &Vec<Vec<f64>>| {
        for (g, &t) in gradient.iter_mut().flatten().zip(target.iter().flatten()) {
            *g = cosine * *g / own.max(1e-300) - t / norms;
        }
    };
    turn(&mut weights, target_weights);
    match target_biases {
        Some(target) => turn(&mut biases, target),
        None => biases.iter_mut().flatten().for_each(|b| *b = 0.0),
    }
    let direction = Parameters { weights, biases };
    Slope { distance: 1.0 - cosine, passes: network.second_order(parameters, &direction, examples) }
}

/// ⟨a, b⟩, ‖a‖², ‖b‖².
fn products(a: &[Vec<f64>], b: &[Vec<f64>]) -> [f64; 3] {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.fold([0.0; 3], |[ab, aa, bb], (&a, &b)| [ab + a * b, aa + a * a, bb + b * b])
}

fn largest(values: &[f64]) -> usize {
    let first = (0, f64::NEG_INFINITY);
    let candidates = values.iter().copied().enumerate();
    candidates.fold(first, |best, next| if next.1 > best.1 { next } else { best }).0
}
