//! Pictures in folders and in lists.

use std::fs;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use sphinx_data::sources::{self, SourceKind, Split, Unreadable};
use sphinx_data::{Classes, DatasetError, TrainTest};
use sphinx_network::Shape;
use tempfile::TempDir;

use crate::{load, loaded, put, refusal};

/// A picture of one colour, of a number that tells it from others.
fn picture(colour: [u8; 3], number: u8) -> Vec<u8> {
    let image =
        RgbImage::from_fn(
            40,
            30,
            |x, y| if (x, y) == (0, 0) { Rgb([number; 3]) } else { Rgb(colour) },
        );
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::from(image).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Ten red and ten blue pictures.
fn photos() -> TempDir {
    let dir = TempDir::new().unwrap();
    for number in 0..10 {
        put(dir.path().join(format!("red/{number}.png")), &picture([250, 0, 0], number));
        put(dir.path().join(format!("blue/{number}.png")), &picture([0, 0, 250], number));
    }
    dir
}

#[test]
fn a_set_that_grows_has_no_test_images_taken_from_it() {
    let dir = photos();
    let grown = || sources::open(dir.path()).unwrap().undivided();
    let counts = |found: &sources::Found| (found.counts(Split::Train), found.counts(Split::Test));
    assert_eq!(counts(&grown()), (vec![10, 10], vec![0, 0]));
    assert!(grown().notes().iter().all(|note| !note.contains("test split")), "{:?}", grown());
    let TrainTest { train, test } = grown().into_train_test().unwrap();
    assert_eq!((train.len(), test.len()), (20, 0));
    let list = "path,label\nred/1.png,r\nred/2.png,r\nblue/1.png,b\nred/3.png,r\nred/4.png,r\nred/5.png,r\n";
    put(dir.path().join("list.csv"), list.as_bytes());
    let found = sources::open(&dir.path().join("list.csv")).unwrap();
    assert_eq!(counts(&found), (vec![1, 4], vec![0, 1]));
    assert_eq!(counts(&found.undivided()), (vec![1, 5], vec![0, 0]));
    // A split of its own stays.
    let own = TempDir::new().unwrap();
    for (number, part) in ["train", "train", "test"].into_iter().enumerate() {
        let name = format!("{part}/red/{number}.png");
        put(own.path().join(name), &picture([250, 0, 0], number as u8));
    }
    put(own.path().join("train/blue/9.png"), &picture([0, 0, 250], 9));
    let found = sources::open(own.path()).unwrap().undivided();
    assert_eq!(counts(&found), (vec![1, 2], vec![0, 1]));
}

#[test]
fn folders_are_classes_and_a_fifth_is_for_the_test() {
    let dir = photos();
    put(dir.path().join("red/notes.txt"), b"not a picture");
    put(dir.path().join("red/.DS_Store"), b"nor this");
    put(dir.path().join(".cache/x.png"), b"nor this");
    let found = sources::open(dir.path()).unwrap();
    assert_eq!(
        (found.kind(), found.classes().names()),
        (SourceKind::Folder, &["blue", "red"].map(str::to_owned)[..])
    );
    assert_eq!((found.counts(Split::Train), found.counts(Split::Test)), (vec![8, 8], vec![2, 2]));
    assert!(found.notes().iter().any(|note| note.contains("1 files in")), "{:?}", found.notes());
    // All pictures have one size, which is kept.
    let pipeline = found.pipeline().unwrap();
    assert_eq!(pipeline.shape, Shape::new(3, 30, 40));
    let TrainTest { train, .. } = found.into_train_test().unwrap();
    let blue = train.levels(0).unwrap();
    assert_eq!((train.labels()[0], blue[1], blue[2 * 1200 + 1]), (0, 0, 250));
    put(dir.path().join("red/other.png"), &{
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::new_rgb8(9, 9).write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    });
    let found = sources::open(dir.path()).unwrap();
    assert_eq!(found.pipeline().unwrap().shape, Shape::new(3, 32, 32));
}

#[test]
fn splits_are_folders_above_classes() {
    let (dir, flat) = (TempDir::new().unwrap(), photos());
    fs::rename(flat.path().join("red"), flat.path().join("x")).unwrap();
    for (from, to) in [("x", "train/red"), ("blue", "train/blue")] {
        fs::create_dir_all(dir.path().join("train")).unwrap();
        fs::rename(flat.path().join(from), dir.path().join(to)).unwrap();
    }
    put(dir.path().join("test/red/a.png"), &picture([200, 0, 0], 77));
    put(dir.path().join("valid/blue/b.png"), &picture([0, 0, 200], 78));
    let found = sources::open(dir.path()).unwrap();
    assert_eq!(Split::ALL.map(|split| found.labels(split).len()), [20, 1, 1]);
    assert_eq!(found.labels(Split::Test), [1]);
    put(dir.path().join("test/green/a.png"), &picture([0, 200, 0], 1));
    assert!(refusal(dir.path()).contains("\"green\" of the test split is not among"));
}

#[test]
fn rejects_empty_folders_one_class_and_pictures_in_two() {
    let dir = photos();
    fs::create_dir(dir.path().join("green")).unwrap();
    assert!(refusal(dir.path()).contains("green: no image of the class \"green\""));
    fs::remove_dir(dir.path().join("green")).unwrap();
    fs::copy(dir.path().join("red/3.png"), dir.path().join("blue/copy.png")).unwrap();
    let error = load(dir.path()).unwrap_err();
    assert!(matches!(error, DatasetError::TwoClasses { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("red/3.png") && said.contains("blue/copy.png"), "{said}");
    fs::remove_dir_all(dir.path().join("blue")).unwrap();
    assert!(refusal(dir.path()).contains("all images are of one class, red"));
    let none = TempDir::new().unwrap();
    put(none.path().join("a.png"), &picture([1, 2, 3], 1));
    assert!(refusal(none.path()).contains("no folder of a class"));
}

#[test]
fn unreadable_pictures_are_named_or_left_out() {
    let dir = photos();
    let whole = picture([9, 9, 9], 9);
    put(dir.path().join("red/cut.png"), &whole[..whole.len() / 2]);
    put(dir.path().join("blue/empty.png"), b"");
    let said = refusal(dir.path());
    assert!(said.contains("cut.png: ") && said.contains("empty.png: "), "{said}");
    let kept = loaded(dir.path(), Unreadable::Skip).unwrap();
    assert_eq!((kept.train.len() + kept.test.len(), kept.skipped.len()), (20, 2));
}

#[test]
fn lists_name_pictures_labels_splits_and_persons() {
    let dir = photos();
    let list = |text: &str| put(dir.path().join("list.csv"), text.as_bytes());
    list(
        "path,label,split\nred/1.png,warm,train\n blue/1.png , cold ,train\nblue/2.png,cold,test\n",
    );
    let found = sources::open(&dir.path().join("list.csv")).unwrap();
    assert_eq!(
        (found.kind(), found.classes().names()),
        (SourceKind::Manifest, &["cold", "warm"].map(str::to_owned)[..])
    );
    assert_eq!((found.labels(Split::Train), found.labels(Split::Test)), (&[1, 0][..], &[0][..]));

    let rows: String = (0..10)
        .map(|i| format!("red/{i}.png,warm,{}\nblue/{i}.png,cold,{}\n", i % 5, i % 5))
        .collect();
    list(&format!("path,label,person\n{rows}"));
    let found = sources::open(&dir.path().join("list.csv")).unwrap();
    assert_eq!((found.counts(Split::Train), found.counts(Split::Test)), (vec![8, 8], vec![2, 2]));
    assert!(found.notes()[0].contains("a fifth of the persons"), "{:?}", found.notes());
    let TrainTest { train, test } = found.into_train_test().unwrap();
    assert_eq!((train.owners().len(), test.owners().len()), (16, 4));
    assert!(train.owners().iter().all(|owner| !test.owners().contains(owner)), "{train:?}");
    list(
        "path,label,split,person\nred/1.png,r,train,\nblue/1.png,b,train,kim\nred/2.png,r,test,\n",
    );
    let found = sources::open(&dir.path().join("list.csv")).unwrap();
    assert_eq!(found.into_train_test().unwrap().train.owners(), ["", "kim"]);
}

#[test]
fn folders_within_those_of_the_classes_are_of_persons() {
    let dir = TempDir::new().unwrap();
    for (number, place) in
        ["ill/ada/a", "ill/ada/b/c", "ill/d", "well/bob/e"].into_iter().enumerate()
    {
        let name = format!("train/{place}.png");
        put(dir.path().join(name), &picture([250, 0, 0], number as u8));
    }
    put(dir.path().join("test/ill/f.png"), &picture([0, 0, 250], 9));
    let TrainTest { train, test } = sources::open(dir.path()).unwrap().into_train_test().unwrap();
    assert_eq!(train.owners(), ["ada", "ada", "", "bob"]);
    assert!(test.owners().is_empty());
    assert_eq!(train.select(&[3, 0]).unwrap().owners(), ["bob", "ada"]);
    let nobody = sources::open(photos().path()).unwrap().into_train_test().unwrap().train;
    assert!(nobody.owners().is_empty());
}

#[test]
fn rejects_lists_by_file_and_line() {
    let dir = photos();
    let said = |text: &str| {
        put(dir.path().join("list.csv"), text.as_bytes());
        refusal(&dir.path().join("list.csv"))
    };
    let text = said("path,label\nred/1.png,a\nred/gone.png,b\nred/gone2.png,b\n");
    assert!(text.contains("list.csv, line 3: no file") && text.contains("nor 1 others"), "{text}");
    assert!(said("path,label\nred/1.png,a\nred/1.png,b\n").contains("line 3: "));
    assert!(said("path,label\nred/1.png,a\nred/1.png,a\n").contains("is listed twice"));
    assert!(said("path,label,split\nred/1.png,a,summer\n").contains("\"summer\" is none of"));
    assert!(said("path,label\nred/1.png,\n").contains("line 2: no label"));
    assert!(said("file,class\nred/1.png,a\n").contains("the columns path and label"));
    assert!(said("path,label\n").contains("no image to train on"));
    assert!(said("path,label\nred/1.png,a\nblue/1.png,a\n").contains("one class, a"));
    assert!(said("path,label\nred/1.png,a,too,much\n").contains("line"));
}

#[test]
fn a_model_gives_its_classes_their_order() {
    let dir = photos();
    let own = Classes::named(["red", "green", "blue"]);
    let found = sources::open(dir.path()).unwrap().with_classes(&own).unwrap();
    assert_eq!(
        (found.counts(Split::Train), found.labels(Split::Test)),
        (vec![8, 0, 8], &[2, 2, 0, 0][..])
    );
    let error = sources::open(dir.path()).unwrap().with_classes(&Classes::named(["red", "x"]));
    let said = error.unwrap_err().to_string();
    assert!(said.contains("its class \"blue\" is none of the model's (red, x)"), "{said}");
}

/// Nothing of the images is written anywhere.
#[cfg(target_os = "linux")]
#[test]
fn no_file_is_left_or_made() {
    let dir = photos();
    let before = listing(dir.path());
    load(dir.path()).unwrap();
    assert_eq!(before, listing(dir.path()));
    let names = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours =
        names.filter(|entry| entry.file_name().to_string_lossy().starts_with("sphinx-data-"));
    assert_eq!(ours.count(), 0);
}

fn listing(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    names
}

/// A budget counts pictures, whatever becomes of them: size, polarity, file and class do not
/// matter.
#[test]
fn a_picture_is_the_same_whatever_pipeline_it_goes_through() {
    let dir = photos();
    let origins = |pipeline: &dyn Fn(&mut sphinx_data::Pipeline)| {
        let found = sources::open(dir.path()).unwrap();
        let mut own = found.pipeline().unwrap();
        pipeline(&mut own);
        let train = found.load(&own, Unreadable::Refuse).unwrap().train;
        (0..train.len()).map(|index| train.origin(index).unwrap()).collect::<Vec<_>>()
    };
    let own = origins(&|_| ());
    assert_eq!(own, origins(&|pipeline| pipeline.shape = Shape::new(1, 16, 16)));
    assert_eq!(own, origins(&|pipeline| pipeline.polarity = sphinx_data::Polarity::Inverted));
    let all: std::collections::HashSet<_> = own.iter().collect();
    assert_eq!(all.len(), own.len());

    // A grey picture in a file and the same levels in an array.
    let levels: Vec<u8> = (0..64).collect();
    let grey = image::GrayImage::from_raw(8, 8, levels.clone()).unwrap();
    let dir = TempDir::new().unwrap();
    for class in ["a", "b"] {
        for number in 0..5_u8 {
            let mut grey = grey.clone();
            grey.get_pixel_mut(0, 0).0 = [if class == "a" { number } else { 100 + number }];
            let mut bytes = std::io::Cursor::new(Vec::new());
            grey.write_to(&mut bytes, ImageFormat::Bmp).unwrap();
            put(dir.path().join(format!("{class}/{number}.bmp")), &bytes.into_inner());
        }
    }
    let TrainTest { train, test } = load(dir.path()).unwrap();
    let array = sphinx_data::origin(Shape::new(1, 8, 8), &levels);
    let all = [train, test].map(|set| (0..set.len()).any(|index| set.origin(index) == Some(array)));
    assert!(all.contains(&true), "{all:?}");
}
