//! Genesis: what all nodes of a chain agree on before the first block.

use crate::{
    header::L1Ref,
    ids::{ChainId, Namespace, TimestampMs},
    limits::NAMESPACES_MAX,
    registry::SeatsRead,
    seats::{Identity, SeatSet, SeatSetError},
    time::SlotClock,
};
use alloy_primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The L1 that the chain follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1Config {
    /// EIP-155 id of the L1.
    pub chain_id: u64,
    /// Length of an L1 slot, ms; a whole number of Cortado slots.
    pub slot_ms: u64,
    /// L1 slots in an epoch: 32 on mainnet, 8 on the devnet.
    pub slots_per_epoch: u64,
    /// RLP of the L1 header the pointer and `L1fin` start at.
    pub anchor: Bytes,
    /// The contract on L1 that holds stake and settles seats (R10).
    pub registry: Address,
}

/// One namespace at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceConfig {
    /// The rollup's EIP-155 chain id, or 0 for the L1 pointer.
    pub namespace: Namespace,
    /// Proposer of every slot that nobody bought; none only for namespaces 0 and 1.
    pub reserve_holder: Option<Address>,
    /// Bytes of bodies an attester acknowledges for one slot (R6a).
    pub slot_bytes_max: u64,
}

/// What all nodes agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Id of this chain, bound into all signatures.
    pub chain_id: ChainId,
    /// Start of slot 0, aligned to an L1 slot.
    pub time: TimestampMs,
    /// Length of a slot, ms.
    pub slot_ms: u64,
    /// Length of a term, ms: its seats sit at least so long (R5a).
    pub term_ms: u64,
    /// The L1 that the chain follows.
    pub l1: L1Config,
    /// Ascending by id.
    pub namespaces: Vec<NamespaceConfig>,
    /// Seats of the first term, as the registry had them at the anchor.
    pub seats: SeatsRead,
    /// p2p identities of proposers, which bring bodies to the attesters.
    #[serde(default)]
    pub proposers: Vec<Identity>,
}

/// Why a genesis is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GenesisError {
    /// A slot length that does not fit the L1's.
    #[error(
        "slot_ms is {slot_ms}, it must be at least {min} and divide the L1 slot of {l1_slot_ms} ms, which is at most {}",
        L1_SLOT_MS_MAX
    )]
    SlotLength {
        /// Given slot length, ms.
        slot_ms: u64,
        /// Shortest that leaves room for `GRACE_MS`.
        min: u64,
        /// L1 slot length, ms.
        l1_slot_ms: u64,
    },
    /// A term that is too short to hand over in, or endless.
    #[error(
        "term_ms is {term_ms}, it must be within {} and {}",
        TERM_MS_MIN,
        TERM_MS_MAX
    )]
    TermLength {
        /// Given term length, ms.
        term_ms: u64,
    },
    /// An epoch must hold at least one slot.
    #[error("slots_per_epoch is 0")]
    EmptyEpoch,
    /// Namespaces must ascend, without duplicates.
    #[error("namespace {namespace} is not above the one before it")]
    NamespaceOrder {
        /// The offender.
        namespace: Namespace,
    },
    /// Nobody could ever propose for it.
    #[error("namespace {namespace} is a rollup and has no reserve holder")]
    NoReserveHolder {
        /// The offender.
        namespace: Namespace,
    },
    /// No key has the zero address, and state entries write "nobody" that way.
    #[error("namespace {namespace} has the zero address as reserve holder")]
    ZeroReserveHolder {
        /// The offender.
        namespace: Namespace,
    },
    /// Too many namespaces.
    #[error("{count} namespaces, the limit is {}", NAMESPACES_MAX)]
    TooManyNamespaces {
        /// How many.
        count: usize,
    },
    /// The seats do not make a set.
    #[error(transparent)]
    Seats(#[from] SeatSetError),
}

/// Shortest slot, ms. Above `GRACE_MS`, so that at any time at most two slots of a namespace are open.
pub const SLOT_MS_MIN: u64 = 1_000;

/// Longest L1 slot, ms: five times Ethereum's. Times stay far from the end of their range.
pub const L1_SLOT_MS_MAX: u64 = 60_000;

/// Shortest term, ms. The last views of a term make its last block final and nothing else; several
/// slots must lie between two of these.
pub const TERM_MS_MIN: u64 = 4_000;

/// Longest term, ms: 28 days. Whoever leaves waits for the end of its term before its stake can.
pub const TERM_MS_MAX: u64 = 28 * 86_400_000;

const _: () = assert!(SLOT_MS_MIN > crate::limits::GRACE_MS);

impl Genesis {
    /// Checks everything that does not need the L1 header to be read; whether the seats stand in
    /// its state is checked where the state of block 0 is made.
    ///
    /// # Errors
    /// [`GenesisError`] names the value and the limit.
    pub fn validate(&self) -> Result<SeatSet, GenesisError> {
        let l1_slot_ms = self.l1.slot_ms;
        let fits = self.slot_ms >= SLOT_MS_MIN && l1_slot_ms.is_multiple_of(self.slot_ms);
        if !fits || l1_slot_ms == 0 || l1_slot_ms > L1_SLOT_MS_MAX {
            return Err(GenesisError::SlotLength {
                slot_ms: self.slot_ms,
                min: SLOT_MS_MIN,
                l1_slot_ms,
            });
        }
        let term_ms = self.term_ms;
        if !(TERM_MS_MIN..=TERM_MS_MAX).contains(&term_ms) {
            return Err(GenesisError::TermLength { term_ms });
        }
        if self.l1.slots_per_epoch == 0 {
            return Err(GenesisError::EmptyEpoch);
        }
        let count = self.namespaces.len();
        if count > NAMESPACES_MAX {
            return Err(GenesisError::TooManyNamespaces { count });
        }
        for (i, config) in self.namespaces.iter().enumerate() {
            let namespace = config.namespace;
            if i > 0 && self.namespaces[i - 1].namespace >= namespace {
                return Err(GenesisError::NamespaceOrder { namespace });
            }
            if namespace.is_rollup() && config.reserve_holder.is_none() {
                return Err(GenesisError::NoReserveHolder { namespace });
            }
            if config.reserve_holder == Some(Address::ZERO) {
                return Err(GenesisError::ZeroReserveHolder { namespace });
            }
        }
        Ok(SeatSet::new(self.seats.seats.clone())?)
    }

    /// Slots as this chain counts them.
    pub fn clock(&self) -> SlotClock {
        SlotClock {
            genesis: self.time,
            slot_ms: self.slot_ms,
        }
    }

    /// The anchor as a reference: its hash is keccak of the RLP; `number` comes from whoever read it.
    pub fn anchor_ref(&self, number: u64) -> L1Ref {
        L1Ref {
            number,
            hash: alloy_primitives::keccak256(&self.l1.anchor),
        }
    }
}
