//! Supervision of the local services, with shell scripts in their place.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed set-up fails the test")]

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sphinx_cluster::{ClusterError, ClusterOptions, Launch, LocalCluster, Service};

/// Listens, as far as the supervisor can tell, and leaves with its standard input.
const SERVE: &str = "echo booting >&2; echo listening on 127.0.0.1:4001; exec cat >/dev/null";

/// All services run `script`, which sees its `sphinx` arguments as "$@".
fn scripted(script: &'static str) -> ClusterOptions {
    per_service(move |_| script)
}

fn per_service(script: impl Fn(Service) -> &'static str + Send + Sync + 'static) -> ClusterOptions {
    let arguments = move |launch: &Launch<'_>| {
        let mut arguments: Vec<OsString> = vec!["-c".into(), script(launch.service).into()];
        arguments.push(launch.service.name().into());
        arguments.extend(launch.serve_arguments());
        arguments
    };
    ClusterOptions {
        program: "/bin/sh".into(),
        arguments: Box::new(arguments),
        verbose: false,
        start_deadline: Duration::from_secs(10),
        stop_grace: Duration::from_secs(10),
    }
}

async fn refusal(options: ClusterOptions) -> ClusterError {
    match LocalCluster::start(options).await {
        Ok(_) => panic!("the cluster started"),
        Err(error) => error,
    }
}

/// Whether a process runs (a zombie does not).
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// Polls until the processes have gone; false after ten seconds.
async fn gone(pids: &[u32]) -> bool {
    for _ in 0..500 {
        if !pids.iter().any(|pid| runs(*pid)) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

fn pids(cluster: &LocalCluster) -> Vec<u32> {
    [Service::Trainer, Service::Inference, Service::Keyvault]
        .map(|service| cluster.pid(service).unwrap())
        .into()
}

#[tokio::test]
async fn services_are_told_where_the_others_are() {
    let options = per_service(|service| match service {
        Service::Keyvault => {
            r#"echo "$@" >&2; echo starting; echo listening on 127.0.0.1:4003; exec cat"#
        }
        Service::Trainer => r#"echo "$@" >&2; echo listening on 127.0.0.1:4001; exec cat"#,
        Service::Inference => r#"echo "$@" >&2; echo listening on 127.0.0.1:4002; exec cat"#,
    });
    let cluster = LocalCluster::start(options).await.unwrap();
    assert_eq!(cluster.trainer.to_string(), "http://127.0.0.1:4001");
    assert_eq!(cluster.inference.to_string(), "http://127.0.0.1:4002");
    assert_eq!(cluster.keyvault.to_string(), "http://127.0.0.1:4003");

    let told = |service| std::fs::read_to_string(cluster.log(service)).unwrap();
    let trainer = told(Service::Trainer);
    assert!(trainer.starts_with("serve trainer --listen 127.0.0.1:0 --exit-with-stdin --store /"));
    assert!(trainer.trim_end().ends_with("--keyvault http://127.0.0.1:4003"));
    assert!(!told(Service::Keyvault).contains("--keyvault"));

    let directory = cluster.log(Service::Trainer).parent().unwrap().to_owned();
    let running = pids(&cluster);
    cluster.shutdown().await.unwrap();
    assert!(gone(&running).await);
    assert!(!directory.exists());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn usage_counts_the_processor_time_of_the_child() {
    // No exec here: in the middle of it a process has a single page.
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; \
                echo listening on 127.0.0.1:4001; while read x; do :; done";
    let options = per_service(move |s| if s == Service::Trainer { busy } else { SERVE });
    let cluster = LocalCluster::start(options).await.unwrap();
    let busy = cluster.usage(Service::Trainer).unwrap();
    let idle = cluster.usage(Service::Keyvault).unwrap();
    assert!(busy.cpu_seconds > idle.cpu_seconds + 0.03, "{busy:?} {idle:?}");
    assert!(
        busy.resident_bytes > 100_000 && busy.peak_resident_bytes >= busy.resident_bytes,
        "{busy:?}"
    );
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_service_that_prints_much_later_on_is_not_blocked() {
    let script = "echo listening on 127.0.0.1:4001; i=0; \
                  while [ $i -lt 5000 ]; do echo 0123456789012345678901234567890123456789; \
                  i=$((i+1)); done; echo printed >&2; exec cat >/dev/null";
    let cluster = LocalCluster::start(scripted(script)).await.unwrap();
    let log = cluster.log(Service::Inference);
    let start = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains("printed") {
        assert!(start.elapsed() < Duration::from_secs(10), "blocked on its standard output");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cluster.shutdown().await.unwrap();
}

#[tokio::test]
async fn rejects_a_service_that_dies_and_quotes_its_log() {
    let dies = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo line $i >&2; done; exit 3";
    let options = per_service(move |s| if s == Service::Inference { dies } else { SERVE });
    let error = refusal(options).await;
    let log = (2..=13).map(|i| format!("line {i}")).collect();
    let service = Service::Inference;
    assert_eq!(error, ClusterError::Died { service, status: "exit status: 3".into(), log });
    assert!(error.to_string().ends_with("\n  line 13"));
}

#[tokio::test]
async fn rejects_a_service_that_never_listens() {
    let mut options = scripted("echo waiting for a lock >&2; echo hello; exec cat");
    options.start_deadline = Duration::from_millis(300);
    let deadline = options.start_deadline;
    let log = vec!["waiting for a lock".to_owned()];
    let service = Service::Keyvault;
    let expected = ClusterError::NotReady { service, deadline, log: log.clone() };
    assert_eq!(refusal(options).await, expected);

    let options = scripted("echo waiting for a lock >&2; echo hello; exec cat >/dev/null");
    assert_eq!(refusal(options).await, ClusterError::Unannounced { service, log });
}

#[tokio::test]
async fn rejects_a_service_at_no_address_and_a_program_that_is_not_there() {
    let error = refusal(scripted("echo listening on everything; exec cat >/dev/null")).await;
    let service = Service::Keyvault;
    assert_eq!(error, ClusterError::Address { service, got: "everything".into() });

    let mut options = scripted(SERVE);
    options.program = Path::new("/nonexistent/sphinx").to_owned();
    let program = options.program.clone();
    let kind = std::io::ErrorKind::NotFound;
    assert_eq!(refusal(options).await, ClusterError::Spawn { service, program, kind });
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed() {
    let stubborn = "trap '' TERM; echo listening on 127.0.0.1:4001; while :; do read x; done";
    let stubborn_trainer = move |s| if s == Service::Trainer { stubborn } else { SERVE };
    let mut options = per_service(stubborn_trainer);
    options.stop_grace = Duration::from_millis(300);
    let grace = options.stop_grace;
    let cluster = LocalCluster::start(options).await.unwrap();
    let running = pids(&cluster);
    let services = vec![Service::Trainer];
    assert_eq!(cluster.shutdown().await, Err(ClusterError::Unresponsive { services, grace }));
    assert!(gone(&running).await);

    // Dropped without shutdown: the same, within a bounded time.
    let cluster = LocalCluster::start(per_service(stubborn_trainer)).await.unwrap();
    let running = pids(&cluster);
    let start = Instant::now();
    drop(cluster);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(gone(&running).await);
}

#[tokio::test]
async fn services_die_with_a_parent_that_is_killed() {
    // A killed parent cannot remove its directory; this removes it.
    let directory = tempfile::TempDir::new().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .env("TMPDIR", directory.path())
        .args(["--exact", "parent_that_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(parent.stdout.take().unwrap());
    let line = stdout.lines().map(Result::unwrap).find(|l| l.contains("services: ")).unwrap();
    let (_, list) = line.split_once("services: ").unwrap();
    let running: Vec<u32> = list.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(running.len(), 3);
    assert!(running.iter().all(|pid| runs(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(gone(&running).await, "services outlived their parent");
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test]
#[ignore = "run by services_die_with_a_parent_that_is_killed"]
async fn parent_that_is_killed() {
    let cluster = LocalCluster::start(scripted(SERVE)).await.unwrap();
    let pids: Vec<String> = pids(&cluster).iter().map(u32::to_string).collect();
    println!("services: {}", pids.join(" "));
    // Bounded, so that a failed outer test leaves nothing behind.
    tokio::time::sleep(Duration::from_secs(30)).await;
}
