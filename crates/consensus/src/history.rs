//! Final blocks and their certificates, of all terms: kept, read, served, and fetched.
//!
//! An engine and its stores live for one term. What was final is here for as long as blocks are
//! kept, written by the finalizer before it counts as final to anybody. It is not synced for every
//! block: until it is, the term's engine has the block on disk as well, and a restart takes it from
//! there.
//!
//! Whoever is not in the present term (a node that was away, a new one, one that missed the end of a
//! term) asks peers for the next block by its height ([`catch_up`]) and believes what a quorum of
//! the seats signed that its own state names. So it walks from term to term whatever its peers'
//! engines still know.

mod actor;
pub mod catch_up;
mod ingress;
mod store;
mod wire;

pub use actor::Actor;
pub use ingress::Mailbox;
pub use store::{Opening, TermRecord};
pub use wire::{ANSWER_BYTES_MAX, Answer};
