//! What forks weigh by the two rules.

use super::{block, signer, store, verify};
use crate::sync::{PROVED_BLOCKS_MAX, SyncParticipation, Verified};
use crate::{BlockCount, TrackedHeader, Weight};
use cortado_types::{B256, L1Ref};

fn header(block: L1Ref) -> TrackedHeader {
    TrackedHeader {
        number: block.number,
        hash: block.hash,
        parent: B256::ZERO,
        timestamp: 12 * block.number,
    }
}

fn sum(weight: &impl Weight, fork: &[L1Ref]) -> u64 {
    fork.iter().map(|block| weight.of(&header(*block))).sum()
}

#[test]
fn a_shorter_fork_that_more_of_the_committee_signed_wins_by_participation_and_loses_by_count() {
    //        ┌─ b1 ── b2 ── b3     4, 3 and 5 of 32 signed
    //  fin ──┤
    //        └─ a1 ── a2           30 and 28 signed
    let long = [block(101, 0xb1), block(102, 0xb2), block(103, 0xb3)];
    let short = [block(101, 0xa1), block(102, 0xa2)];
    let signer = signer();
    let store = store(&signer);
    let mut participation = SyncParticipation::default();
    let heads = [
        (long[0], 20, 4),
        (long[1], 21, 3),
        (long[2], 22, 5),
        (short[0], 20, 30),
        (short[1], 21, 28),
    ];
    for (block, slot, participants) in heads {
        let update = signer.update(block, slot, participants);
        participation.record(&verify(&store, &update).expect("it was signed"));
    }
    assert_eq!((sum(&BlockCount, &long), sum(&BlockCount, &short)), (3, 2));
    assert_eq!(
        (sum(&participation, &long), sum(&participation, &short)),
        (12, 58)
    );
}

#[test]
fn a_block_without_a_proof_weighs_nothing() {
    let signer = signer();
    let store = store(&signer);
    let mut participation = SyncParticipation::default();
    assert!(participation.is_empty());
    assert_eq!(participation.of(&header(block(100, 1))), 0);
    // A forged update leaves no trace: only what is verified can be recorded.
    let mut forged = signer.update(block(100, 1), 20, 3);
    forged.sync_aggregate.sync_committee_bits = vec![0xff; 4].into();
    assert!(store.verify(&forged, u64::MAX).is_err());
    let honest = signer.update(block(100, 2), 20, 32);
    assert!(participation.record(&verify(&store, &honest).expect("it was signed")));
    assert_eq!(participation.of(&header(block(100, 1))), 0);
    assert_eq!(participation.of(&header(block(100, 2))), 32);
}

#[test]
fn a_blocks_weight_only_rises() {
    let signer = signer();
    let store = store(&signer);
    let mut participation = SyncParticipation::default();
    for (participants, raised, weight) in
        [(9, true, 9), (4, false, 9), (9, false, 9), (20, true, 20)]
    {
        let update = signer.update(block(100, 1), 20, participants);
        let verified = verify(&store, &update).expect("it was signed");
        assert_eq!(participation.record(&verified), raised);
        assert_eq!(participation.of(&header(block(100, 1))), weight);
        assert_eq!(participation.len(), 1);
    }
}

#[test]
fn a_proof_under_another_number_gives_the_block_nothing() {
    let signer = signer();
    let mut participation = SyncParticipation::default();
    let update = signer.update(block(99, 1), 20, 32);
    participation.record(&verify(&store(&signer), &update).expect("it was signed"));
    assert_eq!(participation.of(&header(block(100, 1))), 0);
}

fn proved(number: u64, salt: u64) -> Verified {
    let hash = B256::left_padding_from(&salt.to_be_bytes());
    Verified {
        block: L1Ref { number, hash },
        slot: number,
        participants: 32,
        next: None,
    }
}

#[test]
fn proofs_without_end_are_bounded_and_the_lowest_blocks_are_forgotten_first() {
    let mut participation = SyncParticipation::default();
    let max = PROVED_BLOCKS_MAX as u64;
    // Two siblings at each number.
    for salt in 0..3 * max {
        assert!(participation.record(&proved(1_000 + salt / 2, salt)));
        assert!(participation.len() <= PROVED_BLOCKS_MAX);
    }
    let lowest = 3 * max - max;
    let weight = |salt: u64| participation.of(&header(proved(1_000 + salt / 2, salt).block()));
    assert_eq!(weight(lowest), 32);
    assert_eq!(weight(lowest - 1), 0);
    // One below all of them is not kept, and drives none out.
    let mut full = participation.clone();
    assert!(!full.record(&proved(999, 7)));
    assert_eq!(full, participation);
    full.forget_below(1_000 + 3 * max / 2 - 10);
    assert_eq!(full.len(), 20);
}
