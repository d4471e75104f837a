mod rejections;

use crate::{Activation, LayerSpec, Linear, NetworkSpec, Plan, SCATTER_BOUND, Shape, Step, StepOp};

fn plan_of(input: Shape, layers: Vec<LayerSpec>) -> Plan {
    Plan::new(&NetworkSpec { name: "test".into(), input, layers, bias_bound: 4.0 }).unwrap()
}

fn builtin(name: &str) -> Plan {
    Plan::new(&NetworkSpec::builtin(name).unwrap()).unwrap()
}

fn conv(out_channels: usize, kernel: usize) -> LayerSpec {
    LayerSpec::Conv { out_channels, kernel, stride: 1, padding: 0, filters: crate::Filters::Random }
}

fn shapes(plan: &Plan) -> Vec<(Shape, Shape)> {
    plan.stages.iter().map(|stage| (stage.input, stage.output)).collect()
}

#[test]
fn sphinx_mnist_is_the_network_of_the_paper() {
    let plan = builtin("sphinx-mnist");
    let expected = [
        (Shape::new(1, 28, 28), Shape::new(16, 24, 24)),
        (Shape::new(16, 12, 12), Shape::new(16, 8, 8)),
        (Shape::flat(256), Shape::flat(100)),
        (Shape::flat(100), Shape::flat(10)),
    ];
    assert_eq!(shapes(&plan), expected);
    assert_eq!((plan.weight_count(), plan.bias_count(), plan.classes), (33_400, 142, 10));
    let [after_conv, pooled] = [Shape::new(16, 24, 24), Shape::new(16, 12, 12)];
    let steps = [
        Step { op: StepOp::Activation(Activation::Tanh), input: after_conv, output: after_conv },
        Step { op: StepOp::AvgPool { size: 2 }, input: after_conv, output: pooled },
    ];
    assert_eq!(plan.stages[0].steps, steps);
    assert!(plan.input_steps.is_empty() && plan.stages[3].steps.is_empty());
    assert!(plan.stages.iter().all(|stage| stage.input_bound == 1.0 && stage.pool.is_none()));
}

#[test]
fn lola_and_mlp_have_the_published_shapes() {
    let lola = builtin("lola");
    let expected = [
        (Shape::new(1, 28, 28), Shape::new(5, 13, 13)),
        (Shape::flat(845), Shape::flat(100)),
        (Shape::flat(100), Shape::flat(10)),
    ];
    assert_eq!(shapes(&lola), expected);
    let mlp = builtin("mlp-100");
    assert_eq!((mlp.weight_count(), mlp.bias_count()), (79_400, 110));
}

#[test]
fn pool_right_after_conv_is_folded() {
    let layers = vec![
        conv(4, 5),
        LayerSpec::AvgPool { size: 2 },
        LayerSpec::AvgPool { size: 3 },
        LayerSpec::Sigmoid,
        LayerSpec::Dense { outputs: 10 },
    ];
    let plan = plan_of(Shape::new(1, 28, 28), layers);
    let stage = &plan.stages[0];
    assert_eq!(stage.pool, Some(6));
    assert_eq!((stage.linear_output, stage.output), (Shape::new(4, 24, 24), Shape::new(4, 4, 4)));
    assert_eq!(stage.steps.len(), 1);
}

#[test]
fn max_pool_and_pools_on_the_image_are_the_clients() {
    let layers = vec![
        LayerSpec::AvgPool { size: 2 },
        conv(4, 5),
        LayerSpec::MaxPool { size: 5, stride: None },
        LayerSpec::Relu { cap: 6.0 },
        LayerSpec::Flatten,
        LayerSpec::Dense { outputs: 10 },
    ];
    let plan = plan_of(Shape::new(1, 28, 28), layers);
    assert_eq!(plan.input_steps[0].output, Shape::new(1, 14, 14));
    assert_eq!(plan.stages[0].pool, None);
    assert_eq!(plan.stages[0].steps[0].op, StepOp::MaxPool { size: 5, stride: 5 });
    assert_eq!(plan.stages[1].input, Shape::flat(16));
    assert_eq!(plan.stages[1].input_bound, 6.0);
}

#[test]
fn network_of_the_cpp_version_can_be_declared() {
    let layers = vec![
        conv(4, 5),
        LayerSpec::Sigmoid,
        LayerSpec::MaxPool { size: 2, stride: None },
        LayerSpec::Dense { outputs: 64 },
        LayerSpec::Sigmoid,
        LayerSpec::Dense { outputs: 10 },
    ];
    let plan = plan_of(Shape::new(1, 28, 28), layers);
    assert_eq!(plan.stages[1].linear, Linear::Dense { inputs: 576, outputs: 64 });
    assert_eq!(plan.classes, 10);
}

#[test]
fn a_stem_gives_the_first_stage_its_shape_and_bound() {
    let plan = Plan::new(&NetworkSpec::builtin("scatter-linear").unwrap()).unwrap();
    assert_eq!(plan.input, Shape::new(1, 28, 28));
    assert_eq!(plan.stem.output, Shape::new(81, 7, 7));
    assert_eq!((plan.stem.low, plan.stem.high), (-SCATTER_BOUND, SCATTER_BOUND));
    assert_eq!(plan.stages[0].linear, Linear::Dense { inputs: 3969, outputs: 10 });
    assert_eq!(plan.stages[0].input_bound, SCATTER_BOUND);
    let layers = vec![
        LayerSpec::Normalise { mean: 0.25, deviation: 0.5 },
        conv(4, 5),
        LayerSpec::Tanh,
        LayerSpec::Dense { outputs: 10 },
    ];
    let plan = plan_of(Shape::new(1, 28, 28), layers);
    assert_eq!((plan.stem.low, plan.stem.high, plan.stages[0].input_bound), (-0.5, 1.5, 1.5));
    assert_eq!((plan.stem.output, plan.stages[0].input), (plan.input, plan.input));
    let plan = Plan::new(&NetworkSpec::builtin("deskew-linear").unwrap()).unwrap();
    assert_eq!((plan.stem.steps[0].output, plan.stem.output), (plan.input, Shape::new(81, 7, 7)));
    let plan =
        plan_of(Shape::new(1, 28, 28), vec![LayerSpec::Deskew, LayerSpec::Dense { outputs: 10 }]);
    assert_eq!((plan.stem.low, plan.stem.high, plan.stem.output), (0.0, 1.0, plan.input));
    let plan = plan_of(Shape::new(1, 28, 28), vec![LayerSpec::Dense { outputs: 10 }]);
    assert!(plan.stem.is_empty());
    assert_eq!((plan.stem.low, plan.stem.high, plan.stem.output), (0.0, 1.0, plan.input));
}

#[test]
fn networks_of_tramer_and_boneh_have_their_shapes() {
    let plan = Plan::new(&NetworkSpec::builtin("tanh-cnn").unwrap()).unwrap();
    let inputs: Vec<Shape> = plan.stages.iter().map(|stage| stage.input).collect();
    let expected =
        [Shape::new(1, 28, 28), Shape::new(16, 12, 12), Shape::flat(512), Shape::flat(32)];
    assert_eq!(inputs, expected);
    assert_eq!((plan.weight_count(), plan.bias_count()), (25_920, 90));
    let plan = Plan::new(&NetworkSpec::builtin("scatter-cnn").unwrap()).unwrap();
    let inputs: Vec<Shape> = plan.stages.iter().map(|stage| stage.input).collect();
    let expected = [Shape::new(81, 7, 7), Shape::new(16, 4, 4), Shape::flat(512), Shape::flat(32)];
    assert_eq!(inputs, expected);
    assert_eq!((plan.weight_count(), plan.bias_count()), (32_976, 90));
}
