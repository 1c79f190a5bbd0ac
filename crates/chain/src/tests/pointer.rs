//! The L1 pointer and its floor (R8 to R10).

use super::world::*;
use crate::*;
use cortado_l1::{FinalityError, MoveError};
use cortado_types::{bls::BlsError, ecdsa::SignatureError, *};

fn held() -> World {
    World::with_pointer_holder(Some(key(POINTER).address()))
}

/// A move of one header, signed by `mover` for the slot `slot`.
fn signed(world: &World, slot: u64, mover: Namespace) -> Operation {
    let mut moved = world.pointer_move(world.l1(1));
    let target = keccak256(&moved.headers[0]);
    let digest = PointerMove::digest(CHAIN, Slot::new(slot), target);
    moved.mover = Some(key(mover).sign(digest));
    Operation::MovePointer(moved)
}

fn unsigned(world: &World) -> Operation {
    Operation::MovePointer(world.pointer_move(world.l1(1)))
}

fn taken(world: &mut World, time: TimestampMs, operations: Vec<Operation>) -> usize {
    let mut draft = world.draft(time, &[]);
    draft.operations = operations;
    world.go(&draft).operations.len()
}

#[test]
fn without_a_holder_any_leader_moves_the_pointer_at_any_time() {
    let mut world = World::new();
    let operation = unsigned(&world);
    assert_eq!(taken(&mut world, at(0, 0), vec![operation]), 1);
    assert_eq!(world.tip.l1_head.block.number, ANCHOR + 1);
    assert_eq!(world.tip.l1_head.block, world.state.anchor());
}

#[test]
fn the_holder_moves_the_pointer_and_nobody_else_until_two_thirds() {
    let holder = key(POINTER).address();
    let (slot, until) = (Slot::ZERO, at(0, 2_000));
    let world = held();
    let refuse = |time, operation| world.refuse_operation(time, operation);
    let want = |mover| Rejection::NotMover {
        holder,
        mover,
        slot,
        until,
    };
    assert_eq!(refuse(at(0, 1_999), unsigned(&world)), want(None));
    let stranger = Some(key(A).address());
    assert_eq!(refuse(at(0, 1_999), signed(&world, 0, A)), want(stranger));
    for (time, operation) in [
        (at(0, 0), signed(&world, 0, POINTER)),
        (at(0, 2_000), unsigned(&world)),
        (at(0, 2_000), signed(&world, 0, A)),
    ] {
        assert_eq!(taken(&mut world.clone(), time, vec![operation]), 1);
    }
}

#[test]
fn a_movers_signature_is_for_one_slot_and_one_target() {
    let world = held();
    let stale = world.refuse_operation(at(1, 0), signed(&world, 0, POINTER));
    assert!(
        matches!(stale, Rejection::NotMover { mover: Some(_), .. }),
        "{stale}"
    );
    let Operation::MovePointer(mut moved) = signed(&world, 0, POINTER) else {
        unreachable!("built so")
    };
    let elsewhere = world.pointer_move(world.l1(2));
    (moved.headers, moved.sight) = (elsewhere.headers, elsewhere.sight);
    let refused = world.refuse_operation(at(0, 0), Operation::MovePointer(moved));
    assert!(
        matches!(refused, Rejection::NotMover { mover: Some(_), .. }),
        "{refused}"
    );
}

#[test]
fn a_movers_signature_that_is_none_is_refused() {
    let world = held();
    let Operation::MovePointer(mut moved) = signed(&world, 0, POINTER) else {
        unreachable!("built so")
    };
    moved.mover.as_mut().expect("signed").0[64] = 9;
    let want = Rejection::MoverSignature(SignatureError::RecoveryId { v: 9 });
    assert_eq!(
        world.refuse_operation(at(0, 0), Operation::MovePointer(moved)),
        want
    );
}

#[test]
fn a_move_needs_the_sight_of_its_last_header() {
    let world = World::new();
    let headers = world.l1(2);
    let mut moved = world.pointer_move(headers.clone());
    moved.sight = world.certify(SubjectKind::Sight, keccak256(&headers[0]));
    let source = CertificateError::Bls(BlsError::Mismatch { signers: 3 });
    let want = Rejection::OperationCertificate { index: 0, source };
    let refused = world.refuse_operation(at(0, 0), Operation::MovePointer(moved));
    assert_eq!(refused, want);
    let mut moved = world.pointer_move(headers.clone());
    moved.sight = world.certify(SubjectKind::L1Final, keccak256(&headers[1]));
    assert_eq!(
        world.refuse_operation(at(0, 0), Operation::MovePointer(moved)),
        want
    );
}

#[test]
fn a_move_that_the_tree_refuses_is_refused() {
    let world = World::new();
    let headers = world.l1(2);
    let moved = Operation::MovePointer(world.pointer_move(headers[1..].to_vec()));
    let parent = keccak256(&headers[0]);
    let want = Rejection::Move(MoveError::UnknownParent { parent });
    assert_eq!(world.refuse_operation(at(0, 0), moved), want);
}

#[test]
fn an_l1_block_may_be_ahead_by_the_drift_and_its_own_second() {
    // Header ANCHOR + 100 has the time of genesis exactly, the next twelve seconds more.
    let mut world = World::new();
    let headers = world.l1(101);
    for part in headers[..100].chunks(64) {
        let operation = Operation::MovePointer(world.pointer_move(part.to_vec()));
        assert_eq!(taken(&mut world, at(0, 0), vec![operation]), 1);
    }
    let next = Operation::MovePointer(world.pointer_move(headers[100..].to_vec()));
    // 12 s after genesis is 0 ms into slot 4; 749 ms + 250 ms of drift is still second 10, plus one.
    let early = world.refuse_operation(at(3, 1_749), next.clone());
    let (timestamp, limit) = (GENESIS_S + 12, GENESIS_S + 11);
    let number = ANCHOR + 101;
    assert_eq!(
        early,
        Rejection::Move(MoveError::Future {
            number,
            timestamp,
            limit
        })
    );
    assert_eq!(taken(&mut world, at(3, 1_750), vec![next]), 1);
}

#[test]
fn the_floor_rises_with_a_certificate_to_a_tracked_block() {
    let mut world = World::new();
    let headers = world.l1(3);
    let refs: Vec<_> = headers
        .iter()
        .zip(ANCHOR + 1..)
        .map(|(raw, number)| L1Ref {
            number,
            hash: keccak256(raw),
        })
        .collect();
    let early = world.finality(refs[0]);
    let want = FinalityError::Untracked {
        number: ANCHOR + 1,
        hash: refs[0].hash,
    };
    assert_eq!(
        world.refuse_operation(at(0, 0), early),
        Rejection::Finality(want)
    );
    // In one block: first the move, then the floor up to what it brought.
    let moved = Operation::MovePointer(world.pointer_move(headers));
    let finality = world.finality(refs[2]);
    assert_eq!(
        taken(&mut world, at(0, 0), vec![moved, finality.clone()]),
        2
    );
    assert_eq!(world.tip.l1_fin, refs[2]);
    let (number, fin) = (ANCHOR + 3, ANCHOR + 3);
    let want = Rejection::Finality(FinalityError::NotAbove { number, fin });
    assert_eq!(world.refuse_operation(at(0, 100), finality), want);
}

#[test]
fn the_floor_does_not_rise_on_another_certificate() {
    let mut world = World::new();
    let operation = unsigned(&world);
    taken(&mut world, at(0, 0), vec![operation]);
    let head = world.state.anchor();
    let Operation::FinalizeL1(mut finality) = world.finality(head) else {
        unreachable!("built so")
    };
    finality.certificate = world.certify(SubjectKind::Sight, head.hash);
    let refused = world.refuse_operation(at(0, 100), Operation::FinalizeL1(finality));
    let source = CertificateError::Bls(BlsError::Mismatch { signers: 3 });
    assert_eq!(
        refused,
        Rejection::OperationCertificate { index: 0, source }
    );
}

#[test]
fn operations_come_once_and_in_order() {
    let world = World::new();
    let moved = unsigned(&world);
    let finality = world.finality(L1Ref {
        number: ANCHOR + 1,
        hash: keccak256(&world.l1(1)[0]),
    });
    let refuse = |operations| {
        world
            .apply(&world.forged(at(0, 0), vec![], operations))
            .expect_err("out of order")
    };
    let second = Rejection::OperationOrder { index: 1 };
    assert_eq!(refuse(vec![moved.clone(), moved.clone()]), second);
    // The floor before the move: it would be refused for that too, so give it something to raise.
    let mut later = world.clone();
    taken(&mut later, at(0, 0), vec![moved]);
    let again = unsigned(&later);
    let block = later.forged(at(0, 1), vec![], vec![finality, again]);
    assert_eq!(later.apply(&block), Err(second));
}

#[test]
fn a_leader_leaves_out_operations_that_do_not_apply() {
    let mut world = World::new();
    let good = unsigned(&world);
    let bad = world.finality(L1Ref {
        number: ANCHOR + 9,
        hash: B256::ZERO,
    });
    assert_eq!(
        taken(&mut world, at(0, 0), vec![bad, good.clone(), good]),
        1
    );
}
