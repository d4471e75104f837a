//! The one table of who may call what.

use crate::role::Role;
use crate::role::Role::{Contributor, Owner, Predictor, Service};

/// Every RPC of `sphinx.v1` by its full name, with the roles that may call it. An owner, a
/// contributor and a predictor reach their own tenant's objects alone, a service those of the
/// tenant that it names. An operator calls none of them: reflection is open to every credential,
/// and health to everybody.
pub const TABLE: &[(&str, &[Role])] = &[
    ("sphinx.v1.Trainer/CreateModel", &[Owner]),
    ("sphinx.v1.Trainer/GetModel", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/ListModels", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/DeleteModel", &[Owner]),
    ("sphinx.v1.Trainer/RotateKey", &[Owner]),
    ("sphinx.v1.Trainer/PutBiases", &[Owner, Contributor]),
    ("sphinx.v1.Trainer/WatchModel", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/ListVersions", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/CompareVersions", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/ExportModel", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Trainer/Train", &[Owner, Contributor]),
    ("sphinx.v1.Inference/Prepare", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/Infer", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/SyncTickets", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/InferOnce", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/InferBatch", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/InferLinear", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/DescribeModel", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.Inference/FetchWeights", &[Owner, Contributor, Predictor]),
    ("sphinx.v1.KeyVault/ExchangeKeys", &[Owner]),
    ("sphinx.v1.KeyVault/FindUpload", &[Owner]),
    ("sphinx.v1.KeyVault/GetKey", &[Owner, Contributor, Predictor, Service]),
    ("sphinx.v1.KeyVault/ListKeys", &[Owner, Contributor]),
    ("sphinx.v1.KeyVault/FetchKey", &[Owner, Service]),
    ("sphinx.v1.KeyVault/DeleteKey", &[Owner]),
    ("sphinx.v1.KeyVault/RevokeKey", &[Owner]),
];

/// The roles that may call an RPC, by its full name; `None` for one that the table does not know.
pub fn allowed(rpc: &str) -> Option<&'static [Role]> {
    TABLE.iter().find(|(name, _)| *name == rpc).map(|(_, roles)| *roles)
}

/// Whether `role` may call `rpc`. Nobody may call what the table does not know.
pub fn may_call(role: Role, rpc: &str) -> bool {
    allowed(rpc).is_some_and(|roles| roles.contains(&role))
}
