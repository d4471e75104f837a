//! One supervised child process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::Instant;

use crate::{ClusterError, ClusterOptions, Endpoint, Launch, Service};

/// What a service prints before its address when it is ready.
const READY: &str = "listening on ";
/// Standard output read in search of that line; a child that prints more is not a service.
const MAX_PREAMBLE: u64 = 64 * 1024;
/// End of a log that an error quotes.
const LOG_LINES: usize = 12;
const LOG_BYTES: u64 = 8 * 1024;
/// Longest time that dropping a process blocks, and how often it looks in that time.
const DROP_GRACE: Duration = Duration::from_secs(1);
const DROP_POLL: Duration = Duration::from_millis(5);

/// A running service; dropping it stops it.
pub(crate) struct ServiceProcess {
    service: Service,
    endpoint: Endpoint,
    child: Running,
}

impl ServiceProcess {
    /// Starts the process and waits until it says where it listens. Its log goes to the file
    /// `log`, or to this process's standard error.
    pub(crate) async fn start(
        options: &ClusterOptions,
        launch: Launch<'_>,
        log: Option<PathBuf>,
    ) -> Result<Self, ClusterError> {
        let service = launch.service;
        let (mut child, stdout) = spawn(options, launch, log.as_deref())?;
        let mut stdout = BufReader::new(stdout);
        let ready = tokio::time::timeout(options.start_deadline, announced(&mut stdout));
        let announced = match ready.await {
            Ok(Some(announced)) => announced,
            Ok(None) => {
                let ended = child.end().await;
                let log = last_lines(log.as_deref());
                return Err(match ended {
                    Some(status) => ClusterError::Died { service, status, log },
                    None => ClusterError::Unannounced { service, log },
                });
            }
            Err(_) => {
                return Err(ClusterError::NotReady {
                    service,
                    deadline: options.start_deadline,
                    log: last_lines(log.as_deref()),
                });
            }
        };
        let Ok(address) = announced.parse() else {
            return Err(ClusterError::Address { service, got: announced });
        };
        // Were the pipe closed or full, the child's next print would fail or block.
        tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
        Ok(Self { service, endpoint: Endpoint(address), child })
    }

    pub(crate) fn service(&self) -> Service {
        self.service
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.child.id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.child.terminate();
    }

    /// Waits for the end; kills at the deadline and says so by `false`.
    pub(crate) async fn stopped_by(&mut self, deadline: Instant) -> bool {
        self.child.stopped_by(deadline).await
    }
}

/// A child that does not outlive its owner.
struct Running {
    child: Child,
    /// Never written to: the child leaves when it closes.
    _stdin: Option<ChildStdin>,
}

impl Running {
    #[cfg(unix)]
    fn terminate(&self) {
        use rustix::process::{Pid, Signal, kill_process};
        // `id` is none once the child has been waited for, so the number is not another's yet.
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only for a child that is gone.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Without signals a closed standard input is all that asks a child to leave; `Drop` kills.
    #[cfg(not(unix))]
    fn terminate(&self) {}

    async fn stopped_by(&mut self, deadline: Instant) -> bool {
        if tokio::time::timeout_at(deadline, self.child.wait()).await.is_ok() {
            return true;
        }
        // Fails only for a child that is gone.
        let _ = self.child.kill().await;
        false
    }

    /// How a child ended that closed its standard output, which it mostly does by leaving; `None`
    /// if it did not leave and was killed.
    async fn end(&mut self) -> Option<String> {
        if let Ok(ended) = tokio::time::timeout(DROP_GRACE, self.child.wait()).await {
            return Some(ended.map_or_else(|e| e.to_string(), |status| status.to_string()));
        }
        // Fails only for a child that is gone.
        let _ = self.child.kill().await;
        None
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.terminate();
        let deadline = std::time::Instant::now() + DROP_GRACE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if std::time::Instant::now() >= deadline {
                // The runtime reaps it.
                let _ = self.child.start_kill();
                return;
            }
            std::thread::park_timeout(DROP_POLL);
        }
    }
}

fn spawn(
    options: &ClusterOptions,
    launch: Launch<'_>,
    log: Option<&Path>,
) -> Result<(Running, ChildStdout), ClusterError> {
    let service = launch.service;
    let failed = |e: std::io::Error| ClusterError::Spawn {
        service,
        program: options.program.clone(),
        kind: e.kind(),
    };
    let stderr = match log {
        Some(path) => File::create(path).map(Stdio::from).map_err(failed)?,
        None => Stdio::inherit(),
    };
    let mut command = Command::new(&options.program);
    command
        .args((options.arguments)(&launch))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true);
    // Ctrl-C in a terminal goes to the whole group; the parent decides when its services stop.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(failed)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let running = Running { child, _stdin: stdin };
    // Both were asked for above; a missing pipe is a failed start.
    let stdout = stdout.ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    Ok((running, stdout))
}

/// What follows `listening on`; `None` if standard output ends, or goes on, without it.
async fn announced(stdout: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut lines = stdout.take(MAX_PREAMBLE).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.strip_prefix(READY) {
            return Some(address.trim().to_owned());
        }
    }
    None
}

/// The last lines of a log; none if there is no log, or it cannot be read.
fn last_lines(log: Option<&Path>) -> Vec<String> {
    let Some(mut file) = log.and_then(|path| File::open(path).ok()) else {
        return Vec::new();
    };
    let length = file.metadata().map_or(0, |m| m.len());
    let start = SeekFrom::Start(length.saturating_sub(LOG_BYTES));
    let mut bytes = Vec::new();
    if file.seek(start).and_then(|_| file.take(LOG_BYTES).read_to_end(&mut bytes)).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LOG_LINES);
    lines.into_iter().skip(first).map(str::to_owned).collect()
}
