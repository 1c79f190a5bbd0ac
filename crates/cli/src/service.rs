//! One service as its own process: a TOML file in, run until told to stop.

use crate::{config, logs, shutdown::Shutdown};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use std::{os::unix::process::parent_id, path::PathBuf, time::Duration};

/// How long a service may take to stop before the process ends anyway.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// How often a child of a devnet looks whether the devnet is still there.
const PARENT_POLL: Duration = Duration::from_millis(500);

/// Arguments that all services share.
#[derive(Args)]
pub struct ServiceArgs {
    /// The service's TOML file.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Stop when the process that started this one is gone.
    #[arg(long, hide = true)]
    pub stop_with_parent: bool,
}

/// Something that runs until it is stopped or fails.
pub trait Service: Sized {
    /// What its TOML file holds.
    type Config: DeserializeOwned;
    /// What it is called in log lines and errors.
    const NAME: &'static str;

    /// Starts it.
    fn start(config: Self::Config) -> impl Future<Output = Result<Self>> + Send;

    /// Its URLs with what they are.
    fn urls(&self) -> Vec<(&'static str, String)>;

    /// Resolves with the reason when it can no longer go on.
    fn failed(&mut self) -> impl Future<Output = String> + Send;

    /// Stops it and lets go of its directory.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// Runs one service in the foreground.
pub fn run<S: Service>(args: ServiceArgs) -> Result<()> {
    logs::to_stderr();
    runtime()?.block_on(async {
        let mut shutdown = Shutdown::listen()?;
        let config = config::load(&args.config)?;
        let mut service = S::start(config)
            .await
            .with_context(|| format!("{} does not start", S::NAME))?;
        for (what, url) in service.urls() {
            println!("{:<10} {what:<12} {url}", S::NAME);
        }
        let failure = tokio::select! {
            () = shutdown.requested() => None,
            () = orphaned(args.stop_with_parent) => None,
            reason = service.failed() => Some(reason),
        };
        if tokio::time::timeout(STOP_TIMEOUT, service.stop())
            .await
            .is_err()
        {
            tracing::warn!("{} did not stop within {STOP_TIMEOUT:?}", S::NAME);
        }
        match failure {
            Some(reason) => bail!("{} failed: {reason}", S::NAME),
            None => Ok(()),
        }
    })
}

/// The runtime of every command that serves.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

async fn orphaned(watch: bool) {
    if !watch {
        return std::future::pending().await;
    }
    let parent = parent_id();
    while parent_id() == parent {
        tokio::time::sleep(PARENT_POLL).await;
    }
}
