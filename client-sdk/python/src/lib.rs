//! The native half of the Python package `sphinx_client`: the SDK as Python sees it.
//!
//! Arrays cross as bytes and structures as JSON, so that the wheel knows nothing of NumPy's binary
//! interface and works with every version of it; the Python half (`python/sphinx_client`) makes
//! arrays and objects of them. Nothing here holds the interpreter while it waits.

mod accountant;
mod client;
mod cluster;
mod data;
mod error;
mod recogniser;
mod training;
mod waiting;

use pyo3::prelude::*;

/// `sphinx_client._native`.
#[pymodule]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<accountant::Accountant>()?;
    module.add_class::<client::NativeClient>()?;
    module.add_class::<cluster::NativeCluster>()?;
    module.add_class::<recogniser::NativeRecogniser>()?;
    module.add_function(wrap_pyfunction!(data::mnist, module)?)?;
    module.add_function(wrap_pyfunction!(training::train, module)?)?;
    module.add_function(wrap_pyfunction!(accountant::plan, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
