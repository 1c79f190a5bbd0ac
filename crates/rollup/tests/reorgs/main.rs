//! Rollup and proposer while L1 changes forks: what falls, what stands, what is placed again.

#[path = "../support/chain.rs"]
mod chain;
mod kills;
mod random;
mod stories;
mod town;

/// Who is paid in these stories.
const TO: cortado_types::Address = cortado_types::Address::repeat_byte(9);
