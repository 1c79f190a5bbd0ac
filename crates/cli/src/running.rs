//! What a running devnet says of itself in `devnet.json`, as far as other commands need it.

use anyhow::{Context, Result};
use cortado_types::Address;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where the devnet's directory is, if nothing else is said.
pub const DATA_DIR: &str = ".cortado";

/// A running devnet.
#[derive(Deserialize)]
pub struct Running {
    /// The L1.
    pub l1: L1,
    /// Attesters.
    pub attesters: Vec<Attester>,
    /// Rollups.
    pub rollups: Vec<Rollup>,
    /// Accounts with money.
    pub accounts: Vec<Account>,
}

/// Its L1.
#[derive(Deserialize)]
pub struct L1 {
    /// JSON-RPC over HTTP.
    pub rpc: String,
}

/// One attester.
#[derive(Deserialize)]
pub struct Attester {
    /// REST.
    pub api: String,
}

/// One rollup.
#[derive(Deserialize)]
pub struct Rollup {
    /// JSON-RPC over HTTP.
    pub rpc: String,
}

/// An account.
#[derive(Deserialize)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its key, 0x-hex.
    pub private_key: String,
}

impl Running {
    /// Reads the devnet in `dir`.
    ///
    /// # Errors
    /// If none runs there.
    pub fn read(dir: &Path) -> Result<Self> {
        let path: PathBuf = dir.join("devnet.json");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("no devnet runs in {}: {}", dir.display(), path.display()))?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }
}
