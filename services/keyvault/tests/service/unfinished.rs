//! Unfinished uploads: how many are kept, for how long, and what happens beside damage.

use std::time::Duration;

use sphinx_proto::v1::{FindUploadRequest, KeyHeader};
use tonic::{Code, Request};

use crate::common::{Vault, chunk_part, header_part, of_tenant, start};
use crate::evaluation::{PART, header, keys, part_files, send, stored};

/// Two parts that begin as evaluation keys do.
fn material(tag: u8) -> Vec<u8> {
    let mut material = vec![tag; 2 * PART];
    material[..200].copy_from_slice(&keys()[..200]);
    material
}

#[tokio::test]
async fn unfinished_uploads_are_bounded_in_number_and_in_age() {
    let vault = start(|config| config.limits.max_uploads = 2).await;
    for tag in 1..=3 {
        let bytes = material(tag);
        send(&vault, header("laptop", &bytes), &bytes[..PART + PART / 2]).await.unwrap_err();
        // Modification times have seconds.
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let mut kept = Vec::new();
    for tag in 1..=3 {
        kept.push(stored(&vault, header("laptop", &material(tag))).await);
    }
    assert_eq!(kept[0], 0);
    assert_eq!(kept[2], PART as u64);
    assert!(part_files(&vault) <= 2);
    // A vault that starts later finds them too old.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let Vault { dir, shutdown, served, .. } = vault;
    shutdown.cancel();
    served.await.unwrap().unwrap();
    let again = start(|config| {
        config.store = dir.path().to_str().unwrap().to_owned();
        config.limits.max_upload_age_seconds = 1;
    })
    .await;
    assert_eq!(stored(&again, header("laptop", &material(3))).await, 0);
}

/// Files under the parts of one tenant.
fn files(vault: &Vault, tenant: &str) -> usize {
    std::fs::read_dir(vault.dir.path().join("parts").join(tenant)).into_iter().flatten().count()
}

/// Sends the first `length` bytes of some material in the name of a tenant.
async fn send_as(
    vault: &Vault,
    tenant: &'static str,
    header: KeyHeader,
    material: &[u8],
) -> Result<(), Code> {
    let chunks: Vec<_> = material.chunks(PART).map(chunk_part).collect();
    let parts =
        tokio_stream::iter(std::iter::once(header_part(header)).chain(chunks).collect::<Vec<_>>());
    let request: Request<_> = of_tenant(tenant, parts);
    let sent = vault.client.clone().exchange_keys(request).await;
    sent.map(|_| ()).map_err(|status| status.code())
}

#[tokio::test]
async fn a_damaged_record_of_one_tenant_stops_nobody_else() {
    let vault = start(|_| ()).await;
    send_as(&vault, "acme", header("laptop", keys()), keys()).await.unwrap();
    let parts = files(&vault, "acme");
    let record = vault.dir.path().join("evaluation-keys/acme/laptop");
    let mut bytes = std::fs::read(&record).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&record, bytes).unwrap();
    let Vault { dir, shutdown, served, .. } = vault;
    shutdown.cancel();
    served.await.unwrap().unwrap();

    let mut again = start(|config| {
        config.store = dir.path().to_str().unwrap().to_owned();
        config.limits.max_upload_age_seconds = 1;
    })
    .await;
    again.dir = dir;
    let half = &material(1)[..PART];
    let cut = send_as(&again, "other", header("laptop", &material(1)), half).await;
    assert_eq!(cut, Err(Code::Aborted));
    assert_eq!(files(&again, "other"), 1);
    // Nothing asks for anything, and no vault starts.
    let swept = async {
        while files(&again, "other") > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swept).await.unwrap();
    send_as(&again, "other", header("laptop", keys()), keys()).await.unwrap();
    // Any of these parts may belong to the key that cannot be read.
    assert_eq!(files(&again, "acme"), parts);
    let request = FindUploadRequest { header: Some(header("laptop", keys())) };
    let found = again.client.find_upload(of_tenant("acme", request)).await.unwrap();
    assert_eq!(found.into_inner().stored_bytes, keys().len() as u64);
}
