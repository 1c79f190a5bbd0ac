//! One piece of evidence at a time, whole and altered.

use super::world::{CHAIN, Chain, electorate, secrets, sign};
use crate::{Evidence, EvidenceError, Voters as _, excuses};
use cortado_types::{
    B256, ChainId, SeatIndex, Term, View, Vote,
    bls::{self, SignatureBytes},
};

fn vote(make: fn(Term, View, View, B256) -> Vote, view: u64, payload: u8) -> Vote {
    let payload = B256::repeat_byte(payload);
    make(Term::new(2), View::new(view), View::new(view - 1), payload)
}

#[test]
fn two_notarizes_two_finalizes_or_a_nullify_and_a_finalize_in_one_view_convict() {
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let nullify = Vote::nullify(Term::new(2), View::new(5));
    for (first, second) in [
        (vote(Vote::notarize, 5, 1), vote(Vote::notarize, 5, 2)),
        (vote(Vote::finalize, 5, 1), vote(Vote::finalize, 5, 2)),
        (nullify, vote(Vote::finalize, 5, 1)),
        (vote(Vote::finalize, 5, 1), nullify),
    ] {
        let [a, b] = [first, second].map(|vote| sign(&voters, &secrets, 1, vote));
        let evidence = Evidence::new(&voters.seats, a, b, None).expect("one seat");
        assert_eq!(evidence.verify(&voters), Ok(()));
        assert_eq!(evidence.registry_index, 101);
        let sum = bls::aggregate(&[a.signature, b.signature]);
        assert_eq!(evidence.signature(), sum);
    }
}

#[test]
fn what_an_honest_seat_casts_convicts_nobody() {
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let nullify = Vote::nullify(Term::new(2), View::new(5));
    for (first, second) in [
        // The same again.
        (vote(Vote::notarize, 5, 1), vote(Vote::notarize, 5, 1)),
        (nullify, nullify),
        // What a view may hold.
        (vote(Vote::notarize, 5, 1), vote(Vote::finalize, 5, 1)),
        (vote(Vote::notarize, 5, 1), nullify),
        // It notarized one block; a quorum, the other.
        (vote(Vote::notarize, 5, 1), vote(Vote::finalize, 5, 2)),
        // Another view, another term.
        (vote(Vote::notarize, 5, 1), vote(Vote::notarize, 6, 2)),
        (
            Vote::nullify(Term::new(3), View::new(5)),
            vote(Vote::finalize, 5, 1),
        ),
    ] {
        let [first, second] = [first, second].map(|vote| sign(&voters, &secrets, 1, vote));
        let evidence = Evidence::new(&voters.seats, first, second, None).expect("one seat");
        assert_eq!(evidence.verify(&voters), Err(EvidenceError::NoConflict));
    }
}

#[test]
fn evidence_of_two_seats_other_seats_or_a_forged_vote_is_refused() {
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let votes = [vote(Vote::notarize, 5, 1), vote(Vote::notarize, 5, 2)];
    let [first, second] = votes.map(|vote| sign(&voters, &secrets, 1, vote));
    let good = Evidence::new(&voters.seats, first, second, None).expect("one seat");

    let stranger = sign(&voters, &secrets, 2, votes[1]);
    assert_eq!(Evidence::new(&voters.seats, first, stranger, None), None);
    let mut bad = good.clone();
    bad.second = stranger;
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::TwoSeats { .. })
    ));

    let mut bad = good.clone();
    bad.second.signature = stranger.signature;
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::Signature { .. })
    ));
    bad.second.signature = SignatureBytes::ZERO;
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::Signature { .. })
    ));

    let mut bad = good.clone();
    bad.key = secrets[2].public();
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::Key { .. })
    ));
    let mut bad = good.clone();
    bad.registry_index += 1;
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::Key { .. })
    ));
    let mut bad = good.clone();
    (bad.first.seat, bad.second.seat) = (SeatIndex::new(9), SeatIndex::new(9));
    assert!(matches!(
        bad.verify(&voters),
        Err(EvidenceError::Key { .. })
    ));

    let reversed: Vec<_> = secrets.iter().rev().cloned().collect();
    let fewer = electorate(&reversed);
    assert!(matches!(
        good.verify(&fewer),
        Err(EvidenceError::Seats { .. })
    ));
    let mut elsewhere = voters.clone();
    elsewhere.chain_id = ChainId::new(CHAIN.get() + 1);
    assert!(matches!(
        good.verify(&elsewhere),
        Err(EvidenceError::Signature { .. })
    ));
}

#[test]
fn conflicts_of_a_key_in_one_seat_set_are_one_offence_and_accusations_are_many() {
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let in_view = |view| {
        let votes = [vote(Vote::notarize, view, 1), vote(Vote::notarize, view, 2)];
        let [first, second] = votes.map(|vote| sign(&voters, &secrets, 1, vote));
        Evidence::new(&voters.seats, first, second, None).expect("one seat")
    };
    assert_eq!(in_view(5).offence(), in_view(6).offence());
    let accusation = |later| {
        let genesis = Chain::genesis();
        let (one, other) = (genesis.extend(1, 0), genesis.extend(later, 1));
        let votes = [one.finalize(1), other.notarize(later)];
        let [first, second] = votes.map(|vote| sign(&voters, &secrets, 1, vote));
        let crossing = Some(one.crossing(&other));
        Evidence::new(&voters.seats, first, second, crossing).expect("one seat")
    };
    assert_ne!(accusation(3).offence(), accusation(4).offence());
    assert_ne!(accusation(3).offence(), in_view(5).offence());
}

#[test]
fn a_finalize_and_a_later_vote_for_a_block_beside_it_accuse() {
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let trunk = (1..6).fold(Chain::genesis(), |chain, view| chain.extend(view, 0));
    let block = trunk.extend(6, 0);
    let beside = trunk.extend(7, 1);
    // As high as the block, lower, and higher by some.
    let lower = Chain::genesis().extend(9, 2);
    let higher = (10..14).fold(beside.clone(), |chain, view| chain.extend(view, 1));
    let descendant = block.extend(15, 0);
    let accuse = |later: &Chain, vote: Vote| {
        let votes = [block.finalize(6), vote];
        let [first, second] = votes.map(|vote| sign(&voters, &secrets, 2, vote));
        let crossing = Some(block.crossing(later));
        Evidence::new(&voters.seats, first, second, crossing).expect("one seat")
    };
    for later in [&beside, &lower, &higher] {
        let view = later.header.view.get();
        for vote in [later.notarize(view), later.finalize(view)] {
            assert_eq!(accuse(later, vote).verify(&voters), Ok(()));
        }
        // Not after the finalize, and no vote for a block at all.
        assert_eq!(
            accuse(later, later.notarize(6)).verify(&voters),
            Err(EvidenceError::NoConflict)
        );
        let nullify = Vote::nullify(Term::ZERO, View::new(view));
        assert_eq!(
            accuse(later, nullify).verify(&voters),
            Err(EvidenceError::NoConflict)
        );
    }
    let same = accuse(&descendant, descendant.notarize(15));
    assert!(matches!(
        same.verify(&voters),
        Err(EvidenceError::Descends { .. })
    ));
    let itself = accuse(&block, block.notarize(15));
    assert!(matches!(
        itself.verify(&voters),
        Err(EvidenceError::Descends { .. })
    ));

    let good = accuse(&higher, higher.finalize(13));
    let alter = |change: fn(&mut crate::Crossing)| {
        let mut bad = good.clone();
        change(bad.crossing.as_mut().expect("across views"));
        bad.verify(&voters)
    };
    assert!(matches!(
        alter(|crossing| crossing.path = None),
        Err(EvidenceError::NoPath { .. })
    ));
    assert!(matches!(
        alter(|c| c.path.as_mut().expect("higher").other = B256::repeat_byte(9)),
        Err(EvidenceError::History(_))
    ));
    assert!(matches!(
        alter(|c| c.path.as_mut().expect("higher").siblings.clear()),
        Err(EvidenceError::History(_))
    ));
    assert!(matches!(
        alter(|c| c.path.as_mut().expect("higher").peaks.push(B256::ZERO)),
        Err(EvidenceError::History(_))
    ));
    assert!(matches!(
        alter(|c| c.first.height = c.second.height),
        Err(EvidenceError::Header { .. })
    ));
    // Two votes in two views need their blocks.
    let mut bad = good.clone();
    bad.crossing = None;
    assert_eq!(bad.verify(&voters), Err(EvidenceError::NoConflict));
}

#[test]
fn a_nullification_or_a_notarization_of_another_block_excuses_and_nothing_else_does() {
    let accused = vote(Vote::finalize, 5, 1);
    let nullify = |term, view| Vote::nullify(Term::new(term), View::new(view));
    assert!(excuses(&nullify(2, 5), &accused));
    assert!(excuses(&vote(Vote::notarize, 5, 2), &accused));
    assert!(!excuses(&vote(Vote::notarize, 5, 1), &accused));
    assert!(!excuses(&vote(Vote::finalize, 5, 2), &accused));
    assert!(!excuses(&nullify(2, 6), &accused));
    assert!(!excuses(&nullify(3, 5), &accused));
    assert!(electorate(&secrets(4)).seat(SeatIndex::new(4)).is_none());
}
