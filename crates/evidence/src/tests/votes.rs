//! What is archived of a view, and evidence made of it with real signatures.

use super::world::{Chain, electorate, secrets, sign};
use crate::{FinalBlock, Fork, VIEW_RECORD_BYTES_MAX, ViewRecord, Voters as _, coalition};
use cortado_types::{
    B256, FinalityCertificate, QuorumCertificate, SeatBitmap, SeatIndex, SignedVote, Term, View,
    Vote, VoteCertificate, bls::SignatureBytes, codec, decode_exact, limits::SEATS_MAX,
};

const TERM: Term = Term::ZERO;

fn vote(seat: u32, vote: Vote) -> SignedVote {
    SignedVote {
        vote,
        seat: SeatIndex::new(seat),
        signature: SignatureBytes::repeat_byte(seat as u8),
    }
}

fn quorum(vote: Vote, seats: usize) -> VoteCertificate {
    let signers = (0..seats as u32).map(SeatIndex::new);
    VoteCertificate {
        vote,
        signers: SeatBitmap::from_signers(seats, signers),
        signature: SignatureBytes::repeat_byte(9),
    }
}

fn again(record: &ViewRecord) -> ViewRecord {
    let bytes = codec::encode(record);
    decode_exact("view record", &bytes, VIEW_RECORD_BYTES_MAX).expect("our own bytes")
}

#[test]
fn a_view_of_a_hundred_seats_is_packed_into_eleven_kib() {
    let view = View::new(7);
    let payload = B256::repeat_byte(1);
    let mut record = ViewRecord::new(TERM, view);
    let notarize = Vote::notarize(TERM, view, View::new(6), payload);
    let finalize = Vote::finalize(TERM, view, View::new(6), payload);
    for seat in 0..100 {
        assert!(record.insert(vote(seat, notarize)));
        assert!(record.insert(vote(seat, finalize)));
    }
    assert!(record.insert_certificate(quorum(notarize, 100)));
    assert!(record.insert_certificate(quorum(finalize, 100)));
    let size = codec::encode(&record).len();
    assert!(size < 10_700, "{size} bytes");
    assert_eq!(again(&record), record);
    assert_eq!(record.votes().count(), 200);
}

#[test]
fn a_seat_that_votes_for_everything_fills_five_places() {
    let view = View::new(7);
    let mut record = ViewRecord::new(TERM, view);
    for payload in 0..50 {
        let payload = B256::repeat_byte(payload);
        for make in [Vote::notarize, Vote::finalize] {
            record.insert(vote(3, make(TERM, view, View::new(6), payload)));
        }
        record.insert(vote(3, Vote::nullify(TERM, view)));
    }
    assert_eq!(record.votes().count(), 5);
    assert_eq!(again(&record), record);
    let conflicts = record.conflicts();
    assert_eq!(conflicts.len(), 1);
    assert!(conflicts[0].0.vote.conflicts_with(&conflicts[0].1.vote));
}

#[test]
fn votes_of_other_views_known_votes_and_impossible_seats_add_nothing() {
    let view = View::new(7);
    let mut record = ViewRecord::new(TERM, view);
    let known = vote(3, Vote::nullify(TERM, view));
    assert!(record.insert(known));
    assert!(!record.insert(known));
    assert!(!record.insert(vote(4, Vote::nullify(TERM, View::new(8)))));
    assert!(!record.insert(vote(4, Vote::nullify(Term::new(1), view))));
    assert!(!record.insert(vote(SEATS_MAX as u32, Vote::nullify(TERM, view))));
    let nullification = quorum(Vote::nullify(TERM, view), 4);
    assert!(record.insert_certificate(nullification.clone()));
    assert!(!record.insert_certificate(nullification));
    for payload in 0..2 {
        let notarize = Vote::notarize(TERM, view, view, B256::repeat_byte(payload));
        assert!(record.insert_certificate(quorum(notarize, 4)));
    }
    let third = Vote::notarize(TERM, view, view, B256::repeat_byte(2));
    assert!(!record.insert_certificate(quorum(third, 4)));
    assert_eq!(record.certificates().count(), 3);
}

#[test]
fn the_largest_view_of_hostile_seats_is_within_the_limit() {
    let view = View::new(u64::MAX);
    let mut record = ViewRecord::new(Term::new(u64::MAX), view);
    let term = record.term();
    for seat in 0..SEATS_MAX as u32 {
        for n in 0..2u8 {
            for (kind, make) in [Vote::notarize, Vote::finalize].into_iter().enumerate() {
                let mut payload = B256::repeat_byte(0xee);
                payload[..6].copy_from_slice(&[n, kind as u8, (seat >> 8) as u8, seat as u8, 1, 1]);
                assert!(record.insert(vote(seat, make(term, view, view, payload))));
            }
        }
        assert!(record.insert(vote(seat, Vote::nullify(term, view))));
    }
    let size = codec::encode(&record).len();
    assert!(size < VIEW_RECORD_BYTES_MAX, "{size} bytes");
    assert_eq!(again(&record), record);
}

#[test]
fn a_fork_is_told_by_its_makers_signatures_and_forged_votes_in_an_archive_name_nobody() {
    // Seats 0 and 1 are honest, each on its side; 2 and 3 are on both.
    let secrets = secrets(4);
    let voters = electorate(&secrets);
    let genesis = Chain::genesis();
    let (left, right) = (genesis.extend(1, 0), genesis.extend(1, 1));
    let signed = |seat, vote| sign(&voters, &secrets, seat, vote);
    let block = |chain: &Chain, seats: [usize; 3]| {
        let vote = chain.finalize(1);
        let parts: Vec<_> = seats
            .iter()
            .map(|seat| (SeatIndex::new(*seat as u32), signed(*seat, vote).signature))
            .collect();
        let QuorumCertificate { signers, signature } =
            QuorumCertificate::aggregate(4, &parts).expect("points");
        FinalBlock {
            header: chain.header.clone(),
            certificate: FinalityCertificate {
                term: TERM,
                view: vote.view(),
                parent_view: vote.parent_view(),
                payload: vote.payload(),
                signers,
                signature,
            },
        }
    };
    let fork = Fork::new(block(&left, [0, 2, 3]), block(&right, [1, 2, 3]), None);
    let mut archives = [(); 2].map(|()| ViewRecord::new(TERM, View::new(1)));
    for (archive, chain, honest) in [(0, &left, 0), (1, &right, 1)] {
        for seat in [honest, 2, 3] {
            archives[archive].insert(signed(seat, chain.finalize(1)));
        }
    }
    let found = coalition(&voters, &fork, &archives).expect("a fork");
    let named: Vec<_> = found.guilty.keys().map(|seat| seat.get()).collect();
    assert_eq!(named, [2, 3]);
    assert!(found.accused.is_empty() && found.unproved.is_empty());
    for evidence in found.guilty.values() {
        assert_eq!(evidence.verify(&voters), Ok(()));
    }

    // An archive of lies: an honest seat's name on another's signature; a guilty one's true vote
    // hidden behind a forged one.
    let mut forged = ViewRecord::new(TERM, View::new(1));
    let mut lie = signed(2, right.finalize(1));
    lie.seat = SeatIndex::new(0);
    assert!(forged.insert(lie));
    let mut hidden = signed(2, right.finalize(1));
    hidden.signature = signed(3, left.finalize(1)).signature;
    assert!(forged.insert(hidden));
    let all = [forged, archives[0].clone(), archives[1].clone()];
    assert_eq!(coalition(&voters, &fork, &all), Ok(found.clone()));

    // One archive alone has one half of each contradiction; the quorums still show who it was.
    let half = coalition(&voters, &fork, &archives[..1]).expect("a fork");
    assert!(half.guilty.is_empty());
    assert_eq!(half.unproved, found.guilty.keys().copied().collect());

    // No fork: one block twice, one that nobody finalised, one with another's header.
    let twice = Fork::new(block(&left, [0, 2, 3]), block(&left, [0, 1, 2]), None);
    assert!(coalition(&voters, &twice, &archives).is_err());
    let mut fake = block(&right, [1, 2, 3]);
    fake.certificate.signature = fork.first().certificate.signature;
    assert!(
        coalition(
            &voters,
            &Fork::new(fork.first().clone(), fake, None),
            &archives
        )
        .is_err()
    );
    let mut swapped = block(&right, [1, 2, 3]);
    swapped.header = left.header.clone();
    assert!(
        Fork::new(fork.first().clone(), swapped, None)
            .verify(&voters)
            .is_err()
    );
    assert_eq!(voters.seats().len(), 4);
}
