//! Forks of L1 in the state (R8a, R9, R10).

use super::world::*;
use crate::*;
use cortado_types::*;

/// `count` L1 headers on `parent`, on another fork than [`World::l1`] makes.
fn fork(parent: L1Ref, count: usize) -> Vec<Bytes> {
    let mut parent = parent;
    let next = |_| {
        let L1Ref { number, hash } = parent;
        let mut header = <alloy_consensus::Header as alloy_rlp::Decodable>::decode(
            &mut &l1_header(hash, number + 1)[..],
        )
        .expect("a header");
        header.extra_data = vec![0xb].into();
        let raw = Bytes::from(alloy_rlp::encode(header));
        parent = L1Ref {
            number: number + 1,
            hash: keccak256(&raw),
        };
        raw
    };
    (0..count).map(next).collect()
}

fn at_end(raw: &[Bytes], number: u64) -> L1Ref {
    L1Ref {
        number,
        hash: keccak256(raw.last().expect("not empty")),
    }
}

fn carry(world: &mut World, ms: u64, lanes: &[LaneEntry], operations: Vec<Operation>) -> Block {
    let mut draft = world.draft(at(0, ms), &[]);
    draft.runs = lanes.iter().map(|lane| vec![lane.clone()]).collect();
    draft.operations = operations;
    world.go(&draft)
}

/// A world whose pointer has gone two blocks up, and the fork that is one block heavier.
fn forked() -> (World, L1Ref, Vec<Bytes>) {
    let mut world = World::new();
    let anchor = world.state.anchor();
    let moved = Operation::MovePointer(world.pointer_move(world.l1(2)));
    carry(&mut world, 1, &[], vec![moved]);
    (world, anchor, fork(anchor, 3))
}

#[test]
fn the_pointer_changes_over_and_lane_blocks_of_the_lost_fork_still_enter() {
    let (mut world, anchor, other) = forked();
    let old = world.state.anchor();
    let moved = Operation::MovePointer(world.pointer_move(other.clone()));
    carry(&mut world, 2, &[], vec![moved]);
    assert_eq!(world.tip.l1_head.block, at_end(&other, anchor.number + 3));
    // R8a: its context is off the anchor's chain now, and tracked.
    let lane = world.lane_with(A, 0, |header| header.context = old);
    assert_eq!(carry(&mut world, 3, &[lane], vec![]).lanes.len(), 1);
}

#[test]
fn lane_blocks_do_not_see_a_pointer_move_of_their_own_block() {
    // R8: lanes come first, so a context that the same block brings in is not there yet.
    let (world, anchor, other) = forked();
    let moved = Operation::MovePointer(world.pointer_move(other.clone()));
    let ahead = at_end(&other, anchor.number + 3);
    let lane = world.lane_with(A, 0, |header| header.context = ahead);
    let block = world.forged(at(0, 2), vec![lane.clone()], vec![moved.clone()]);
    let context = LaneRejection::Context {
        number: ahead.number,
        hash: ahead.hash,
        anchor: anchor.number + 2,
    };
    let want = Rejection::Lane {
        index: 0,
        source: context,
    };
    assert_eq!(world.apply(&block), Err(want));
    // A leader leaves it for the next block.
    let mut world = world;
    assert!(
        carry(&mut world, 2, std::slice::from_ref(&lane), vec![moved])
            .lanes
            .is_empty()
    );
    assert_eq!(carry(&mut world, 3, &[lane], vec![]).lanes.len(), 1);
}

#[test]
fn a_fork_that_is_not_heavier_is_tracked_and_does_not_move_the_pointer() {
    let (mut world, anchor, other) = forked();
    let old = world.state.anchor();
    let moved = Operation::MovePointer(world.pointer_move(other[..2].to_vec()));
    assert_eq!(carry(&mut world, 2, &[], vec![moved]).operations.len(), 1);
    assert_eq!(world.tip.l1_head.block, old);
    let again = world.pointer_move(other[..2].to_vec());
    let refused = world.refuse_operation(at(0, 3), Operation::MovePointer(again));
    let heavier = cortado_l1::MoveError::NotHeavier {
        number: anchor.number + 2,
        hash: at_end(&other[..2], 0).hash,
        weight: 2,
        head_number: old.number,
        head_hash: old.hash,
        head_weight: 2,
    };
    assert_eq!(refused, Rejection::Move(heavier));
}

#[test]
fn after_finality_of_another_fork_the_pointer_goes_under_it_in_the_next_block() {
    let (mut world, anchor, other) = forked();
    let old = world.state.anchor();
    let tracked = Operation::MovePointer(world.pointer_move(other[..1].to_vec()));
    let fin = at_end(&other[..1], anchor.number + 1);
    let finality = world.finality(fin);
    carry(&mut world, 2, &[], vec![tracked, finality]);
    assert_eq!((world.tip.l1_head.block, world.tip.l1_fin), (old, fin));
    let moved = Operation::MovePointer(world.pointer_move(other[1..2].to_vec()));
    carry(&mut world, 3, &[], vec![moved]);
    assert_eq!(
        world.tip.l1_head.block,
        at_end(&other[..2], anchor.number + 2),
        "no heavier than the old head, and the only one under L1fin"
    );
}
