//! Where things lie: `models/<tenant>/<model>/meta` and
//! `models/<tenant>/<model>/v/<incarnation>/<version, 20 digits>`; beside a version that a training
//! session began at, an empty object of its name and `.begun`, and beside one that is used in one
//! shot its encrypted biases, `.biases`. A version that is kept after it has left the newest ones
//! goes by its name and `.kept`. `models/<tenant>/<model>/head/<incarnation>` is a hint at the
//! newest version.
//!
//! The incarnation tells a model from a deleted one of the same name, so that a commit that was
//! under way while the model was deleted cannot show up in its successor.

use object_store::path::Path;
use sphinx_proto::{ModelId, TenantId};

use crate::model::ModelMeta;

const BEGUN: &str = ".begun";
const BIASES: &str = ".biases";
const KEPT: &str = ".kept";

/// The folder of a tenant's models.
pub(crate) fn tenant(tenant: &TenantId) -> Path {
    Path::from_iter(["models", tenant.as_str()])
}

/// A model's description.
pub(crate) fn meta(tenant: &TenantId, model: &ModelId) -> Path {
    Path::from_iter(["models", tenant.as_str(), model.as_str(), "meta"])
}

/// The folder of a model's versions.
pub(crate) fn versions(meta: &ModelMeta) -> Path {
    of_incarnation(meta, "v")
}

/// The hint at a model's newest version.
pub(crate) fn head(meta: &ModelMeta) -> Path {
    of_incarnation(meta, "head")
}

fn of_incarnation(meta: &ModelMeta, what: &str) -> Path {
    let incarnation = u128::from_be_bytes(meta.incarnation);
    let incarnation = format!("{incarnation:032x}");
    Path::from_iter(["models", meta.tenant.as_str(), meta.model_id.as_str(), what, &incarnation])
}

/// One version of a model.
pub(crate) fn version(meta: &ModelMeta, version: u64) -> Path {
    versions(meta).join(format!("{version:020}"))
}

/// The mark of a version that a session began at.
pub(crate) fn beginning(meta: &ModelMeta, version: u64) -> Path {
    versions(meta).join(format!("{version:020}{BEGUN}"))
}

/// The encrypted biases of a version.
pub(crate) fn biases(meta: &ModelMeta, version: u64) -> Path {
    versions(meta).join(format!("{version:020}{BIASES}"))
}

/// One version that is kept although it is no longer among the newest.
pub(crate) fn kept(meta: &ModelMeta, version: u64) -> Path {
    versions(meta).join(format!("{version:020}{KEPT}"))
}

/// The version that an object of the folder keeps.
pub(crate) fn parse_kept(name: &str) -> Option<u64> {
    name.strip_suffix(KEPT).and_then(parse_version)
}

/// The version whose encrypted biases an object of the folder holds.
pub(crate) fn parse_biases(name: &str) -> Option<u64> {
    name.strip_suffix(BIASES).and_then(parse_version)
}

/// The version an object of the folder holds; `None` for foreign files.
pub(crate) fn parse_version(name: &str) -> Option<u64> {
    (name.len() == 20).then(|| name.parse().ok()).flatten()
}

/// The version that an object of the folder marks.
pub(crate) fn parse_beginning(name: &str) -> Option<u64> {
    name.strip_suffix(BEGUN).and_then(parse_version)
}
