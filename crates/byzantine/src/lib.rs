//! Attesters that lie on purpose, so that a devnet can show what becomes of them.
//!
//! Nothing else uses this crate: `cortado devnet --byzantine` does, and no service can
//! (`scripts/check_arrows.py` holds that). An attester of this kind is not the engine bent to lie. It
//! has a seat's keys and a seat's place on the network, and it hears votes and signs others; it keeps
//! no journal, follows no chain, leads no view. To the honest it is a seat that is silent but for its
//! lies, and less than a third of these stop nothing.

mod equivocator;

pub use equivocator::{Equivocator, EquivocatorConfig, EquivocatorError};
