//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use alloy_consensus::Header;
use cortado_l1::{BlockCount, TrackedHeader, Tree, sync::Versioned};
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

#[test]
fn no_bytes_break_the_reading_of_light_client_updates_or_prove_what_was_not_signed() {
    let (store, signed) = &*checks::SIGNED;
    store.verify(signed, u64::MAX).expect("it was signed");
    let mut bare = signed.clone();
    bare.next_sync_committee_branch.fill(B256::ZERO);
    bare.next_sync_committee.pubkeys.fill(Default::default());
    bare.next_sync_committee.aggregate_pubkey = Default::default();
    store.verify(&bare, u64::MAX).expect("it was signed");
    let seeds = [signed.to_ssz(checks::FORK), bare.to_ssz(checks::FORK)];
    mutate::run(&seeds, ROUNDS, checks::light_client_update);
}

#[test]
fn no_json_breaks_the_reading_of_light_client_updates_or_proves_what_was_not_signed() {
    let answer = Versioned {
        version: checks::FORK,
        data: checks::SIGNED.1.clone(),
    };
    let seed = serde_json::to_vec(&answer).expect("JSON");
    mutate::run(&[seed], ROUNDS, checks::light_client_json);
}
