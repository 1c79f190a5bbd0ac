//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use cortado_derive::{Ethereum, REFERENCE_ADDRESS, References};
use cortado_types::Bytes;

/// Transactions from anybody: a reference that is read stands in the bytes after the address.
pub fn references(bytes: &[u8]) {
    let raw = Bytes::copy_from_slice(bytes);
    for reference in Ethereum.references(&raw) {
        let at = bytes
            .windows(20)
            .position(|part| part == REFERENCE_ADDRESS.as_slice());
        let rest = &bytes[at.expect("the address is in it")..];
        assert!(rest.windows(32).any(|part| part == reference.as_slice()));
    }
}
