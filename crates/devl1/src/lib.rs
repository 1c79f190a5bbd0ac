//! Be an Ethereum: an embedded L1 with forks on demand.
