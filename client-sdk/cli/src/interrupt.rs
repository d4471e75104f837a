//! Ctrl-C and SIGTERM: once to stop in order, twice to stop now.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::CliError;

/// What shells say of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;
/// What a command that was asked twice is given to say what it has to say.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Whether the user is asked for something: to stop is then an answer.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Asks the user for something at the terminal; Ctrl-C meanwhile ends the process.
pub fn while_asking<T>(ask: impl FnOnce() -> T) -> T {
    ASKING.store(true, Ordering::SeqCst);
    let answer = ask();
    ASKING.store(false, Ordering::SeqCst);
    answer
}

/// How often the user has asked to stop. Clones share the count.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<u32>);

impl Interrupt {
    /// Starts to count; from now on Ctrl-C does not end the process by itself. Asked twice, the
    /// process ends within half a second, whatever it does.
    pub fn listen() -> io::Result<Self> {
        let (count, watched) = watch::channel(0);
        let mut signals = Signals::new()?;
        let terminal = Terminal::now();
        tokio::spawn(async move {
            signals.next().await;
            if ASKING.load(Ordering::SeqCst) {
                terminal.leave();
            }
            count.send_modify(|count| *count += 1);
            signals.next().await;
            count.send_modify(|count| *count += 1);
            // Whoever computes, or waits for a disk, does not look.
            tokio::select! {
                () = tokio::time::sleep(LAST_WORDS) => {}
                () = signals.next() => {}
            }
            terminal.leave();
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

/// The terminal as it was found: a question for a passphrase hides what is typed.
#[cfg(unix)]
struct Terminal(Option<rustix::termios::Termios>);

#[cfg(unix)]
impl Terminal {
    fn now() -> Self {
        Self(rustix::termios::tcgetattr(io::stdin()).ok())
    }

    /// Ends the process.
    fn leave(&self) -> ! {
        if let Some(terminal) = &self.0 {
            let at_once = rustix::termios::OptionalActions::Now;
            // It may have gone meanwhile.
            let _ = rustix::termios::tcsetattr(io::stdin(), at_once, terminal);
        }
        std::process::exit(INTERRUPTED)
    }
}

#[cfg(not(unix))]
struct Terminal;

#[cfg(not(unix))]
impl Terminal {
    fn now() -> Self {
        Self
    }

    fn leave(&self) -> ! {
        std::process::exit(INTERRUPTED)
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
