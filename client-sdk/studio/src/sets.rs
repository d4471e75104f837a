//! Data sets that were opened: found, inspected, in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sphinx_client::data::sources::{self, Found, Loaded, Unreadable};
use sphinx_client::data::{Dataset, Inspection, Pipeline};

use tokio::sync::OnceCell;

use crate::error::StudioError;

/// Name of the bundled set.
pub const MNIST: &str = "mnist";

/// A data set in memory.
pub struct Set {
    pub name: String,
    pub place: String,
    pub inspection: Inspection,
    pub pipeline: Pipeline,
    pub train: Arc<Dataset>,
    pub test: Arc<Dataset>,
    /// To choose among trainings by, where the set has such images.
    pub validation: Option<Arc<Dataset>>,
    /// Every class in a row, as a PNG file.
    pub sheet: Vec<u8>,
}

/// Sets by name, each read once.
#[derive(Default)]
pub struct Sets(Mutex<BTreeMap<String, Reading>>);

/// A set that is read, or being read.
type Reading = Arc<OnceCell<Arc<Set>>>;

impl Sets {
    /// A set that was opened; the bundled one is opened when it is asked for.
    pub async fn get(&self, name: &str) -> Result<Arc<Set>, StudioError> {
        if name == MNIST {
            return self.add(MNIST.to_owned(), || Ok(sphinx_mnist::found()?)).await;
        }
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = sets.get(name).and_then(|reading| reading.get().cloned());
        set.ok_or_else(|| StudioError::Missing { what: "open data set", name: name.to_owned() })
    }

    /// As [`Sets::get`], if it takes no longer than `patience`; it is read on meanwhile.
    pub async fn get_within(
        self: &Arc<Self>,
        name: &str,
        patience: Duration,
    ) -> Result<Option<Arc<Set>>, StudioError> {
        let (sets, name) = (Arc::clone(self), name.to_owned());
        let reading = tokio::spawn(async move { sets.get(&name).await });
        match tokio::time::timeout(patience, reading).await {
            Ok(read) => read?.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Opens what lies at a path, under the name of its folder or file, in the place of what had
    /// that name before.
    pub async fn open(&self, path: &str) -> Result<Arc<Set>, StudioError> {
        let path = Path::new(path.trim()).to_owned();
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        self.add(name, move || Ok(sources::open(&path)?)).await
    }

    /// Names of the sets that are open.
    pub fn names(&self) -> Vec<String> {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = sets.iter().filter(|(_, reading)| reading.initialized());
        let mut names: Vec<String> = read.map(|(name, _)| name.clone()).collect();
        if !names.iter().any(|name| name == MNIST) {
            names.insert(0, MNIST.to_owned());
        }
        names
    }

    async fn add(
        &self,
        name: String,
        find: impl FnOnce() -> Result<Found, StudioError> + Send + 'static,
    ) -> Result<Arc<Set>, StudioError> {
        let reading = {
            let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.entry(name.clone()).or_default())
        };
        let read = reading.get_or_try_init(|| async {
            let set = tokio::task::spawn_blocking(move || read(name, find()?)).await??;
            Ok::<_, StudioError>(Arc::new(set))
        });
        Ok(Arc::clone(read.await?))
    }
}

fn read(name: String, found: Found) -> Result<Set, StudioError> {
    let (place, inspection, sheet) = (found.place(), found.inspect(), found.contact_sheet());
    let pipeline = found.pipeline()?;
    let Loaded { train, test, validation, .. } = found.load(&pipeline, Unreadable::Skip)?;
    let (train, test, validation) = (Arc::new(train), Arc::new(test), validation.map(Arc::new));
    Ok(Set { name, place, inspection, pipeline, train, test, validation, sheet })
}
