//! The engine's votes and certificates in the system's own terms.

use crate::{block::Digest, scheme::Scheme};
use bytes::Bytes;
use commonware_codec::{Encode, ReadExt as _};
use commonware_consensus::{
    simplex::types::{Activity, Finalize, Notarize, Nullify, Proposal},
    types::Round,
};
use commonware_cryptography::certificate::Attestation;
use cortado_types::{B256, SeatIndex, SignedVote, Term, View, Vote, VoteCertificate};

/// What is kept of what the engine reports.
pub(super) enum Report {
    /// A seat voted; its signature is not checked.
    Vote(SignedVote),
    /// A quorum voted alike; checked.
    Certificate(VoteCertificate),
    /// A seat cast two votes that exclude each other; not checked.
    Conflict(SignedVote, SignedVote),
}

type Make = fn(Term, View, View, B256) -> Vote;

fn proposed(make: Make, proposal: &Proposal<Digest>) -> Vote {
    make(
        Term::new(proposal.round.epoch().get()),
        View::new(proposal.round.view().get()),
        View::new(proposal.parent.get()),
        B256::from(proposal.payload.0),
    )
}

fn nullified(round: &Round) -> Vote {
    Vote::nullify(
        Term::new(round.epoch().get()),
        View::new(round.view().get()),
    )
}

fn signed<S: Scheme>(vote: Vote, attestation: &Attestation<S>) -> SignedVote {
    SignedVote {
        vote,
        seat: SeatIndex::new(attestation.signer.get()),
        signature: S::signature(attestation),
    }
}

fn notarize<S: Scheme>(vote: &Notarize<S, Digest>) -> SignedVote {
    signed(proposed(Vote::notarize, &vote.proposal), &vote.attestation)
}

fn finalize<S: Scheme>(vote: &Finalize<S, Digest>) -> SignedVote {
    signed(proposed(Vote::finalize, &vote.proposal), &vote.attestation)
}

fn nullify<S: Scheme>(vote: &Nullify<S>) -> SignedVote {
    signed(nullified(&vote.round), &vote.attestation)
}

fn certificate<S: Scheme>(vote: Vote, certificate: &S::Certificate) -> Report {
    let (signers, signature) = S::quorum(certificate);
    Report::Certificate(VoteCertificate {
        vote,
        signers,
        signature,
    })
}

/// The two votes of a conflict, which shows them in its encoding only.
fn conflict<A: commonware_codec::Read<Cfg = ()>, B: commonware_codec::Read<Cfg = ()>>(
    conflict: &impl Encode,
) -> Option<(A, B)> {
    let mut bytes: Bytes = conflict.encode();
    let first = A::read(&mut bytes).ok()?;
    Some((first, B::read(&mut bytes).ok()?))
}

impl Report {
    /// What is to be kept of `activity`, if anything.
    pub(super) fn of<S: Scheme>(activity: &Activity<S, Digest>) -> Option<Self> {
        Some(match activity {
            Activity::Notarize(vote) => Self::Vote(notarize(vote)),
            Activity::Finalize(vote) => Self::Vote(finalize(vote)),
            Activity::Nullify(vote) => Self::Vote(nullify(vote)),
            Activity::Notarization(quorum) => certificate::<S>(
                proposed(Vote::notarize, &quorum.proposal),
                &quorum.certificate,
            ),
            Activity::Finalization(quorum) => certificate::<S>(
                proposed(Vote::finalize, &quorum.proposal),
                &quorum.certificate,
            ),
            Activity::Nullification(quorum) => {
                certificate::<S>(nullified(&quorum.round), &quorum.certificate)
            }
            Activity::ConflictingNotarize(votes) => {
                let (first, second) = conflict::<Notarize<S, Digest>, _>(votes)?;
                Self::Conflict(notarize::<S>(&first), notarize::<S>(&second))
            }
            Activity::ConflictingFinalize(votes) => {
                let (first, second) = conflict::<Finalize<S, Digest>, _>(votes)?;
                Self::Conflict(finalize::<S>(&first), finalize::<S>(&second))
            }
            Activity::NullifyFinalize(votes) => {
                let (first, second) = conflict::<Nullify<S>, _>(votes)?;
                Self::Conflict(nullify::<S>(&first), finalize::<S>(&second))
            }
            // Says that a notarization, reported before, may be built on.
            Activity::Certification(_) => return None,
        })
    }
}
