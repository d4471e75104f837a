//! `sphinx train --unit person`.

use std::fmt::Write;
use std::fs;

use image::{Rgb, RgbImage};

use crate::world::{Machine, World, assert_says};

/// One line per image of MNIST's training set: persons with 1 to 20 images each.
fn owners(machine: &Machine, name: &str, line: impl Fn(usize, usize) -> String) -> String {
    let mut text = String::new();
    let (mut image, mut person) = (0, 0);
    while image < 60_000 {
        for _ in 0..person % 20 + 1 {
            if image < 60_000 {
                text += &line(image, person);
                text.push('\n');
                image += 1;
            }
        }
        person += 1;
    }
    machine.file(name, &text)
}

#[tokio::test(flavor = "multi_thread")]
async fn trains_with_persons_as_units_and_accounts_for_persons() {
    let world = World::with_key().await;
    let file = owners(&world.machine, "owners.txt", |_, person| format!("patient {person}"));
    let persons = ["--unit", "person", "--persons", &file, "--max-per-person", "4"];
    world.train_tiny(&[&["--model", "a", "--epsilon", "2"], &persons[..]].concat()).succeeded();
    let shown = world.run(&["privacy", "show", "a", "--json"]).json();
    let persons_known = shown["examples"].as_u64().unwrap();
    assert!((5_700..5_730).contains(&persons_known), "{shown}");
    let listed = world.run(&["privacy", "data", "--json"]).json();
    assert_eq!(
        (&listed[0]["unit"], &listed[0]["units"]),
        (&"person".into(), &persons_known.into())
    );
    assert_eq!((&listed[0]["images"], &listed[0]["epsilon"]), (&60_000.into(), &shown["epsilon"]));
    let text = world.run(&["privacy", "data"]).succeeded().stdout;
    assert_says(&text, &[&format!("60000 images of {persons_known} persons")]);
    // The model stays one of persons, and so do the images.
    let refused = world.train_tiny(&["--model", "a", "--epsilon", "3"]).refused(1);
    assert_says(&refused, &["the privacy ledger is for unit of privacy Person"]);
    let refused = world.train_tiny(&["--model", "b", "--epsilon", "2"]).refused(1);
    assert_says(&refused, &["a person as the unit of privacy", "an image"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_persons_that_make_no_sense() {
    let world = World::with_key().await;
    let machine = &world.machine;
    let good = owners(machine, "owners.txt", |_, person| person.to_string());
    let blank =
        owners(machine, "blank.txt", |image, _| if image == 3 { "  ".into() } else { "x".into() });
    let short = machine.file("short.txt", "a\nb\n");
    let train = |options: &[&str]| machine.run(&[&["train", "--unit", "person"], options].concat());
    assert_says(&train(&["--max-per-person", "0"]).refused(1), &["0 images per person and step"]);
    let refused = train(&["--persons", &blank]).refused(1);
    assert_says(&refused, &["image 3 belongs to nobody"]);
    let refused = train(&["--persons", &good, "--max-per-person", "0"]).refused(1);
    assert_says(&refused, &["0 images per person and step are not in 1 to 128"]);
    let nobody = world.run(&["train", "--unit", "person"]).refused(1);
    assert_says(&nobody, &["the data set names nobody", "column person", "CLASS/PERSON/*"]);
    // Of images that are looked at, once there is a model to look at them for.
    let refused = world.run(&["train", "--unit", "person", "--persons", &short]).refused(1);
    assert_says(&refused, &["named for 2 images, the data set has 60000"]);
    let both = ["train", "--unit", "person", "--persons", &good, "--augment", "4"];
    let refused = world.run(&both).refused(1);
    assert_says(&refused, &["leave one of the two out"]);
    let refused = machine.run(&["train", "--unit", "image", "--persons", &good]).refused(2);
    assert_says(&refused, &["--persons needs --unit person"]);
}

/// Pictures of two classes and 60 persons, each in a folder of the class; every tenth is nobody's
/// if so wanted.
fn clinic(machine: &Machine, name: &str, blanks: bool) -> String {
    let mut list = "path,label,split,person\n".to_owned();
    for number in 0..240_u8 {
        let (class, person) = (["ill", "well"][usize::from(number % 2)], number / 4);
        let path = format!("{name}/{class}/person {person}/{number}.png");
        let file = machine.directory.path().join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let light = Rgb(if class == "ill" { [number, 250, 0] } else { [0, number, 250] });
        RgbImage::from_pixel(10, 10, light).save(file).unwrap();
        let person = if blanks && number % 10 == 9 { String::new() } else { format!("p{person}") };
        let split = if number < 200 { "train" } else { "test" };
        writeln!(list, "{path},{class},{split},{person}").unwrap();
    }
    machine.file(&format!("{name}.csv"), &list)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_column_of_a_list_and_folders_in_those_of_the_classes_name_persons() {
    let world = World::with_key().await;
    clinic(&world.machine, "named", false);
    let train = |data: &str, model: &str| {
        let unit = ["--unit", "person", "--max-per-person", "2", "--epochs", "1"];
        world.run(&[&["train", "--data", data, "--model", model][..], &unit].concat())
    };
    train("named.csv", "by-list").succeeded();
    let listed = world.run(&["privacy", "data", "--json"]).json();
    assert_eq!(listed[0]["unit"].as_str(), Some("person"), "{listed}");
    assert_eq!((listed[0]["units"].as_u64(), listed[0]["images"].as_u64()), (Some(50), Some(200)));
    // A fifth of each class is kept to test with: hardly anybody's images are all among them.
    clinic(&world.machine, "other", false);
    train("other", "by-folder").succeeded();
    let listed = world.run(&["privacy", "data", "--json"]).json();
    let other = listed.as_array().unwrap().iter().find(|set| set["name"] == "other").unwrap();
    assert!((55..=60).contains(&other["units"].as_u64().unwrap()), "{listed}");
    assert_eq!(other["images"].as_u64(), Some(192));
    clinic(&world.machine, "blanks", true);
    assert_says(&train("blanks.csv", "blanks").refused(1), &["belongs to nobody"]);
}
