//! Name the things of the protocol: ids, amounts, blocks, certificates, codecs, proofs.
//!
//! This crate is the ground floor: everyone may use it and it uses nobody. It holds no rules
//! about *when* something is allowed (that is `chain`), only what things are, how they are
//! written as bytes, how they are hashed and signed, and how a part is proved against a root.
//!
//! ```text
//!  FinalityCertificate ──signs──▶ Header ──┬─ lanes root ──▶ LaneEntry ── body root ──▶ transaction
//!   (bitmap over SeatSet)          (R4)    ├─ operations root ──▶ Operation
//!                                          ├─ state root ──▶ state entry
//!                                          └─ history root ──▶ any earlier Header
//! ```
//!
//! Everything that crosses the network or the disk is RLP and is decoded by [`codec::decode_exact`],
//! which refuses over-long input before it allocates and trailing bytes after it. Roots are
//! Ethereum Merkle-Patricia tries, so that a contract can open them with what it already has.

pub mod block;
pub mod bls;
pub mod certificate;
pub mod codec;
pub mod ecdsa;
pub mod genesis;
pub mod header;
pub mod ids;
pub mod lane;
pub mod limits;
pub mod mmr;
pub mod reference;
pub mod registry;
pub mod seats;
pub mod time;
pub mod trie;
pub mod vote;

#[cfg(test)]
mod tests;

pub use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
pub use block::{Block, LaneEntry, Operation, PointerMove};
pub use certificate::{
    CertificateError, FinalityCertificate, QuorumCertificate, SeatBitmap, Subject, SubjectKind,
};
pub use codec::{CodecError, decode_exact};
pub use genesis::{Genesis, GenesisError, L1Config, NamespaceConfig};
pub use header::{Header, L1Head, L1Ref, PartialL1};
pub use ids::{ChainId, Gwei, Height, Namespace, SeatIndex, Seq, Slot, Term, TimestampMs, View};
pub use lane::{BodyError, LaneBody, LaneHeader, SignedLaneHeader};
pub use reference::REFERENCE_ADDRESS;
pub use registry::{ReadSeats, SeatsRead, Settlement};
pub use seats::{Identity, Seat, SeatSet, SeatSetError};
pub use time::SlotClock;
pub use vote::{SignedVote, Vote, VoteCertificate, VoteKind};
