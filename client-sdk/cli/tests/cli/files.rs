//! Files that are not what they should be; no service is asked.

use std::fs;

use crate::world::{Machine, TINY, assert_says};

#[test]
fn rejects_networks_whose_shapes_do_not_fit_with_the_layer() {
    let machine = Machine::new();
    let network = machine.file("bad.toml", &TINY.replace("size = 4", "size = 5"));
    for command in [["train", "--network", &network], ["demo", "--network", &network]] {
        let error = machine.run(&command).refused(1);
        let shape = "layers[0] (avg_pool) got a map of 1x28x28, expected sides that windows of 5 every 5 fill evenly";
        assert_says(&error, &["bad.toml", shape]);
    }
}

#[test]
fn rejects_data_that_is_none() {
    let machine = Machine::new();
    let error = machine.run(&["demo", "--data", "nowhere"]).refused(1);
    assert_says(&error, &["nowhere: entity not found"]);
    fs::create_dir(machine.directory.path().join("empty")).unwrap();
    let error = machine.run(&["train", "--data", "empty"]).refused(1);
    assert_says(&error, &["empty: no data set: the folder is empty", "IDX files, CIFAR batches"]);
    machine.file("broken/train-images-idx3-ubyte", "no IDX file");
    let error = machine.run(&["demo", "--data", "broken"]).refused(1);
    assert_says(&error, &["train-images-idx3-ubyte is there, its labels are not"]);
    machine.file("broken/train-labels-idx1-ubyte", "no IDX file");
    let error = machine.run(&["demo", "--data", "broken"]).refused(1);
    assert_says(&error, &["train-images-idx3-ubyte", "begins with \"no I\""]);
}

#[test]
fn rejects_images_that_are_none() {
    let machine = Machine::new();
    machine.file("text.png", "no image");
    let error = machine.run(&["infer", "digits", "text.png"]).refused(1);
    assert_says(&error, &["text.png", "not a readable PNG"]);
    let error = machine.run(&["infer", "digits", "missing.png"]).refused(1);
    assert_says(&error, &["missing.png"]);
}
