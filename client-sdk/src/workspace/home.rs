//! The directory of secret keys, evaluation keys, privacy ledgers and tickets.

mod evaluation;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sphinx_privacy::Delta;
use sphinx_privacy::ledger::{Ledger, LedgerError, PrivacyUnit};
use sphinx_proto::{Fingerprint, KeyId, ModelId, TenantId};
use sphinx_secret::{Identity, Passphrase, ReadKey, RootKey, SecretKey};

use crate::error::ClientError;
use crate::keys::identity_fingerprint;
use crate::memory::Memory;
use crate::suspects::Suspects;
use crate::tickets::{Owner, STORE_PURPOSE, StoreKey, StoreStatus, TicketStore};
use crate::training::{DataAccount, ModelLedger};
use crate::versions::SeenVersions;
use crate::workspace::WorkspaceError;

/// What a user keeps: `keys/<id>.key` (the secret root of a key), `keys/<id>.eval` (its evaluation
/// keys), `read/<tenant>/<model>.read` (read keys that others exported),
/// `ledgers/<tenant>/<model>.redb`, `data.redb` (the data sets and the secret that knows their
/// images), `pipelines/<tenant>/<model>.json`, `tickets/<tenant>/<model>/<key>/`, and what it
/// remembers of the services: `suspects/<tenant>/<model>.json`, `seen/<tenant>/<model>`.
/// Directories are made when something is first kept in them, for their owner only.
#[derive(Clone)]
pub struct Home {
    root: PathBuf,
    passphrases: Option<Passphrases>,
}

/// Says the passphrase of a key whose file is sealed, or why there is none.
pub type Passphrases = Arc<dyn Fn(&KeyId) -> io::Result<Passphrase> + Send + Sync>;

impl Home {
    /// The home at `root`, which need not exist yet. Keys that a passphrase seals cannot be used
    /// before [`Home::with_passphrases`].
    pub fn new(root: PathBuf) -> Self {
        Self { root, passphrases: None }
    }

    /// Asks `passphrases` whenever a sealed key is used.
    pub fn with_passphrases(self, passphrases: Passphrases) -> Self {
        Self { passphrases: Some(passphrases), ..self }
    }

    /// The directory.
    pub fn root_directory(&self) -> &Path {
        &self.root
    }

    /// Where the root of a key is.
    pub fn key_path(&self, id: &KeyId) -> PathBuf {
        self.keys().join(format!("{id}.key"))
    }

    /// Stores the root of a new key, sealed if there is a passphrase; never over another.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] if the key's file cannot be written or exists;
    /// [`WorkspaceError::File`].
    pub fn save_key(
        &self,
        id: &KeyId,
        root: &RootKey,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), WorkspaceError> {
        private_directory(&self.keys())?;
        let path = self.key_path(id);
        let saved = match passphrase {
            None => root.save(&path),
            Some(passphrase) => root.save_sealed(&path, passphrase),
        };
        Ok(saved.map_err(ClientError::from)?)
    }

    /// Seals a key by another passphrase, or by none. After a crash it has the old one or the new
    /// one.
    ///
    /// # Errors
    /// As [`Home::root`].
    pub fn seal_key(
        &self,
        id: &KeyId,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), WorkspaceError> {
        let root = self.root(id)?;
        Ok(root.replace(&self.key_path(id), passphrase).map_err(ClientError::from)?)
    }

    /// Whether a passphrase seals a key.
    ///
    /// # Errors
    /// As [`Home::fingerprint`].
    pub fn is_sealed(&self, id: &KeyId) -> Result<bool, WorkspaceError> {
        Ok(RootKey::is_sealed(&self.existing(id)?).map_err(ClientError::from)?)
    }

    /// The root of a key. If it is sealed, its passphrase is asked for.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if it is not here; [`WorkspaceError::Passphrase`] if it is
    /// sealed and nobody says by what; [`WorkspaceError::Client`] if its file is unusable, or the
    /// passphrase another.
    pub fn root(&self, id: &KeyId) -> Result<RootKey, WorkspaceError> {
        let path = self.existing(id)?;
        let passphrase = match &self.passphrases {
            Some(passphrases) if RootKey::is_sealed(&path).map_err(ClientError::from)? => {
                let refused = |source| WorkspaceError::Passphrase { id: id.to_string(), source };
                Some(passphrases(id).map_err(refused)?)
            }
            Some(_) | None => None,
        };
        Ok(RootKey::open(&path, passphrase.as_ref()).map_err(ClientError::from)?)
    }

    fn existing(&self, id: &KeyId) -> Result<PathBuf, WorkspaceError> {
        let path = self.key_path(id);
        if path.exists() {
            Ok(path)
        } else {
            Err(WorkspaceError::NoSecret { id: id.to_string(), path })
        }
    }

    /// The GLWE key that ciphertexts under a key are encrypted with: that of recognition in one
    /// shot.
    ///
    /// # Errors
    /// As [`Home::root`].
    pub fn key(&self, id: &KeyId) -> Result<SecretKey, WorkspaceError> {
        Ok(self.root(id)?.one_shot_key().map_err(ClientError::from)?)
    }

    /// Where the imported read key of a model is.
    pub fn read_key_path(&self, tenant: &TenantId, model: &ModelId) -> PathBuf {
        self.root.join("read").join(tenant.as_str()).join(format!("{model}.read"))
    }

    /// Keeps a read key that somebody exported, in the place of an earlier one of the model.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] if the name of its model is none or the file cannot be written;
    /// [`WorkspaceError::File`].
    pub(super) fn keep_read_key(&self, key: &ReadKey) -> Result<ModelId, WorkspaceError> {
        let name = key.model();
        let tenant = TenantId::parse(name.tenant.as_str()).map_err(ClientError::from)?;
        let model = ModelId::parse(name.model.as_str()).map_err(ClientError::from)?;
        let path = self.read_key_path(&tenant, &model);
        if let Some(directory) = path.parent() {
            private_directory(directory)?;
        }
        // Aside first: a full disk leaves the earlier one.
        let aside = path.with_extension(format!("read.new-{}", std::process::id()));
        key.save(&aside).map_err(ClientError::from)?;
        fs::rename(&aside, &path).map_err(|source| file_error(&path, source))?;
        Ok(model)
    }

    /// The imported read key of a model, if there is one.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] if its file is unusable.
    pub fn imported_read_key(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<Option<ReadKey>, WorkspaceError> {
        let path = self.read_key_path(tenant, model);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(ReadKey::load(&path).map_err(ClientError::from)?))
    }

    /// The key that a model's tickets lie under here: made from the root of its key, or from the
    /// read key where there is no root.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if neither is here; [`WorkspaceError::Client`] if a file is
    /// unusable.
    pub fn ticket_key(
        &self,
        tenant: &TenantId,
        model: &ModelId,
        key: &KeyId,
    ) -> Result<StoreKey, WorkspaceError> {
        let derived = match self.root(key) {
            Ok(root) => root.derive(STORE_PURPOSE),
            Err(missing @ WorkspaceError::NoSecret { .. }) => {
                let read_key = self.imported_read_key(tenant, model)?.ok_or(missing)?;
                read_key.derive(STORE_PURPOSE)
            }
            Err(error) => return Err(error),
        };
        Ok(StoreKey::new(derived))
    }

    /// A key's identity, for which no passphrase is needed.
    ///
    /// # Errors
    /// [`WorkspaceError::NoSecret`] if the key is not here; [`WorkspaceError::Client`] if its file
    /// is unusable.
    pub fn identity(&self, id: &KeyId) -> Result<Identity, WorkspaceError> {
        Ok(RootKey::identity_of(&self.existing(id)?).map_err(ClientError::from)?)
    }

    /// Fingerprint of a key's identity.
    ///
    /// # Errors
    /// As [`Home::identity`].
    pub fn fingerprint(&self, id: &KeyId) -> Result<Fingerprint, WorkspaceError> {
        Ok(identity_fingerprint(&self.identity(id)?))
    }

    /// Keys whose secret half is here, by id.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn key_ids(&self) -> Result<Vec<KeyId>, WorkspaceError> {
        let directory = self.keys();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(file_error(&directory, source)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(|source| file_error(&directory, source))?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".key"));
            ids.extend(id.and_then(|id| KeyId::parse(id).ok()));
        }
        ids.sort();
        Ok(ids)
    }

    /// Where a model's privacy ledger is.
    pub fn ledger(&self, tenant: &TenantId, model: &ModelId) -> PathBuf {
        self.root.join("ledgers").join(tenant.as_str()).join(format!("{model}.redb"))
    }

    /// The ledger of the data sets that models of a tenant are trained on.
    pub fn data_account(&self, tenant: &TenantId) -> DataAccount {
        let (ledger, models) = (self.root.join("data.redb"), self.root.join("ledgers"));
        DataAccount { ledger, models, tenant: tenant.clone(), name: None }
    }

    /// The store of a model's tickets.
    pub fn tickets(&self, tenant: &TenantId, model: &ModelId, key: &KeyId) -> PathBuf {
        let directory = self.root.join("tickets").join(tenant.as_str());
        directory.join(model.as_str()).join(key.as_str())
    }

    /// The marks of a tenant's models whose services answered wrongly.
    pub fn suspects(&self, tenant: &TenantId) -> Suspects {
        Suspects::new(self.root.join("suspects").join(tenant.as_str()))
    }

    /// The versions of a tenant's models that were seen.
    pub fn seen_versions(&self, tenant: &TenantId) -> SeenVersions {
        SeenVersions::new(self.root.join("seen").join(tenant.as_str()))
    }

    /// What this home remembers of the services.
    pub fn memory(&self, tenant: &TenantId) -> Memory {
        Memory::new(self.suspects(tenant), self.seen_versions(tenant))
    }

    /// Every store of tickets of a tenant, or of one of its models.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn ticket_stores(
        &self,
        tenant: &TenantId,
        model: Option<&ModelId>,
    ) -> Result<Vec<(ModelId, KeyId)>, WorkspaceError> {
        let directory = self.root.join("tickets").join(tenant.as_str());
        let mut stores = Vec::new();
        for name in names(&directory)? {
            let Ok(found) = ModelId::parse(name.as_str()) else { continue };
            if model.is_none_or(|model| *model == found) {
                let keys = names(&directory.join(name))?.into_iter();
                let keys = keys.filter_map(|name| KeyId::parse(name).ok());
                stores.extend(keys.map(|key| (found.clone(), key)));
            }
        }
        Ok(stores)
    }

    /// What a store of tickets holds.
    ///
    /// # Errors
    /// As [`Home::ticket_key`]; [`WorkspaceError::Client`] for a store that cannot be read.
    pub fn ticket_status(
        &self,
        tenant: &TenantId,
        model: &ModelId,
        key: &KeyId,
    ) -> Result<StoreStatus, WorkspaceError> {
        let secret = self.ticket_key(tenant, model, key)?;
        let owner =
            Owner { tenant: tenant.to_string(), model: model.to_string(), key_id: key.to_string() };
        let store = TicketStore::open(&self.tickets(tenant, model, key), owner, &secret);
        let status = store.and_then(|store| store.status());
        Ok(status.map_err(ClientError::from)?)
    }

    /// Starts the ledger of a model that is about to be created. One that nothing was ever charged
    /// to, left by an attempt that failed, is replaced.
    ///
    /// # Errors
    /// [`WorkspaceError::Client`] with [`LedgerError::AlreadyExists`] if something was charged to
    /// one there; [`WorkspaceError::File`].
    pub(super) fn create_ledger(
        &self,
        path: &Path,
        model: &ModelId,
        units: (PrivacyUnit, usize),
        delta: Delta,
    ) -> Result<(), WorkspaceError> {
        if let Some(directory) = path.parent() {
            private_directory(directory)?;
        }
        if path.exists() {
            let kept = Ledger::open_model(path, model.as_str()).map_err(ClientError::from)?;
            if !kept.records().is_empty() {
                let exists = LedgerError::AlreadyExists { path: path.to_owned() };
                return Err(ClientError::from(exists).into());
            }
            drop(kept);
            fs::remove_file(path).map_err(|source| file_error(path, source))?;
        }
        Ok(ModelLedger::create_for(path, model.as_str(), units, delta)?)
    }

    /// Puts the ledger of a deleted model aside, so that its name is free and the record of what
    /// was spent on the data stays. `None` if there was none.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub(super) fn retire_ledger(
        &self,
        tenant: &TenantId,
        model: &ModelId,
    ) -> Result<Option<PathBuf>, WorkspaceError> {
        let path = self.ledger(tenant, model);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = now.unwrap_or(Duration::ZERO).as_secs();
        let retired = path.with_extension(format!("redb.deleted-{seconds}"));
        match fs::rename(&path, &retired) {
            Ok(()) => Ok(Some(retired)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file_error(&path, source)),
        }
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(&self.root).finish()
    }
}

/// Writes a file, whole or not at all, readable by its owner only; never over another.
///
/// # Errors
/// What the system says; [`io::ErrorKind::AlreadyExists`] for a file that is there.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    // The name must be as durable as the content.
    fs::File::open(directory)?.sync_all()
}

/// Names in a directory that need not be there, sorted.
fn names(directory: &Path) -> Result<Vec<String>, WorkspaceError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(file_error(directory, source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|source| file_error(directory, source))?.file_name();
        names.extend(name.into_string());
    }
    names.sort();
    Ok(names)
}

pub(super) fn private_directory(path: &Path) -> Result<(), WorkspaceError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| file_error(path, source))
}

pub(super) fn file_error(path: &Path, source: io::Error) -> WorkspaceError {
    WorkspaceError::File { path: path.to_owned(), source }
}
