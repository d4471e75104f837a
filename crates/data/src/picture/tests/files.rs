//! Files that are damaged, cut off, of another kind, or no files.

use image::codecs::jpeg::JpegEncoder;

use super::*;

/// A photograph of a digit on a sheet with a little grain.
fn photograph(digit: &[u8], quality: u8) -> Vec<u8> {
    let mut sheet = GrayImage::from_pixel(600, 1000, Luma([235]));
    let big = imageops::resize(&field(digit), 420, 420, FilterType::CatmullRom);
    for (x, y, Luma([ink])) in big.enumerate_pixels() {
        let level = 235.0 * (1.0 - 0.85 * f32::from(*ink) / 255.0);
        sheet.put_pixel(90 + x, 200 + y, Luma([level as u8]));
    }
    add_noise(&mut sheet, 2.0, 7);
    let mut bytes = Vec::new();
    let colour = image::DynamicImage::from(sheet).into_rgb8();
    colour.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality)).unwrap();
    bytes
}

#[test]
fn rejects_jpegs_that_are_cut_off_wherever_they_are() {
    let (set, dir) = (test_set(), TempDir::new().unwrap());
    for index in 0..5 {
        let whole = photograph(set.levels(index).unwrap(), 90);
        assert!(Digit::open(&saved(&dir, "whole.jpg", &whole)).is_ok());
        for percent in [50, 90, 97] {
            let cut = &whole[..whole.len() * percent / 100];
            let outcome = Digit::open(&saved(&dir, "cut.jpg", cut));
            assert!(
                matches!(outcome, Err(PictureError::Truncated { .. })),
                "{percent}: {outcome:?}"
            );
            // Some program put an end to it.
            let ended = [cut, &[0xff, 0xd9]].concat();
            let outcome = Digit::open(&saved(&dir, "ended.jpg", &ended));
            assert!(
                matches!(outcome, Err(PictureError::NotAnImage { .. })),
                "{percent}: {outcome:?}"
            );
        }
    }
}

#[test]
fn what_follows_a_picture_is_nobodys() {
    let (set, dir) = (test_set(), TempDir::new().unwrap());
    let jpeg = photograph(set.levels(0).unwrap(), 90);
    let png = png(&picture(set.levels(0).unwrap(), 6.0, 200, 200));
    for whole in [jpeg, png] {
        let with_junk = [whole, b"junk".repeat(100)].concat();
        assert!(Digit::open(&saved(&dir, "trailing", &with_junk)).is_ok());
    }
}

#[test]
fn rejects_every_cut_of_every_format() {
    let (set, dir) = (test_set(), TempDir::new().unwrap());
    let image =
        image::DynamicImage::from(picture(set.levels(0).unwrap(), 6.0, 200, 200)).into_rgb8();
    for format in [ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        let whole = bytes.into_inner();
        assert!(Digit::open(&saved(&dir, "whole", &whole)).is_ok(), "{format:?}");
        for length in [whole.len() / 3, whole.len() / 2, whole.len() * 9 / 10, whole.len() - 1] {
            let outcome = Digit::open(&saved(&dir, "cut", &whole[..length]));
            assert!(outcome.is_err(), "{format:?} at {length} of {}", whole.len());
        }
    }
}

#[test]
fn rejects_damaged_pngs_and_other_files_by_what_they_are() {
    let dir = TempDir::new().unwrap();
    let mut bad = png(&picture(test_set().levels(0).unwrap(), 6.0, 200, 200));
    bad[60] ^= 0xff;
    assert!(matches!(Digit::open(&saved(&dir, "crc", &bad)), Err(PictureError::NotAnImage { .. })));
    let heic = [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".as_slice(), &[0; 200]].concat();
    let said = Digit::open(&saved(&dir, "x.heic", &heic)).unwrap_err().to_string();
    assert!(said.contains("convert it to JPEG or PNG"), "{said}");
    let said = Digit::open(&saved(&dir, "empty.png", b"")).unwrap_err().to_string();
    assert!(said.ends_with("the file is empty"), "{said}");
    for (width, height) in [(1, 1), (2, 1), (1, 500), (500, 1)] {
        let stripes = GrayImage::from_fn(width, height, |x, y| Luma([((x + y) % 2 * 255) as u8]));
        // Whatever is answered, nothing ends the program.
        let _ = Digit::open(&saved(&dir, "thin.png", &png(&stripes)));
    }
}

#[cfg(unix)]
#[test]
fn names_are_shown_without_what_a_terminal_obeys() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TempDir::new().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\x1b[31mred\xff\n.png");
    let path = dir.path().join(name);
    fs::write(&path, b"no picture").unwrap();
    let said = Digit::open(&path).unwrap_err().to_string();
    assert!(said.contains("\\u{1b}[31mred\\xff\\n.png"), "{said}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
}

/// A pipe cannot be read twice nor measured.
#[cfg(target_os = "linux")]
#[test]
fn pictures_come_through_pipes() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let whole = png(&picture(test_set().levels(0).unwrap(), 6.0, 200, 200));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&whole).unwrap());
    let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
    assert!(Digit::open(&path).is_ok());
    writing.join().unwrap();
}
