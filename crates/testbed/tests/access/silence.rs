//! Clients that connect and say nothing.

use std::time::{Duration, Instant};

use sphinx_testbed::keyvault_with;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{World, ask, client};

/// Connections that say nothing, and some that fall silent after the first words of HTTP/2.
async fn silent(address: &str, count: usize) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for number in 0..count {
        let mut socket = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            socket
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .unwrap();
        }
        silent.push(socket);
    }
    silent
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_hold_up_no_shutdown() {
    for tls in [false, true] {
        let world = World::new();
        world.certificates("a", &["127.0.0.1"]);
        let vault = keyvault_with(&world.store(), |config| {
            if tls {
                config.tls = world.tls("a", false);
            }
        })
        .await;
        let address = vault.url.rsplit('/').next().unwrap().to_owned();
        let silent = silent(&address, 6).await;
        // One that has asked, and is held open by its client.
        let idle = client(&vault.url, world.believing("a")).unwrap();
        idle.list_keys().await.unwrap();
        let start = Instant::now();
        vault.stop().await;
        assert!(start.elapsed() < Duration::from_secs(5), "{tls}: {:?}", start.elapsed());
        drop((silent, idle));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_greet_keeps_nobody_from_being_served() {
    let world = World::new();
    world.certificates("a", &["127.0.0.1"]);
    let vault = keyvault_with(&world.store(), |config| config.tls = world.tls("a", false)).await;
    let address = vault.url.trim_start_matches("https://");
    let _silent = silent(address, 20).await;
    let start = Instant::now();
    assert_eq!(ask(&vault.url, world.believing("a")).await, Ok(0));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
