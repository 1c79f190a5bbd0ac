//! Check promises: preconfirmations, conditions, evidence.
//!
//! A preconfirmation is a promise that the proposer of a slot signs within milliseconds (R19). This
//! crate says what a promise is, what is signed, and which pairs of signed things contradict each
//! other; whoever signs both is slashed for it (R21). An honest proposer never can: it signs one
//! promise a position and one header a place, and persists before it signs (R20).
//!
//! ```text
//!   promise ─┬─ another promise for the position ──────▶ TwoPromises
//!            └─ a lane header with another body there ─▶ BrokenByHeader
//!   lane header ── another header for the place ───────▶ LaneEquivocation
//! ```
//!
//! Omission is not evidence: nobody signed anything. It is paid for from collateral, by rules that
//! come with the contracts.

mod equivocation;
mod evidence;
mod promise;

#[cfg(test)]
mod tests;

pub use equivocation::{EquivocationError, LaneEquivocation};
pub use evidence::{BrokenByHeader, EvidenceError, TwoPromises};
pub use promise::{Coverage, Outcome, Position, Promise, SignedPromise, Terms};
