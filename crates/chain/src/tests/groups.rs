//! Atomic bundles: together or not at all (R6b).

use super::world::*;
use crate::*;
use cortado_types::*;

/// One lane block of each namespace, all in one group.
fn group(world: &World, namespaces: &[Namespace]) -> Vec<LaneEntry> {
    let headers: Vec<_> = namespaces.iter().map(|n| world.next(*n, 0)).collect();
    let group = group_of(&headers.iter().collect::<Vec<_>>());
    headers
        .into_iter()
        .map(|mut header| {
            header.group = group;
            world.entry(sign(header))
        })
        .collect()
}

#[test]
fn a_whole_group_enters_in_any_order() {
    let mut world = World::new();
    let lanes = group(&world, &[A, B, C]);
    let runs: Vec<&[LaneEntry]> = vec![&lanes[2..3], &lanes[0..1], &lanes[1..2]];
    assert_eq!(world.go(&world.draft(at(0, 100), &runs)).lanes.len(), 3);
}

#[test]
fn a_group_with_a_member_missing_is_refused() {
    let world = World::new();
    let mut lanes = group(&world, &[A, B]);
    let b = lanes.pop().expect("two");
    let group = b.lane.header.group;
    let got = group_of(&[&lanes[0].lane.header]);
    let want = Rejection::Group {
        group,
        members: 1,
        got,
    };
    assert_eq!(world.refuse(at(0, 100), lanes), want);
}

#[test]
fn a_group_of_one_is_whole_alone() {
    let mut world = World::new();
    let lanes = group(&world, &[A]);
    assert_eq!(world.go(&world.draft(at(0, 100), &[&lanes])).lanes.len(), 1);
}

#[test]
fn a_member_with_another_body_breaks_the_group() {
    let world = World::new();
    let mut lanes = group(&world, &[A, B]);
    let mut header = lanes[1].lane.header.clone();
    header.body_root = B256::ZERO;
    lanes[1] = world.entry(sign(header));
    assert!(matches!(
        world.refuse(at(0, 100), lanes),
        Rejection::Group { members: 2, .. }
    ));
}

#[test]
fn a_leader_leaves_a_broken_group_out_and_takes_the_rest() {
    let mut world = World::new();
    let broken = group(&world, &[A, B]);
    let whole = world.lane(C, 0);
    let draft = world.draft(at(0, 100), &[&broken[..1], std::slice::from_ref(&whole)]);
    assert_eq!(world.go(&draft).lanes, [whole]);
}

#[test]
fn a_group_that_breaks_because_another_one_broke_goes_too() {
    // A's second lane block is in a group with C, but A's first needs B, who is not here.
    let mut world = World::new();
    let first = group(&world, &[A, B]).swap_remove(0);
    let mut second = child(&first.lane.header);
    let mut partner = world.next(C, 0);
    (second.group, partner.group) = (B256::ZERO, B256::ZERO);
    let together = group_of(&[&second, &partner]);
    (second.group, partner.group) = (together, together);
    let (second, partner) = (world.entry(sign(second)), world.entry(sign(partner)));
    let draft = world.draft(at(0, 100), &[&[first], &[second], &[partner]]);
    assert_eq!(world.go(&draft).lanes, []);
}
