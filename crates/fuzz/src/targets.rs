//! The targets.

mod data;
mod keys;
mod messages;
mod offline;
mod stored;
mod texts;
mod tickets;

use crate::Target;

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    // Messages of the network.
    target("network", messages::network, messages::network_seeds),
    target("optimizer", messages::optimizer, messages::optimizer_seeds),
    target("commit", messages::commit, messages::commit_seeds),
    target("pieces", messages::pieces, messages::pieces_seeds),
    target("evaluation-keys", keys::evaluation, keys::evaluation_seeds),
    // Files.
    target("key-file", keys::files, keys::file_seeds),
    target("objects", stored::objects, stored::object_seeds),
    target("ledger", stored::ledger, stored::ledger_seeds),
    target("data-ledger", stored::data_ledger, stored::data_ledger_seeds),
    target("audit-log", stored::audit, stored::audit_seeds),
    target("tickets", tickets::store, tickets::store_seeds),
    target("one-shot-files", offline::files, offline::file_seeds),
    target("credentials", texts::credentials, texts::credential_seeds),
    target("certificates", texts::certificates, texts::certificate_seeds),
    target("configuration", texts::configuration, texts::configuration_seeds),
    target("recipe", texts::recipe, texts::recipe_seeds),
    target("address", texts::address, texts::address_seeds),
    target("idx", data::idx, data::idx_seeds),
    target("numpy", data::numpy, data::numpy_seeds),
    target("csv", data::csv, data::csv_seeds),
    target("picture", data::picture, data::picture_seeds),
];
