//! The sequence of a pass, what it hands out, and what it refuses.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;

use sphinx_gradient::{
    BlockPass, ClearError, ClearStage, Clipping, PassError, Tensor, TensorError, Turn,
};
use sphinx_network::{LayerSpec, Shape};
use support::{Case, SLOTS, case, cases, flat, run};

fn small() -> Case {
    let dense = |outputs| LayerSpec::Dense { outputs };
    case("small", Shape::new(1, 2, 2), vec![dense(3), LayerSpec::Tanh, dense(2)])
}

fn start(case: &Case) -> BlockPass {
    BlockPass::new(Arc::clone(&case.plan), &case.images, &case.labels).unwrap()
}

/// A pass that waits for the gradient at the input of stage 1.
fn halfway(case: &Case) -> BlockPass {
    let mut pass = start(case);
    pass.absorb(0, Tensor::zeros(3, SLOTS).unwrap()).unwrap();
    pass.absorb(1, Tensor::zeros(2, SLOTS).unwrap()).unwrap();
    pass
}

#[test]
fn deltas_are_normalised_per_slot_and_zero_for_padding() {
    for case in cases() {
        let last = case.plan.stages.len() - 1;
        if last == 0 {
            continue;
        }
        let mut pass = start(&case);
        for (index, stage) in case.plan.stages.iter().enumerate() {
            let layer = ClearStage::new(stage);
            let z = layer.forward(&case.parameters[index], pass.input(index).unwrap()).unwrap();
            pass.absorb(index, z).unwrap();
        }
        for index in (1..=last).rev() {
            let delta = pass.delta(index).unwrap();
            assert_eq!(delta.tensor.rows(), case.plan.stages[index].output.len());
            for slot in 0..SLOTS {
                let rows = 0..delta.tensor.rows();
                let max = rows.map(|row| delta.tensor.row(row)[slot].abs()).fold(0.0, f32::max);
                let scale = delta.scale[slot];
                let at = format!("{} stage {index} slot {slot}", case.name);
                assert_eq!(max, if scale > 0.0 { 1.0 } else { 0.0 }, "{at}");
                if case.labels[slot].is_none() {
                    assert_eq!(scale, 0.0, "{at}");
                } else if index == last {
                    assert!(scale > 0.0, "{at}");
                }
            }
            let layer = ClearStage::new(&case.plan.stages[index]);
            let e = layer.backward(&case.parameters[index], &delta.tensor).unwrap();
            pass.absorb_backward(index, e).unwrap();
        }
    }
}

#[test]
fn transposed_layer_is_the_transpose() {
    let dot = |a: &Tensor, b: &Tensor| -> f64 {
        let products = a.as_slice().iter().zip(b.as_slice());
        products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let ramp = |rows: usize| {
        let values = (0..rows * SLOTS).map(|i| (i * 31 % 101) as f32 / 50.0 - 1.0);
        Tensor::new(rows, SLOTS, values.collect()).unwrap()
    };
    for case in cases() {
        for (stage, parameters) in case.plan.stages.iter().zip(&case.parameters) {
            let mut parameters = parameters.clone();
            parameters.biases.fill(0.0);
            let layer = ClearStage::new(stage);
            let (a, delta) = (ramp(stage.input.len()), ramp(stage.output.len()));
            let forward = dot(&layer.forward(&parameters, &a).unwrap(), &delta);
            let backward = dot(&a, &layer.backward(&parameters, &delta).unwrap());
            assert!((forward - backward).abs() < 1e-4 * (1.0 + forward.abs()), "{}", case.name);
        }
    }
}

#[test]
fn training_on_separable_data_reduces_the_loss() {
    let conv = LayerSpec::Conv {
        out_channels: 3,
        kernel: 3,
        stride: 1,
        padding: 0,
        filters: sphinx_network::Filters::Random,
    };
    let layers = vec![
        conv,
        LayerSpec::Tanh,
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::Dense { outputs: 2 },
    ];
    let mut case = case("halves", Shape::new(1, 6, 6), layers);
    // Class 0 is bright above, class 1 below, both under noise.
    let labels = case.labels.clone();
    for (row, slots) in case.images.rows_mut().enumerate() {
        for (pixel, label) in slots.iter_mut().zip(&labels) {
            let bright = (row < 18) == (*label == Some(0));
            *pixel = 0.5 * *pixel + 0.5 * f32::from(u8::from(bright));
        }
    }
    let first = run(&case, &case.labels).loss().unwrap();
    for _ in 0..60 {
        let gradient = run(&case, &case.labels).clipped_gradient(Clipping::Flat(1.0)).unwrap();
        let rate = 0.5 / gradient.examples as f32;
        for (index, stage) in case.parameters.iter_mut().enumerate() {
            let (weights, biases) = (&gradient.weights[index], &gradient.biases[index]);
            stage.weights.iter_mut().zip(weights).for_each(|(w, g)| *w -= rate * *g as f32);
            stage.biases.iter_mut().zip(biases).for_each(|(b, g)| *b -= rate * *g as f32);
        }
    }
    let last = run(&case, &case.labels).loss().unwrap();
    assert!(last.loss_sum < 0.25 * first.loss_sum, "{first:?} to {last:?}");
    assert_eq!(last.correct, last.examples);
}

#[test]
fn debug_prints_no_value() {
    let case = small();
    let pass = halfway(&case);
    assert_eq!(format!("{pass:?}"), "BlockPass { slots: 48, turn: Backward(1), .. }");
    let tensor = "Tensor { rows: 2, slots: 48, .. }";
    assert_eq!(
        format!("{:?}", pass.delta(1).unwrap()),
        format!("Delta {{ tensor: {tensor}, .. }}")
    );
    let gradient = run(&case, &case.labels).clipped_gradient(Clipping::None).unwrap();
    assert_eq!(format!("{gradient:?}"), "BlockGradient { stages: 2, .. }");
}

#[test]
fn rejects_images_that_do_not_fit() {
    let case = small();
    let new = |images: &Tensor, labels: &[Option<u8>]| {
        BlockPass::new(Arc::clone(&case.plan), images, labels).unwrap_err()
    };
    let wrong = TensorError::Rows { got: 3, expected: 4 };
    let got = new(&Tensor::zeros(3, SLOTS).unwrap(), &case.labels);
    assert_eq!(got, PassError::Images(wrong));
    for bad in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        let mut images = case.images.clone();
        images.as_mut_slice()[2 * SLOTS + 9] = bad;
        assert_eq!(
            new(&images, &case.labels),
            PassError::Pixel { row: 2, slot: 9, low: 0.0, high: 1.0 }
        );
    }
}

#[test]
fn rejects_labels_that_do_not_fit() {
    let case = small();
    let new = |labels: &[Option<u8>]| {
        BlockPass::new(Arc::clone(&case.plan), &case.images, labels).unwrap_err()
    };
    assert_eq!(new(&[Some(0); 3]), PassError::LabelCount { got: 3, expected: SLOTS });
    let mut labels = case.labels.clone();
    labels[11] = Some(2);
    assert_eq!(new(&labels), PassError::Label { slot: 11, classes: 2 });
}

#[test]
fn rejects_answers_of_the_wrong_shape() {
    let case = small();
    let tensor = |rows, slots| Tensor::zeros(rows, slots).unwrap();
    let rows = |got, expected| TensorError::Rows { got, expected };
    let slots = TensorError::Slots { got: 16, expected: SLOTS };
    let refused = |stage, source| Err(PassError::Shape { stage, source });
    let mut pass = start(&case);
    assert_eq!(pass.absorb(0, tensor(4, SLOTS)), refused(0, rows(4, 3)));
    assert_eq!(pass.absorb(0, tensor(3, 16)), refused(0, slots.clone()));
    let mut pass = halfway(&case);
    assert_eq!(pass.absorb_backward(1, tensor(2, SLOTS)), refused(1, rows(2, 3)));
    assert_eq!(pass.absorb_backward(1, tensor(3, 16)), refused(1, slots));
    assert_eq!(pass.absorb_backward(1, tensor(3, SLOTS)), Ok(()), "a refusal changes nothing");
}

#[test]
fn rejects_calls_out_of_order() {
    let case = small();
    let zeros = |rows| Tensor::zeros(rows, SLOTS).unwrap();
    let refused = |got, expected| PassError::OutOfOrder { got, expected };
    let mut pass = start(&case);
    let waiting = Turn::Forward(0);
    assert_eq!(pass.input(1), Err(refused(Turn::Input(1), waiting)));
    assert_eq!(pass.loss(), Err(refused(Turn::Loss, waiting)));
    assert_eq!(pass.delta(1), Err(refused(Turn::Delta(1), waiting)));
    assert_eq!(pass.absorb(1, zeros(2)), Err(refused(Turn::Forward(1), waiting)));
    assert_eq!(pass.absorb_backward(1, zeros(3)), Err(refused(Turn::Backward(1), waiting)));
    let gradient = pass.clipped_gradient(Clipping::None);
    assert_eq!(gradient, Err(refused(Turn::Gradient, waiting)));

    let mut pass = halfway(&case);
    let waiting = Turn::Backward(1);
    assert_eq!(pass.absorb(1, zeros(2)), Err(refused(Turn::Forward(1), waiting)));
    assert_eq!(pass.delta(0), Err(refused(Turn::Delta(0), waiting)));
    pass.absorb_backward(1, zeros(3)).unwrap();
    let again = pass.absorb_backward(1, zeros(3));
    assert_eq!(again, Err(refused(Turn::Backward(1), Turn::Gradient)));
    let below = pass.absorb_backward(0, zeros(4));
    assert_eq!(below, Err(refused(Turn::Backward(0), Turn::Gradient)));
    assert_eq!(pass.absorb(9, zeros(4)), Err(refused(Turn::Forward(9), Turn::Gradient)));
}

#[test]
fn rejects_values_that_are_not_finite() {
    let case = small();
    let with_nan = |rows, slot| {
        let mut tensor = Tensor::zeros(rows, SLOTS).unwrap();
        tensor.as_mut_slice()[slot] = f32::NAN;
        tensor
    };
    let mut pass = start(&case);
    pass.absorb(0, Tensor::zeros(3, SLOTS).unwrap()).unwrap();
    assert_eq!(pass.absorb(1, with_nan(2, 0)), Err(PassError::Logits));

    let mut pass = halfway(&case);
    pass.absorb_backward(1, with_nan(3, 7)).unwrap();
    let refused = pass.clipped_gradient(Clipping::Flat(1.0));
    assert_eq!(refused, Err(PassError::Gradients { slots: 1 }));

    // Slot 5 is padding: its factor is zero, but zero times NaN is not.
    let mut pass = start(&case);
    pass.absorb(0, with_nan(3, 5)).unwrap();
    pass.absorb(1, Tensor::zeros(2, SLOTS).unwrap()).unwrap();
    pass.absorb_backward(1, Tensor::zeros(3, SLOTS).unwrap()).unwrap();
    let refused = pass.clipped_gradient(Clipping::Flat(1.0));
    assert_eq!(refused, Err(PassError::Gradients { slots: 1 }));
}

#[test]
fn rejects_a_max_pool_too_large_to_remember() {
    let layers = vec![
        LayerSpec::Conv {
            out_channels: 1,
            kernel: 1,
            stride: 1,
            padding: 0,
            filters: sphinx_network::Filters::Random,
        },
        LayerSpec::Tanh,
        LayerSpec::MaxPool { size: 17, stride: None },
        LayerSpec::Dense { outputs: 2 },
    ];
    let case = case("large pool", Shape::new(1, 17, 17), layers);
    let refused = BlockPass::new(Arc::clone(&case.plan), &case.images, &case.labels);
    assert_eq!(refused.unwrap_err(), PassError::MaxPoolSize { got: 17, limit: 16 });
}

#[test]
fn rejects_parameters_and_tensors_that_do_not_fit_the_clear_layer() {
    let case = small();
    let layer = ClearStage::new(&case.plan.stages[0]);
    let (input, delta) = (Tensor::zeros(4, 16).unwrap(), Tensor::zeros(3, 16).unwrap());
    let rows = |got, expected| Err(ClearError::Shape(TensorError::Rows { got, expected }));
    assert_eq!(layer.forward(&case.parameters[0], &delta), rows(3, 4));
    assert_eq!(layer.backward(&case.parameters[0], &input), rows(4, 3));
    let mut parameters = case.parameters[0].clone();
    parameters.biases.pop();
    let refused = layer.forward(&parameters, &input);
    assert_eq!(refused, Err(ClearError::BiasCount { got: 2, expected: 3 }));
    parameters.weights.push(0.0);
    let refused = layer.backward(&parameters, &delta);
    assert_eq!(refused, Err(ClearError::WeightCount { got: 13, expected: 12 }));
}

#[test]
fn odd_numbers_of_slots_give_the_same_gradients() {
    for wide in cases() {
        let narrow_labels = wide.labels[..16].to_vec();
        let narrow_pixels: Vec<f32> =
            (0..wide.images.rows()).flat_map(|row| wide.images.row(row)[..16].to_vec()).collect();
        let mut labels = wide.labels.clone();
        labels[16..].fill(None);
        let expected = run(&wide, &labels).clipped_gradient(Clipping::Flat(0.3)).unwrap();
        let images = Tensor::new(wide.images.rows(), 16, narrow_pixels).unwrap();
        let narrow = Case { images, labels: narrow_labels, ..wide };
        let got = run(&narrow, &narrow.labels).clipped_gradient(Clipping::Flat(0.3)).unwrap();
        let pairs = flat(&got.weights, &got.biases).into_iter();
        for (got, expected) in pairs.zip(flat(&expected.weights, &expected.biases)) {
            assert!((got - expected).abs() < 1e-5, "{}", narrow.name);
        }
    }
}
