//! Where a store lies: a directory of this machine, or a bucket of an object store.
//!
//! What a bucket needs besides its name (credentials, region, endpoint) comes from the environment,
//! by the names that the stores' own tools use: `AWS_…`, `GOOGLE_…`, `AZURE_…`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, RetryConfig};

use crate::ObjectError;
use crate::words::words;

/// How often a request is sent again before the store counts as away.
const MAX_RETRIES: usize = 6;
/// How long that may take in all.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a store lies, and what is there.
pub(crate) struct Place {
    pub backend: Arc<dyn ObjectStore>,
    pub remote: Option<Remote>,
}

/// A store that is reached by the network.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// As configured.
    pub location: String,
    /// Where credentials are looked for, and what they must allow.
    pub advice: &'static str,
}

/// The object stores.
#[derive(Debug, Clone, Copy)]
enum Kind {
    S3,
    Google,
    Azure,
}

impl Kind {
    fn advice(self) -> &'static str {
        match self {
            Self::S3 => {
                "they are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or the \
                 machine's role, and must allow to get, put, delete and list"
            }
            Self::Google => {
                "they are GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT in the \
                 environment, or the machine's account, and must allow to get, put, delete and list"
            }
            Self::Azure => {
                "they are AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY in the \
                 environment, or a managed identity, and must allow to get, put, delete and list"
            }
        }
    }
}

impl Place {
    /// Reads a location and makes what lies there ready; nothing is sent yet.
    pub(crate) fn open(location: &str) -> Result<Self, ObjectError> {
        let kind = match location.split_once("://") {
            None => return directory(location, PathBuf::from(location)),
            Some(("file", path)) if path.starts_with('/') => {
                return directory(location, PathBuf::from(path));
            }
            Some(("file", _)) => return Err(refused(location, "a file URL has an absolute path")),
            Some(("s3", _)) => Kind::S3,
            Some(("gs", _)) => Kind::Google,
            Some(("az", _)) => Kind::Azure,
            Some((scheme, _)) => {
                return Err(refused(location, format!("scheme {scheme} is not supported")));
            }
        };
        bucket(location, kind)
    }
}

fn directory(location: &str, root: PathBuf) -> Result<Place, ObjectError> {
    std::fs::create_dir_all(&root).map_err(|error| refused(location, error))?;
    let local = LocalFileSystem::new_with_prefix(&root)
        .map_err(|error| refused(location, error))?
        .with_automatic_cleanup(false)
        .with_fsync(true);
    Ok(Place { backend: Arc::new(local), remote: None })
}

fn bucket(location: &str, kind: Kind) -> Result<Place, ObjectError> {
    let (bucket, prefix) = parts(location).map_err(|cause| refused(location, cause))?;
    // The one provider of cryptography in this program; another that was chosen before stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
        ..Default::default()
    };
    let built: Result<Arc<dyn ObjectStore>, _> = match kind {
        Kind::S3 => {
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
            // Objects are removed one by one, for which stores need not know the request for many.
            builder.with_disable_bulk_delete(true).build().map(|store| Arc::new(store) as _)
        }
        Kind::Google => {
            let builder =
                GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry);
            builder.build().map(|store| Arc::new(store) as _)
        }
        Kind::Azure => {
            let builder =
                MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry);
            builder.build().map(|store| Arc::new(store) as _)
        }
    };
    let store = built.map_err(|error| refused(location, words(&error)))?;
    let backend: Arc<dyn ObjectStore> = match prefix.as_ref() {
        "" => store,
        _ => Arc::new(PrefixStore::new(store, prefix)),
    };
    let remote = Remote { location: location.to_owned(), advice: kind.advice() };
    Ok(Place { backend, remote: Some(remote) })
}

/// Bucket and prefix of `SCHEME://BUCKET/PREFIX`.
fn parts(location: &str) -> Result<(&str, Path), String> {
    let place = location.split_once("://").map_or(location, |(_, place)| place);
    if place.contains('@') {
        return Err("credentials do not belong into it, but into the environment".into());
    }
    if place.contains(['?', '#', '\\']) || place.chars().any(|c| c.is_whitespace()) {
        return Err("it has more than a bucket and a prefix".into());
    }
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if bucket.is_empty() || !bucket.bytes().all(fits) {
        return Err("its bucket is missing or malformed".into());
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    Ok((bucket, Path::parse(prefix).map_err(|error| error.to_string())?))
}

fn refused(location: &str, cause: impl ToString) -> ObjectError {
    let shown = match location.rsplit_once('@') {
        Some((before, after)) if before.contains("://") => format!("…@{after}"),
        Some(_) | None => location.to_owned(),
    };
    ObjectError::Location { location: shown, cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_have_a_prefix() {
        for (location, bucket, prefix) in [
            ("s3://models", "models", ""),
            ("s3://models/", "models", ""),
            ("s3://models/a/b/", "models", "a/b"),
            ("gs://my-bucket.example/x", "my-bucket.example", "x"),
        ] {
            assert_eq!(parts(location), Ok((bucket, Path::from(prefix))), "{location}");
        }
    }

    #[test]
    fn rejects_what_is_no_bucket_and_repeats_no_password() {
        for (location, words) in [
            ("s3://", "bucket is missing"),
            ("s3:///prefix", "bucket is missing"),
            ("s3://bücket/x", "malformed"),
            ("s3://bucket:9000/x", "malformed"),
            ("s3://bucket/a?versionId=3", "more than a bucket"),
            ("s3://bucket/a b", "more than a bucket"),
            ("s3://bucket/a//b", "empty"),
            ("az://c#part", "more than a bucket"),
            ("http://host/bucket", "scheme http is not supported"),
            ("file://relative", "absolute"),
            ("s3://AKIA1:hunter2@bucket/x", "environment"),
        ] {
            let Err(error) = Place::open(location) else { panic!("{location} is opened") };
            let text = error.to_string();
            assert!(text.contains(words), "{location}: {text}");
            assert!(text.contains("s3://BUCKET/PREFIX"), "{text}");
            assert!(!text.contains("hunter2") && !text.contains("AKIA1"), "{text}");
            assert_eq!(text.lines().count(), 1);
        }
    }
}
