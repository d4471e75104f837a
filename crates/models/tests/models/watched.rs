//! A backend that counts what it is asked, holds a request back, or loses removals.

use std::fmt;
use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use sphinx_models::ModelStore;
use tokio::sync::Semaphore;

/// How often each kind of request was made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    pub put: usize,
    pub get: usize,
    pub head: usize,
    pub copy: usize,
    pub delete: usize,
    pub list: usize,
}

/// Objects in memory, and who asks for them.
#[derive(Debug, Default)]
pub struct Watched {
    pub inner: InMemory,
    requests: Mutex<Requests>,
    /// Writes to paths with this end wait for a permit each, after having said so.
    gate: Mutex<Option<(String, Arc<Gate>)>>,
    /// Removals fail.
    pub stuck: AtomicBool,
}

/// A gate that a write waits at.
#[derive(Debug)]
pub struct Gate {
    arrived: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

impl Watched {
    pub fn store() -> (Arc<Self>, ModelStore) {
        let watched = Arc::new(Self::default());
        let store = ModelStore::with_backend(Arc::clone(&watched) as _);
        (watched, store)
    }

    /// The requests since the last call.
    pub fn requests(&self) -> Requests {
        take(&mut self.requests.lock().unwrap())
    }

    /// Holds back the next write to a path that ends so.
    pub fn hold(&self, end: String) -> Arc<Gate> {
        let gate = Gate { arrived: Semaphore::new(0), open: Semaphore::new(0) };
        let gate = Arc::new(gate);
        *self.gate.lock().unwrap() = Some((end, Arc::clone(&gate)));
        gate
    }

    fn count(&self, one: impl FnOnce(&mut Requests) -> &mut usize) {
        *one(&mut self.requests.lock().unwrap()) += 1;
    }

    async fn pass(&self, path: &Path) {
        let gate = self.gate.lock().unwrap().take_if(|(end, _)| path.as_ref().ends_with(&*end));
        if let Some((_, gate)) = gate {
            gate.arrived.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watched {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.count(|requests| &mut requests.put);
        self.pass(location).await;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        self.count(|requests| if head { &mut requests.head } else { &mut requests.get });
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.count(|requests| &mut requests.delete);
        if self.stuck.load(Ordering::SeqCst) {
            let error = Error::Generic { store: "watched", source: "stuck".into() };
            return stream::once(async { Err(error) }).boxed();
        }
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count(|requests| &mut requests.list);
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count(|requests| &mut requests.list);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.count(|requests| &mut requests.copy);
        self.inner.copy_opts(from, to, options).await
    }
}
