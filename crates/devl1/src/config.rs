//! What an embedded L1 is made from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::SlotClock;

/// Shortest slot, in milliseconds: executing and persisting a block must fit well within it.
pub const SLOT_MS_MIN: u64 = 50;

/// Most validators: the lookahead and its root are computed over all of them.
pub const VALIDATORS_MAX: u32 = 4_096;

/// Most slots of an epoch.
pub const SLOTS_PER_EPOCH_MAX: u64 = 64;

/// The chain id nobody may imitate.
const MAINNET: u64 = 1;

/// Everything that defines one embedded L1. Two with equal configuration (addresses and directory
/// apart) make the same genesis; a data directory opened with another one is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// EIP-155 chain id; not mainnet's.
    pub chain_id: u64,
    /// Length of a slot in milliseconds.
    #[serde(default = "default_slot_ms")]
    pub slot_ms: u64,
    /// Slots of an epoch.
    #[serde(default = "default_slots_per_epoch")]
    pub slots_per_epoch: u64,
    /// Start of slot 0, in milliseconds since the Unix epoch; a whole second.
    pub genesis_time_ms: u64,
    /// Accounts with ether at genesis.
    #[serde(default)]
    pub prefunded: Vec<Prefunded>,
    /// Further accounts at genesis: contracts, for instance.
    #[serde(default)]
    pub alloc: BTreeMap<Address, GenesisAccount>,
    /// Where blocks and pool are kept.
    pub data_dir: PathBuf,
    /// Where Ethereum JSON-RPC listens, HTTP and WebSocket; port 0 lets the system choose.
    pub rpc_addr: SocketAddr,
    /// Where the beacon API listens; port 0 lets the system choose.
    pub beacon_addr: SocketAddr,
    /// What validators, lookahead and randomness are derived from.
    #[serde(default)]
    pub seed: u64,
    /// Number of validators.
    #[serde(default = "default_validators")]
    pub validators: u32,
    /// The finalised checkpoint is this many epochs behind the head's epoch; at least 1.
    #[serde(default = "default_finality_lag_epochs")]
    pub finality_lag_epochs: u64,
}

/// An account with ether at genesis.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prefunded {
    /// Who.
    pub address: Address,
    /// How much, in wei.
    pub wei: U256,
}

const fn default_slot_ms() -> u64 {
    2_000
}

const fn default_slots_per_epoch() -> u64 {
    8
}

const fn default_validators() -> u32 {
    64
}

const fn default_finality_lag_epochs() -> u64 {
    2
}

/// A configuration that makes no chain. Names the value and the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Mainnet's id, or none.
    #[error("chain_id {0} is not for an embedded L1")]
    ChainId(u64),
    /// Too short a slot.
    #[error("slot_ms {0} is below the least, {SLOT_MS_MIN}")]
    SlotTooShort(u64),
    /// No slots in an epoch, or too many.
    #[error("slots_per_epoch {0} is not within 1 and {SLOTS_PER_EPOCH_MAX}")]
    SlotsPerEpoch(u64),
    /// Block timestamps are whole seconds, and so must be the first one.
    #[error("genesis_time_ms {0} is not a whole second after 1970")]
    GenesisTime(u64),
    /// No validators, or too many.
    #[error("validators {0} is not within 1 and {VALIDATORS_MAX}")]
    Validators(u32),
    /// Finality without delay would leave no room for forks.
    #[error("finality_lag_epochs 0 is below the least, 1")]
    FinalityLag,
}

impl Config {
    /// Checks every field that has a limit.
    ///
    /// # Errors
    /// The first field that makes no chain.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.chain_id == 0 || self.chain_id == MAINNET {
            return Err(ConfigError::ChainId(self.chain_id));
        }
        if self.slot_ms < SLOT_MS_MIN {
            return Err(ConfigError::SlotTooShort(self.slot_ms));
        }
        if !(1..=SLOTS_PER_EPOCH_MAX).contains(&self.slots_per_epoch) {
            return Err(ConfigError::SlotsPerEpoch(self.slots_per_epoch));
        }
        if self.genesis_time_ms == 0 || !self.genesis_time_ms.is_multiple_of(1_000) {
            return Err(ConfigError::GenesisTime(self.genesis_time_ms));
        }
        if !(1..=VALIDATORS_MAX).contains(&self.validators) {
            return Err(ConfigError::Validators(self.validators));
        }
        if self.finality_lag_epochs == 0 {
            return Err(ConfigError::FinalityLag);
        }
        Ok(())
    }

    /// The slots of this chain.
    pub fn clock(&self) -> SlotClock {
        SlotClock {
            genesis_time_ms: self.genesis_time_ms,
            slot_ms: self.slot_ms,
            slots_per_epoch: self.slots_per_epoch,
        }
    }

    /// The genesis of the execution chain. Its extra data commits to what the block itself would
    /// not show, so that a data directory cannot be continued under other rules.
    pub fn genesis(&self) -> Genesis {
        let mut rules = Sha256::new();
        rules.update(b"devl1 rules");
        for value in [
            self.chain_id,
            self.slot_ms,
            self.slots_per_epoch,
            self.genesis_time_ms,
            self.seed,
            self.validators.into(),
        ] {
            rules.update(value.to_be_bytes());
        }
        let mut alloc = self.alloc.clone();
        for account in &self.prefunded {
            alloc.entry(account.address).or_default().balance = account.wei;
        }
        Genesis {
            timestamp: self.genesis_time_ms / 1_000,
            extra_data: Bytes::copy_from_slice(&rules.finalize()),
            alloc,
            ..Genesis::default()
        }
    }
}
