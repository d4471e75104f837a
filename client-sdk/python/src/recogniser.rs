//! Recognition with tickets of the home.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sphinx_client::data::{Pipeline, pixels};
use sphinx_client::tickets::{SupplyOptions, TicketSupply};
use sphinx_client::workspace::Workspace;
use sphinx_client::{ModelId, WorkspaceError};

use crate::error::unusable;
use crate::waiting::wait;

/// Images recognised with tickets of one block.
const BLOCK: usize = 2048;

/// A model that answers.
#[pyclass(name = "NativeRecogniser", frozen)]
pub struct NativeRecogniser {
    supply: Arc<TicketSupply>,
    pipeline: Pipeline,
}

impl NativeRecogniser {
    pub fn open(python: Python<'_>, workspace: &Workspace, model: ModelId) -> PyResult<Self> {
        let workspace = workspace.clone();
        // Tickets are prepared when they are asked for, as nobody says how many images will come.
        let options = SupplyOptions { low_water: 0, ..SupplyOptions::default() };
        let (supply, pipeline) = wait(python, async move {
            let supply = Box::pin(workspace.ticket_supply(&model, options)).await?;
            let recogniser = supply.recogniser();
            let (network, sealed) = (recogniser.network(), recogniser.pipeline());
            let pipeline = workspace.pipeline(&model, network, sealed)?;
            Ok::<_, WorkspaceError>((supply, pipeline))
        })?;
        Ok(Self { supply: Arc::new(supply), pipeline })
    }
}

#[pymethods]
impl NativeRecogniser {
    /// Probabilities `[image][class]`, as f32, of images of levels `[image][channel][row][column]`.
    fn probabilities<'py>(
        &self,
        python: Python<'py>,
        levels: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        let scalars = self.pipeline.shape.len();
        if !levels.len().is_multiple_of(scalars) {
            let got = levels.len();
            return Err(unusable(format!("{got} levels are not images of {scalars}")));
        }
        let images: Vec<Vec<f32>> = levels.chunks_exact(scalars).map(pixels).collect();
        let supply = Arc::clone(&self.supply);
        let answers = wait(python, async move {
            let mut answers = Vec::with_capacity(images.len());
            for block in images.chunks(BLOCK) {
                answers.extend(supply.infer_batch(block).await?);
            }
            Ok::<_, sphinx_client::ClientError>(answers)
        })?;
        let bytes = answers.iter().flat_map(|answer| &answer.probabilities);
        let bytes: Vec<u8> = bytes.flat_map(|probability| probability.to_le_bytes()).collect();
        Ok(PyBytes::new(python, &bytes))
    }

    /// What the network gets of a picture in a file, in levels.
    fn picture<'py>(
        &self,
        python: Python<'py>,
        path: std::path::PathBuf,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let levels = python.detach(|| self.pipeline.open(&path)).map_err(unusable)?;
        Ok(PyBytes::new(python, &levels))
    }

    #[getter]
    fn classes(&self) -> Vec<String> {
        self.pipeline.classes.names().to_vec()
    }

    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let shape = self.pipeline.shape;
        (shape.channels, shape.height, shape.width)
    }

    #[getter]
    fn version(&self) -> u64 {
        self.supply.recogniser().version()
    }

    /// Bytes sent and received so far.
    #[getter]
    fn traffic(&self) -> (u64, u64) {
        let traffic = self.supply.recogniser().traffic();
        (traffic.up, traffic.down)
    }

    /// Gives unused tickets back to the store.
    fn close(&self, python: Python<'_>) -> PyResult<()> {
        let supply = Arc::clone(&self.supply);
        wait(python, async move { supply.close().await })
    }
}
