//! The fuzz checks over thousands of mutations of valid encodings, the same ones each time.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use cortado_evidence::{Crossing, Evidence, Path, ViewRecord};
use cortado_types::{
    B256, ChainId, Header, Height, L1Head, L1Ref, SeatBitmap, SeatIndex, SignedVote, Slot, Term,
    TimestampMs, View, Vote, VoteCertificate,
    bls::{KeyBytes, SignatureBytes},
    codec,
};

const VIEW: View = View::new(300);

fn header(height: u64) -> Header {
    Header {
        version: 1,
        chain_id: ChainId::new(1),
        term: Term::new(2),
        view: VIEW,
        parent_view: View::new(299),
        height: Height::new(height),
        parent: B256::repeat_byte(1),
        slot: Slot::new(3),
        timestamp: TimestampMs::new(1_700_000_000_000),
        l1_head: L1Head::default(),
        l1_fin: L1Ref::default(),
        lanes_root: B256::repeat_byte(2),
        operations_root: B256::repeat_byte(3),
        state_root: B256::repeat_byte(4),
        history_root: B256::repeat_byte(5),
        seats_hash: B256::repeat_byte(6),
        next_seats_hash: B256::repeat_byte(7),
    }
}

fn vote(make: fn(Term, View, View, B256) -> Vote, payload: u8) -> SignedVote {
    SignedVote {
        vote: make(
            Term::new(2),
            VIEW,
            View::new(299),
            B256::repeat_byte(payload),
        ),
        seat: SeatIndex::new(1),
        signature: SignatureBytes::repeat_byte(9),
    }
}

#[test]
fn no_bytes_break_the_reading_of_evidence() {
    let crossing = Crossing {
        first: header(5),
        second: header(7),
        path: Some(Path {
            other: B256::repeat_byte(1),
            siblings: vec![B256::repeat_byte(2); 2],
            peaks: vec![B256::repeat_byte(3); 3],
        }),
    };
    let seeds = [None, Some(crossing)].map(|crossing| {
        codec::encode(&Evidence {
            seats_hash: B256::repeat_byte(8),
            key: KeyBytes::repeat_byte(9),
            registry_index: 7,
            first: vote(Vote::finalize, 1),
            second: vote(Vote::notarize, 2),
            crossing,
        })
    });
    mutate::run(&seeds, 8_000, checks::evidence);
}

#[test]
fn no_bytes_break_the_reading_of_archived_views() {
    let mut record = ViewRecord::new(Term::new(2), VIEW);
    for payload in 0..2 {
        record.insert(vote(Vote::notarize, payload));
        record.insert(vote(Vote::finalize, payload));
    }
    let nullify = Vote::nullify(Term::new(2), VIEW);
    record.insert(SignedVote {
        vote: nullify,
        ..vote(Vote::notarize, 0)
    });
    record.insert_certificate(certificate(nullify));
    record.insert_certificate(certificate(vote(Vote::notarize, 1).vote));
    mutate::run(&[codec::encode(&record)], 8_000, checks::view_record);
}

fn certificate(vote: Vote) -> VoteCertificate {
    VoteCertificate {
        vote,
        signers: SeatBitmap::from_signers(9, (0..7).map(SeatIndex::new)),
        signature: SignatureBytes::repeat_byte(8),
    }
}

#[test]
fn no_bytes_break_the_reading_of_certificates() {
    let seed = certificate(vote(Vote::notarize, 1).vote);
    mutate::run(&[codec::encode(&seed)], 8_000, checks::certificate);
}
