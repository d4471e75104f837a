//! Files of data sets and pictures.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};
use sphinx_data::sources::{Unreadable, open};
use sphinx_data::{Classes, Picture, Pipeline};
use sphinx_network::Shape;

use crate::scratch;

const PIXELS: usize = 16;

/// A folder of IDX files of which the input is one: the images, or, with an odd first byte, the
/// labels.
pub(crate) fn idx(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    let (images, labels) = (images(4), labels(4));
    let (images, labels) = if which & 1 == 0 { (bytes, &labels[..]) } else { (&images[..], bytes) };
    scratch::file("idx/train-images-idx3-ubyte", images);
    let file = scratch::file("idx/train-labels-idx1-ubyte", labels);
    read(file.parent().unwrap());
}

fn images(count: u8) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 4, 0, 0, 0, 4];
    file.extend((0..usize::from(count) * PIXELS).map(|pixel| pixel as u8));
    file
}

fn labels(count: u8) -> Vec<u8> {
    let mut file = vec![0, 0, 8, 1, 0, 0, 0, count];
    file.extend(0..count);
    file
}

pub(crate) fn idx_seeds() -> Vec<Vec<u8>> {
    vec![[&[0], &images(4)[..]].concat(), [&[1], &labels(4)[..]].concat()]
}

/// A NumPy archive, and an array of images beside one of labels.
pub(crate) fn numpy(bytes: &[u8]) {
    read(&scratch::file("data.npz", bytes));
    scratch::file("arrays/y_train.npy", &array("|u1", "(4,)", &[0, 1, 2, 3]));
    let images = scratch::file("arrays/x_train.npy", bytes);
    read(images.parent().unwrap());
}

fn array(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

/// An array, and the beginnings of archives: the smallest that is one has no entries.
pub(crate) fn numpy_seeds() -> Vec<Vec<u8>> {
    let images = array("|u1", "(4, 4, 4)", &[7; 4 * PIXELS]);
    let floats = array("<f4", "(4, 4, 4, 1)", &[0; 4 * 4 * PIXELS]);
    vec![stored("x_train.npy", &images), images, floats]
}

/// A ZIP of one stored entry, by hand: the checksum is that of what it holds.
fn stored(name: &str, contents: &[u8]) -> Vec<u8> {
    let (checksum, length) = (crc32(contents).to_le_bytes(), (contents.len() as u32).to_le_bytes());
    let name_length = (name.len() as u16).to_le_bytes();
    let common =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &checksum[..], &length, &length, &name_length, &[0, 0]]
            .concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), contents].concat();
    let central = [b"PK\x01\x02\x14\x00", &common[..], &[0; 14], name.as_bytes()].concat();
    let (size, offset) = ((central.len() as u32).to_le_bytes(), (local.len() as u32).to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &size[..], &offset, &[0, 0]].concat();
    [local, central, end].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

/// A CSV list of pictures and classes, of which one is there.
pub(crate) fn csv(bytes: &[u8]) {
    scratch::file("list/a.png", &picture_seeds()[0]);
    read(&scratch::file("list/list.csv", bytes));
}

pub(crate) fn csv_seeds() -> Vec<Vec<u8>> {
    vec![
        b"file,label\na.png,cat\n\"a.png\",dog\n".to_vec(),
        b"path;class;split\na.png;1;train\na.png;0;test\n".to_vec(),
    ]
}

/// A picture, and what a pipeline makes of it.
pub(crate) fn picture(bytes: &[u8]) {
    let _ = Picture::decode(bytes, Path::new("picture")).map(drop);
    let path = scratch::file("picture.png", bytes);
    let _ = Picture::measure(&path);
    let _ = pipeline().open(&path);
}

pub(crate) fn picture_seeds() -> Vec<Vec<u8>> {
    let picture = RgbImage::from_fn(12, 9, |x, y| Rgb([x as u8 * 20, y as u8 * 25, 7]));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ];
    let written = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    });
    written.into()
}

fn pipeline() -> Pipeline {
    Pipeline::plain(Shape::new(1, 4, 4), Classes::numbered(10))
}

/// Opens a data set and reads all of it.
fn read(path: &Path) {
    let Ok(found) = open(path) else { return };
    let _ = found.load(&pipeline(), Unreadable::Refuse);
}
