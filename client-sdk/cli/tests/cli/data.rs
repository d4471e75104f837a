//! A folder of photographs, from looking at it to recognising with what was trained on it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use image::{Rgb, RgbImage};

use crate::world::{Machine, World, assert_says};

/// Stripes across, down or aslant, `scale` pixels thick.
fn stripes(class: usize, (width, height): (u32, u32), scale: u32, light: u8) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let way = [y, x, x + y][class] / scale;
        Rgb(if way % 4 < 2 { [light, 200, 40] } else { [20, 30, light] })
    })
}

/// Pictures of three classes, 48 of each to train on and 12 to test with, no two alike.
fn photos(directory: &Path) {
    for (class, name) in ["cat", "dog", "ship"].into_iter().enumerate() {
        for number in 0..60_u8 {
            let path = directory.join(format!("photos/{name}/{number}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            stripes(class, (12, 10), 1, 180 + number).save(path).unwrap();
        }
    }
}

#[test]
fn a_folder_is_looked_at_before_anything_is_trained() {
    let machine = Machine::new();
    let directory = machine.directory.path();
    photos(directory);
    fs::copy(directory.join("photos/cat/1.png"), directory.join("photos/cat/copy.png")).unwrap();
    machine.file("photos/dog/\u{1b}[31mcut.png", "no picture");
    let arguments = ["data", "inspect", "photos", "--contact-sheet", "sheet.png"];
    let text = machine.run(&arguments).succeeded().stdout;
    assert_says(&text, &["cat", "ship", "all", "12x10 (181)", "takes 3x10x12", "duplicates  2"]);
    assert_says(&text, &["1 files cannot be read", "\\u{1b}[31mcut.png", "seed 1"]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let sheet = image::open(directory.join("sheet.png")).unwrap();
    assert_eq!((sheet.width(), sheet.height()), (66 * 12 + 2, 66 * 3 + 2));
    let error = machine.run(&arguments).refused(1);
    assert_says(&error, &["sheet.png exists already"]);
    let json = machine.run(&["data", "inspect", "photos", "--json"]).json();
    assert_eq!((json["images"].as_u64(), json["in_colour"].as_u64()), (Some(182), Some(181)));
    assert_eq!(
        (json["classes"][0]["train"].as_u64(), json["kind"].as_str()),
        (Some(49), Some("folder"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn photographs_are_trained_on_without_a_flag_and_recognised_by_name() {
    let world = World::with_key().await;
    let directory = world.machine.directory.path();
    photos(directory);
    let trained = world.run(&["train", "--data", "photos", "--model", "pets", "--epochs", "4"]);
    let said = trained.succeeded().stdout;
    assert_says(&said, &["144 images (cat 48, dog 48, ship 48), 36 to test with"]);
    assert_says(&said, &["auto-3x10x12-3: takes 3x10x12", "ε = ", "noise will drown the signal"]);
    assert!(said.find("noise will drown").unwrap() < said.find("model pets made").unwrap());

    // Without noise three colours are told apart.
    let exact = ["train", "--data", "photos", "--model", "clear", "--privacy", "none"];
    world.run(&[&exact[..], &["--epochs", "60"]].concat()).succeeded();
    let tested = world.run(&["evaluate", "clear", "--data", "photos", "--json"]).json();
    assert_eq!((tested["images"].as_u64(), tested["accuracy"].as_f64()), (Some(36), Some(1.0)));
    assert_eq!(tested["classes"], serde_json::json!(["cat", "dog", "ship"]));
    assert_eq!(
        (tested["auc"].as_f64(), tested["balanced_accuracy"].as_f64()),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(tested["per_class"][2]["class"].as_str(), Some("ship"));
    let text = world.run(&["evaluate", "clear", "--data", "photos", "--reject", "1"]);
    assert_says(
        &text.succeeded().stdout,
        &["ROC AUC        1.0000", "unsure ", " below 1; of the others"],
    );

    let report = ["evaluate", "clear", "--data", "photos", "--split", "train", "--report", "r"];
    assert_says(&world.run(&report).succeeded().stdout, &["written  r/index.html", "144 test"]);
    let page = fs::read_to_string(directory.join("r/index.html")).unwrap();
    assert_says(&page, &["<th>ship<td>48<td>", "<h2>The most confident mistakes</h2>"]);

    // Of another size and format, as a camera would have it, beside files that are no pictures.
    stripes(2, (320, 240), 24, 200).save(directory.join("sea.jpg")).unwrap();
    world.machine.file("bad.png", "no picture");
    let run =
        world.run(&["infer", "clear", "bad.png", "sea.jpg", "missing.png", "--output", "jsonl"]);
    assert_eq!((run.code, run.stdout.lines().count()), (Some(1), 1), "{}", run.stderr);
    assert_says(&run.stderr, &["bad.png: not a readable", "missing.png: ", "2 of 3 images"]);
    let line: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((line["class"].as_u64(), line["name"].as_str()), (Some(2), Some("ship")));

    // What answers are worth, by images whose classes are known.
    let calibrate = ["evaluate", "clear", "--data", "photos", "--calibrate"];
    assert_says(&world.run(&calibrate).refused(2), &["36 images are too few, 50 are needed"]);
    let calibrated = world.run(&[&calibrate[..], &["--split", "train"]].concat()).succeeded();
    assert_says(&calibrated.stdout, &["calibrated  version", "by 144 images, temperature"]);
    let seen = world.run(&["infer", "clear", "sea.jpg", "--json"]).json();
    let unlike = seen[0]["unlike"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&unlike), "{seen}");
    let kept = world.machine.home().join("calibrations/default/clear.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&kept).unwrap().replacen("\"version\":", "\"version\":9", 1);
    fs::write(&kept, text).unwrap();
    let stale = world.run(&["infer", "clear", "sea.jpg", "--json"]);
    assert_says(&stale.stderr, &["the calibration is of version 9", "evaluate clear --calibrate"]);
    assert!(stale.json()[0].get("unlike").is_none());

    // The pipeline is sealed with the model: it is the same where the home has lost it.
    fs::remove_dir_all(world.machine.home().join("pipelines")).unwrap();
    let again = world.run(&["infer", "clear", "sea.jpg", "--json"]).json();
    assert_eq!(again[0]["name"].as_str(), Some("ship"));
    let error = world.run(&["train", "--data", "photos", "--model", "clear", "--grey"]).refused(2);
    assert_says(&error, &["has its own way from pictures to its network"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_what_does_not_fit_before_anything_is_made() {
    let world = World::with_key().await;
    photos(world.machine.directory.path());
    let data = ["train", "--data", "photos", "--model", "new"];
    let error = world.run(&[&data[..], &["--network", "mlp-100"]].concat()).refused(1);
    assert_says(&error, &["the data set has 3 classes, the network tells 10 apart"]);
    let error = world.run(&[&data[..], &["--batch", "4000"]].concat()).refused(1);
    assert_says(&error, &["batch"]);
    let error = world.run(&[&data[..], &["--network", "mlp-100", "--size", "20"]].concat());
    assert_says(&error.refused(2), &["the network takes 28x28: leave --size out"]);
    world.machine.file("photos/dog/cut.png", "no picture");
    let error = world.run(&data).refused(1);
    assert_says(&error, &["cut.png: not a readable PNG", "--skip-unreadable"]);
    assert!(!world.machine.home().join("ledgers").exists(), "a ledger was made");
    assert!(!world.machine.home().join("pipelines").exists(), "a pipeline was kept");
    let models = world.run(&["models", "list", "--json"]).json();
    assert_eq!(models.as_array().map(Vec::len), Some(0));
    world.train_tiny(&["--privacy", "none"]).succeeded();
    fs::remove_file(world.machine.directory.path().join("photos/dog/cut.png")).unwrap();
    let error = world.run(&["evaluate", "tiny", "--data", "photos"]).refused(1);
    assert_says(&error, &["its class \"cat\" is none of the model's (0, 1, 2"]);
}
