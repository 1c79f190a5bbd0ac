//! What must hold for any bytes whatsoever. The fuzz targets and `tests/fuzz_seeds.rs` share it.

use alloy_consensus::Header as L1Header;
use cortado_chain::{Checks, Draft, State, apply, build};
use cortado_l1::testing::settle;
use cortado_types::{
    Address, Block, ChainId, Genesis, Identity, L1Config, LaneEntry, Namespace, NamespaceConfig,
    Operation, Seat, SeatsRead, TimestampMs, View, bls::SecretBls, decode_exact, keccak256,
    limits::BLOCK_BYTES_MAX,
};
use std::sync::OnceLock;

/// A chain of four seats and two rollups.
pub fn genesis() -> &'static Genesis {
    static GENESIS: OnceLock<Genesis> = OnceLock::new();
    GENESIS.get_or_init(|| {
        let mut seats: Vec<_> = (1..5u8)
            .map(|i| Seat {
                identity: Identity::repeat_byte(i),
                bls: SecretBls::derive(&[i; 32]).expect("32 bytes").public(),
                registry_index: i.into(),
            })
            .collect();
        seats.sort_by_key(|seat| seat.identity);
        let rollup = |id| NamespaceConfig {
            namespace: Namespace::new(id),
            reserve_holder: Some(keccak256([1])[..20].try_into().expect("20 bytes")),
            slot_bytes_max: 1 << 20,
        };
        let anchor = L1Header {
            number: 100,
            timestamp: 1_600_000_000,
            ..L1Header::default()
        };
        let mut genesis = Genesis {
            chain_id: ChainId::new(77),
            time: TimestampMs::new(1_700_000_000_000),
            slot_ms: 2_000,
            term_ms: 60_000,
            l1: L1Config {
                chain_id: 1,
                slot_ms: 12_000,
                slots_per_epoch: 32,
                anchor: alloy_rlp::encode(anchor).into(),
                registry: Address::ZERO,
            },
            namespaces: vec![rollup(8_001), rollup(8_002)],
            seats: SeatsRead::unproved(seats),
            proposers: vec![],
        };
        settle(&mut genesis);
        genesis
    })
}

fn start() -> &'static State {
    static STATE: OnceLock<State> = OnceLock::new();
    STATE.get_or_init(|| State::genesis(genesis()).expect("a proper genesis"))
}

/// Stored states: what is read is written as the same bytes and can be built on.
pub fn snapshot(bytes: &[u8]) {
    let Ok(state) = State::from_bytes(genesis(), bytes) else {
        return;
    };
    assert_eq!(state.to_bytes(), bytes);
    let parent = start().genesis_block().header;
    let draft = Draft {
        view: View::new(1),
        ..Draft::default()
    };
    let (block, next) = build(&state, &parent, &draft);
    assert_eq!(apply(&state, &parent, &block, Checks::All), Ok(next));
}

/// Blocks from anybody: refused or not, the same with and without signatures at least in form; and
/// what a leader makes of their content always applies.
pub fn block(bytes: &[u8]) {
    let Ok(block) = decode_exact::<Block>("block", bytes, BLOCK_BYTES_MAX) else {
        return;
    };
    let (state, parent) = (start(), start().genesis_block().header);
    if apply(state, &parent, &block, Checks::All).is_ok() {
        assert!(apply(state, &parent, &block, Checks::Replay).is_ok());
        assert!(block.is_whole());
    }
    let runs: Vec<Vec<LaneEntry>> = block.lanes.into_iter().map(|lane| vec![lane]).collect();
    let operations: Vec<Operation> = block.operations;
    let timestamp = block.header.timestamp;
    let draft = Draft {
        view: View::new(1),
        timestamp,
        runs,
        operations,
    };
    let (built, next) = build(state, &parent, &draft);
    assert_eq!(apply(state, &parent, &built, Checks::Replay), Ok(next));
}
