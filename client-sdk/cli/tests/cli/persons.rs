//! `sphinx train --unit person`.

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
    assert_says(&train(&[]).refused(2), &["--persons FILE"]);
    let refused = train(&["--persons", &blank]).refused(1);
    assert_says(&refused, &["image 3 belongs to nobody"]);
    let refused = train(&["--persons", &good, "--max-per-person", "0"]).refused(1);
    assert_says(&refused, &["0 images per person and step are not in 1 to 128"]);
    // Of images that are looked at, once there is a model to look at them for.
    let refused = world.run(&["train", "--unit", "person", "--persons", &short]).refused(1);
    assert_says(&refused, &["named for 2 images, the data set has 60000"]);
    let both = ["train", "--unit", "person", "--persons", &good, "--augment", "4"];
    let refused = world.run(&both).refused(1);
    assert_says(&refused, &["leave one of the two out"]);
    let refused = machine.run(&["train", "--unit", "image", "--persons", &good]).refused(2);
    assert_says(&refused, &["--persons needs --unit person"]);
}
