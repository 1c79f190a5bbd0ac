//! When to stop: SIGINT or SIGTERM. A closed standard input is no reason.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Listens from the moment it is made, so that no signal during the start is lost.
pub struct Shutdown {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Shutdown {
    /// Starts listening.
    ///
    /// # Errors
    /// If the system does not allow handlers.
    pub fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listening for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
        })
    }

    /// Waits for a signal.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
