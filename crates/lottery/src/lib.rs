//! Assign bundles of namespaces to proposers.
//!
//! The Knock-Out Lottery: every paid gwei is a ball in an urn. Draw a ball; its bundle is
//! assigned, and every ball on an overlapping bundle leaves the urn. Repeat until it is empty.
//!
//! ```text
//!  tickets ──Batch──▶ Index ──Lottery──▶ Assignment ──Sale──▶ prices, shares, right of refusal
//!            checks    pools    draws        │
//!                                            ├──▶ Tickets::verify   anyone, from the batch
//!                                            └──▶ Opening::check    anyone, from 32 bytes
//! ```
//!
//! - [`batch`] checks what is drawn from; [`index`] merges equal bundles into pools once for all
//!   slots with the same tickets; [`draw`] assigns one slot; [`sale`] is the money of one bundle.
//! - [`verify`] recomputes an assignment by another route and names the first difference.
//! - [`opening`] proves one winner in about 400 bytes.
//! - [`auction`] is the baseline the lottery is compared with: best packing, bound, split.
//! - [`file`] reads instances and writes answers.
//! - `lab` (feature `lab`) is for people and benches, not for the chain: instance families, exact
//!   and sampled odds, equilibria.
//!
//! Everything but `lab` is integers only, without clock, disk, network or ambient randomness. The
//! same arguments give the same result on every machine.
//!
//! # Money
//! Every ticket pays its stake, won or lost. The holder adds the reserves `R_B`; the bundle's
//! price is `R_B + pot`, where the pot is all stake the draw knocked out. In every run
//! `Σ pots = Σ stakes` and `Σ_{i∈B} x_i = R_B + pot_B`; the draw asserts both.
//!
//! # Failure
//! A batch that breaks a rule is refused by [`Batch::new`](batch::Batch::new) with the value and
//! the limit. After that nothing fails: the draw of a checked batch has no error.
//!
//! # Departures from the source
//! The chain decides admissibility (closed namespaces, policies, the L1 pointer's singleton rule)
//! before a batch is made; here an index of a namespace has no special meaning.

pub mod amount;
pub mod auction;
pub mod batch;
pub mod draw;
pub mod file;
pub mod index;
#[cfg(feature = "lab")]
pub mod lab;
pub mod mix;
pub mod opening;
mod prefix;
pub mod sale;
#[cfg(test)]
mod testing;
pub mod uniform;
pub mod verify;

pub use amount::{Gwei, Sum};
pub use batch::{Batch, BatchError, BundleIndex, Bundles, Member, OwnerId, Ticket, TicketId};
pub use draw::{Assignment, Draw, Lottery};
pub use index::{Index, PoolIndex};
pub use opening::Opening;
pub use sale::Sale;
pub use uniform::{Beacon, Seed};
pub use verify::{Difference, Pools, Tickets};
