//! Headers that do not follow, and every way a block can say something else than it holds.

use super::world::*;
use crate::{apply::Rejection, *};
use cortado_types::{
    limits::{LANES_PER_BLOCK_MAX, OPERATIONS_PER_BLOCK_MAX},
    *,
};

/// A world one block on, with a second block of one lane.
fn second() -> (World, Block) {
    let mut world = World::new();
    world.go(&world.draft(at(0, 100), &[&[world.lane(A, 0)]]));
    let block = world.built(&world.draft(at(0, 200), &[&[world.lane(B, 0)]]));
    assert_eq!(block.lanes.len(), 1);
    (world, block)
}

/// The rejection of the second block, changed.
fn refused(change: impl FnOnce(&mut Block)) -> Rejection {
    let (world, mut block) = second();
    change(&mut block);
    world.apply(&block).expect_err("changed for the worse")
}

#[test]
fn an_honest_block_applies_and_its_roots_are_the_states() {
    let (mut world, block) = second();
    let next = world.apply(&block).expect("valid");
    assert_eq!(next.root(), block.header.state_root);
    assert_eq!(next.history.root(), block.header.history_root);
    assert_eq!(next.history.leaves(), block.header.height.get());
    world.go(&world.draft(at(0, 200), &[]));
}

#[test]
fn another_version_is_refused() {
    assert_eq!(
        refused(|b| b.header.version = 2),
        Rejection::Version { got: 2 }
    );
}

#[test]
fn another_chain_is_refused() {
    let got = ChainId::new(1);
    assert_eq!(
        refused(|b| b.header.chain_id = got),
        Rejection::Chain { got, want: CHAIN }
    );
}

#[test]
fn another_term_is_refused() {
    let got = Term::new(1);
    assert_eq!(
        refused(|b| b.header.term = got),
        Rejection::Term {
            got,
            want: Term::ZERO
        }
    );
}

#[test]
fn a_block_that_does_not_follow_its_parent_is_refused() {
    let (world, block) = second();
    let want = |height, parent| Rejection::Parent {
        height,
        parent,
        parent_height: world.tip.height,
        parent_hash: world.tip.hash(),
    };
    let parent = block.header.parent;
    for height in [0, 1, 3].map(Height::new) {
        assert_eq!(refused(|b| b.header.height = height), want(height, parent));
    }
    let orphan = refused(|b| b.header.parent = B256::ZERO);
    assert_eq!(orphan, want(block.header.height, B256::ZERO));
}

#[test]
fn views_that_do_not_follow_the_parents_are_refused() {
    let parent = View::new(1);
    for view in [0, 1].map(View::new) {
        let want = Rejection::ParentView {
            view,
            got: parent,
            want: parent,
        };
        assert_eq!(refused(|b| b.header.view = view), want);
    }
    let want = Rejection::ParentView {
        view: View::new(2),
        got: View::ZERO,
        want: parent,
    };
    assert_eq!(refused(|b| b.header.parent_view = View::ZERO), want);
}

#[test]
fn time_that_decreases_is_refused_and_time_that_stands_is_not() {
    let (world, _) = second();
    let (time, parent) = (at(0, 99), at(0, 100));
    assert_eq!(
        refused(|b| b.header.timestamp = time),
        Rejection::TimeDecreases { time, parent }
    );
    let still = world.built(&world.draft(parent, &[]));
    assert_eq!(still.header.timestamp, parent);
    assert!(world.apply(&still).is_ok());
    let behind = world.built(&world.draft(at(0, 1), &[]));
    assert_eq!(
        behind.header.timestamp, parent,
        "a leader with a slow clock raises its time"
    );
    assert!(world.apply(&behind).is_ok());
}

#[test]
fn the_wrong_slot_for_the_time_is_refused() {
    let (got, want) = (Slot::new(1), Slot::ZERO);
    assert_eq!(
        refused(|b| b.header.slot = got),
        Rejection::Slot { got, want }
    );
}

#[test]
fn every_commitment_is_compared() {
    type Change = fn(&mut Header);
    let changes: [(&str, Change); 8] = [
        ("lanes root", |h| h.lanes_root = B256::ZERO),
        ("operations root", |h| h.operations_root = B256::ZERO),
        ("state root", |h| h.state_root = B256::ZERO),
        ("history root", |h| h.history_root = B256::ZERO),
        ("seats hash", |h| h.seats_hash = B256::ZERO),
        ("next seats hash", |h| h.next_seats_hash = B256::ZERO),
        ("L1 head", |h| {
            h.l1_head.partial = Some(PartialL1 {
                index: 0,
                accumulators: B256::ZERO,
            })
        }),
        ("L1fin", |h| h.l1_fin.number += 1),
    ];
    for (name, change) in changes {
        match refused(|b| change(&mut b.header)) {
            Rejection::Commitment { what, got, want } => {
                assert_eq!(what, name);
                assert_ne!(got, want);
            }
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn a_changed_time_or_view_makes_another_valid_block() {
    // The two fields that a leader chooses; nothing else in a header is free.
    let (world, mut block) = second();
    let hash = block.hash();
    block.header.timestamp = at(0, 201);
    block.header.view = View::new(9);
    assert_ne!(block.hash(), hash);
    assert!(world.apply(&block).is_ok());
}

#[test]
fn a_block_whose_bytes_exceed_the_limit_is_refused() {
    let (world, mut block) = second();
    let certified = block.lanes[0].clone();
    // The bytes are counted before anything in them is looked at.
    block.lanes = vec![certified; 2 * LANES_PER_BLOCK_MAX];
    match world.apply(&block).expect_err("too long") {
        Rejection::TooMany {
            what: "bytes",
            count,
            limit: 1_048_576,
        } => assert!(count > 1_048_576),
        other => panic!("{other}"),
    }
}

#[test]
fn too_many_lane_entries_are_refused() {
    let (world, block) = second();
    let mut entry = block.lanes[0].clone();
    entry.certificate = None;
    let count = LANES_PER_BLOCK_MAX + 1;
    let want = Rejection::TooMany {
        what: "lane entries",
        count,
        limit: LANES_PER_BLOCK_MAX,
    };
    assert_eq!(world.refuse(at(0, 200), vec![entry; count]), want);
}

#[test]
fn too_many_operations_are_refused() {
    let (world, _) = second();
    let count = OPERATIONS_PER_BLOCK_MAX + 1;
    let operations = vec![world.finality(world.state.l1.fin()); count];
    let error = world
        .apply(&world.forged(at(0, 200), vec![], operations))
        .expect_err("too many");
    let want = Rejection::TooMany {
        what: "operations",
        count,
        limit: OPERATIONS_PER_BLOCK_MAX,
    };
    assert_eq!(error, want);
}

#[test]
fn a_block_is_judged_by_the_clock_without_ever_being_invalid() {
    let (_, block) = second();
    let header = block.header;
    let time = header.timestamp.get();
    let judge = |now| judge_clock(&header, TimestampMs::new(now));
    assert_eq!(judge(time), ClockVerdict::Ready);
    assert_eq!(judge(time - 250), ClockVerdict::Ready);
    assert_eq!(judge(time - 251), ClockVerdict::Ahead { wait_ms: 1 });
    assert_eq!(judge(time + 4_000), ClockVerdict::Ready);
    assert_eq!(judge(time + 4_001), ClockVerdict::Late { age_ms: 4_001 });
}
