//! Objects by path: created once, read whole.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error as Backend, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use crate::ObjectError;
use crate::location::{Place, Remote};
use crate::words::words;

/// A store of objects. Clones share it.
#[derive(Clone)]
pub struct Objects {
    backend: Arc<dyn ObjectStore>,
    /// What is said of it when it fails; `None` for a directory.
    remote: Option<Remote>,
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is stored, durably.
    Stored,
    /// There was one at this path; it is unchanged.
    Exists,
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Last part of its path.
    pub name: String,
    /// When it was written, seconds since 1970-01-01 UTC.
    pub written_unix_seconds: i64,
}

/// An object that is there, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When it was written, seconds since 1970-01-01 UTC.
    pub written_unix_seconds: i64,
    /// What the backend tells it by from another object at the same path.
    meta: ObjectMeta,
}

impl Objects {
    /// Opens a store: a local directory, given as a path or a `file://` URL and made when it is not
    /// there, or a bucket, `s3://BUCKET/PREFIX`, `gs://…` or `az://…`, with credentials from the
    /// environment. A bucket is not asked yet; [`Objects::check_writes`] does.
    ///
    /// Every write to a directory is synced, file and directories, before it is acknowledged.
    ///
    /// # Errors
    /// [`ObjectError::Location`] for another kind of URL or a directory that cannot be made.
    pub fn open(location: &str) -> Result<Self, ObjectError> {
        let Place { backend, remote } = Place::open(location)?;
        Ok(Self { backend, remote })
    }

    /// Uses any backend that has an atomic create.
    pub fn with_backend(backend: Arc<dyn ObjectStore>) -> Self {
        Self { backend, remote: None }
    }

    pub(crate) fn backend(&self) -> &dyn ObjectStore {
        self.backend.as_ref()
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.remote.as_ref()
    }

    /// Writes an object unless there is one at this path.
    ///
    /// # Errors
    /// [`ObjectError::Backend`]; the object is then stored whole or not at all.
    pub async fn create(&self, path: &Path, bytes: Bytes) -> Result<Put, ObjectError> {
        let options = PutOptions::from(PutMode::Create);
        match self.backend.put_opts(path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(Put::Stored),
            Err(Backend::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Writes an object in place of whatever is at this path.
    ///
    /// # Errors
    /// [`ObjectError::Backend`]; the path then holds the old or the new object, whole.
    pub async fn replace(&self, path: &Path, bytes: Bytes) -> Result<(), ObjectError> {
        let put = self.backend.put(path, PutPayload::from_bytes(bytes)).await;
        put.map(|_| ()).map_err(|error| failed(path, &error))
    }

    /// Reads an object; `None` when there is none.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn get(&self, path: &Path) -> Result<Option<Bytes>, ObjectError> {
        let read = async { self.backend.get(path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Backend::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Looks whether there is an object, without reading it; `None` when there is none. Two answers
    /// are equal only if nobody wrote or removed the object in between.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn find(&self, path: &Path) -> Result<Option<Found>, ObjectError> {
        match self.backend.head(path).await {
            Ok(meta) => {
                Ok(Some(Found { written_unix_seconds: meta.last_modified.timestamp(), meta }))
            }
            Err(Backend::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// Copies an object to another path, in place of whatever is there; `false` when there is none
    /// to copy.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn copy(&self, from: &Path, to: &Path) -> Result<bool, ObjectError> {
        match self.backend.copy(from, to).await {
            Ok(()) => Ok(true),
            Err(Backend::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(from, &error)),
        }
    }

    /// Removes an object; removing what is not there is fine.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn delete(&self, path: &Path) -> Result<(), ObjectError> {
        match self.backend.delete(path).await {
            Ok(()) | Err(Backend::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// The objects directly under a path, by name.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn list(&self, under: &Path) -> Result<Vec<Entry>, ObjectError> {
        let listing = self.backend.list_with_delimiter(Some(under)).await;
        let listing = listing.map_err(|error| failed(under, &error))?;
        let entry = |object: object_store::ObjectMeta| {
            let name = object.location.filename()?.to_owned();
            Some(Entry { name, written_unix_seconds: object.last_modified.timestamp() })
        };
        let mut entries: Vec<_> = listing.objects.into_iter().filter_map(entry).collect();
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Bytes of all objects under a path, in its folders too. It lists them all.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn bytes(&self, under: &Path) -> Result<u64, ObjectError> {
        let listed = self.backend.list(Some(under));
        let bytes =
            listed.try_fold(0, async |sum: u64, object| Ok(sum.saturating_add(object.size)));
        bytes.await.map_err(|error| failed(under, &error))
    }

    /// The names of the folders directly under a path, sorted.
    ///
    /// # Errors
    /// [`ObjectError::Backend`].
    pub async fn folders(&self, under: &Path) -> Result<Vec<String>, ObjectError> {
        let listing = self.backend.list_with_delimiter(Some(under)).await;
        let folders = listing.map_err(|error| failed(under, &error))?.common_prefixes;
        let mut names: Vec<_> =
            folders.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.backend)
    }
}

fn failed(path: &Path, error: &Backend) -> ObjectError {
    ObjectError::Backend { path: path.to_string(), cause: words(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_object_is_created_once() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::open(dir.path().join("new/store").to_str().unwrap()).unwrap();
        let path = Path::from("a/b");
        assert_eq!(objects.get(&path).await, Ok(None));
        assert_eq!(objects.create(&path, Bytes::from_static(b"1")).await, Ok(Put::Stored));
        assert_eq!(objects.create(&path, Bytes::from_static(b"2")).await, Ok(Put::Exists));
        assert_eq!(objects.get(&path).await, Ok(Some(Bytes::from_static(b"1"))));
        let first = objects.find(&path).await.unwrap();
        assert_eq!((objects.find(&path).await.unwrap(), first.is_some()), (first.clone(), true));
        objects.replace(&path, Bytes::from_static(b"3")).await.unwrap();
        assert_ne!(objects.find(&path).await.unwrap(), first);
        assert_eq!(objects.get(&path).await, Ok(Some(Bytes::from_static(b"3"))));
        assert_eq!(objects.folders(&Path::default()).await, Ok(vec!["a".to_owned()]));
        let names: Vec<_> =
            objects.list(&Path::from("a")).await.unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(objects.copy(&path, &Path::from("c/d")).await, Ok(true));
        objects.delete(&path).await.unwrap();
        objects.delete(&path).await.unwrap();
        assert_eq!(objects.find(&path).await, Ok(None));
        assert_eq!(objects.copy(&path, &Path::from("c/d")).await, Ok(false));
        assert_eq!(objects.get(&Path::from("c/d")).await, Ok(Some(Bytes::from_static(b"3"))));
        assert_eq!(objects.list(&Path::from("a")).await, Ok(vec![]));
    }

    #[test]
    fn opens_a_file_url() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}/store", dir.path().display());
        Objects::open(&url).unwrap();
        assert!(dir.path().join("store").is_dir());
    }

    #[test]
    fn rejects_locations_it_cannot_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for location in ["ftp://host/x", "file://relative", file.path().to_str().unwrap()] {
            let error = Objects::open(location).unwrap_err();
            assert!(matches!(error, ObjectError::Location { .. }), "{error}");
        }
    }
}
