//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use alloy_consensus::Header;
use cortado_l1::{BlockCount, TrackedHeader, Tree};
use cortado_types::{B256, Bytes};

const ROUNDS: usize = 8_000;

fn raw(parent: B256, number: u64) -> Bytes {
    let header = Header {
        parent_hash: parent,
        number,
        timestamp: 12 * number,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(B256::ZERO),
        ..Header::default()
    };
    alloy_rlp::encode(header).into()
}

#[test]
fn no_bytes_break_the_reading_of_l1_headers() {
    mutate::run(&[raw(B256::ZERO, 1_000).to_vec()], ROUNDS, checks::header);
}

#[test]
fn no_bytes_break_the_reading_of_stored_trees() {
    let mut tree = Tree::new(TrackedHeader::read(&raw(B256::ZERO, 100)).expect("a header"));
    let one = alloy_rlp::encode(&tree);
    for _ in 0..6 {
        let head = tree.head();
        tree.take(&[raw(head.hash, head.number + 1)], u64::MAX, &BlockCount)
            .expect("extends");
    }
    let fin = *tree.ancestor_at(&tree.head().hash, 103).expect("tracked");
    tree.finalize(fin.to_ref()).expect("an ancestor");
    mutate::run(&[one, alloy_rlp::encode(&tree)], ROUNDS, checks::tree);
}
