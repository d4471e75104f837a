//! The instances of the workload and their directories, as the harness has them.

use std::fs;
use std::path::{Path, PathBuf};

use sphinx_linalg::SLOTS;

use crate::{Outcome, SubmissionError};

/// One size of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    name: &'static str,
    images: usize,
}

impl Instance {
    const ALL: [Self; 4] = [
        Self { name: "single", images: 1 },
        Self { name: "small", images: 15 },
        Self { name: "medium", images: 1000 },
        Self { name: "large", images: 10_000 },
    ];

    /// The instance that a program's first argument names.
    ///
    /// # Errors
    /// [`SubmissionError::Usage`].
    pub fn from_arguments() -> Outcome<Self> {
        let got = std::env::args().nth(1).unwrap_or_default();
        let found = got.parse::<usize>().ok().and_then(|size| Self::ALL.get(size));
        let usage = || SubmissionError::Usage { program: program(), got: got.clone() };
        found.copied().ok_or_else(usage)
    }

    /// Number of images.
    pub fn images(self) -> usize {
        self.images
    }

    /// Blocks of the batch axis, or none for instances that go image by image.
    pub fn blocks(self) -> Option<usize> {
        (self.images > 100).then(|| self.images.div_ceil(SLOTS))
    }

    /// A file of `io/`.
    pub fn io(self, file: impl AsRef<Path>) -> PathBuf {
        Path::new("io").join(self.name).join(file)
    }

    /// The pixels that the harness wrote.
    pub fn pixels(self) -> PathBuf {
        Path::new("datasets").join(self.name).join("intermediate/test_pixels.txt")
    }

    /// Writes a file of `io/`.
    ///
    /// # Errors
    /// [`SubmissionError::File`].
    pub fn write(self, file: impl AsRef<Path>, bytes: &[u8]) -> Outcome<()> {
        let path = self.io(file);
        let failed = |source| SubmissionError::File { path: path.clone(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        fs::write(&path, bytes).map_err(failed)
    }

    /// Reads a file of `io/` of a known size.
    ///
    /// # Errors
    /// [`SubmissionError::File`] and [`SubmissionError::Content`].
    pub fn read(self, file: impl AsRef<Path>, size: usize) -> Outcome<Vec<u8>> {
        let path = self.io(file);
        let bytes = fs::read(&path)
            .map_err(|source| SubmissionError::File { path: path.clone(), source })?;
        if bytes.len() == size {
            return Ok(bytes);
        }
        let (got, expected) = (format!("{} bytes", bytes.len()), format!("{size}"));
        Err(SubmissionError::Content { path, got, expected })
    }
}

/// The name that the program was called by: the stage.
pub fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    Path::new(&called).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
