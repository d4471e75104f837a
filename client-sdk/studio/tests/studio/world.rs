//! A studio with real services and an empty home, and a browser that is imitated byte by byte: a
//! client library would not send what an attacker's page makes a browser send.

use std::time::Instant;

use sphinx_client::{Endpoints, Workspace};
use sphinx_studio::Studio;
use sphinx_testbed::{inference, keyvault, trainer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A studio with services and an empty home.
pub struct World {
    pub host: String,
    pub token: String,
    pub begun: Instant,
    _home: TempDir,
    _services: [sphinx_testbed::Running; 3],
    served: JoinHandle<()>,
}

/// An answer as it came.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl World {
    pub async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let store = store.to_str().unwrap().to_owned();
        let keyvault = keyvault(&store).await;
        let trainer = trainer(&store, &keyvault.url).await;
        let inference = inference(&store, &keyvault.url).await;
        let endpoints = Endpoints {
            trainer: trainer.url.clone(),
            inference: inference.url.clone(),
            keyvault: keyvault.url.clone(),
            ..Endpoints::default()
        };
        let begun = Instant::now();
        let workspace = Workspace::open(&endpoints, home.path().join("home")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let studio = Studio::new(workspace, listener).unwrap();
        let address = studio.address().strip_prefix("http://").unwrap().to_owned();
        let (host, token) = address.split_once("/?token=").unwrap();
        let (host, token) = (host.to_owned(), token.to_owned());
        let served = tokio::spawn(async move {
            studio.serve(std::future::pending()).await.unwrap();
        });
        let _services = [trainer, inference, keyvault];
        Self { host, token, begun, _home: home, _services, served }
    }

    pub async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(request, headers, body.as_bytes()).await
    }

    pub async fn send(&self, request: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.host).await.unwrap();
        let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text += &format!("Host: {}\r\n", self.host);
        }
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        text += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[text.as_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..split]).into_owned();
        let bytes = answer.split_off(split + 4);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::from_utf8_lossy(&bytes).into_owned(), bytes }
    }

    /// The cookie that the token is exchanged for.
    pub async fn enter(&self) -> String {
        let opened = self.ask(&format!("GET /?token={}", self.token), &[], "").await;
        assert_eq!((opened.status, opened.header("location")), (303, Some("/")), "{}", opened.head);
        let cookie = opened.header("set-cookie").unwrap();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.served.abort();
    }
}
