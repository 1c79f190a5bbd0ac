//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use alloy_consensus::Header as L1Header;
use cortado_chain::{Draft, State, build};
use cortado_types::{
    B256, Block, Height, L1Ref, LaneBody, LaneEntry, LaneHeader, Namespace, Operation, PointerMove,
    QuorumCertificate, SeatBitmap, Seq, SignedLaneHeader, Slot, TimestampMs, View,
    block::L1Finality,
    bls::{SecretBls, SignatureBytes},
    codec,
    ecdsa::SigningKey,
    keccak256,
};

fn state() -> State {
    State::genesis(checks::genesis()).expect("a proper genesis")
}

fn quorum() -> QuorumCertificate {
    let point = SecretBls::derive(&[1; 32]).expect("32 bytes").sign(b"m");
    let signature: SignatureBytes = point;
    QuorumCertificate {
        signers: SeatBitmap::from_bytes(vec![0b0111]),
        signature,
    }
}

/// Two lane blocks, a pointer move and the floor raised to it; signatures are not looked at.
fn block() -> (Block, State) {
    let (state, genesis) = (state(), checks::genesis());
    let parent = state.genesis_block().header;
    let key = SigningKey::from_bytes([7; 32]).expect("a scalar");
    let lane = |id| {
        let header = LaneHeader {
            version: 1,
            chain_id: genesis.chain_id,
            namespace: Namespace::new(id),
            slot: Slot::ZERO,
            seq: Seq::ZERO,
            last: false,
            height: Height::new(1),
            parent: B256::ZERO,
            context: state.anchor(),
            timestamp: genesis.time,
            body_root: LaneBody::default().root(),
            size: 2,
            group: B256::ZERO,
        };
        let signature = key.sign(header.hash());
        vec![LaneEntry {
            lane: SignedLaneHeader { header, signature },
            certificate: Some(quorum()),
        }]
    };
    let l1 = L1Header {
        parent_hash: state.anchor().hash,
        number: 101,
        timestamp: 1_600_000_012,
        ..L1Header::default()
    };
    let raw = alloy_rlp::encode(l1);
    let target = L1Ref {
        number: 101,
        hash: keccak256(&raw),
    };
    let moved = PointerMove {
        headers: vec![raw.into()],
        sight: quorum(),
        mover: None,
    };
    let draft = Draft {
        view: View::new(1),
        timestamp: TimestampMs::new(genesis.time.get() + 100),
        runs: vec![lane(8_001), lane(8_002)],
        operations: vec![
            Operation::MovePointer(moved),
            Operation::FinalizeL1(L1Finality {
                block: target,
                certificate: quorum(),
            }),
        ],
    };
    let (block, next) = build(&state, &parent, &draft);
    assert_eq!((block.lanes.len(), block.operations.len()), (2, 2));
    (block, next)
}

#[test]
fn no_bytes_break_the_reading_of_stored_states() {
    let seeds = [state().to_bytes(), block().1.to_bytes()];
    mutate::run(&seeds, 1_500, checks::snapshot);
}

#[test]
fn no_bytes_break_the_application_of_blocks() {
    mutate::run(&[codec::encode(&block().0)], 1_500, checks::block);
}
