//! The state on disk: one snapshot, replaced as a whole.

use crate::{block::Block, ledger::Finalized, node::RECOVERY, runtime::Runtime};
use bytes::Bytes;
use commonware_codec::{Error as CodecError, RangeCfg};
use commonware_storage::metadata::{self, Metadata};
use commonware_utils::sequence::U64;
use cortado_chain::{GenesisStateError, State};
use cortado_types::{B256, Genesis, Height};
use std::sync::Arc;
use thiserror::Error;

/// Why a snapshot cannot be written or read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk.
    #[error("snapshot store: {0}; {RECOVERY}")]
    Store(#[from] metadata::Error),
    /// The block in it.
    #[error("block in the snapshot: {0}; {RECOVERY}")]
    Block(#[from] CodecError),
    /// The state in it.
    #[error("state in the snapshot: {0}; {RECOVERY}")]
    State(#[from] GenesisStateError),
    /// State and block do not fit.
    #[error(
        "snapshot of block {height}: its state has root {got}, its header says {want}; {RECOVERY}"
    )]
    Root {
        /// Of which block.
        height: Height,
        /// Root of the stored state.
        got: B256,
        /// Root in the stored header.
        want: B256,
    },
    /// Written by a chain with another genesis.
    #[error("data directory belongs to the chain with genesis {got}, this is {want}")]
    Genesis {
        /// Genesis hash on disk.
        got: B256,
        /// Genesis hash configured.
        want: B256,
    },
    /// Written by a newer version of this program.
    #[error("data directory has format {got}, this program reads up to {FORMAT}")]
    Format {
        /// Format on disk.
        got: u64,
    },
}

/// Version of everything this crate writes. A newer one is refused by name.
const FORMAT: u64 = 1;

const KEY_FORMAT: u64 = 0;
const KEY_GENESIS: u64 = 1;
const KEY_BLOCK: u64 = 2;
const KEY_STATE: u64 = 3;

/// Where snapshots are kept.
pub struct Snapshots<E: Runtime> {
    store: Option<Metadata<E, U64, Bytes>>,
}

impl<E: Runtime> Snapshots<E> {
    /// Opens the store and loads the snapshot in it, or begins at genesis.
    ///
    /// # Errors
    /// [`SnapshotError`] if what is on disk is damaged, newer, or of another chain.
    pub async fn open(
        context: E,
        prefix: &str,
        genesis: &Genesis,
    ) -> Result<(Self, Finalized), SnapshotError> {
        let config = metadata::Config {
            partition: format!("{prefix}-snapshot"),
            codec_config: RangeCfg::from(..),
        };
        let mut store: Metadata<E, U64, Bytes> = Metadata::init(context, config).await?;
        let start = State::genesis(genesis)?;
        let first = Block::new(start.genesis_block());
        if let Some(format) = store.get(&U64::new(KEY_FORMAT)) {
            let got = read_u64(format);
            if got != FORMAT {
                return Err(SnapshotError::Format { got });
            }
            let stored = store
                .get(&U64::new(KEY_GENESIS))
                .cloned()
                .unwrap_or_default();
            if stored.as_ref() != first.hash().as_slice() {
                let got = B256::try_from(stored.as_ref()).unwrap_or_default();
                return Err(SnapshotError::Genesis {
                    got,
                    want: first.hash(),
                });
            }
        } else {
            store.put(
                U64::new(KEY_FORMAT),
                Bytes::copy_from_slice(&FORMAT.to_be_bytes()),
            );
            store.put(
                U64::new(KEY_GENESIS),
                Bytes::copy_from_slice(first.hash().as_slice()),
            );
            store = store.sync().await?;
        }
        let finalized = match (
            store.get(&U64::new(KEY_BLOCK)),
            store.get(&U64::new(KEY_STATE)),
        ) {
            (Some(block), Some(state)) => read(genesis, block.clone(), state)?,
            _ => Finalized {
                block: first,
                state: Arc::new(start),
                certificate: None,
            },
        };
        Ok((Self { store: Some(store) }, finalized))
    }

    /// Replaces the snapshot; both parts change together or not at all.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn write(&mut self, finalized: &Finalized) -> Result<(), SnapshotError> {
        let Some(mut store) = self.store.take() else {
            return Err(metadata::Error::from(commonware_runtime::Error::Closed).into());
        };
        store.put(U64::new(KEY_BLOCK), finalized.block.bytes().clone());
        store.put(U64::new(KEY_STATE), finalized.state.to_bytes().into());
        self.store = Some(store.sync().await?);
        Ok(())
    }
}

fn read_u64(bytes: &Bytes) -> u64 {
    bytes
        .as_ref()
        .try_into()
        .map_or(u64::MAX, u64::from_be_bytes)
}

fn read(genesis: &Genesis, block: Bytes, state: &Bytes) -> Result<Finalized, SnapshotError> {
    let block = Block::from_bytes(block)?;
    let state = State::from_bytes(genesis, state)?;
    let header = &block.inner().header;
    let got = state.root();
    if got != header.state_root {
        return Err(SnapshotError::Root {
            height: header.height,
            got,
            want: header.state_root,
        });
    }
    Ok(Finalized {
        block,
        state: Arc::new(state),
        certificate: None,
    })
}

#[cfg(test)]
mod tests;
