//! Images and labels on their way in.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sphinx_client::data::{Classes, Dataset, Pipeline};
use sphinx_client::{ClientError, NetworkSpec, Plan};

use crate::error::{Failure, unusable};

/// Rows and columns of a digit.
const SIDE: usize = 28;

/// Shape of images: channels, rows, columns.
pub type Sides = (usize, usize, usize);

/// Levels, labels, and the same of the test images.
type Digits<'a> = (Bound<'a, PyBytes>, Bound<'a, PyBytes>, Bound<'a, PyBytes>, Bound<'a, PyBytes>);

/// The MNIST database, which is inside the package: images of 28 × 28 levels and their labels.
#[pyfunction]
pub fn mnist(python: Python<'_>) -> PyResult<Digits<'_>> {
    let sets = python.detach(sphinx_mnist::load);
    let sets = sets.map_err(|error| Failure::from(ClientError::from(error)))?;
    let levels = |set: &Dataset| -> Vec<u8> {
        (0..set.len()).filter_map(|index| set.levels(index)).flatten().copied().collect()
    };
    let [images, tests] = [&sets.train, &sets.test].map(|set| PyBytes::new(python, &levels(set)));
    let [labels, test_labels] =
        [&sets.train, &sets.test].map(|set| PyBytes::new(python, set.labels()));
    Ok((images, labels, tests, test_labels))
}

/// A data set, and the pipeline that its images have gone through.
pub fn dataset(
    (levels, labels): (&[u8], &[u8]),
    shape: Sides,
    classes: Vec<String>,
) -> PyResult<(Dataset, Pipeline)> {
    let digits = shape == (1, SIDE, SIDE) && classes == Classes::numbered(10).names();
    let (shape, classes) = (spec_shape(shape)?, Classes::named(classes));
    let set = Dataset::new(levels.to_vec(), labels.to_vec(), shape, classes.clone());
    let set = set.map_err(|error| Failure::from(ClientError::from(error)))?;
    let pipeline = if digits { Pipeline::digit(classes) } else { Pipeline::plain(shape, classes) };
    Ok((set, pipeline))
}

/// The shape as the SDK has it.
fn spec_shape((channels, height, width): Sides) -> PyResult<sphinx_client::Shape> {
    if channels * height * width == 0 {
        return Err(unusable("images have no pixels"));
    }
    Ok(sphinx_client::Shape::new(channels, height, width))
}

/// A network by `builtin:` and its name, or from TOML, checked.
pub fn network(text: &str) -> Result<NetworkSpec, Failure> {
    if let Some(name) = text.strip_prefix("builtin:") {
        let unknown = || {
            let known: Vec<_> = NetworkSpec::builtin_names().collect();
            let known = known.join(", ");
            Failure::input(format!("{name:?} is neither a built-in network ({known}) nor a file"))
        };
        return NetworkSpec::builtin(name).ok_or_else(unknown);
    }
    let spec = NetworkSpec::from_toml(text).map_err(ClientError::from)?;
    Plan::new(&spec).map_err(ClientError::from)?;
    Ok(spec)
}
