//! Speak Ethereum JSON-RPC over any chain that can answer it.
