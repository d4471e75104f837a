//! Ctrl-C and SIGTERM: once to stop in order, twice to stop now.

use std::future::Future;
use std::io;

use tokio::sync::watch;

use crate::error::CliError;

/// How often the user has asked to stop. Clones share the count.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Starts to count; from now on Ctrl-C does not end the process by itself.
    pub fn listen() -> io::Result<Self> {
        let (count, watched) = watch::channel(0);
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            loop {
                signals.next().await;
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(watched))
    }

    /// Whether the user has asked to stop.
    pub fn asked(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Waits until the user has asked `times` times.
    pub async fn asked_times(&self, times: u32) {
        // The counting task never ends before the runtime does.
        let _ = self.0.clone().wait_for(|count| *count >= times).await;
    }

    /// Does something that can be given up at any point.
    ///
    /// # Errors
    /// [`CliError::Interrupted`] if the user asks to stop meanwhile.
    pub async fn guard<T, E: Into<CliError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        tokio::select! {
            result = Box::pin(work) => result.map_err(Into::into),
            () = self.asked_times(1) => Err(CliError::Interrupted),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
