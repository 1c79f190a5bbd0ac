//! Turn finalised blocks and an L1 fork into L2 inputs.
//!
//! The finality chain orders; what a rollup executes depends on which fork of L1 turns out to be
//! Ethereum (R12). This crate is that function, pure: finalised lane blocks in order, their bodies
//! and a view of one fork `F` go in, and L2 inputs come out, one for every lane block that imports
//! or executes something. A rollup team brings its own executor; if its transactions are not
//! Ethereum's, also its own way to read a reference ([`References`]).
//!
//! ```text
//!  finalised block k        lane block of n           L2 input
//!  ┌─────────────────┐      ┌──────────────┐          context ≤ the header's, on F, never down
//!  │ lanes ──────────┼────▶ │ header, body │ ──F──▶   imports  L1→L2 entries up to the context
//!  │ pointer move    │      └──────────────┘          included transactions whose reference is on F
//!  └────────┬────────┘                                dropped  the others, each with its reason
//!           └──▶ F changes: Timeline goes back to the first lane block that can tell, and on again
//!                Fork::set_entries ◀── entries_of (L1 header, receipts)
//! ```
//!
//! [`derive_lane`] is the rule, a function of one lane block; [`Timeline`] keeps a namespace derived
//! while the chain's pointer changes forks.
//!
//! What is missing is never guessed: an L1 block that the view does not hold yields [`NotYet`], and
//! the same call succeeds when it is there.

mod fork;
mod inbox;
mod lane;
mod reference;
mod timeline;

#[cfg(test)]
mod tests;

pub use cortado_types::REFERENCE_ADDRESS;
pub use fork::{Entry, Fork, ForkError};
pub use inbox::{InboxError, Queued, RECEIPT_GAS_PER_BYTE, entries_of, needs_receipts};
pub use lane::{
    Cursor, Derived, DropReason, Dropped, L2Input, NotYet, Params, derive_lane, lanes_of,
};
pub use reference::{Ethereum, NoReferences, References};
pub use timeline::{Advance, Lane, Timeline, pointer_headers};
