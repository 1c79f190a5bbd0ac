//! A million hostile headers from a seat's own L1 node.
//!
//! `cargo bench -p cortado-consensus --bench header_flood` prints time and memory, and shows that the
//! honest header that comes after them is offered at once and accepted in the next block.

use alloy_primitives::{B256, Bytes, keccak256};
use cortado_chain::{Checks, Draft, State, apply, build};
use cortado_consensus::{
    engine::Tuning,
    simulate::{Plan, genesis},
    witness::Witness,
};
use cortado_types::{
    QuorumCertificate, SeatBitmap, Subject, SubjectKind, TimestampMs, View, bls::SignatureBytes,
    genesis::TERM_MS_MAX,
};
use std::time::{Duration, Instant};

const HEADERS: u64 = 1_000_000;

fn header(number: u64, parent: B256, extra: u64) -> Bytes {
    alloy_rlp::encode(alloy_consensus::Header {
        number,
        parent_hash: parent,
        timestamp: number,
        extra_data: extra.to_be_bytes().into(),
        ..Default::default()
    })
    .into()
}

/// Resident memory, KiB.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4
}

fn main() {
    let plan = Plan {
        seats: 4,
        proposers: 0,
        spares: 0,
        slot_ms: 2_000,
        term_ms: TERM_MS_MAX,
        slot_bytes_max: 0,
        anchor: header(10, B256::ZERO, 0).to_vec(),
        tuning: Tuning::default(),
    };
    let state = State::genesis(&genesis(&plan).1).expect("a proper genesis");
    let parent = state.genesis_block().header;
    let anchor = state.anchor();
    let mut witness = Witness::default();
    let before = resident();
    let (mut worst, mut spent, mut quarter) = (before, Duration::ZERO, 0);
    let mut fork = anchor.hash;
    for n in 0..HEADERS {
        let raw = match n % 4 {
            // On a block that nobody has.
            0 => header(11, B256::from(keccak256(n.to_be_bytes())), n),
            // Under a number far above.
            1 => header(11 + n * 1_000, anchor.hash, n),
            // Siblings.
            2 => header(11, anchor.hash, n),
            // A fork that grows and grows.
            _ => header(11 + n / 4, fork, n),
        };
        if n % 4 == 3 {
            fork = keccak256(&raw);
        }
        let start = Instant::now();
        let subject = witness.header(raw).expect("a header");
        spent += start.elapsed();
        assert!(subject.is_some(), "each is new");
        if n % 1_000 == 0 {
            worst = worst.max(resident());
        }
        if n == HEADERS / 4 {
            quarter = resident();
        }
    }
    let after = resident();
    let honest = header(11, anchor.hash, 0xbeef_beef_beef);
    let hash = keccak256(&honest);
    witness.header(honest).expect("a header");
    let subject = Subject {
        kind: SubjectKind::Sight,
        hash,
    };
    let certificate = QuorumCertificate {
        signers: SeatBitmap::from_signers(4, []),
        signature: SignatureBytes::ZERO,
    };
    witness.certify(subject, certificate);
    let start = Instant::now();
    let draft = Draft {
        view: View::new(1),
        timestamp: TimestampMs::new(60_000),
        operations: witness.operations(&state),
        ..Draft::default()
    };
    let offered = start.elapsed();
    let (block, _) = build(&state, &parent, &draft);
    let next = apply(&state, &parent, &block, Checks::Replay).expect("the next block applies");
    assert_eq!(
        next.anchor().hash,
        hash,
        "the honest move is in the next block"
    );
    println!(
        "{HEADERS} hostile headers: {:.2} µs a header; memory {before} KiB before, {quarter} KiB after a \
         quarter, {worst} KiB at most, {after} KiB after; the honest header was offered in {} µs and \
         is in the next block",
        spent.as_secs_f64() * 1e6 / HEADERS as f64,
        offered.as_micros()
    );
}
