//! Follow Ethereum: header tree, fork choice, pointer moves.
