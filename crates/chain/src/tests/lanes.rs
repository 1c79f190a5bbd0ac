//! Lane blocks that cannot be appended, each by the name of what is wrong with it.

use super::world::*;
use crate::{apply::Rejection, lane::LaneRejection, *};
use cortado_types::{
    bls::BlsError,
    ecdsa::SignatureError,
    limits::{CONTEXT_LAG, LANE_BODY_BYTES_MAX},
    *,
};

/// Why a lane block with this change is refused; its signature and certificate are in order.
fn refused(world: &World, edit: impl FnOnce(&mut LaneHeader)) -> LaneRejection {
    let lane = world.lane_with(A, 0, edit);
    match world.refuse(at(0, 500), vec![lane]) {
        Rejection::Lane { index: 0, source } => source,
        other => panic!("{other}"),
    }
}

/// A world in which A has one lane block in slot 0.
fn one_in() -> World {
    let mut world = World::new();
    let block = world.go(&world.draft(at(0, 100), &[&[world.lane(A, 0)]]));
    assert_eq!(block.lanes.len(), 1);
    world
}

#[test]
fn several_lane_blocks_of_several_namespaces_meet_in_one_block() {
    let mut world = World::new();
    let first = sign(world.next(A, 0));
    let second = world.entry(sign(child(&first.header)));
    let covered = LaneEntry {
        lane: first,
        certificate: None,
    };
    let block = world.go(&world.draft(at(0, 100), &[&[covered, second], &[world.lane(B, 0)]]));
    assert_eq!(block.lanes.len(), 3);
    assert_eq!(world.state.namespaces[&A].tip.height, Height::new(2));
    assert_eq!(world.state.namespaces[&B].tip.height, Height::new(1));
    assert_eq!(world.state.namespaces[&C].tip, Tip::default());
}

#[test]
fn another_version_is_refused() {
    let world = World::new();
    assert_eq!(
        refused(&world, |h| h.version = 0),
        LaneRejection::Version { got: 0 }
    );
}

#[test]
fn another_chain_is_refused() {
    let world = World::new();
    let got = ChainId::new(1);
    let want = LaneRejection::Chain { got, want: CHAIN };
    assert_eq!(refused(&world, |h| h.chain_id = got), want);
}

#[test]
fn unknown_namespaces_and_the_protocols_own_have_no_lane_blocks() {
    let world = World::with_pointer_holder(Some(key(POINTER).address()));
    for namespace in [POINTER, Namespace::ROFR, Namespace::new(9)] {
        let want = LaneRejection::Namespace { namespace };
        assert_eq!(refused(&world, |h| h.namespace = namespace), want);
    }
}

#[test]
fn only_the_holder_of_the_slot_signs() {
    let world = World::new();
    let header = world.next(A, 0);
    let stranger = key(B);
    let signature = stranger.sign(header.hash());
    let lane = world.entry(SignedLaneHeader { header, signature });
    let source = LaneRejection::NotProposer {
        namespace: A,
        slot: Slot::ZERO,
        signer: stranger.address(),
        holder: Some(key(A).address()),
    };
    let refused = world.refuse(at(0, 500), vec![lane.clone()]);
    assert_eq!(refused, Rejection::Lane { index: 0, source });
    assert_eq!(
        proposer_of(&world.state, Namespace::new(9), Slot::ZERO),
        None
    );
    assert_eq!(proposer_of(&world.state, POINTER, Slot::ZERO), None);
}

#[test]
fn a_signature_that_is_none_is_refused() {
    let world = World::new();
    let mut lane = world.lane(A, 0);
    lane.lane.signature.0[64] = 1;
    let source = LaneRejection::Signature {
        namespace: A,
        source: SignatureError::RecoveryId { v: 1 },
    };
    assert_eq!(
        world.refuse(at(0, 500), vec![lane]),
        Rejection::Lane { index: 0, source }
    );
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let world = World::new();
    let size = LANE_BODY_BYTES_MAX as u64 + 1;
    assert_eq!(
        refused(&world, |h| h.size = size),
        LaneRejection::Size { size }
    );
}

#[test]
fn a_time_outside_the_slot_or_before_the_parents_is_refused() {
    let world = one_in();
    let (from, to) = (at(0, 0), at(1, 0));
    for time in [
        at(1, 0),
        TimestampMs::new(at(0, 0).get() - 1),
        TimestampMs::new(u64::MAX),
    ] {
        let want = LaneRejection::Time { time, from, to };
        assert_eq!(refused(&world, |h| h.timestamp = time), want);
    }
    let (time, from) = (at(0, 0), at(0, 1));
    let want = LaneRejection::Time { time, from, to };
    assert_eq!(
        refused(&world, |h| h.timestamp = time),
        want,
        "the parent's is later"
    );
    let lane = world.lane_with(A, 0, |h| h.timestamp = from);
    assert!(
        world
            .apply(&world.built(&world.draft(at(0, 500), &[&[lane]])))
            .is_ok()
    );
}

#[test]
fn a_slot_at_the_end_of_time_is_refused_and_overflows_nothing() {
    let world = World::new();
    let far = |h: &mut LaneHeader| {
        h.slot = Slot::new(u64::MAX);
        h.timestamp = TimestampMs::new(u64::MAX);
    };
    assert!(matches!(refused(&world, far), LaneRejection::Time { .. }));
}

#[test]
fn a_gap_or_a_repetition_in_seq_is_refused() {
    let world = one_in();
    for got in [0, 2].map(Seq::new) {
        let want = LaneRejection::Seq {
            slot: Slot::ZERO,
            got,
            want: Seq::new(1),
        };
        assert_eq!(refused(&world, |h| h.seq = got), want);
    }
}

#[test]
fn a_lane_block_on_another_parent_or_number_is_refused() {
    let world = one_in();
    let tip = world.state.namespaces[&A].tip;
    let want = |height, parent| LaneRejection::Parent {
        height,
        parent,
        tip_height: tip.height,
        tip: tip.hash,
    };
    let fork = B256::repeat_byte(7);
    let refusal = refused(&world, |h| h.parent = fork);
    assert_eq!(refusal, want(Height::new(2), fork));
    assert!(!refusal.is_permanent(), "it may become the tip's child");
    for height in [1, 3].map(Height::new) {
        assert_eq!(
            refused(&world, |h| h.height = height),
            want(height, tip.hash)
        );
    }
}

#[test]
fn the_same_lane_block_does_not_enter_twice() {
    let world = World::new();
    let lane = world.lane(A, 0);
    let twice = world.refuse(at(0, 500), vec![lane.clone(), lane]);
    assert!(matches!(
        twice,
        Rejection::Lane {
            index: 1,
            source: LaneRejection::Parent { .. }
        }
    ));
}

#[test]
fn a_context_is_a_tracked_block_under_its_number() {
    let world = World::new();
    let anchor = world.state.anchor();
    let want = |context: L1Ref| LaneRejection::Context {
        number: context.number,
        hash: context.hash,
        anchor: anchor.number,
    };
    for context in [
        L1Ref {
            number: ANCHOR,
            hash: B256::ZERO,
        },
        L1Ref {
            number: ANCHOR + 1,
            ..anchor
        },
        L1Ref {
            number: ANCHOR - 1,
            ..anchor
        },
    ] {
        assert_eq!(refused(&world, |h| h.context = context), want(context));
    }
}

#[test]
fn a_context_may_lag_behind_the_anchor_a_little_and_no_more() {
    let mut world = World::new();
    let mut draft = world.draft(at(0, 100), &[]);
    let headers = world.l1(CONTEXT_LAG as usize + 1);
    draft.operations = vec![Operation::MovePointer(world.pointer_move(headers.clone()))];
    world.go(&draft);
    let oldest = L1Ref {
        number: ANCHOR + 1,
        hash: keccak256(&headers[0]),
    };
    let lane = world.lane_with(A, 0, |h| h.context = oldest);
    assert!(
        world
            .apply(&world.built(&world.draft(at(0, 500), &[&[lane]])))
            .is_ok()
    );
    let before = L1Ref {
        number: ANCHOR,
        hash: keccak256(&world.genesis.l1.anchor),
    };
    let refusal = refused(&world, |h| h.context = before);
    assert!(
        matches!(refusal, LaneRejection::Context { number: ANCHOR, .. }),
        "{refusal}"
    );
}

#[test]
fn the_anchor_is_the_pointer_before_the_block_not_after_it() {
    // R8: lanes first, then the move. A lane block cannot name a header its own block brings.
    let mut world = World::new();
    let headers = world.l1(1);
    let new = L1Ref {
        number: ANCHOR + 1,
        hash: keccak256(&headers[0]),
    };
    let lane = world.lane_with(A, 0, |h| h.context = new);
    let mut draft = world.draft(at(0, 100), &[std::slice::from_ref(&lane)]);
    draft.operations = vec![Operation::MovePointer(world.pointer_move(headers))];
    let block = world.go(&draft);
    assert_eq!((block.lanes.len(), block.operations.len()), (0, 1));
    let block = world.go(&world.draft(at(0, 200), &[&[lane]]));
    assert_eq!(block.lanes.len(), 1, "one block later it may");
}

#[test]
fn a_lane_block_without_certificate_needs_its_child_right_after_it() {
    let world = World::new();
    let first = sign(world.next(A, 0));
    let second = world.entry(sign(child(&first.header)));
    let other = world.lane(B, 0);
    let bare = LaneEntry {
        lane: first.clone(),
        certificate: None,
    };
    let uncertified = Rejection::Uncertified {
        index: 0,
        namespace: A,
    };
    let refuse = |lanes: Vec<LaneEntry>| world.refuse(at(0, 500), lanes);
    assert_eq!(refuse(vec![bare.clone()]), uncertified, "nothing after it");
    assert_eq!(
        refuse(vec![bare.clone(), other.clone()]),
        uncertified,
        "a stranger after it"
    );
    let late = refuse(vec![bare.clone(), other, second.clone()]);
    assert_eq!(late, uncertified, "the child not right after it");
    let mut bare_child = second.clone();
    bare_child.certificate = None;
    let want = Rejection::Uncertified {
        index: 1,
        namespace: A,
    };
    assert_eq!(
        refuse(vec![bare.clone(), bare_child]),
        want,
        "a child without certificate"
    );
    let covered = world.built(&world.draft(at(0, 500), &[&[bare, second]]));
    assert!(world.apply(&covered).is_ok() && covered.lanes.len() == 2);
}

#[test]
fn an_availability_certificate_is_of_this_lane_block() {
    let world = World::new();
    let mut lane = world.lane(A, 0);
    lane.certificate = world.lane(B, 0).certificate;
    let source = CertificateError::Bls(BlsError::Mismatch { signers: 3 });
    let want = Rejection::Availability { index: 0, source };
    assert_eq!(world.refuse(at(0, 500), vec![lane.clone()]), want);
    lane.certificate = Some(world.certify(SubjectKind::Sight, lane.lane.header.hash()));
    assert_eq!(
        world.refuse(at(0, 500), vec![lane]),
        want,
        "sight is not availability"
    );
}

#[test]
fn a_replay_skips_signatures_and_nothing_else() {
    let world = World::new();
    let forged = |change: &dyn Fn(&mut LaneEntry)| {
        let mut lane = world.lane(A, 0);
        change(&mut lane);
        let block = world.forged(at(0, 500), vec![lane], vec![]);
        apply(&world.state, &world.tip, &block, Checks::Replay).expect_err("changed")
    };
    let unsigned = forged(&|lane| lane.lane.signature.0[64] = 0);
    assert!(
        matches!(unsigned, Rejection::Commitment { .. }),
        "only its roots are off: {unsigned}"
    );
    type Change = fn(&mut LaneHeader);
    let changes: [Change; 5] = [
        |h| h.version = 2,
        |h| h.chain_id = ChainId::new(1),
        |h| h.namespace = Namespace::new(9),
        |h| h.size = u64::MAX,
        |h| h.timestamp = at(9, 0),
    ];
    for change in changes {
        let rejection = forged(&|lane| change(&mut lane.lane.header));
        assert!(matches!(rejection, Rejection::Lane { .. }), "{rejection}");
    }
}

#[test]
fn what_only_the_moment_forbids_is_not_permanent() {
    let world = one_in();
    let early = refused(&world, |h| {
        h.slot = Slot::new(1);
        h.seq = Seq::ZERO;
        h.timestamp = at(1, 0);
    });
    assert!(matches!(early, LaneRejection::SlotClosed { .. }), "{early}");
    assert!(!early.is_permanent());
    let wrong = refused(&world, |h| h.seq = Seq::new(5));
    assert!(wrong.is_permanent(), "its parent fixes its seq: {wrong}");
}
