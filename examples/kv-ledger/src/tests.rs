//! A ledger fed with lane blocks, without a network.

use crate::ledger::{Ledger, TextReferences};
use cortado_derive::{Cursor, Fork, L2Input, Params, derive_lane};
use cortado_l1::TrackedHeader;
use cortado_types::{
    B256, Bytes, ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, Slot, TimestampMs,
};

fn l1(number: u64, byte: u8, parent: u8) -> TrackedHeader {
    let (hash, parent) = (B256::repeat_byte(byte), B256::repeat_byte(parent));
    TrackedHeader {
        number,
        hash,
        parent,
        timestamp: number,
    }
}

/// What derivation makes of `lines` on the fork 1 ── 2, with 2 as context; 3 is a sibling of 2.
fn input(lines: &[String]) -> L2Input {
    let mut fork = Fork::new(l1(1, 1, 0));
    for header in [l1(2, 2, 1), l1(2, 3, 1)] {
        fork.insert(header).expect("linked");
    }
    fork.set_tip(B256::repeat_byte(2)).expect("held");
    let body = LaneBody {
        transactions: lines
            .iter()
            .map(|line| Bytes::from(line.clone().into_bytes()))
            .collect(),
    };
    let lane = LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(9),
        slot: Slot::ZERO,
        seq: Seq::ZERO,
        last: false,
        height: Height::new(1),
        parent: B256::ZERO,
        context: L1Ref {
            number: 2,
            hash: B256::repeat_byte(2),
        },
        timestamp: TimestampMs::new(5),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let cursor = Cursor::new(L1Ref {
        number: 1,
        hash: B256::repeat_byte(1),
    });
    let params = Params { import_gas: 0 };
    derive_lane(&cursor, &lane, &body, &fork, &TextReferences, &params)
        .expect("all is held")
        .1
}

fn get<'a>(ledger: &'a Ledger, key: &str) -> Option<&'a str> {
    ledger.entries().get(key).map(String::as_str)
}

fn lines(text: &[&str]) -> Vec<String> {
    text.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn keys_are_set_and_deleted_and_nonsense_is_skipped() {
    let mut ledger = Ledger::default();
    let text = [
        "set a 1",
        "set b 2",
        "delete a",
        "delete nothing",
        "hello",
        "set a",
    ];
    let (block, skipped) = ledger.execute(&input(&lines(&text))).expect("a block");
    assert_eq!((get(&ledger, "a"), get(&ledger, "b")), (None, Some("2")));
    assert_eq!((block.number, skipped), (1, 3));
    let mut other = Ledger::default();
    let (same, _) = other
        .execute(&input(&lines(&["set b 2"])))
        .expect("a block");
    assert_eq!(same.root, block.root, "the root is of the content");
    assert!(
        ledger.execute(&input(&[])).is_none(),
        "nothing yields no block"
    );
}

#[test]
fn a_transaction_that_refers_to_another_fork_falls_back() {
    let refer = |byte| format!("@{} set x {byte}", B256::repeat_byte(byte));
    let input = input(&[refer(1), refer(2), refer(3)]);
    assert_eq!((input.transactions.len(), input.dropped.len()), (2, 1));
    let mut ledger = Ledger::default();
    ledger.execute(&input);
    assert_eq!(get(&ledger, "x"), Some("2"));
}
