//! The key vault as a process: ready line, health, reflection, drain, kill and restart.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use crate::common::{connect, header, material, start, streamed, upload};
use sphinx_proto::v1::{GetKeyRequest, ListKeysRequest};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

struct Process {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx-keyvault"));
    command
        .args(["--listen", "127.0.0.1:0", "--store", store.to_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn spawn(command: &mut Command) -> Process {
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(Duration::from_secs(20), stdout.next_line()).await.unwrap().unwrap();
    let address = line.unwrap().strip_prefix("listening on ").unwrap().parse().unwrap();
    Process { child, stdout, address }
}

async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn receipted_keys_survive_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let mut receipts = Vec::new();
    for tag in 0..5 {
        let mut process = spawn(&mut command(dir.path())).await;
        let mut client = connect(process.address).await;
        let bytes = material(tag);
        let parts = upload(header(&format!("key-{tag}"), &bytes), &bytes);
        let receipt = client.exchange_keys(streamed(parts)).await.unwrap().into_inner();
        process.child.kill().await.unwrap();
        receipts.push(receipt.key.unwrap());
    }
    let process = spawn(&mut command(dir.path())).await;
    let listed = connect(process.address).await.list_keys(ListKeysRequest {}).await.unwrap();
    assert_eq!(listed.into_inner().keys, receipts);
}

#[tokio::test]
async fn sigterm_drains_and_exits_with_success() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = spawn(&mut command(dir.path())).await;
    let pid = process.child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(sent.success());
    let status = timeout(Duration::from_secs(10), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    // The ready line was the only one.
    assert_eq!(process.stdout.next_line().await.unwrap(), None);
}

async fn signal(process: &Process, name: &str) {
    let pid = process.child.id().unwrap().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().await.unwrap().success());
}

/// Asks for what does not exist, which is logged.
async fn asked_in_vain(process: &Process) {
    let request = GetKeyRequest { key_id: "nosuch".to_owned(), kind: 0 };
    let status = connect(process.address).await.get_key(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_second_signal_ends_at_once_what_the_first_lets_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut process = spawn(&mut command(dir.path())).await;
    // An upload that goes on for as long as it likes.
    let mut client = connect(process.address).await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let parts = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let upload = tokio::spawn(async move { client.exchange_keys(parts).await });
    sender.send(crate::common::header_part(header("laptop", &material(1)))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    signal(&process, "-TERM").await;
    tokio::time::sleep(Duration::from_millis(3000)).await;
    assert!(process.child.try_wait().unwrap().is_none(), "the upload was not waited for");
    signal(&process, "-INT").await;
    let status = timeout(Duration::from_secs(2), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    drop(sender);
    assert!(upload.await.unwrap().is_err());
}

#[tokio::test]
async fn a_log_that_nobody_reads_ends_no_service() {
    let dir = tempfile::tempdir().unwrap();
    let command = &mut command(dir.path());
    let mut process = spawn(command.args(["--log-filter", "debug"]).stderr(Stdio::piped())).await;
    drop(process.child.stderr.take());
    asked_in_vain(&process).await;
    asked_in_vain(&process).await;
    signal(&process, "-TERM").await;
    let status = timeout(Duration::from_secs(10), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_full_disk_under_log_and_output_ends_no_service() {
    let dir = tempfile::tempdir().unwrap();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let command = &mut command(dir.path());
    let mut process = spawn(command.args(["--log-filter", "debug"]).stderr(full())).await;
    asked_in_vain(&process).await;
    signal(&process, "-TERM").await;
    let status = timeout(Duration::from_secs(10), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
    // Nor does it need somebody who reads where it listens.
    let address = process.address.to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx-keyvault"));
    command
        .args(["--listen", &address, "--log-filter", "off", "--store"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .stdout(full())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let listening = async {
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), listening).await.unwrap();
    assert!(child.try_wait().unwrap().is_none());
}

#[tokio::test]
async fn a_log_in_a_file_has_no_escape_codes() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let command = &mut command(&dir.path().join("store"));
    command
        .args(["--log-filter", "debug"])
        .env("TERM", "xterm-256color")
        .env("CLICOLOR_FORCE", "1");
    let process = spawn(command.stderr(std::fs::File::create(&log).unwrap())).await;
    asked_in_vain(&process).await;
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("serving") && !text.contains('\x1b'), "{text}");
}

#[tokio::test]
async fn the_end_of_standard_input_drains_when_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let command = &mut command(dir.path());
    let mut process = spawn(command.arg("--exit-with-stdin").stdin(Stdio::piped())).await;
    drop(process.child.stdin.take());
    let status = timeout(Duration::from_secs(10), process.child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_environment_lies_between_file_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keyvault.toml");
    std::fs::write(&file, "[limits]\nmax_keys = 5\nmax_chunk_bytes = 1000\n").unwrap();
    let command = &mut command(&dir.path().join("by-flag"));
    command
        .args(["--config", file.to_str().unwrap()])
        .env("SPHINX_KEYVAULT__LIMITS__MAX_KEYS", "9")
        .env("SPHINX_KEYVAULT__STORE", dir.path().join("by-environment"));
    let process = spawn(command).await;
    let bytes = material(1);
    let parts = std::iter::once(crate::common::header_part(header("k", &bytes)))
        .chain(bytes.chunks(1000).map(crate::common::chunk_part))
        .collect();
    let receipt = connect(process.address).await.exchange_keys(streamed(parts)).await.unwrap();
    let limits = receipt.into_inner().limits.unwrap();
    assert_eq!((limits.max_keys, limits.max_chunk_bytes), (9, 1000));
    assert!(dir.path().join("by-flag/keys").is_dir());
    assert!(!dir.path().join("by-environment").exists());
}

#[tokio::test]
async fn rejects_a_bad_configuration_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    for (variable, value, code, expected) in [
        ("SPHINX_KEYVAULT__LIMITS__MAX_KEYS", "0", 78, "limits.max_keys is 0"),
        ("SPHINX_KEYVAULT__LIMITS__MAX_KEY", "1", 78, "unknown field"),
        ("SPHINX_KEYVAULT__COMPUTE_THREADS", "100000", 78, "compute_threads is 100000"),
        ("SPHINX_KEYVAULT__STORE", "~nobody/store", 78, "store is ~nobody/store"),
        ("SPHINX_KEYVAULT__KEYVAULT", "grpc://127.0.0.1:7003", 78, "scheme \"grpc\""),
        ("SPHINX_KEYVAULT__ACCESS__CREDENTIALS", "/missing.toml", 78, "/missing.toml"),
        ("SPHINX_KEYVAULT__OUTGOING__CERTIFICATE", "/missing.pem", 78, "outgoing.key is empty"),
        ("SPHINX_KEYVAULT__SERVER__LISTEN", "nowhere", 78, "SERVER.LISTEN"),
        ("SPHINX_KEYVAULT__STORE", "ftp://bucket", 70, "scheme ftp is not supported"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx-keyvault"));
        command.current_dir(dir.path()).args(["--log-filter", "off"]).env(variable, value);
        if !variable.ends_with("LISTEN") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let output = command.output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx-keyvault"));
    let output = command.arg("--no-such-flag").output().await.unwrap();
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn health_answers_until_the_drain() {
    let vault = start(|_| ()).await;
    let mut health = HealthClient::new(channel(vault.address).await);
    let mut ask = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(ask("").await, ServingStatus::Serving);
    // By its name once its store has answered.
    let ready = async {
        while ask("sphinx.v1.KeyVault").await != ServingStatus::Serving {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), ready).await.unwrap();
    let request = HealthCheckRequest { service: "sphinx.v1.KeyVault".to_owned() };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    vault.shutdown.cancel();
    let last = watch.message().await.unwrap().unwrap();
    assert_eq!(last.status(), ServingStatus::NotServing);
    drop((watch, health, vault.client));
    timeout(Duration::from_secs(5), vault.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn reflection_lists_and_describes_what_is_served() {
    let vault = start(|_| ()).await;
    let channel = channel(vault.address).await;

    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let ask = |question: MessageRequest| {
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
        async move {
            let request = v1::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(question),
            };
            let stream = client.server_reflection_info(tokio_stream::once(request)).await;
            let answer = stream.unwrap().into_inner().message().await.unwrap().unwrap();
            answer.message_response.unwrap()
        }
    };
    let MessageResponse::ListServicesResponse(list) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    assert!(names.contains(&"sphinx.v1.KeyVault"), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    assert!(!names.contains(&"sphinx.v1.Trainer"), "{names:?}");
    let symbol = MessageRequest::FileContainingSymbol("sphinx.v1.KeyVault".to_owned());
    assert!(matches!(ask(symbol).await, MessageResponse::FileDescriptorResponse(_)));

    let mut older = v1alpha::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let question = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let stream = older.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    assert!(stream.into_inner().message().await.unwrap().is_some());
}

#[tokio::test]
async fn an_upload_that_runs_during_the_drain_ends_well() {
    let vault = start(|_| ()).await;
    let bytes = material(1);
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let mut client = vault.client.clone();
    let parts = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let upload = tokio::spawn(async move { client.exchange_keys(parts).await });
    let mut messages = crate::common::upload(header("laptop", &bytes), &bytes).into_iter();
    sender.send(messages.next().unwrap()).await.unwrap();
    sender.send(messages.next().unwrap()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    vault.shutdown.cancel();
    for message in messages {
        sender.send(message).await.unwrap();
    }
    drop(sender);
    assert!(upload.await.unwrap().is_ok());
    drop(vault.client);
    timeout(Duration::from_secs(5), vault.served).await.unwrap().unwrap().unwrap();
    assert!(vault.dir.path().join("keys/default/laptop").is_file());
}
