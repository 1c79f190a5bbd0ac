//! Stories of the index: what was added is found, also after a restart, and old hashes go.

use super::*;
use cortado_chain::State;
use cortado_types::{
    Bytes, ChainId, Genesis, L1Config, L1Ref, LaneEntry, Seat, SeatsRead, Seq, SignedLaneHeader,
    Slot, TimestampMs, bls::SecretBls, ecdsa::Signature, limits::PROTOCOL_VERSION,
};

const ROLLUP: Namespace = Namespace::new(7_001);

fn genesis_block() -> Block {
    let anchor = alloy_consensus::Header::default();
    let seat = |i: u8| Seat {
        identity: B256::repeat_byte(i + 1),
        bls: SecretBls::derive(&[i; 32])
            .expect("enough material")
            .public(),
        registry_index: 0,
    };
    let mut genesis = Genesis {
        chain_id: ChainId::new(1),
        time: TimestampMs::new(0),
        slot_ms: 2_000,
        term_ms: 60_000,
        l1: L1Config {
            chain_id: 1,
            slot_ms: 2_000,
            slots_per_epoch: 8,
            anchor: alloy_rlp::encode(&anchor).into(),
            registry: Default::default(),
        },
        namespaces: Vec::new(),
        seats: SeatsRead::unproved((0..4).map(seat).collect()),
        proposers: Vec::new(),
    };
    cortado_l1::testing::settle(&mut genesis);
    State::genesis(&genesis).expect("a genesis").genesis_block()
}

fn header(lane_height: u64) -> LaneHeader {
    LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: ChainId::new(1),
        namespace: ROLLUP,
        slot: Slot::ZERO,
        seq: Seq::ZERO,
        last: false,
        height: Height::new(lane_height),
        parent: B256::ZERO,
        context: L1Ref::default(),
        timestamp: TimestampMs::ZERO,
        body_root: B256::ZERO,
        size: 0,
        group: B256::ZERO,
    }
}

/// Block `height` with the lane blocks of these heights.
fn block(height: u64, lanes: &[u64]) -> Block {
    let mut block = genesis_block();
    block.header.height = Height::new(height);
    block.lanes = lanes
        .iter()
        .map(|lane| LaneEntry {
            lane: SignedLaneHeader {
                header: header(*lane),
                signature: Signature([0; 65].into()),
            },
            certificate: None,
        })
        .collect();
    block
}

fn body(names: &[&str]) -> LaneBody {
    let transactions = names
        .iter()
        .map(|name| Bytes::copy_from_slice(name.as_bytes()))
        .collect();
    LaneBody { transactions }
}

fn place(lane_height: u64, index: usize) -> Option<TransactionPlace> {
    Some(TransactionPlace {
        namespace: ROLLUP,
        lane_height: Height::new(lane_height),
        index,
    })
}

#[test]
fn blocks_lanes_and_transactions_are_found_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let blocks = [block(0, &[]), block(1, &[1, 2]), block(2, &[])];
    {
        let index = Index::open(dir.path()).expect("opens");
        for block in &blocks {
            index.add(block).expect("added");
        }
        let bodies = [(header(1), body(&["a"])), (header(2), body(&["b", "c"]))];
        index
            .add_transactions(Height::new(1), &bodies)
            .expect("added");
    }
    let index = Index::open(dir.path()).expect("opens again");
    let hashes: Vec<_> = blocks.iter().map(Block::hash).collect();
    assert_eq!(index.hashes().expect("read"), hashes);
    assert_eq!(
        index.height_of(hashes[2]).expect("read"),
        Some(Height::new(2))
    );
    assert_eq!(index.height_of(B256::ZERO).expect("read"), None);
    let second = LanePlace {
        height: Height::new(1),
        index: 1,
    };
    assert_eq!(
        index.lane(ROLLUP, Height::new(2)).expect("read"),
        Some(second)
    );
    assert_eq!(index.lane(ROLLUP, Height::new(3)).expect("read"), None);
    assert_eq!(
        index.transaction(keccak256("c")).expect("read"),
        place(2, 1)
    );
    assert_eq!(index.transactions_next().expect("read"), Height::new(2));
}

#[test]
fn transaction_that_stands_twice_is_found_where_it_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let index = Index::open(dir.path()).expect("opens");
    for lane in 1..=2 {
        let bodies = [(header(lane), body(&["same"]))];
        index
            .add_transactions(Height::new(lane), &bodies)
            .expect("added");
    }
    assert_eq!(
        index.transaction(keccak256("same")).expect("read"),
        place(1, 0)
    );
}

#[test]
fn oldest_transactions_make_room_for_new_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let index = Index::open(dir.path()).expect("opens");
    let first = [
        (header(1), body(&["oldest"])),
        (header(2), body(&["second"])),
    ];
    index
        .add_transactions(Height::new(1), &first)
        .expect("added");
    let rest: Vec<_> = (3..=INDEXED_LANES_MAX + 1)
        .map(|lane| (header(lane), body(&[&format!("transaction {lane}")])))
        .collect();
    index
        .add_transactions(Height::new(2), &rest)
        .expect("added");
    assert_eq!(index.transaction(keccak256("oldest")).expect("read"), None);
    assert_eq!(
        index.transaction(keccak256("second")).expect("read"),
        place(2, 0)
    );
}

#[test]
fn file_that_is_no_index_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("index.redb"), [0xab; 4_096]).expect("written");
    assert!(Index::open(dir.path()).is_err());
}
