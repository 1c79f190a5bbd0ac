//! Say what this seat's L1 node holds, gather what others say, offer it to leaders (R9, R10).
//!
//! Sight is not preference: a seat signs every header its L1 node holds as valid, on any fork.
//! Which fork the pointer follows is the chain's rule. So no attester ever waits on its L1 node
//! inside `verify`.

mod actor;
mod ingress;
mod state;

pub use actor::{Actor, Config};
pub use ingress::{Mailbox, Observation};
pub use state::Witness;
