//! What can be wrong with a configuration.

use super::{Contract, SEATS_MAX};
use alloy_primitives::B256;
use cortado_types::{ChainId, Namespace, limits};
use thiserror::Error;

/// Why a configuration is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// An epoch without length.
    #[error("registry.epoch_seconds is 0")]
    EpochLength,
    /// Stake would leave before evidence against it can be brought.
    #[error(
        "registry.unbonding_seconds is {unbonding}, it must be above {least}: trust, answer and evidence together"
    )]
    Unbonding {
        /// Given.
        unbonding: u32,
        /// The three together.
        least: u64,
    },
    /// A seat that costs nothing.
    #[error("registry.min_seat_gwei is 0")]
    FreeSeat,
    /// Too few or too many seats.
    #[error(
        "registry.seats_max is {seats}, it must be within {} and {SEATS_MAX}",
        limits::SEATS_MIN
    )]
    SeatsMax {
        /// Given.
        seats: u16,
    },
    /// Does not fit the contract's number.
    #[error("registry.genesis {genesis} is no time in seconds")]
    Genesis {
        /// Given.
        genesis: u64,
    },
    /// Not a header, or of another chain.
    #[error("light_client.anchor is no header of chain {chain_id}: {reason}")]
    Anchor {
        /// The configuration's chain.
        chain_id: ChainId,
        /// What is wrong.
        reason: String,
    },
    /// The seats are not those that the anchor names.
    #[error("light_client.seats are {got}, the anchor names {want}: {reason}")]
    Seats {
        /// Hash of the given ones, zero if they are no set.
        got: B256,
        /// Hash in the anchor.
        want: B256,
        /// What is wrong.
        reason: String,
    },
    /// It would take the place of another contract.
    #[error(
        "the nonce of {contract} is {nonce}, the other contracts take the nonces below {least}"
    )]
    Nonce {
        /// Which contract.
        contract: Contract,
        /// Given.
        nonce: u64,
        /// The first free one.
        least: u64,
    },
    /// Two contracts at one place.
    #[error("{contract} and {other} have the same nonce {nonce}")]
    SameNonce {
        /// One.
        contract: Contract,
        /// The other.
        other: Contract,
        /// Their nonce.
        nonce: u64,
    },
    /// A rollup has one inbox.
    #[error("inboxes name the rollup {namespace} twice")]
    InboxTwice {
        /// Which.
        namespace: Namespace,
    },
    /// Not a rollup.
    #[error(
        "inboxes name the namespace {namespace}, which belongs to the protocol and not to a rollup"
    )]
    NoRollup {
        /// Which.
        namespace: Namespace,
    },
}
