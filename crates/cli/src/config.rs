//! Reads a TOML file; environment variables `CORTADO_<KEY>` override its top-level keys.

use anyhow::{Context, Result, bail};
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::de::DeserializeOwned;
use std::path::Path;

/// A configuration file is written by hand or by the devnet; a longer one is a wrong file.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Prefix of environment variables that override keys.
pub const ENV_PREFIX: &str = "CORTADO_";

/// Reads `path` as a `T`. An unknown or malformed key is an error that names it.
///
/// # Errors
/// If the file cannot be read, is too long, or is not a `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("configuration {}", path.display()))?
        .len();
    if size > CONFIG_BYTES_MAX {
        bail!(
            "configuration {} is {size} bytes, the limit is {CONFIG_BYTES_MAX}",
            path.display()
        );
    }
    Figment::new()
        .merge(Toml::file_exact(path))
        .merge(Env::prefixed(ENV_PREFIX))
        .extract()
        .with_context(|| format!("configuration {}", path.display()))
}
