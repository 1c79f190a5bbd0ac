//! Weigh forks by the sync committee's participation, proved from light-client updates (R9).
//!
//! In every slot the 512 validators of the beacon chain's sync committee sign the block that they
//! hold as head. An update (Altair's light-client protocol) carries that block's header, the
//! execution header under it, who signed, and the sum of the signatures:
//!
//! ```text
//!   committee of the period ── signs ──> beacon header ── body root ──> execution header: L1 block
//!                                              └── state root ──> next committee, finalised header
//! ```
//!
//! [`SyncStore`] knows the committees of up to [`PERIODS_KEPT`] periods in a row and checks updates
//! against them; what it has checked is a [`Verified`], and nothing else raises
//! [`SyncParticipation`], the weight. A committee follows the one before it only by an update that
//! two thirds signed and that shows finality in its own period, as in Altair's
//! `process_light_client_update`. There is no forced update: without finality for a period, the
//! weights stop rising.
//!
//! Containers are those from Capella to Fulu. Before Capella a light-client header shows no
//! execution block, so its updates weigh nothing and are refused.

mod committee;
mod containers;
mod error;
mod header;
mod json;
mod participation;
mod spec;
mod ssz;
mod store;

#[cfg(test)]
mod tests;

pub use containers::{
    LightClientBootstrap, LightClientOptimisticUpdate, LightClientUpdate, SyncAggregate,
    SyncCommittee,
};
pub use error::SyncError;
pub use header::{BeaconBlockHeader, ExecutionPayloadHeader, LightClientHeader};
pub use json::Versioned;
pub use participation::{PROVED_BLOCKS_MAX, SyncParticipation};
pub use spec::{BeaconSpec, Fork, ForkName, PARTICIPANTS_MIN, Preset, SpecError};
pub use ssz::SszError;
pub use store::{PERIODS_KEPT, SyncStore, Verified};

pub(crate) use spec::Member;
pub(crate) use ssz::{hash_pair, merkleize, root_of_u64};

/// Ciphersuite of the beacon chain: keys in G1 (48 bytes), signatures in G2 (96 bytes).
pub const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
/// A compressed public key.
pub type KeyBytes = alloy_primitives::FixedBytes<48>;
/// A compressed signature.
pub type SignatureBytes = alloy_primitives::FixedBytes<96>;
