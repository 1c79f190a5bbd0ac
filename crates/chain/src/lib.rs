//! Apply one block to the replicated state.
//!
//! The gadget does not execute rollup transactions (R7). What it executes is here and is small:
//! namespaces and their tips, the L1 pointer, the seats. All of it is a pure function of state and
//! block:
//!
//! ```text
//!   State ──apply(block)──▶ State'      an attester, before its vote can finalise the block
//!   State ──build(draft)──▶ Block       a leader; drops what cannot be included, never fails
//!   Header, now ──judge_clock──▶ ready, or not yet (R5); never "invalid"
//! ```
//!
//! Order within a block is R8's: lane blocks first, then operations; so every lane block of block
//! `k` is anchored at `L1*` after block `k − 1`.
//!
//! A [`Rejection`] is for ever: the block is invalid on every honest attester. Nothing here waits.

mod apply;
mod build;
mod clock;
mod lane;
mod state;

#[cfg(test)]
mod tests;

pub use apply::{Checks, FORK_RULE, Rejection, SeatsRejection, apply};
pub use build::{Draft, build};
pub use clock::{ClockVerdict, judge_clock};
pub use lane::{LaneRejection, check_lane, check_place, is_slot_open};
pub use state::{
    Config, ENTRY_CONFIG, ENTRY_L1, ENTRY_NAMESPACE, ENTRY_TERM, GenesisStateError, NamespaceState,
    Proof, Seating, State, TermEntry, Tip, proposer_of,
};
