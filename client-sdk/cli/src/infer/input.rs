//! Where images come from.

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Format, pixels};
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
    pub(super) fn open(path: &Path) -> Result<Self, CliError> {
        Ok(Self { name: path.display().to_string(), pixels: pixels(path)?.into() })
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

/// Images from standard input; raw ones have `scalars` bytes.
pub(super) fn stdin(format: Format, scalars: usize) -> Images {
    from_thread(move |sender| match format {
        Format::Paths => paths(io::stdin().lock(), &sender),
        Format::Raw => frames(io::stdin().lock(), scalars, &sender),
    })
}

fn paths(mut input: impl BufRead, sender: &Sender) {
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
        // Paths need not be text, but here they are.
        let text = String::from_utf8_lossy(&line);
        let path = text.trim_end_matches(['\n', '\r']);
        if !path.is_empty() && !sender.send(Image::open(Path::new(path))) {
            return;
        }
    }
}

fn frames(mut input: impl Read, scalars: usize, sender: &Sender) {
    let mut frame = vec![0; scalars.max(1)];
    for number in 0_u64.. {
        let image = match fill(&mut input, &mut frame) {
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
        let images = read(|sender| paths(b"\nno such\r\nnor this".as_slice(), sender));
        assert_eq!(images.len(), 2);
        let error = images[0].as_ref().err().unwrap().to_string();
        assert!(error.starts_with("no such: "), "{error}");
    }
}
