//! The attacker's own derivatives against those of the system.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_attack::{AttackError, Network};
use sphinx_gradient::{BlockPass, ClearStage, Clipping, Tensor};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, StageParameters, initial_parameters};

/// A built-in network with smooth activations: `mlp-100` has some of few levels.
fn smooth(name: &str) -> NetworkSpec {
    let mut spec = NetworkSpec::builtin(name).unwrap();
    for layer in &mut spec.layers {
        if let LayerSpec::QuantisedTanh { .. } = layer {
            *layer = LayerSpec::Tanh;
        }
    }
    spec
}

fn systems_gradient(
    plan: &Plan,
    parameters: &[StageParameters],
    image: &[f32],
    label: u8,
) -> sphinx_gradient::BlockGradient {
    let mut images = vec![0.0; image.len() * 16];
    image.iter().enumerate().for_each(|(row, pixel)| images[row * 16] = *pixel);
    let images = Tensor::new(image.len(), 16, images).unwrap();
    let mut labels = vec![None; 16];
    labels[0] = Some(label);
    let layers: Vec<_> = plan.stages.iter().map(ClearStage::new).collect();
    let mut pass = BlockPass::new(Arc::new(plan.clone()), &images, &labels).unwrap();
    for (stage, layer) in layers.iter().enumerate() {
        let z = layer.forward(&parameters[stage], pass.input(stage).unwrap()).unwrap();
        pass.absorb(stage, z).unwrap();
    }
    for (stage, layer) in layers.iter().enumerate().skip(1).rev() {
        let e = layer.backward(&parameters[stage], &pass.delta(stage).unwrap().tensor).unwrap();
        pass.absorb_backward(stage, e).unwrap();
    }
    pass.clipped_gradient(Clipping::None).unwrap()
}

#[test]
fn gradients_agree_with_the_systems() {
    for name in ["sphinx-mnist", "lola", "mlp-100"] {
        let plan = Plan::new(&smooth(name)).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut parameters = initial_parameters(&plan, &mut rng);
        parameters.iter_mut().flat_map(|stage| &mut stage.biases).for_each(|bias| {
            *bias = rng.random::<f32>() - 0.5;
        });
        let image: Vec<f32> = (0..784).map(|_| rng.random()).collect();
        let expected = systems_gradient(&plan, &parameters, &image, 3);
        let (weights, biases): (Vec<_>, Vec<_>) =
            parameters.into_iter().map(|stage| (stage.weights, stage.biases)).unzip();
        let network = Network::new(&plan).unwrap();
        let got = network.gradient(&weights, &biases, &image, 3).unwrap();
        let pairs = [(&got.weights, &expected.weights), (&got.biases, &expected.biases)];
        for (got, expected) in pairs.into_iter().flat_map(|(a, b)| a.iter().zip(b)) {
            let error: f64 = got.iter().zip(expected).map(|(g, e)| (g - e).powi(2)).sum();
            let norm: f64 = got.iter().map(|g| g * g).sum();
            assert!(norm > 0.0 && error < 1e-9 * norm, "{name}: {error:e} of {norm:e}");
        }
    }
}

#[test]
fn rejects_what_it_cannot_differentiate_or_what_does_not_fit() {
    let relu = r#"
        name = "relu"
        input = { channels = 1, height = 2, width = 2 }
        [[layers]]
        kind = "dense"
        outputs = 3
        [[layers]]
        kind = "relu"
        cap = 2.0
        [[layers]]
        kind = "dense"
        outputs = 2
    "#;
    let plan = Plan::new(&NetworkSpec::from_toml(relu).unwrap()).unwrap();
    assert!(matches!(Network::new(&plan), Err(AttackError::Step { .. })));
    let plan = Plan::new(&NetworkSpec::builtin("mlp-100").unwrap()).unwrap();
    let step = Network::new(&plan).unwrap_err();
    assert!(step.to_string().contains("QuantisedTanh"), "{step}");
    let plan = Plan::new(&smooth("mlp-100")).unwrap();
    let network = Network::new(&plan).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(1));
    let (weights, biases): (Vec<_>, Vec<_>) =
        parameters.into_iter().map(|stage| (stage.weights, stage.biases)).unzip();
    for (pixels, label) in [(783, 3), (784, 10)] {
        let error = network.gradient(&weights, &biases, &vec![0.5; pixels], label).unwrap_err();
        assert!(matches!(error, AttackError::Count { .. }), "{error}");
    }
    let error = network.gradient(&weights[..1], &biases, &[0.5; 784], 3).unwrap_err();
    assert!(matches!(error, AttackError::Count { got: 1, expected: 2, .. }), "{error}");
}
