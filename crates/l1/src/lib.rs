//! Follow Ethereum: header tree, fork choice, pointer moves.
//!
//! The gadget keeps the L1 headers it was shown as a tree above the last block it knows finalised
//! (`L1fin`, R10), and a pointer `L1*` to one of them (R9). Everything here is a pure function of
//! the tree and the input; "I have not seen it" ([`MoveError::UnknownParent`]) is told apart from
//! "it is wrong" by [`MoveError::is_permanent`].
//!
//! ```text
//!                     ┌─ b3 ── b4 ── b5 = L1*     heavier now: the pointer moved over
//!   L1fin ── b1 ── b2 ┤
//!                     └─ a3 ── a4                 kept until it falls under L1fin
//! ```
//!
//! `L1*` moves to an extension, to a heavier fork ([`Weight`]), or back under `L1fin` when L1
//! finalised another fork than the one it was on.
//!
//! What stands in the state of a finalised block is read by proofs under its header
//! ([`read_seats`]), so that seats and stake come from L1 alone.

mod header;
mod registry;
pub mod sync;
pub mod testing;
mod tree;
mod weight;

#[cfg(test)]
mod tests;

pub use header::{HeaderError, TrackedHeader, full_header};
pub use registry::{ReadError, Settled, read_seats};
pub use tree::{FinalityError, MoveError, Moved, Tree};
pub use weight::{BlockCount, Weight};
