//! Execute Ethereum blocks on persistent, provable state.
