//! Pictures and test sets through the inference service, against the exported network in the clear.

use std::fs;

use image::imageops::{FilterType, resize};
use image::{GrayImage, Luma};
use safetensors::SafeTensors;
use sphinx_client::data::Digit;
use sphinx_network::{NetworkSpec, Plan, StageParameters};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};

use crate::world::{TINY, World, assert_says};

/// The tiny network as `models export` brings it home.
fn exported(world: &World) -> QuantisedNetwork {
    world.run(&["models", "export", "tiny", "--output", "t.safetensors"]).succeeded();
    let bytes = fs::read(world.machine.directory.path().join("t.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name| {
        let (values, _) = tensors.tensor(name).unwrap().data().as_chunks::<4>();
        values.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    let stage = StageParameters { weights: values("stage0.weight"), biases: values("stage0.bias") };
    let spec = NetworkSpec::from_toml(TINY).unwrap();
    let plan = Plan::new(&spec).unwrap();
    QuantisedNetwork::new(&plan, &[stage], spec.bias_bound, DEFAULT_ACTIVATION_BITS).unwrap()
}

fn class(network: &QuantisedNetwork, image: &[f32]) -> u64 {
    let logits = network.classify(image).unwrap();
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    best.0 as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_test_sets_are_recognised_as_by_the_network_in_the_clear() {
    let world = World::with_key().await;
    world.train_tiny(&["--privacy", "none", "--lr", "0.05", "--warmup", "0"]).succeeded();
    let clear = exported(&world);
    let test = sphinx_mnist::load().unwrap().test;

    // A digit as MNIST has it, and one drawn large, dark on light.
    let pixels = |index| test.pixels(index).unwrap();
    let digit = GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    let path = world.machine.directory.path();
    digit.save(path.join("small.png")).unwrap();
    let mut large = resize(&digit, 200, 200, FilterType::CatmullRom);
    large.pixels_mut().for_each(|Luma([value])| *value = 255 - *value);
    large.save(path.join("large.jpg")).unwrap();
    let seen = world.run(&["infer", "tiny", "small.png", "large.jpg", "--json"]).json();
    assert_eq!(seen[0]["class"].as_u64(), Some(class(&clear, &pixels(0))));
    let normalised = Digit::open(&path.join("large.jpg")).unwrap();
    assert_eq!(seen[1]["class"].as_u64(), Some(class(&clear, &normalised.pixels())));
    let probabilities = seen[0]["probabilities"].as_array().unwrap();
    let sum: f64 = probabilities.iter().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let table = world.run(&["infer", "tiny", "small.png"]).succeeded().stdout;
    assert_says(&table, &["FILE", "small.png", "%"]);

    let tested = world.run(&["evaluate", "tiny", "--limit", "3000", "--json"]).json();
    let mut confusion = [[0_u64; 10]; 10];
    for index in 0..3000 {
        let label = usize::from(test.labels()[index]);
        confusion[label][class(&clear, &pixels(index)) as usize] += 1;
    }
    assert_eq!(tested["confusion"], serde_json::json!(confusion));
    let correct: u64 = (0..10).map(|digit| confusion[digit][digit]).sum();
    assert_eq!(tested["accuracy"].as_f64(), Some(correct as f64 / 3000.0));
    let text = world.run(&["evaluate", "tiny", "--limit", "100"]).succeeded().stdout;
    assert_says(&text, &["test accuracy", "of 100 test images", "recall", "recognised 100/100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_networks_of_other_classes_and_models_that_are_not_there() {
    let world = World::with_key().await;
    let network = world.machine.file("twelve.toml", &TINY.replace("outputs = 10", "outputs = 12"));
    let train = ["train", "--network", &network, "--model", "twelve", "--epochs", "0.01"];
    let error = world.run(&train).refused(1);
    assert_says(&error, &["the data set has 10 classes, the network tells 12 apart"]);
    let error = world.run(&["evaluate", "missing"]).refused(1);
    assert_says(&error, &["missing", "NotFound"]);
}
