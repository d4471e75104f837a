//! HAProxy before the replicas of a service, as a process, where it is installed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running HAProxy. It is killed when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    child: Child,
    address: SocketAddr,
    statistics: SocketAddr,
    _directory: TempDir,
}

/// What became of the requests that one replica was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its place in the list that the proxy was started with.
    pub number: usize,
    /// Requests that are under way.
    pub under_way: u64,
    /// Requests in all.
    pub requests: u64,
    /// Answers that the proxy made up itself (HTTP 5xx), since the replica gave none.
    pub failed: u64,
    /// Requests that were sent to another one afterwards.
    pub redispatched: u64,
}

impl Proxy {
    /// Spreads requests over replicas (host and port), one after the other. `None`, which it says,
    /// where there is no HAProxy.
    pub async fn start(replicas: &[&str]) -> Option<Self> {
        if Command::new("haproxy").arg("-v").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: needs haproxy");
            return None;
        }
        let [address, statistics] = free_ports();
        let servers = replicas.iter().enumerate();
        let servers: String = servers
            .map(|(number, replica)| {
                format!("    server r{number} {replica} proto h2 check inter 100ms fall 1 rise 1\n")
            })
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("haproxy.cfg");
        let configuration = include_str!("../../../deploy/haproxy/haproxy.cfg")
            .replace("*:7000", &address.to_string())
            .replace("127.0.0.1:8404", &statistics.to_string());
        let (before, _) = configuration.split_once("    server ").unwrap();
        std::fs::write(&path, format!("{before}{servers}")).unwrap();
        let child = Command::new("haproxy").args(["-db", "-f"]).arg(&path).spawn().unwrap();
        let proxy = Self { child, address, statistics, _directory: directory };
        let limit = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < limit, "haproxy does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(proxy)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has done, by replica.
    pub fn replicas(&self) -> Vec<Replica> {
        let mut socket = TcpStream::connect(self.statistics).unwrap();
        socket.write_all(b"GET /;csv HTTP/1.0\r\n\r\n").unwrap();
        let mut table = String::new();
        socket.read_to_string(&mut table).unwrap();
        let (_, table) = table.split_once("# ").unwrap();
        let mut lines = table.lines();
        let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows = lines.filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = cells.get(1)?.strip_prefix('r')?.parse().ok()?;
            let cell = |name: &str| {
                let at = columns.iter().position(|column| *column == name).unwrap();
                cells[at].parse().unwrap_or(0)
            };
            let (under_way, requests) = (cell("scur"), cell("stot"));
            let (failed, redispatched) = (cell("hrsp_5xx"), cell("wredis"));
            Some(Replica { number, under_way, requests, failed, redispatched })
        });
        rows.collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports() -> [SocketAddr; 2] {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap())
}
