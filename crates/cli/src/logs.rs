//! Where log lines go.

use anyhow::{Context, Result};
use std::{fs::OpenOptions, path::Path, sync::Mutex};
use tracing_subscriber::EnvFilter;

/// What is shown unless `RUST_LOG` says otherwise: ours from `info`, the engine's from `warn`.
const DEFAULT_FILTER: &str = "warn,cortado=info,cortado_node=info,cortado_consensus=info,\
                              cortado_rollup=info,cortado_devl1=info,cortado_contracts=info";

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER))
}

/// Log lines on standard error.
pub fn to_stderr() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .try_init();
}

/// Log lines appended to a file, so that the terminal is free for people.
///
/// # Errors
/// If the file cannot be opened.
pub fn to_file(path: &Path) -> Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("log file {}", path.display()))?;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .try_init();
    Ok(())
}
