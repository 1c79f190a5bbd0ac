//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use alloy_consensus::{Header, proofs::ordered_trie_root_encoded};
use alloy_sol_types::SolEvent;
use cortado_derive::{
    Ethereum, Queued, RECEIPT_GAS_PER_BYTE, REFERENCE_ADDRESS, References, entries_of,
    needs_receipts,
};
use cortado_types::{Address, Bytes};

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

/// A receipt that an L1 block commits to, whatever it is: either it is of an unknown form, which is
/// no lie, or what is found in it was logged by the inbox, in order.
pub fn receipt(bytes: &[u8]) {
    let (Some(at), receipts) = (bytes.first(), [Bytes::copy_from_slice(bytes)]) else {
        return;
    };
    let inbox = Address::repeat_byte(0x1b);
    let mut header = Header {
        gas_used: RECEIPT_GAS_PER_BYTE * bytes.len() as u64,
        receipts_root: ordered_trie_root_encoded(&receipts),
        ..Header::default()
    };
    let needed = at % 2 == 0;
    if needed {
        let topics = [Queued::SIGNATURE_HASH];
        header.logs_bloom.accrue_raw_log(inbox, &topics);
    }
    match entries_of(&alloy_rlp::encode(&header), &receipts, inbox) {
        Ok(entries) => {
            assert!(needed || entries.is_empty());
            assert!(entries.is_sorted_by(|a, b| a.log_index < b.log_index));
            let logged = bytes.windows(20).filter(|part| *part == inbox.as_slice());
            assert!(entries.len() <= logged.count());
        }
        Err(error) => assert!(!error.is_lie(), "{error}"),
    }
}

/// A header from anybody: what it says is needed and what is found without it agree.
pub fn header(bytes: &[u8]) {
    let inbox = Address::repeat_byte(0x1b);
    match (needs_receipts(bytes, inbox), entries_of(bytes, &[], inbox)) {
        (Ok(_), Ok(entries)) => assert!(entries.is_empty(), "from no receipts"),
        (Ok(needed), Err(error)) => assert!(needed && error.is_lie(), "{error}"),
        (Err(error), found) => assert_eq!(found, Err(error.into())),
    }
}
