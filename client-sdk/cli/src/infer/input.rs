//! Where images come from.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use futures::StreamExt;
use futures::stream::BoxStream;
use sphinx_client::data::Pipeline;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Format;
use crate::error::CliError;

/// Images that are read ahead of what is recognised.
const AHEAD: usize = 256;

/// An image and what it is called. Clones share the pixels.
#[derive(Clone)]
pub(super) struct Image {
    pub name: String,
    /// In [0, 1].
    pub pixels: Arc<[f32]>,
}

/// Images, and files that are not images.
pub(super) type Images = BoxStream<'static, Result<Image, CliError>>;

/// Where a reading thread puts images; nobody listens any more once it says so.
pub(super) struct Sender(mpsc::Sender<Result<Image, CliError>>);

impl Image {
    pub(super) fn open(path: &Path, pipeline: &Pipeline) -> Result<Self, CliError> {
        let name = path.to_string_lossy().into_owned();
        Ok(Self { name, pixels: pipeline.pixels(path)?.into() })
    }
}

impl Sender {
    /// Waits for a place; whether somebody still listens.
    pub(super) fn send(&self, image: Result<Image, CliError>) -> bool {
        self.0.blocking_send(image).is_ok()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Images read by a thread of their own: files and standard input cannot be waited for in any other
/// way.
pub(super) fn from_thread(read: impl FnOnce(Sender) + Send + 'static) -> Images {
    let (sender, images) = mpsc::channel(AHEAD);
    thread::spawn(move || read(Sender(sender)));
    ReceiverStream::new(images).boxed()
}

/// The pictures of some files.
pub(super) fn files(paths: Vec<PathBuf>, pipeline: Arc<Pipeline>) -> Images {
    from_thread(move |sender| {
        for path in paths {
            if !sender.send(Image::open(&path, &pipeline)) {
                return;
            }
        }
    })
}

/// Images from standard input; raw ones have `scalars` bytes.
pub(super) fn stdin(format: Format, scalars: usize, pipeline: Arc<Pipeline>) -> Images {
    from_thread(move |sender| match format {
        Format::Paths => paths(io::stdin().lock(), &sender, &pipeline),
        Format::Raw => frames(io::stdin().lock(), scalars, &sender),
    })
}

/// What files begin with that are neither pixels nor paths, and what to do with them.
const FOREIGN: [(&[u8], &str, &str); 7] = [
    (b"\0\0\x08", "an IDX file", IDX_INSTEAD),
    (b"\x1f\x8b", "a gzip file", "decompress it, and cut its header off if it has one"),
    (b"\x89PNG", "a PNG picture", PICTURE_INSTEAD),
    (b"\xff\xd8\xff", "a JPEG picture", PICTURE_INSTEAD),
    (b"GIF8", "a GIF picture", PICTURE_INSTEAD),
    (b"\x93NUMPY", "a NumPy array", "write its bytes alone (numpy.ndarray.tobytes)"),
    (b"PK\x03\x04", "an archive", "unpack it"),
];
const IDX_INSTEAD: &str = "test it with `evaluate --data`, or cut its header off (tail -c +17)";
const PICTURE_INSTEAD: &str = "name the file, or /dev/stdin, as an argument";

/// What input of pixels begins as, if that is a file of another kind. Of an IDX file the number of
/// dimensions shows too: black pixels alone are no header.
fn foreign(start: &[u8]) -> Option<CliError> {
    let idx =
        |start: &[u8]| matches!(start.get(3), Some(1..=4)) && start[4..].iter().any(|b| *b > 0);
    let of = |(magic, ..): &&(&[u8], &str, &str)| {
        start.starts_with(magic) && (magic[0] != 0 || idx(start))
    };
    let (_, what, instead) = FOREIGN.iter().find(of)?;
    Some(CliError::NotRaw { what, instead })
}

fn paths(mut input: impl BufRead, sender: &Sender, pipeline: &Pipeline) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                sender.send(Err(CliError::System(error)));
                return;
            }
        }
        let path = line.strip_suffix(b"\n").unwrap_or(&line);
        let path = path.strip_suffix(b"\r").unwrap_or(path);
        if !path.is_empty() && !sender.send(Image::open(&path_of(path), pipeline)) {
            return;
        }
    }
}

/// A path as a line has it: bytes, which need not be text.
#[cfg(unix)]
fn path_of(line: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(line).into()
}

/// A path as a line has it.
#[cfg(not(unix))]
fn path_of(line: &[u8]) -> PathBuf {
    String::from_utf8_lossy(line).into_owned().into()
}

fn frames(mut input: impl Read, scalars: usize, sender: &Sender) {
    let mut frame = vec![0; scalars.max(1)];
    for number in 0_u64.. {
        let image = match fill(&mut input, &mut frame) {
            Ok(got)
                if number == 0
                    && let Some(error) = foreign(&frame[..got]) =>
            {
                Err(error)
            }
            Ok(got) if got == frame.len() => Ok(Image {
                name: number.to_string(),
                pixels: sphinx_client::data::pixels(&frame).into(),
            }),
            Ok(0) => return,
            Ok(got) => Err(CliError::PartOfImage { got, expected: frame.len() }),
            Err(error) => Err(CliError::System(error)),
        };
        let last = image.is_err();
        if !sender.send(image) || last {
            return;
        }
    }
}

/// Reads until the buffer is full or the input ends; how much there was.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use sphinx_client::data::Classes;

    use super::*;

    fn read(read: impl FnOnce(&Sender)) -> Vec<Result<Image, CliError>> {
        let (sender, mut images) = mpsc::channel(AHEAD);
        read(&Sender(sender));
        std::iter::from_fn(|| images.try_recv().ok()).collect()
    }

    #[test]
    fn frames_are_cut_by_size_and_numbered() {
        let images = read(|sender| frames([0, 255, 51, 0].as_slice(), 2, sender));
        let images: Vec<Image> = images.into_iter().map(Result::unwrap).collect();
        assert_eq!((images[0].name.as_str(), images[1].name.as_str()), ("0", "1"));
        let pixels: Vec<f32> = images.iter().flat_map(|image| image.pixels.to_vec()).collect();
        let expected = [0.0, 1.0, 0.2, 0.0];
        assert_eq!(pixels.len(), expected.len());
        assert!(
            pixels.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-6),
            "{pixels:?}"
        );
    }

    #[test]
    fn rejects_a_part_of_a_frame_after_the_whole_ones() {
        let images = read(|sender| frames([9; 5].as_slice(), 3, sender));
        assert_eq!(images.len(), 2);
        assert!(matches!(images[1], Err(CliError::PartOfImage { got: 2, expected: 3 })));
    }

    #[test]
    fn lines_that_name_no_picture_do_not_end_the_input() {
        let pipeline = Pipeline::digit(Classes::numbered(10));
        let lines = b"\nno such\r\nnor this".as_slice();
        let images = read(|sender| paths(lines, sender, &pipeline));
        assert_eq!(images.len(), 2);
        let error = images[0].as_ref().err().unwrap().to_string();
        assert!(error.starts_with("no such: "), "{error}");
    }

    #[test]
    fn rejects_files_of_another_kind_before_a_pixel_is_believed() {
        let said = |input: &[u8]| {
            let images = read(|sender| frames(input, 784, sender));
            assert_eq!(images.len(), 1);
            images[0].as_ref().err().map(ToString::to_string)
        };
        let idx = [b"\0\0\x08\x03\0\0\x27\x10\0\0\0\x1c\0\0\0\x1c".as_slice(), &[9; 784]].concat();
        assert!(said(&idx).is_some_and(|said| said.contains("an IDX file")), "{:?}", said(&idx));
        let png = [b"\x89PNG\r\n".as_slice(), &[9; 784]].concat();
        assert!(said(&png).is_some_and(|said| said.contains("a PNG picture")));
        // The first pixels of a picture may be nearly black.
        let dark = [[0, 0, 8, 3].as_slice(), &[0; 780]].concat();
        assert_eq!(said(&dark), None);
    }

    #[cfg(unix)]
    #[test]
    fn paths_need_not_be_text() {
        let pipeline = Pipeline::digit(Classes::numbered(10));
        let images = read(|sender| paths(b"no\xff\x1b[2Jsuch\n".as_slice(), sender, &pipeline));
        let error = images[0].as_ref().err().map(ToString::to_string);
        assert!(error.is_some_and(|said| said.starts_with("no\\xff\\u{1b}[2Jsuch: ")));
    }
}
