//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use alloy_rlp::{Decodable, Encodable};
use cortado_rollup::{
    gateway::{Record, actor::decode, replay},
    journal::Journal,
    source::{Numbered, Submitted},
};
use std::path::Path;

/// A commit of the proposer's journal: what is read writes itself again.
pub fn commit(bytes: &[u8]) {
    let mut rest = bytes;
    let mut again = Vec::new();
    while !rest.is_empty() {
        let Ok(record) = Record::decode(&mut rest) else {
            return assert!(replay(&[bytes.to_vec()]).is_err());
        };
        record.encode(&mut again);
    }
    assert_eq!(again, bytes);
    // It may speak of a lane block that is not open; then it says so.
    let _ = replay(&[bytes.to_vec()]).is_ok();
}

/// A segment of the journal in directory `dir`: read, cut or refused, and what was read stays.
pub fn segment(dir: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(dir).expect("creates");
    std::fs::write(dir.join("0000000001.log"), bytes).expect("writes");
    let Ok((journal, first)) = Journal::open(dir) else {
        return;
    };
    drop(journal);
    let (_, second) = Journal::open(dir).expect("what was opened opens again");
    assert_eq!(first.commits, second.commits);
    assert_eq!(second.cut_bytes, 0);
}

/// What a proposer says to a rollup node.
pub fn events(bytes: &[u8]) {
    if let Ok(events) = serde_json::from_slice::<Vec<Numbered>>(bytes) {
        let text = serde_json::to_vec(&events).expect("serialises");
        let again: Vec<Numbered> = serde_json::from_slice(&text).expect("our own text");
        assert_eq!(again, events);
    }
    if let Ok(submitted) = serde_json::from_slice::<Submitted>(bytes) {
        serde_json::to_vec(&submitted).expect("serialises");
    }
}

/// A raw transaction as a user submits it.
pub fn transaction(bytes: &[u8]) {
    if let Ok(included) = decode(bytes.to_vec().into(), 7_001) {
        assert_eq!(included.hash(), cortado_types::keccak256(bytes));
    }
}
