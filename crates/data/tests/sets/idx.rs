//! IDX files under other names, of other counts and types, damaged ones.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sphinx_data::sources::{self, SourceKind, Split};
use sphinx_data::{DatasetError, Preparation, TrainTest};
use sphinx_network::Shape;
use tempfile::TempDir;

use crate::{load, put, refusal};

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";
const NAMES: [&str; 4] = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

/// A directory with the four files of the repository but for some, each renamed.
fn copy(without: &[&str], rename: impl Fn(&str) -> String) -> TempDir {
    let dir = TempDir::new().unwrap();
    for name in NAMES.iter().filter(|name| !without.contains(*name)) {
        let to = dir.path().join(rename(name) + ".gz");
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(repository().join(format!("{name}.gz")), to).unwrap();
    }
    dir
}

/// The set of the repository with one file replaced.
fn with(name: &str, bytes: &[u8]) -> TempDir {
    let dir = copy(&[name], str::to_owned);
    put(dir.path().join(name), bytes);
    dir
}

/// A file of the repository, plain.
fn raw(name: &str) -> Vec<u8> {
    let packed = fs::File::open(repository().join(format!("{name}.gz"))).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

fn idx(words: &[u32], contents: &[u8]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).chain(contents.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The first images of each part.
fn subset(train: usize, test: usize) -> TempDir {
    let dir = TempDir::new().unwrap();
    for (images, labels, count) in
        [(TRAIN_IMAGES, TRAIN_LABELS, train), (TEST_IMAGES, TEST_LABELS, test)]
    {
        let (pixels, numbers) = (&raw(images)[16..], &raw(labels)[8..]);
        let images_idx = idx(&[0x803, count as u32, 28, 28], &pixels[..784 * count]);
        put(dir.path().join(images), &images_idx);
        put(dir.path().join(labels), &idx(&[0x801, count as u32], &numbers[..count]));
    }
    dir
}

fn sizes(dir: &TempDir) -> (usize, usize) {
    let TrainTest { train, test } = load(dir.path()).unwrap();
    (train.len(), test.len())
}

#[test]
fn the_set_in_the_repository_is_mnist() {
    let found = sources::open(&repository()).unwrap();
    assert_eq!(found.kind(), SourceKind::Idx);
    assert_eq!(found.pipeline().unwrap().preparation, Preparation::Digit);
    assert_eq!(found.counts(Split::Test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    let TrainTest { train, test } = found.into_train_test().unwrap();
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    assert_eq!((train.shape(), train.classes().len()), (Shape::new(1, 28, 28), 10));
    assert_eq!(train.labels()[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    // Published mean of the training pixels: 0.1307.
    let sum: u64 = (0..60_000)
        .map(|i| train.levels(i).unwrap().iter().map(|&level| u64::from(level)).sum::<u64>())
        .sum();
    let mean = sum as f64 / (60_000.0 * 784.0 * 255.0);
    assert!((mean - 0.1307).abs() < 5e-5, "mean {mean}");
}

#[test]
fn usual_names_and_folders_below_are_found() {
    let dots = copy(&[], |name| name.replace("-idx", ".idx"));
    let emnist = copy(&[], |name| format!("emnist-mnist-{}", name.replace("t10k", "test")));
    let below = copy(&[], |name| format!("MNIST/raw/{name}"));
    for dir in [dots, emnist, below] {
        assert_eq!(sizes(&dir), (60_000, 10_000));
    }
    // The original 10 000 of QMNIST's test are 60 000.
    let more = copy(&NAMES[2..], str::to_owned);
    put(more.path().join(TEST_IMAGES), &raw(TRAIN_IMAGES));
    put(more.path().join(TEST_LABELS), &raw(TRAIN_LABELS));
    assert_eq!(sizes(&more), (60_000, 60_000));
    // Two sets in one folder are not one.
    put(more.path().join("emnist-letters-train-images-idx3-ubyte"), b"");
    assert!(refusal(more.path()).contains("several sets"), "{}", refusal(more.path()));
}

#[test]
fn any_number_of_images_will_do() {
    assert_eq!(sizes(&subset(5000, 1000)), (5000, 1000));
    let none = subset(0, 0);
    assert!(refusal(none.path()).ends_with("no image to train on"), "{}", refusal(none.path()));
    let one = subset(1, 1);
    assert!(refusal(one.path()).contains("all images are of one class, 5"));
    // Without a test, a fifth of each class is kept for one.
    let whole = subset(1000, 0);
    fs::remove_file(whole.path().join(TEST_IMAGES)).unwrap();
    fs::remove_file(whole.path().join(TEST_LABELS)).unwrap();
    let found = sources::open(whole.path()).unwrap();
    assert!(found.notes()[0].contains("seed 1"), "{:?}", found.notes());
    let (train, test) = (found.counts(Split::Train), found.counts(Split::Test));
    assert!(train.iter().zip(&test).all(|(train, test)| *test == (train + test) / 5));
}

#[test]
fn other_types_and_colours_are_read() {
    let small = &raw(TRAIN_IMAGES)[16..16 + 784 * 20];
    let labels: Vec<u8> = (0..20).map(|i| i % 2).collect();
    let words: Vec<u8> = small.iter().flat_map(|v| i16::from(*v).to_be_bytes()).collect();
    let reals: Vec<u8> = small.iter().flat_map(|v| f32::from(*v).to_be_bytes()).collect();
    for (magic, contents) in [(0xb03, words), (0xd03, reals)] {
        let dir = TempDir::new().unwrap();
        put(dir.path().join(TRAIN_IMAGES), &idx(&[magic, 20, 28, 28], &contents));
        put(dir.path().join(TRAIN_LABELS), &idx(&[0x801, 20], &labels));
        let found = sources::open(dir.path()).unwrap();
        let TrainTest { train, test } = found.into_train_test().unwrap();
        let own: Vec<&[u8]> = (0..train.len()).filter_map(|i| train.levels(i)).collect();
        assert_eq!((train.len(), test.len()), (16, 4));
        assert!(own.iter().all(|image| small.chunks(784).any(|known| known == *image)));
    }
    // Red in the first image's first pixel, channels behind the pixels.
    let mut colours = vec![0; 4 * 5 * 6 * 3];
    (colours[0], colours[2]) = (9, 7);
    let dir = TempDir::new().unwrap();
    put(dir.path().join("train-images-idx4-ubyte"), &idx(&[0x804, 4, 5, 6, 3], &colours));
    put(dir.path().join(TRAIN_LABELS), &idx(&[0x801, 4], &[0, 1, 0, 1]));
    let train = load(dir.path()).unwrap().train;
    assert_eq!(train.shape(), Shape::new(3, 5, 6));
    assert_eq!((train.levels(0).unwrap()[0], train.levels(0).unwrap()[60]), (9, 7));
}

#[test]
fn labels_from_one_on_are_classes_and_strays_are_named() {
    let shifted = |name| {
        let bytes = raw(name);
        let labels: Vec<u8> = bytes[8..].iter().map(|label| label + 1).collect();
        [&bytes[..8], &labels].concat()
    };
    let dir = copy(&[TRAIN_LABELS, TEST_LABELS], str::to_owned);
    put(dir.path().join(TRAIN_LABELS), &shifted(TRAIN_LABELS));
    put(dir.path().join(TEST_LABELS), &shifted(TEST_LABELS));
    let train = load(dir.path()).unwrap().train;
    assert_eq!((train.classes().names()[0].as_str(), train.labels()[0]), ("1", 5));

    let mut bytes = raw(TRAIN_LABELS);
    bytes[8 + 777] = 10;
    let said = refusal(with(TRAIN_LABELS, &bytes).path());
    let expected =
        "train-labels-idx1-ubyte: item 777 has the label 10, which no other of the 60000";
    assert!(said.contains(expected), "{said}");
    let mut bytes = raw(TEST_LABELS);
    bytes[8 + 41] = 10;
    let said = refusal(with(TEST_LABELS, &bytes).path());
    assert!(said.contains("item 41 has the label 10, which no image to train on has"), "{said}");

    let same = |name| [&raw(name)[..8], &vec![3; raw(name).len() - 8]].concat();
    let dir = copy(&[TRAIN_LABELS, TEST_LABELS], str::to_owned);
    put(dir.path().join(TRAIN_LABELS), &same(TRAIN_LABELS));
    put(dir.path().join(TEST_LABELS), &same(TEST_LABELS));
    assert!(refusal(dir.path()).contains("all images are of one class, 3"));
}

#[test]
fn gzip_is_told_by_contents_and_padding_is_nothing() {
    let mut padded = gzip(&raw(TRAIN_LABELS));
    padded.extend([0; 512]);
    assert_eq!(sizes(&with(TRAIN_LABELS, &padded)), (60_000, 10_000));
    let mut members = gzip(&raw(TRAIN_LABELS)[..5000]);
    members.extend(gzip(&raw(TRAIN_LABELS)[5000..]));
    assert_eq!(sizes(&with(TRAIN_LABELS, &members)), (60_000, 10_000));
    let mut junk = gzip(&raw(TRAIN_LABELS));
    junk.extend(b"junk that is no gzip member");
    assert!(matches!(load(with(TRAIN_LABELS, &junk).path()), Err(DatasetError::Gzip { .. })));

    let dir = with(TRAIN_LABELS, b"");
    fs::remove_file(dir.path().join(TRAIN_LABELS)).unwrap();
    put(dir.path().join(format!("{TRAIN_LABELS}.gz")), b"<!DOCTYPE html><html><title>503");
    let said = refusal(dir.path());
    assert!(said.contains("begins with \"<!DO\" (a web page or text"), "{said}");

    // An empty plain file beside a good compressed one.
    let dir = copy(&[], str::to_owned);
    put(dir.path().join(TRAIN_IMAGES), b"");
    let found = sources::open(dir.path()).unwrap();
    assert!(found.notes()[0].contains("train-images-idx3-ubyte is empty"), "{:?}", found.notes());
    assert_eq!(found.labels(Split::Train).len(), 60_000);
}

#[test]
fn rejects_files_that_end_early_or_late() {
    let said = refusal(with(TRAIN_IMAGES, &idx(&[0x0803, 60_000], &[0, 0])).path());
    assert!(said.contains("truncated, 10 bytes after decompression, expected 16"), "{said}");
    let said = refusal(with(TRAIN_LABELS, &idx(&[0x0801, 60_000], &[7; 59_999])).path());
    assert!(said.contains("truncated, 60007 bytes after decompression, expected 60008"), "{said}");
    let said = refusal(with(TRAIN_IMAGES, &idx(&[0x803, 60_000, 32, 32], &[0; 1000])).path());
    assert!(said.contains("truncated, 1016 bytes"), "{said}");
    let said = refusal(with(TRAIN_IMAGES, &[]).path());
    assert!(said.contains("truncated, 0 bytes"), "{said}");
    let whole = gzip(&raw(TRAIN_LABELS));
    let error = load(with(TRAIN_LABELS, &whole[..whole.len() / 2]).path()).unwrap_err();
    assert!(matches!(error, DatasetError::Truncated { expected: 60_008, .. }), "{error}");

    // Without expanding what is behind the end.
    let late = gzip(&idx(&[0x0801, 60_000], &vec![1; 50_000_000]));
    let said = refusal(with(TRAIN_LABELS, &late).path());
    assert!(said.contains("more than the 60008 bytes"), "{said}");
    let mut damaged = gzip(&raw(TRAIN_LABELS));
    let checksum = damaged.len() - 6;
    damaged[checksum] ^= 1;
    assert!(matches!(load(with(TRAIN_LABELS, &damaged).path()), Err(DatasetError::Gzip { .. })));
}

#[test]
fn rejects_foreign_headers_and_counts_before_contents() {
    let said = refusal(with(TRAIN_IMAGES, &idx(&[0x0799, 60_000, 28, 28], &[])).path());
    assert!(said.contains("the magic number 0x00000799"), "{said}");
    let said = refusal(with(TRAIN_LABELS, &idx(&[0x0801, 59_999], &[1; 59_999])).path());
    assert!(said.contains("60000 images, but") && said.contains("59999 labels"), "{said}");
    let error = load(with(TRAIN_IMAGES, &idx(&[0x0803, u32::MAX, 28, 28], &[])).path());
    assert!(matches!(error, Err(DatasetError::TooLarge { .. })), "{error:?}");
    let said = refusal(with(TEST_IMAGES, &idx(&[0x803, 10_000, 14, 56], &[0; 7_840_000])).path());
    assert!(said.contains("images of 1x14x56, but those to train on are 1x28x28"), "{said}");
    let lonely = copy(&[TEST_LABELS], str::to_owned);
    assert!(refusal(lonely.path()).contains("its labels are not"), "{}", refusal(lonely.path()));
    let empty = TempDir::new().unwrap();
    assert!(refusal(empty.path()).contains("the folder is empty"));
    assert!(refusal(&empty.path().join("none")).contains("not found"));
}

#[test]
fn transposed_sets_are_turned_back() {
    let turned = sources::open(subset(100, 10).path()).unwrap().transposed();
    let again = turned.transposed().into_train_test().unwrap().train;
    let plain = load(subset(100, 10).path()).unwrap().train;
    assert!(again == plain);
    let turned = sources::open(subset(100, 10).path()).unwrap().transposed();
    let turned = turned.into_train_test().unwrap().train;
    let (a, b) = (turned.levels(0).unwrap(), plain.levels(0).unwrap());
    assert!((0..784).all(|i| a[i] == b[(i % 28) * 28 + i / 28]) && a != b);
}
