//! Blocks of others are left alone.

use std::fs;

use sphinx_tickets::TicketStore;

use crate::world::{edition, files, filled, key, owner};

#[test]
fn rejects_the_tickets_of_another_key_model_or_tenant_and_leaves_them_alone() {
    let (directory, store, _) = filled(&[10]);
    let mut others = vec![(owner(), key(2))];
    let mut of_model = owner();
    of_model.model = "faces".to_owned();
    let mut of_tenant = owner();
    of_tenant.tenant = "other".to_owned();
    let mut of_key = owner();
    of_key.key_id = "yours".to_owned();
    others.extend([of_model, of_tenant, of_key].map(|owner| (owner, key(1))));
    for (owner, key) in others {
        let other = TicketStore::open(directory.path(), owner, &key).unwrap();
        assert_eq!(other.unused(&edition(1)).unwrap(), 0);
        assert!(other.lease(&edition(1), 1).unwrap().is_empty());
        let status = other.status().unwrap();
        assert_eq!((status.blocks.len(), status.foreign, status.set_aside), (0, 1, 0));
    }
    assert_eq!(store.unused(&edition(1)).unwrap(), 10);
}

#[test]
fn rejects_a_copied_file() {
    let (directory, store, _) = filled(&[10]);
    let block = files(directory.path(), "tickets").remove(0);
    fs::copy(&block, block.with_file_name(format!("{:032x}.tickets", 7))).unwrap();
    assert_eq!(store.lease(&edition(1), 20).unwrap().len(), 10);
    assert_eq!(store.status().unwrap().foreign, 1);
}
