//! For people and benches, not for the chain: where instances come from, what the odds are, and
//! what bidders would do. May use floating point and big rationals; nothing in the rules does.

pub mod equilibrium;
pub mod families;
pub mod odds;
