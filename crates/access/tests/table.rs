//! The table knows every RPC of the schema and no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use sphinx_access::{Role, TABLE, allowed, may_call};

fn rpcs_of_the_schema() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(sphinx_proto::DESCRIPTORS).unwrap();
    let mut names = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == "sphinx.v1") {
        for service in &file.service {
            let of = |method: &str| format!("sphinx.v1.{}/{method}", service.name());
            names.extend(service.method.iter().map(|method| of(method.name())));
        }
    }
    names
}

#[test]
fn every_rpc_of_the_schema_has_a_row_and_there_are_no_others() {
    let rows: Vec<_> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    let schema = rpcs_of_the_schema();
    assert_eq!(rows.iter().cloned().collect::<BTreeSet<_>>(), schema);
    assert_eq!(rows.len(), schema.len(), "a row stands twice");
    assert!(schema.len() >= 19);
}

#[test]
fn an_owner_may_all_and_an_operator_nothing() {
    for (rpc, roles) in TABLE {
        assert!(may_call(Role::Owner, rpc), "{rpc}");
        assert!(!may_call(Role::Operator, rpc), "{rpc}");
        // Whoever may train may predict.
        assert!(!may_call(Role::Predictor, rpc) || may_call(Role::Contributor, rpc), "{rpc}");
        assert_eq!(allowed(rpc), Some(*roles));
    }
}

#[test]
fn rejects_everybody_at_an_rpc_that_the_table_does_not_know() {
    for rpc in ["sphinx.v1.Trainer/Everything", "Trainer/Train", "", "sphinx.v1.Trainer/train"] {
        assert_eq!(allowed(rpc), None);
        assert!(Role::ALL.iter().all(|role| !may_call(*role, rpc)), "{rpc}");
    }
}
