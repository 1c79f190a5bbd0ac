//! A million hostile headers against the tree of tracked headers.
//!
//! `cargo bench -p cortado-l1 --bench header_flood` prints time and memory. A block's move is tried on
//! a copy of the state, as `chain::apply` does; what a forged certificate carries dies with the copy.

use alloy_consensus::Header;
use cortado_l1::{BlockCount, TrackedHeader, Tree};
use cortado_types::{B256, Bytes, keccak256, limits::L1_HEADERS_PER_MOVE_MAX};
use std::time::Instant;

const HEADERS: usize = 1_000_000;
const ANCHOR: u64 = 1_000;

fn header(number: u64, parent: B256, timestamp: u64, extra: u64) -> Bytes {
    alloy_rlp::encode(Header {
        number,
        parent_hash: parent,
        timestamp,
        extra_data: extra.to_be_bytes().into(),
        ..Default::default()
    })
    .into()
}

/// `count` headers that follow each other.
fn chain(first: u64, mut parent: B256, count: usize, extra: u64) -> Vec<Bytes> {
    (first..first + count as u64)
        .map(|number| {
            let raw = header(number, parent, number, extra);
            parent = keccak256(&raw);
            raw
        })
        .collect()
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
    let anchor = TrackedHeader::read(&header(ANCHOR, B256::ZERO, ANCHOR, 0)).expect("a header");
    let mut tree = Tree::new(anchor);
    let honest = chain(ANCHOR + 1, anchor.hash, 32, 0);
    tree.take(&honest, u64::MAX, &BlockCount).expect("honest");
    let (tip, tracked) = (tree.head(), tree.len());
    let before = resident();
    let (mut fed, mut refused, mut moves) = (0, 0, 0u64);
    let mut spent = std::time::Duration::ZERO;
    let mut worst = before;
    while fed < HEADERS {
        let length = L1_HEADERS_PER_MOVE_MAX;
        let unknown = B256::with_last_byte(moves as u8);
        let move_ = match moves % 5 {
            // On a block that nobody has.
            0 => chain(tip.number + 1, unknown, length, moves),
            // On the head, under a number far above.
            1 => chain(tip.number + 1_000_000, tip.hash, length, moves),
            // Siblings of each other under one parent.
            2 => (0..length as u64)
                .map(|n| header(tip.number + 1, tip.hash, tip.number + 1, moves << 8 | n))
                .collect(),
            // A long fork from the floor, heavier than what is true: it links, and only its
            // certificate is forged.
            3 => chain(ANCHOR + 1, anchor.hash, length, moves + 1),
            // Below the floor.
            _ => chain(1, unknown, length, moves),
        };
        fed += move_.len();
        moves += 1;
        let start = Instant::now();
        let mut copy = tree.clone();
        refused += u64::from(copy.take(&move_, u64::MAX, &BlockCount).is_err());
        drop(copy);
        spent += start.elapsed();
        worst = worst.max(resident());
    }
    let next = chain(tip.number + 1, tip.hash, 1, 0);
    assert_eq!(tree.len(), tracked, "nothing of it stays");
    tree.take(&next, u64::MAX, &BlockCount)
        .expect("an honest move is accepted");
    println!(
        "{fed} hostile headers in {moves} moves, {refused} refused by the tree: {:.2} µs a header; \
         memory {before} KiB before, {worst} KiB at most, {} KiB after; {tracked} headers tracked \
         before and after; the honest move that followed was accepted",
        spent.as_secs_f64() * 1e6 / fed as f64,
        resident()
    );
}
