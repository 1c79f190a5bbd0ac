//! Accuse and excuse seats (R2): what a seat signed against the rules, what clears one that did not,
//! and who made a fork.
//!
//! ```text
//!   signed votes ──┬─ two that conflict in one view ─────────────▶ Evidence, slashed at once
//!   of one seat    └─ finalize(v, B), later a vote beside B ─────▶ Evidence, accused; unless
//!                                                                  an Excuse is shown in time
//!   two final blocks that exclude each other (Fork)
//!        + archived votes (ViewRecord) of several nodes ─────────▶ Coalition, every member of it
//! ```
//!
//! The rules are those of `Slasher.sol`; what verifies here is accepted there. An honest seat signs
//! nothing that conflicts in one view, and for what it signs across views there is always an excuse:
//! [`coalition`] says why.

mod electorate;
mod evidence;
mod fork;
mod record;

#[cfg(test)]
mod tests;

pub use electorate::{Electorate, Voters};
pub use evidence::{Crossing, EVIDENCE_BYTES_MAX, Evidence, EvidenceError, Path, excuses};
pub use fork::{Coalition, FinalBlock, Fork, coalition};
pub use record::{VIEW_RECORD_BYTES_MAX, ViewRecord};
