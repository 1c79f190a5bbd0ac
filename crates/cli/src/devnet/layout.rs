//! Where a devnet keeps its files.

use anyhow::{Context, Result};
use cortado_node::home::write_atomically;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};

/// A service of the devnet: which it is, and its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// `attester-0`.
    pub name: String,
    /// The subcommand that runs it.
    pub command: String,
    /// Its TOML file.
    pub config: PathBuf,
}

/// Files of a devnet.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The data directory, absolute.
    pub dir: PathBuf,
}

impl Layout {
    /// What cannot change.
    pub fn shape(&self) -> PathBuf {
        self.dir.join("devnet.toml")
    }

    /// The genesis of the finality chain.
    pub fn genesis(&self) -> PathBuf {
        self.dir.join("genesis.json")
    }

    /// What is written when everything answers.
    pub fn summary(&self) -> PathBuf {
        self.dir.join("devnet.json")
    }

    /// What is deployed on L1.
    pub fn contracts_config(&self) -> PathBuf {
        self.dir.join("contracts.toml")
    }

    /// Where on L1 the contracts are.
    pub fn contracts(&self) -> PathBuf {
        self.dir.join("contracts.json")
    }

    /// Key file of an account on L1.
    pub fn account(&self, name: &str) -> PathBuf {
        self.dir.join("keys").join(format!("{name}.toml"))
    }

    /// Log lines.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// A service's TOML file.
    pub fn config(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.toml"))
    }

    /// A directory of one part.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a service's file and names it.
    pub fn part<T: Serialize>(&self, name: &str, command: &str, config: &T) -> Result<Part> {
        write_toml(&self.config(name), config)?;
        Ok(Part {
            name: name.into(),
            command: command.into(),
            config: self.config(name),
        })
    }
}

/// Reads one of our TOML files.
///
/// # Errors
/// If it is missing or not of the form.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

/// Writes one of our TOML files, whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub fn write_toml<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = toml::to_string_pretty(value).with_context(|| path.display().to_string())?;
    write_atomically(path, text.as_bytes(), 0o644).with_context(|| path.display().to_string())
}
