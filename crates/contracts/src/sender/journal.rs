//! What a sender has under way, on disk: written before anything is handed to a node.

use alloy_primitives::{Address, B256, Bytes};
use fs4::{FileExt, TryLockError};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// A journal holds one transaction in a few versions; a longer file is something else.
const JOURNAL_BYTES_MAX: u64 = 16 << 20;

/// Version of the form that this code writes.
const FORMAT: u32 = 1;

/// Why a journal is refused.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system says no.
    #[error("journal {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two senders of one account would take each other's nonces.
    #[error("journal {path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Not a journal.
    #[error("journal {path} is not of the expected form: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Of another account or chain.
    #[error(
        "journal {path} is of account {account} on chain {chain}, expected {want_account} on {want_chain}"
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// Its account.
        account: Address,
        /// Its chain.
        chain: u64,
        /// The sender's account.
        want_account: Address,
        /// The sender's chain.
        want_chain: u64,
    },
}

/// One version of a transaction that was, or was about to be, handed to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Hash of receiver, value and input: which intent it serves.
    pub(super) digest: B256,
    pub(super) hash: B256,
    pub(super) raw: Bytes,
    /// Wei per gas.
    pub(super) max_fee: u128,
    /// Wei per gas.
    pub(super) tip: u128,
}

/// A nonce that is taken, and what for. Of its versions at most one can get into the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) nonce: u64,
    /// What it is, for people.
    pub(super) label: String,
    /// In the order they were made; fees only rise. Those of an intent that was given up stay: the
    /// chain may take any of them.
    pub(super) attempts: Vec<Attempt>,
}

impl Pending {
    /// The newest version, if it serves the intent with this digest.
    pub(super) fn newest_for(&self, digest: B256) -> Option<&Attempt> {
        self.attempts.last().filter(|last| last.digest == digest)
    }
}

/// What was paid so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Transactions that got into a block.
    pub transactions: u64,
    /// Gas they used.
    pub gas: u64,
    /// Wei paid for it.
    pub wei: u128,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Content {
    format: u32,
    chain_id: u64,
    account: Address,
    #[serde(default)]
    pub(super) pending: Option<Pending>,
    #[serde(default)]
    pub(super) spent: Spent,
}

/// The journal of one account on one chain. The lock goes with the process, however it ends.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    pub(super) content: Content,
    _lock: File,
}

impl Journal {
    pub(super) fn open(path: &Path, chain_id: u64, account: Address) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io {
            path: path.into(),
            source,
        };
        let malformed = |reason: String| JournalError::Malformed {
            path: path.into(),
            reason,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        let mut lock_name = path.file_name().unwrap_or_default().to_owned();
        lock_name.push(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.with_file_name(lock_name))
            .map_err(io)?;
        match FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { path: path.into() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let content = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content {
                format: FORMAT,
                chain_id,
                account,
                pending: None,
                spent: Spent::default(),
            },
            Err(error) => return Err(io(error)),
            Ok(found) if found.len() > JOURNAL_BYTES_MAX => {
                return Err(malformed(format!(
                    "{} bytes, the limit is {JOURNAL_BYTES_MAX}",
                    found.len()
                )));
            }
            Ok(_) => {
                let text = fs::read(path).map_err(io)?;
                serde_json::from_slice::<Content>(&text)
                    .map_err(|error| malformed(error.to_string()))?
            }
        };
        if content.format != FORMAT {
            return Err(malformed(format!(
                "format {}, this version reads {FORMAT}",
                content.format
            )));
        }
        if content.chain_id != chain_id || content.account != account {
            return Err(JournalError::Other {
                path: path.into(),
                account: content.account,
                chain: content.chain_id,
                want_account: account,
                want_chain: chain_id,
            });
        }
        Ok(Self {
            path: path.into(),
            content,
            _lock: lock,
        })
    }

    /// Writes the whole journal or nothing; it is on disk when this returns.
    pub(super) fn save(&self) -> Result<(), JournalError> {
        let write = || -> io::Result<()> {
            let parent = match self.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            serde_json::to_writer(&mut file, &self.content)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            File::open(parent)?.sync_all()
        };
        write().map_err(|source| JournalError::Io {
            path: self.path.clone(),
            source,
        })
    }
}
