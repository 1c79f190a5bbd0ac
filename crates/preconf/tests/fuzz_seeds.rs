//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use cortado_preconf::{Coverage, LaneEquivocation, Outcome, Position, Promise, Terms};
use cortado_types::{
    B256, ChainId, Height, L1Ref, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot, TimestampMs,
    codec, ecdsa::SigningKey,
};

fn key() -> SigningKey {
    SigningKey::from_bytes([7; 32]).expect("a scalar")
}

fn lane(size: u64) -> SignedLaneHeader {
    let header = LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(8_001),
        slot: Slot::new(300),
        seq: Seq::new(1),
        last: false,
        height: Height::new(128),
        parent: B256::repeat_byte(1),
        context: L1Ref::default(),
        timestamp: TimestampMs::new(1_700_000_000_000),
        body_root: B256::repeat_byte(2),
        size,
        group: B256::ZERO,
    };
    let signature = key().sign(header.hash());
    SignedLaneHeader { header, signature }
}

#[test]
fn no_bytes_break_the_reading_of_evidence() {
    let evidence = LaneEquivocation {
        first: lane(1),
        second: lane(2),
    };
    assert_eq!(evidence.culprit(), Ok(key().address()));
    mutate::run(&[codec::encode(&evidence)], 8_000, checks::equivocation);
}

#[test]
fn no_bytes_break_the_reading_of_promises() {
    let position = Position {
        namespace: Namespace::new(8_001),
        slot: Slot::ZERO,
        seq: Seq::ZERO,
        index: 9,
    };
    let promise = |terms| Promise {
        chain_id: ChainId::new(1),
        position,
        transaction: B256::repeat_byte(4),
        terms,
        coverage: Coverage { from: 1, to: 2 },
        deadline: TimestampMs::new(5),
    };
    let outcome = Outcome::of(true, &[], 21_000);
    let execution = Terms::Execution {
        l2_parent: B256::ZERO,
        context: L1Ref::default(),
        outcome,
    };
    let seeds = [Terms::Inclusion, execution]
        .map(|terms| serde_json::to_vec(&promise(terms).sign(&key())).expect("serialises"));
    mutate::run(&seeds, 8_000, checks::promise);
}
