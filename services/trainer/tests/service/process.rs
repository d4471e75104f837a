//! The trainer as a process: drain, kill and restart.

use std::{path::Path, process::Stdio, time::Duration};

use sphinx_proto::v1::{Direction, train_request::Part, trainer_client::TrainerClient};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tonic::{Code, transport::Channel};

use crate::common::{Vault, assert_refused, connect, creation, start_with_model};
use crate::talk::{Talk, evaluation, opening};

struct Process {
    child: Child,
    client: TrainerClient<Channel>,
}

async fn spawn(store: &Path, keyvault: &str) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sphinx-trainer"))
        .args(["--listen", "127.0.0.1:0", "--store", store.to_str().unwrap()])
        .args(["--keyvault", keyvault])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(Duration::from_secs(20), stdout.next_line()).await.unwrap().unwrap();
    let address = line.unwrap().strip_prefix("listening on ").unwrap().parse().unwrap();
    Process { child, client: connect(address).await }
}

impl Process {
    async fn open(&self) -> Talk {
        Talk::begin(self.client.clone(), Part::Open(opening(1))).await.unwrap()
    }

    async fn terminate(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }
}

#[tokio::test]
async fn committed_versions_survive_sigkill() {
    let vault = Vault::start().await;
    vault.register("default", crate::common::KEY).await;
    let dir = tempfile::tempdir().unwrap();
    let mut process = spawn(dir.path(), &vault.running.url).await;
    process.client.create_model(creation("m")).await.unwrap();
    for step in 0..5 {
        let mut talk = process.open().await;
        assert_eq!(talk.opened.model.as_ref().unwrap().version, step);
        assert_eq!(talk.opened.last_step, step.checked_sub(1));
        assert_eq!(talk.commit(step, step, 1).await.unwrap().version, step + 1);
        // A commit that is complete but for its end, and perhaps a part of its storing, is lost.
        let (mut lost, _) = talk.update(step + 1, step + 1, 2);
        lost.pop();
        for part in lost {
            talk.send(part).await;
        }
        process.child.kill().await.unwrap();
        process = spawn(dir.path(), &vault.running.url).await;
    }
}

#[tokio::test]
async fn sigterm_lets_the_running_product_end_and_closes_the_session() {
    let vault = Vault::start().await;
    vault.register("default", crate::common::KEY).await;
    let dir = tempfile::tempdir().unwrap();
    let mut process = spawn(dir.path(), &vault.running.url).await;
    process.client.create_model(creation("m")).await.unwrap();
    let mut talk = process.open().await;
    let mut parts = evaluation(0, Direction::Forward).into_iter();
    talk.send(parts.next().unwrap()).await;
    talk.send(parts.next().unwrap()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    process.terminate().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for part in parts {
        talk.send(part).await;
    }
    assert_eq!(talk.product().await.unwrap().header.version, 0);
    let status = talk.reply().await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "the service is shutting down: reopen the session");
    drop(talk);
    drop(process.client);
    let ended = timeout(Duration::from_secs(10), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn an_idle_session_does_not_hold_up_the_drain() {
    let trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    trainer.shutdown.cancel();
    assert_eq!(talk.reply().await.unwrap_err().code(), Code::Unavailable);
    drop((talk, trainer.client));
    timeout(Duration::from_secs(5), trainer.served).await.unwrap().unwrap().unwrap();
}
