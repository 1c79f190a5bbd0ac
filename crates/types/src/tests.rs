//! What the things of the protocol are, told as stories; the hostile ones first.

mod blocks;
mod certificates;
mod genesis;
mod history;
mod lanes;
mod limits_doc;
mod seats;
mod signatures;
mod tries;

use crate::{
    bls::{SecretBls, SignatureBytes},
    certificate::{FinalityCertificate, QuorumCertificate, SeatBitmap, Subject},
    ecdsa::SigningKey,
    ids::{ChainId, Height, Namespace, SeatIndex, Seq, Slot, Term, TimestampMs, View},
    lane::{LaneBody, LaneHeader, SignedLaneHeader},
    seats::{Seat, SeatSet},
    *,
};

const CHAIN: ChainId = ChainId::new(1234);
const TERM: Term = Term::new(300);

/// `n` seats with their secrets, in bitmap order.
fn seats(n: usize) -> (SeatSet, Vec<SecretBls>) {
    let mut all: Vec<_> = (0..n as u64)
        .map(|i| {
            let material = keccak256(i.to_be_bytes());
            let secret = SecretBls::derive(material.as_slice()).expect("32 bytes");
            let seat = Seat {
                identity: keccak256(material),
                bls: secret.public(),
                registry_index: i as u32,
            };
            (seat, secret)
        })
        .collect();
    all.sort_by_key(|(seat, _)| seat.identity);
    let (seats, secrets) = all.into_iter().unzip();
    (SeatSet::new(seats).expect("a proper set"), secrets)
}

fn proposer() -> SigningKey {
    SigningKey::from_bytes([7; 32]).expect("a scalar")
}

fn header() -> LaneHeader {
    LaneHeader {
        version: 1,
        chain_id: CHAIN,
        namespace: Namespace::new(8_001),
        slot: Slot::new(77),
        seq: Seq::new(3),
        last: true,
        height: Height::new(901),
        parent: B256::repeat_byte(0x11),
        context: L1Ref {
            number: 19_000_000,
            hash: B256::repeat_byte(0x22),
        },
        timestamp: TimestampMs::new(1_700_000_000_123),
        body_root: B256::repeat_byte(0x33),
        size: 512,
        group: B256::repeat_byte(0x44),
    }
}

fn signed(header: LaneHeader) -> SignedLaneHeader {
    let signature = proposer().sign(header.hash());
    SignedLaneHeader { header, signature }
}

/// The certificate of the seats at `signers` over `subject`.
fn certificate(
    subject: Subject,
    set: &SeatSet,
    secrets: &[SecretBls],
    signers: impl IntoIterator<Item = u32>,
) -> QuorumCertificate {
    let message = subject.message(&set.base_namespace(CHAIN), TERM);
    let parts: Vec<(SeatIndex, SignatureBytes)> = signers
        .into_iter()
        .map(|i| (SeatIndex::new(i), secrets[i as usize].sign(&message)))
        .collect();
    QuorumCertificate::aggregate(set.len(), &parts).expect("points of the group")
}

/// The engine's finalisation of `payload` by the seats at `signers`.
fn finality(
    payload: B256,
    set: &SeatSet,
    secrets: &[SecretBls],
    signers: impl IntoIterator<Item = u32>,
) -> FinalityCertificate {
    let mut certificate = FinalityCertificate {
        term: TERM,
        view: View::new(1_000),
        parent_view: View::new(998),
        payload,
        signers: SeatBitmap::default(),
        signature: SignatureBytes::ZERO,
    };
    let message = certificate.message(&set.base_namespace(CHAIN));
    let signers: Vec<_> = signers.into_iter().collect();
    let parts: Vec<_> = signers
        .iter()
        .map(|i| secrets[*i as usize].sign(&message))
        .collect();
    certificate.signers =
        SeatBitmap::from_signers(set.len(), signers.into_iter().map(SeatIndex::new));
    certificate.signature = bls::aggregate(&parts).expect("points of the group");
    certificate
}

fn body(transactions: &[&[u8]]) -> LaneBody {
    LaneBody {
        transactions: transactions
            .iter()
            .map(|t| Bytes::copy_from_slice(t))
            .collect(),
    }
}
