//! NumPy arrays and CIFAR batches.

use std::io::{Cursor, Write};

use sphinx_data::sources::{self, SourceKind, Split};
use sphinx_data::{DatasetError, TrainTest};
use sphinx_network::Shape;
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::{load, put, refusal};

/// A `.npy` file.
fn npy(kind: &str, shape: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(contents);
    bytes
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn archive(arrays: &[(&str, Vec<u8>)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    put(dir.path().join("set.npz"), &npz(arrays));
    dir
}

/// Six grey images of 2 x 3 whose levels count up, labelled 0 1 0 1 ...
fn images(count: usize) -> Vec<u8> {
    npy("|u1", &format!("({count}, 2, 3)"), &(0..count * 6).map(|i| i as u8).collect::<Vec<_>>())
}

fn labels(count: usize) -> Vec<u8> {
    npy("|u1", &format!("({count}, 1)"), &(0..count).map(|i| (i % 2) as u8).collect::<Vec<_>>())
}

#[test]
fn archives_have_splits_by_name() {
    let dir = archive(&[
        ("train_images", images(6)),
        ("train_labels", labels(6)),
        ("val_images", images(4)),
        ("val_labels", labels(4)),
        ("test_images", images(2)),
        ("test_labels", labels(2)),
        ("weights", npy("<f4", "(1,)", &[0; 4])),
    ]);
    // By the file, and by the folder that it is in.
    for path in [dir.path().join("set.npz"), dir.path().to_owned()] {
        let found = sources::open(&path).unwrap();
        assert_eq!(found.kind(), SourceKind::Numpy);
        assert_eq!(Split::ALL.map(|split| found.labels(split).len()), [6, 4, 2]);
        let train = found.into_train_test().unwrap().train;
        assert_eq!(
            (train.shape(), train.levels(1)),
            (Shape::new(1, 2, 3), Some(&[6, 7, 8, 9, 10, 11][..]))
        );
    }
}

#[test]
fn keras_names_types_and_channels_are_read() {
    let words: Vec<u8> = (0..36_u16).flat_map(|i| (i * 100).to_le_bytes()).collect();
    let numbers: Vec<u8> = [5_i64, 7, 5].iter().flat_map(|i| i.to_le_bytes()).collect();
    let dir = archive(&[
        ("x_train", npy("<u2", "(3, 2, 2, 3)", &words)),
        ("y_train", npy("<i8", "(3,)", &numbers)),
        ("x_test", npy("<f8", "(1, 2, 2, 3)", &[0; 96])),
        ("y_test", npy("<i8", "(1,)", &7_i64.to_le_bytes())),
    ]);
    let TrainTest { train, test } = load(dir.path()).unwrap();
    assert_eq!(
        (train.classes().names(), train.labels()),
        (&["5", "7"].map(str::to_owned)[..], &[0, 1, 0][..])
    );
    // Twelve bits: 100 is 6; the second channel begins with the second number.
    assert_eq!((train.shape(), train.levels(0).unwrap()[4]), (Shape::new(3, 2, 2), 6));
    assert_eq!((test.len(), test.labels()), (1, &[1][..]));
}

#[test]
fn pairs_of_arrays_in_a_folder_are_a_set() {
    let dir = TempDir::new().unwrap();
    put(dir.path().join("x.npy"), &images(20));
    put(dir.path().join("y.npy"), &labels(20));
    let TrainTest { train, test } = load(dir.path()).unwrap();
    assert_eq!((train.len(), test.len()), (16, 4));
    let said = refusal(&dir.path().join("x.npy"));
    assert!(said.contains("name the folder"), "{said}");
}

#[test]
fn rejects_pickled_objects_without_reading_them() {
    // What would be run is a call of os.system.
    let evil = b"\x80\x02cposix\nsystem\nX\x08\x00\x00\x00touch hi\x85R.";
    let dir = archive(&[("x_train", npy("|O", "(3,)", evil)), ("y_train", labels(3))]);
    let error = load(dir.path()).unwrap_err();
    assert!(matches!(error, DatasetError::Pickled { .. }), "{error}");
    assert!(error.to_string().contains("set.npz[x_train]: pickled Python objects"), "{error}");
    let dir = TempDir::new().unwrap();
    put(dir.path().join("set.pkl"), evil);
    assert!(matches!(load(&dir.path().join("set.pkl")), Err(DatasetError::Pickled { .. })));
    put(dir.path().join("cifar/data_batch_1"), evil);
    let said = refusal(&dir.path().join("cifar"));
    assert!(said.contains("cifar-10-binary.tar.gz"), "{said}");
}

#[test]
fn rejects_arrays_that_are_no_set() {
    let said = |arrays: &[(&str, Vec<u8>)]| refusal(archive(arrays).path());
    let text = said(&[("train_images", images(4))]);
    assert!(text.contains("without its images or labels; there are train_images.npy"), "{text}");
    let text = said(&[("test_images", images(2)), ("test_labels", labels(2))]);
    assert!(text.contains("no arrays called train_images"), "{text}");
    let text = said(&[("x_train", images(4)), ("y_train", labels(3))]);
    assert!(text.contains("4 images, but") && text.contains("3 labels"), "{text}");
    let flat = npy("|u1", "(4, 6)", &[0; 24]);
    let text = said(&[("x_train", flat), ("y_train", labels(4))]);
    assert!(text.contains("an array of shape [4, 6]"), "{text}");
    let reals = npy("<f4", "(2, 1, 1)", &[0.5_f32.to_le_bytes(), 300_f32.to_le_bytes()].concat());
    let text = said(&[("x_train", reals), ("y_train", labels(2))]);
    assert!(text.contains("the value 300"), "{text}");
    let one_hot = npy("|u1", "(2, 2)", &[0, 1, 1, 0]);
    let text = said(&[("x_train", images(2)), ("y_train", one_hot)]);
    assert!(text.contains("one whole number per image"), "{text}");
    let short = npy("|u1", "(4, 2, 3)", &[0; 23]);
    let text = said(&[("x_train", short), ("y_train", labels(4))]);
    assert!(text.contains("damaged or truncated contents"), "{text}");
    let huge = npy("|u1", "(4294967295, 4096, 4096)", &[0; 23]);
    assert!(said(&[("x_train", huge), ("y_train", labels(4))]).contains("held in memory"));
    let dir = TempDir::new().unwrap();
    put(dir.path().join("cut.npz"), &npz(&[("x_train", images(4))])[..100]);
    assert!(refusal(dir.path()).contains("no readable archive"));
}

#[test]
fn cifar_batches_are_read_with_the_names_of_their_classes() {
    let dir = TempDir::new().unwrap();
    let record = |label: u8, level: u8| [vec![label], vec![level; 3072]].concat();
    let folder = dir.path().join("cifar-10-batches-bin");
    for number in 1..=5 {
        let name = format!("data_batch_{number}.bin");
        put(folder.join(name), &[record(0, number), record(1, 100 + number)].concat());
    }
    put(folder.join("test_batch.bin"), &record(1, 200));
    put(folder.join("batches.meta.txt"), b"airplane\nautomobile\n\n");
    let found = sources::open(dir.path()).unwrap();
    assert_eq!(found.kind(), SourceKind::Cifar);
    let TrainTest { train, test } = found.into_train_test().unwrap();
    assert_eq!((train.shape(), train.len(), test.len()), (Shape::new(3, 32, 32), 10, 1));
    assert_eq!(train.classes().names(), ["airplane", "automobile"]);
    assert_eq!((train.labels()[3], train.levels(3).unwrap()[3071]), (1, 102));

    put(folder.join("data_batch_3.bin"), &record(0, 3)[..3000]);
    let said = refusal(dir.path());
    assert!(
        said.contains("data_batch_3.bin: 3000 bytes, expected whole records of 3073"),
        "{said}"
    );

    let hundred = TempDir::new().unwrap();
    let record = |coarse: u8, fine: u8| [vec![coarse, fine], vec![0; 3072]].concat();
    put(hundred.path().join("train.bin"), &[record(1, 40), record(1, 41)].concat());
    put(hundred.path().join("test.bin"), &record(1, 41));
    let train = load(hundred.path()).unwrap().train;
    assert_eq!(train.classes().names(), ["40", "41"]);
}
