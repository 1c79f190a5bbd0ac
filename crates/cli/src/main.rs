//! The one binary: devnet, node, proposer, rollup, l1, lottery, tools.
fn main() {}
