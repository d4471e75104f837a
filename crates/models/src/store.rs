//! The models: created once, moved on by compare-and-set commits.
//!
//! A commit creates the object of version N + 1, which the backend does for one of several callers;
//! nothing else orders them. Two further rules let nobody list a folder for it:
//!
//! 1. **The names of versions are one run without a gap.** Pruning removes the lowest name only,
//!    and what it keeps goes on under another name (`prune.rs`). So while version N has its name,
//!    N + 1 has not been removed: if N + 1 is not there it has never been.
//! 2. **A hint says where to look** (`newest.rs`). It may be late, lost or damaged: readers probe
//!    upwards from it, and find out by rule 1 whether it was of any use.
//!
//! A writer that fell asleep between its look at the model and its create could take the name of a
//! version that has come and gone. After the create it therefore looks for the object of N again:
//! it must be the very one that it saw before (`Found`), and then, by rule 1, N + 1 had not been
//! removed before it was created. If N is another object or is gone, so many have committed since
//! that nobody can say on what; the writer removes what it created and is told of a conflict.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStore;
use object_store::path::Path;
use sphinx_objects::record::{RecordError, seal, unseal};
use sphinx_objects::{Entry, Found, ObjectError, Objects, Put};
use sphinx_proto::{ModelId, TenantId};

use crate::error::StoreError;
use crate::layout;
use crate::model::{BiasesRecord, MetaRecord, ModelMeta, ModelVersion, VersionRecord};
use crate::retention::Retention;

mod kept;
mod newest;
mod prune;
mod reach;
mod rotation;

/// Descriptions read at once by a listing.
const READ_AT_ONCE: usize = 16;

/// The models of all tenants. Clones, and other processes on the same store, may be used at once.
#[derive(Debug, Clone)]
pub struct ModelStore {
    objects: Objects,
    retention: Retention,
}

/// A model and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredModel {
    /// What it is.
    pub meta: ModelMeta,
    /// Its newest version.
    pub head: u64,
    /// When that was written, seconds since 1970-01-01 UTC.
    pub updated_unix_seconds: i64,
}

/// The answer to a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The model as stored.
    pub model: StoredModel,
    /// The same request had made it before.
    pub repeated: bool,
}

/// The answer to a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The version that holds the commit.
    pub version: u64,
    /// This very commit had been stored before.
    pub repeated: bool,
}

impl ModelStore {
    /// Opens the models of a store ([`Objects::open`]).
    ///
    /// # Errors
    /// [`ObjectError::Location`].
    pub fn open(location: &str) -> Result<Self, StoreError> {
        Ok(Self { objects: Objects::open(location)?, retention: Retention::default() })
    }

    /// Asks a store behind the network whether it can be read ([`Objects::check_reads`]).
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn check_reads(&self) -> Result<(), StoreError> {
        Ok(self.objects.check_reads().await?)
    }

    /// Asks a store behind the network whether commits to it are safe ([`Objects::check_writes`]).
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn check_writes(&self) -> Result<(), StoreError> {
        Ok(self.objects.check_writes().await?)
    }

    /// Uses any backend that has an atomic create.
    pub fn with_backend(backend: Arc<dyn ObjectStore>) -> Self {
        Self { objects: Objects::with_backend(backend), retention: Retention::default() }
    }

    /// Keeps other versions than by default; what counts is what the store that commits keeps.
    #[must_use]
    pub fn retaining(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Stores a new model at version 0. The same request (key, network, seed) is accepted again
    /// while the model is at version 0.
    ///
    /// # Errors
    /// [`StoreError::ModelExists`] when the name is taken.
    pub async fn create(
        &self,
        meta: &ModelMeta,
        initial: ModelVersion,
    ) -> Result<Created, StoreError> {
        let initial = ModelVersion { version: 0, commit: None, ..initial };
        let updated_unix_seconds = initial.updated_unix_seconds;
        // The version first: a description that can be seen has its version 0.
        self.objects.create(&layout::version(meta, 0), encoded(initial).await?).await?;
        let path = layout::meta(&meta.tenant, &meta.model_id);
        match self.objects.create(&path, seal(&MetaRecord::from(meta))).await? {
            Put::Stored => {
                self.hint_at(meta, 0).await;
                let model = StoredModel { meta: meta.clone(), head: 0, updated_unix_seconds };
                Ok(Created { model, repeated: false })
            }
            Put::Exists => {
                let model = self.get(&meta.tenant, &meta.model_id).await?;
                if model.meta.incarnation != meta.incarnation {
                    self.objects.delete(&layout::version(meta, 0)).await?;
                }
                if model.head != 0 || !model.meta.same_request(meta) {
                    return Err(StoreError::ModelExists { model: meta.model_id.clone() });
                }
                Ok(Created { model, repeated: true })
            }
        }
    }

    /// A model and where it stands.
    ///
    /// # Errors
    /// [`StoreError::NoModel`].
    pub async fn get(&self, tenant: &TenantId, model: &ModelId) -> Result<StoredModel, StoreError> {
        let meta = self.meta(tenant, model).await?;
        let newest = self.newest(&meta).await?;
        let (head, found) = newest.ok_or_else(|| StoreError::NoModel { model: model.clone() })?;
        Ok(StoredModel { meta, head, updated_unix_seconds: found.written_unix_seconds })
    }

    /// A tenant's models by name.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<StoredModel>, StoreError> {
        let names = self.objects.folders(&layout::tenant(tenant)).await?;
        // A crash or a deletion leaves folders that are not named like a model or have no
        // description.
        let models = names.into_iter().filter_map(|name| ModelId::parse(name).ok());
        let found = stream::iter(models).map(|model| async move {
            match self.get(tenant, &model).await {
                Err(StoreError::NoModel { .. }) => Ok(None),
                other => other.map(Some),
            }
        });
        found.buffered(READ_AT_ONCE).try_filter_map(|model| async { Ok(model) }).try_collect().await
    }

    /// Bytes of all that is stored of a tenant's models: every version that is kept.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn stored_bytes(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        Ok(self.objects.bytes(&layout::tenant(tenant)).await?)
    }

    /// The newest version's number.
    ///
    /// # Errors
    /// [`StoreError::NoModel`] when the model was deleted.
    pub async fn head(&self, meta: &ModelMeta) -> Result<u64, StoreError> {
        let newest = self.newest(meta).await?.map(|(version, _)| version);
        newest.ok_or_else(|| StoreError::NoModel { model: meta.model_id.clone() })
    }

    /// Reads a version, or the newest.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`] for one that is not kept, [`StoreError::NoModel`],
    /// [`ObjectError::Damaged`].
    pub async fn load(
        &self,
        meta: &ModelMeta,
        version: Option<u64>,
    ) -> Result<ModelVersion, StoreError> {
        // The newest may be pruned between looking and reading, if commits are very fast.
        let mut wanted = match version {
            Some(version) => version,
            None => self.head(meta).await?,
        };
        loop {
            for path in [layout::version(meta, wanted), layout::kept(meta, wanted)] {
                let Some(object) = self.objects.get(&path).await? else { continue };
                return match decoded(&path, object, wanted).await {
                    Err(ObjectError::Damaged {
                        cause: RecordError::Format { got: 1, .. }, ..
                    }) => Err(StoreError::Earlier { model: meta.model_id.clone() }),
                    decoded => Ok(decoded?),
                };
            }
            let there = self.versions(meta).await?;
            let (Some(oldest), Some(head)) = (there.first().copied(), there.last().copied()) else {
                return Err(StoreError::NoModel { model: meta.model_id.clone() });
            };
            if version.is_some() || head == wanted {
                let model = meta.model_id.clone();
                return Err(StoreError::NoVersion { model, version: wanted, oldest, head });
            }
            wanted = head;
        }
    }

    /// Stores `next` if the model is at `next.version - 1`. Repeating a stored commit (same session
    /// and step) answers with its version and changes nothing. Versions that [`Retention`] does not
    /// keep are pruned afterwards, which may fail without consequence.
    ///
    /// Cost for `sphinx-mnist` (5 MB): about 5 ms, and what the disk takes to sync.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the model is elsewhere, [`StoreError::NoModel`] when it was
    /// deleted.
    pub async fn commit(
        &self,
        meta: &ModelMeta,
        next: ModelVersion,
    ) -> Result<Committed, StoreError> {
        let (version, commit) = (next.version, next.commit);
        let begins = commit.is_some_and(|commit| commit.step == 0);
        if let Some(base) = self.base_of(meta, version, begins).await? {
            let object = encoded(next).await?;
            if self.objects.create(&layout::version(meta, version), object).await? == Put::Stored {
                return self.settle(meta, version, base).await;
            }
        }
        let base = version.saturating_sub(1);
        match self.load(meta, Some(version)).await {
            Ok(stored) if commit.is_some() && stored.commit == commit => {
                Ok(Committed { version, repeated: true })
            }
            Ok(_) | Err(StoreError::NoVersion { .. }) => {
                let (model, head) = (meta.model_id.clone(), self.head(meta).await?);
                Err(StoreError::Conflict { model, base, head })
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps the encrypted biases of a version, opaque here, in the place of others.
    ///
    /// # Errors
    /// [`StoreError::NoVersion`] for a version that is not kept, [`StoreError::NoModel`].
    pub async fn put_biases(
        &self,
        meta: &ModelMeta,
        version: u64,
        biases: Bytes,
    ) -> Result<(), StoreError> {
        let path = layout::version(meta, version);
        if self.objects.find(&path).await?.is_none() {
            // Among the older ones that are kept, or it says which versions there are.
            self.load(meta, Some(version)).await?;
        }
        let record = seal(&BiasesRecord { biases });
        Ok(self.objects.replace(&layout::biases(meta, version), record).await?)
    }

    /// The encrypted biases of a version, if somebody put them there.
    ///
    /// # Errors
    /// [`ObjectError::Damaged`].
    pub async fn biases(
        &self,
        meta: &ModelMeta,
        version: u64,
    ) -> Result<Option<Bytes>, StoreError> {
        let path = layout::biases(meta, version);
        let Some(object) = self.objects.get(&path).await? else { return Ok(None) };
        let record = unseal::<BiasesRecord>(object).map_err(|cause| damaged(&path, cause))?;
        Ok(Some(record.biases))
    }

    /// Removes a model with all its versions.
    ///
    /// # Errors
    /// [`StoreError::NoModel`] when there is none.
    pub async fn delete(&self, tenant: &TenantId, model: &ModelId) -> Result<(), StoreError> {
        let meta = self.meta(tenant, model).await?;
        // The description first: from then on the model is gone, and what a crash leaves of its
        // versions lies in an incarnation that nobody looks at.
        self.objects.delete(&layout::meta(tenant, model)).await?;
        let entries = self.objects.list(&layout::versions(&meta)).await?;
        for version in numbers(&entries, layout::parse_version) {
            self.objects.delete(&layout::version(&meta, version)).await?;
        }
        for version in numbers(&entries, layout::parse_kept) {
            self.objects.delete(&layout::kept(&meta, version)).await?;
        }
        for version in numbers(&entries, layout::parse_beginning) {
            self.objects.delete(&layout::beginning(&meta, version)).await?;
        }
        for version in numbers(&entries, layout::parse_biases) {
            self.objects.delete(&layout::biases(&meta, version)).await?;
        }
        Ok(self.objects.delete(&layout::head(&meta)).await?)
    }

    /// The version before `version`, if the model may stand there; where a session `begins`, it is
    /// marked as what that began at.
    async fn base_of(
        &self,
        meta: &ModelMeta,
        version: u64,
        begins: bool,
    ) -> Result<Option<Found>, StoreError> {
        let Some(number) = version.checked_sub(1) else { return Ok(None) };
        let base = self.objects.find(&layout::version(meta, number)).await?;
        if base.is_none() || !begins {
            return Ok(base);
        }
        if self.objects.find(&layout::version(meta, version)).await?.is_some() {
            return Ok(None);
        }
        // Before the commit: a crash right after it would leave its base without the mark.
        let marked = self.objects.create(&layout::beginning(meta, number), Bytes::new()).await?;
        // Earlier releases kept marked versions under their names, with nothing above them.
        let stands = marked == Put::Stored || self.head(meta).await? == number;
        Ok(base.filter(|_| stands))
    }

    /// After a create that succeeded: makes sure that it succeeded because the version was new and
    /// not because it had been pruned already; then says where the model stands, and prunes.
    async fn settle(
        &self,
        meta: &ModelMeta,
        version: u64,
        base: Found,
    ) -> Result<Committed, StoreError> {
        let number = version.saturating_sub(1);
        if self.objects.find(&layout::version(meta, number)).await? != Some(base) {
            self.objects.delete(&layout::version(meta, version)).await?;
            let (model, head) = (meta.model_id.clone(), self.head(meta).await?);
            return Err(StoreError::Conflict { model, base: number, head });
        }
        let ((), pruned) = futures::join!(self.hint_at(meta, version), self.prune(meta, version));
        if let Err(error) = pruned {
            tracing::warn!(%error, "cannot prune an old version");
        }
        Ok(Committed { version, repeated: false })
    }

    async fn meta(&self, tenant: &TenantId, model: &ModelId) -> Result<ModelMeta, StoreError> {
        let path = layout::meta(tenant, model);
        let object = self.objects.get(&path).await?;
        let object = object.ok_or_else(|| StoreError::NoModel { model: model.clone() })?;
        let meta = unseal::<MetaRecord>(object).and_then(ModelMeta::try_from);
        let meta = meta.map_err(|cause| damaged(&path, cause))?;
        if (&meta.tenant, &meta.model_id) == (tenant, model) {
            Ok(meta)
        } else {
            let cause = format!("it describes {}/{}", meta.tenant, meta.model_id);
            Err(damaged(&path, RecordError::Message(cause)).into())
        }
    }

    /// All versions that can be read, in ascending order: by a listing.
    async fn versions(&self, meta: &ModelMeta) -> Result<Vec<u64>, StoreError> {
        let entries = self.objects.list(&layout::versions(meta)).await?;
        let mut versions = numbers(&entries, layout::parse_kept);
        versions.extend(numbers(&entries, layout::parse_version));
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }
}

/// The versions that names of a listing stand for, ascending.
fn numbers(entries: &[Entry], parse: impl Fn(&str) -> Option<u64>) -> Vec<u64> {
    entries.iter().filter_map(|entry| parse(&entry.name)).collect()
}

/// Encodes off the asynchronous threads: it takes milliseconds.
async fn encoded(version: ModelVersion) -> Result<Bytes, ObjectError> {
    let encode = tokio::task::spawn_blocking(move || seal(&VersionRecord::from(version)));
    encode.await.map_err(|error| ObjectError::Backend {
        path: "encoder".to_owned(),
        cause: error.to_string(),
    })
}

async fn decoded(path: &Path, object: Bytes, version: u64) -> Result<ModelVersion, ObjectError> {
    let decode = tokio::task::spawn_blocking(|| {
        unseal::<VersionRecord>(object).and_then(ModelVersion::try_from)
    });
    let decoded = decode.await.map_err(|error| ObjectError::Backend {
        path: path.to_string(),
        cause: error.to_string(),
    })?;
    let stored = decoded.map_err(|cause| damaged(path, cause))?;
    if stored.version == version {
        Ok(stored)
    } else {
        let cause = format!("it holds version {}", stored.version);
        Err(damaged(path, RecordError::Message(cause)))
    }
}

fn damaged(path: &Path, cause: RecordError) -> ObjectError {
    ObjectError::Damaged { path: path.to_string(), cause }
}
