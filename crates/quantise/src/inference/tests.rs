use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sphinx_network::{
    Activation, LayerSpec, Linear, NetworkSpec, Plan, StageParameters, Step, StepOp, apply_steps,
    initial_parameters,
};

use crate::lower::LowerError;
use crate::{
    DEFAULT_ACTIVATION_BITS, InferenceStage, QuantisationError, QuantisedNetwork, quantised_bias,
};

const BIAS_BOUND: f32 = 4.0;

fn network(name: &str) -> (Plan, Vec<StageParameters>) {
    let plan = Plan::new(&NetworkSpec::builtin(name).unwrap()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut parameters = initial_parameters(&plan, &mut rng);
    for stage in &mut parameters {
        stage.biases.iter_mut().for_each(|bias| *bias = rng.random_range(-0.5..0.5));
    }
    (plan, parameters)
}

fn quantise(plan: &Plan, parameters: &[StageParameters]) -> QuantisedNetwork {
    QuantisedNetwork::new(plan, parameters, BIAS_BOUND, DEFAULT_ACTIVATION_BITS).unwrap()
}

fn image(seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..784).map(|_| rng.random()).collect()
}

/// What a stem might yield: of group-normalised features most are small.
fn input(plan: &Plan, seed: u64) -> Vec<f32> {
    if plan.stem.is_empty() {
        return image(seed);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let bound = plan.stem.bound();
    (0..plan.stem.output.len()).map(|_| bound * (2.0 * rng.random::<f32>() - 1.0).powi(5)).collect()
}

/// The network in f32, layer by layer from the definitions.
fn real_logits(plan: &Plan, parameters: &[StageParameters], image: &[f32]) -> Vec<f32> {
    let mut values = apply_steps(&plan.input_steps, image.to_vec());
    for (stage, StageParameters { weights, biases }) in plan.stages.iter().zip(parameters) {
        let (from, to) = (stage.input, stage.output);
        let mut sums = Vec::with_capacity(to.len());
        for row in 0..to.len() {
            sums.push(match stage.linear {
                Linear::Dense { inputs, .. } => {
                    let weights = &weights[row * inputs..][..inputs];
                    biases[row] + weights.iter().zip(&values).map(|(w, x)| w * x).sum::<f32>()
                }
                Linear::Conv { in_channels, kernel, stride, padding, .. } => {
                    let (o, y, x) =
                        (row / (to.height * to.width), row / to.width % to.height, row % to.width);
                    let mut sum = biases[o];
                    for tap in 0..in_channels * kernel * kernel {
                        let (c, ky, kx) =
                            (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
                        let (line, column) = (y * stride + ky, x * stride + kx);
                        if (padding..from.height + padding).contains(&line)
                            && (padding..from.width + padding).contains(&column)
                        {
                            let (line, column) = (line - padding, column - padding);
                            sum += weights[o * in_channels * kernel * kernel + tap]
                                * values[(c * from.height + line) * from.width + column];
                        }
                    }
                    sum
                }
            });
        }
        values = apply_steps(&stage.steps, sums);
    }
    values
}

#[test]
fn quantised_network_is_close_to_the_real_one() {
    for name in NetworkSpec::builtin_names() {
        let (plan, parameters) = network(name);
        let quantised = quantise(&plan, &parameters);
        let spec = NetworkSpec::builtin(name).unwrap();
        let levels = |layer: &LayerSpec| matches!(layer, LayerSpec::QuantisedTanh { .. });
        // Where the activation itself has levels, the smallest difference can move a value to the
        // next one.
        let tolerance = if spec.layers.iter().any(levels) { 0.2 } else { 0.03 };
        for seed in 0..10 {
            let input = input(&plan, seed);
            let logits = quantised.classify(&input).unwrap();
            let real = real_logits(&plan, &parameters, &input);
            assert_eq!(logits.len(), 10);
            for (quantised, real) in logits.iter().zip(&real) {
                assert!((quantised - real).abs() < tolerance, "{name}: {quantised} against {real}");
            }
        }
    }
}

#[test]
fn folded_pool_gives_the_network_with_the_pool_on_the_client() {
    let mut spec = NetworkSpec::builtin("sphinx-mnist").unwrap();
    // Without the non-linearity between, the client's pool and the folded one are the same
    // function.
    spec.layers.swap(1, 2);
    let plan = Plan::new(&spec).unwrap();
    assert_eq!(plan.stages[0].pool, Some(2));
    let parameters = initial_parameters(&plan, &mut ChaCha8Rng::seed_from_u64(9));
    let mut unfolded = plan.clone();
    let first = &mut unfolded.stages[0];
    first.pool = None;
    let (input, output) = (first.linear_output, first.output);
    first.output = input;
    let op = StepOp::AvgPool { size: 2 };
    first.steps.insert(0, Step { op, input, output });
    let folded = quantise(&plan, &parameters).classify(&image(1)).unwrap();
    let unfolded = quantise(&unfolded, &parameters).classify(&image(1)).unwrap();
    for (folded, unfolded) in folded.iter().zip(&unfolded) {
        assert!((folded - unfolded).abs() < 0.03, "{folded} against {unfolded}");
    }
}

#[test]
fn modulus_is_the_narrowest_that_holds_every_sum() {
    let (plan, parameters) = network("sphinx-mnist");
    for stage in quantise(&plan, &parameters).stages() {
        let mut largest = 0;
        for group in stage.map.groups() {
            for (index, weights) in group.weights.chunks(group.taps).enumerate() {
                let sum: i64 = weights.iter().map(|&weight| i64::from(weight.abs())).sum();
                for patch in group.patches.iter() {
                    let channel = patch.scatter[index] as usize / stage.rows_per_channel;
                    let bias = quantised_bias(BIAS_BOUND, stage.scales[channel]);
                    largest = largest.max(sum * i64::from(stage.input_limit) + bias);
                }
            }
        }
        let half = 1_i64 << (stage.modulus_bits - 1);
        assert!(largest < half && largest >= half / 2, "{largest} {}", stage.modulus_bits);
        assert!(stage.modulus_bits <= 28, "{}", stage.modulus_bits);
    }
}

#[test]
fn every_channel_uses_all_of_int8() {
    let (plan, parameters) = network("lola");
    let quantised = quantise(&plan, &parameters);
    for group in quantised.stages().flat_map(|stage| stage.map.groups()) {
        assert!(group.weights.iter().all(|weight| weight.abs() <= 127));
    }
    let dense = quantised.stages().nth(1).unwrap();
    for row in dense.map.groups()[0].weights.chunks(845) {
        assert_eq!(row.iter().map(|weight| weight.abs()).max(), Some(127));
    }
}

#[test]
fn dead_channels_do_not_widen_the_modulus() {
    let (plan, mut parameters) = network("sphinx-mnist");
    let bits = |parameters: &[StageParameters]| -> Vec<u32> {
        quantise(&plan, parameters).stages().map(|stage| stage.modulus_bits).collect()
    };
    let alive = bits(&parameters);
    for stage in &mut parameters {
        let weights = stage.weights.len() / stage.biases.len();
        stage.weights[..weights].fill(1e-30);
        stage.weights[weights..2 * weights].fill(0.0);
    }
    let dead = bits(&parameters);
    assert!(dead.iter().all(|&bits| bits <= 30), "{dead:?} instead of {alive:?}");
    let zero: Vec<StageParameters> = parameters
        .iter()
        .map(|stage| StageParameters {
            weights: vec![0.0; stage.weights.len()],
            biases: stage.biases.clone(),
        })
        .collect();
    let logits = quantise(&plan, &zero).classify(&image(0)).unwrap();
    for (logit, bias) in logits.iter().zip(&zero[3].biases) {
        assert!((logit - bias).abs() < 1e-4);
    }
}

#[test]
fn encoding_is_clamped_to_the_bound() {
    let mut spec = NetworkSpec::builtin("mlp-100").unwrap();
    spec.layers[1] = LayerSpec::Relu { cap: 6.0 };
    let plan = Plan::new(&spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha8Rng::seed_from_u64(5));
    let quantised = quantise(&plan, &parameters);
    let second = quantised.stages().nth(1).unwrap();
    let relu = Activation::Relu { cap: 6.0 };
    assert_eq!(second.encode(&[relu.apply(99.0), -7.0, 3.0, f32::NAN]), [2048, -2048, 1024, 0]);
}

#[test]
fn rejects_sums_beyond_32_bits() {
    let (plan, parameters) = network("sphinx-mnist");
    let error = QuantisedNetwork::new(&plan, &parameters, BIAS_BOUND, 22).err();
    assert!(matches!(error, Some(QuantisationError::ModulusTooSmall { stage: 0, limit: 32, .. })));
}

#[test]
fn rejects_activation_bits_out_of_range() {
    let (plan, parameters) = network("mlp-100");
    for got in [0, 31, u32::MAX] {
        let error = QuantisedNetwork::new(&plan, &parameters, BIAS_BOUND, got).err();
        assert_eq!(error, Some(QuantisationError::ActivationBits { got, limit: 30 }));
    }
}

#[test]
fn rejects_bounds_that_bound_nothing() {
    let (plan, parameters) = network("mlp-100");
    for bias_bound in [0.0, f32::NAN] {
        let weights = &parameters[0].weights;
        let error = InferenceStage::new(0, &plan.stages[0], weights, bias_bound, 11).unwrap_err();
        assert!(matches!(error, QuantisationError::Bound { field: "bias_bound", .. }));
    }
}

#[test]
fn rejects_parameters_that_do_not_fit() {
    let (plan, mut parameters) = network("mlp-100");
    let refusal = |parameters: &[StageParameters]| {
        QuantisedNetwork::new(&plan, parameters, BIAS_BOUND, 11).err().unwrap()
    };
    let count = |what, got, expected| QuantisationError::Count { what, got, expected };
    assert_eq!(refusal(&parameters[..1]), count("stages", 1, 2));
    parameters[1].biases.pop();
    assert_eq!(refusal(&parameters), count("biases", 9, 10));
    for bias in [f32::NAN, 4.5, f32::NEG_INFINITY] {
        parameters[0].biases[3] = bias;
        let (stage, index, bound) = (0, 3, BIAS_BOUND);
        assert_eq!(refusal(&parameters), QuantisationError::BiasOutOfBound { stage, index, bound });
    }
    parameters[0].biases[3] = 0.0;
    parameters[0].weights[1] = f32::NAN;
    let cause = LowerError::NonFiniteWeight { stage: 0, index: 1 };
    assert_eq!(refusal(&parameters), QuantisationError::Weights(cause));
}

#[test]
fn rejects_image_of_another_size() {
    let (plan, parameters) = network("mlp-100");
    let error = quantise(&plan, &parameters).classify(&[0.0; 783]).unwrap_err();
    assert_eq!(error, QuantisationError::Count { what: "inputs", got: 783, expected: 784 });
}
