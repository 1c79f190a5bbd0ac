//! What was seen in a view: every seat's votes and the quorums, packed for the archive.
//!
//! ```text
//!  [ term, view, [[parent view, payload] …], votes, [[kind, proposal, signers, signature] …] ]
//!   votes = (seat u16 ‖ kind and proposal u16 ‖ signature 48) …       52 bytes a vote
//! ```

use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use cortado_types::{
    B256, Bytes, SeatBitmap, SeatIndex, SignedVote, Term, View, Vote, VoteCertificate, VoteKind,
    bls::SignatureBytes, limits::SEATS_MAX,
};
use std::collections::{BTreeMap, BTreeSet};

/// Different votes of one kind that are kept of one seat: two convict it, and a hostile one could
/// go on for ever.
const VOTES_OF_A_KIND_MAX: usize = 2;

/// Certificates kept of one kind: two notarizations of different blocks already show more than a
/// third of the seats guilty.
const CERTIFICATES_OF_A_KIND_MAX: usize = 2;

/// Bytes of one vote in the packed form.
const VOTE_BYTES: usize = 2 + 2 + 48;

/// Different blocks that one view can have votes for within the limits above.
const PROPOSALS_MAX: usize = 2 * VOTES_OF_A_KIND_MAX * SEATS_MAX + 2 * CERTIFICATES_OF_A_KIND_MAX;

/// Bytes of one packed view: every one of `SEATS_MAX` seats hostile. A view of a hundred honest
/// seats is under 11 KiB.
pub const VIEW_RECORD_BYTES_MAX: usize =
    5 * SEATS_MAX * VOTE_BYTES + PROPOSALS_MAX * 45 + 6 * (SEATS_MAX / 8 + 64) + 64;

/// Bits of the packed word that hold the proposal's place; the kind stands above.
const PROPOSAL_BITS: u32 = 14;

/// Votes and certificates of one view.
///
/// - Of one seat at most [`VOTES_OF_A_KIND_MAX`] votes of a kind, no two alike.
/// - Signatures of votes are as they came: whoever makes evidence checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRecord {
    term: Term,
    view: View,
    votes: BTreeMap<(SeatIndex, Vote), SignatureBytes>,
    certificates: BTreeMap<Vote, (SeatBitmap, SignatureBytes)>,
}

impl ViewRecord {
    /// Nothing seen yet.
    pub const fn new(term: Term, view: View) -> Self {
        Self {
            term,
            view,
            votes: BTreeMap::new(),
            certificates: BTreeMap::new(),
        }
    }

    /// The term.
    pub const fn term(&self) -> Term {
        self.term
    }

    /// The view.
    pub const fn view(&self) -> View {
        self.view
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty() && self.certificates.is_empty()
    }

    fn is_here(&self, vote: &Vote) -> bool {
        vote.term() == self.term && vote.view() == self.view
    }

    /// Keeps a vote. `false` if it is of another view or of no possible seat, known already, or one
    /// too many of its seat.
    pub fn insert(&mut self, vote: SignedVote) -> bool {
        let possible = self.is_here(&vote.vote) && (vote.seat.get() as usize) < SEATS_MAX;
        if !possible || self.votes.contains_key(&(vote.seat, vote.vote)) {
            return false;
        }
        let kind = vote.vote.kind();
        let alike = self
            .of_seat(vote.seat)
            .filter(|kept| kept.vote.kind() == kind);
        if alike.count() == VOTES_OF_A_KIND_MAX {
            return false;
        }
        self.votes.insert((vote.seat, vote.vote), vote.signature);
        true
    }

    /// Keeps a certificate. `false` if it is of another view, if one for the same vote is known, or
    /// if there are enough of its kind.
    pub fn insert_certificate(&mut self, certificate: VoteCertificate) -> bool {
        let vote = certificate.vote;
        if !self.is_here(&vote) || self.certificates.contains_key(&vote) {
            return false;
        }
        let alike = self
            .certificates
            .keys()
            .filter(|kept| kept.kind() == vote.kind());
        if alike.count() == CERTIFICATES_OF_A_KIND_MAX {
            return false;
        }
        let kept = (certificate.signers, certificate.signature);
        self.certificates.insert(vote, kept);
        true
    }

    /// Keeps what `other` has of the same view.
    pub fn merge(&mut self, other: &Self) {
        for vote in other.votes() {
            self.insert(vote);
        }
        for certificate in other.certificates() {
            self.insert_certificate(certificate);
        }
    }

    /// The votes, by seat.
    pub fn votes(&self) -> impl Iterator<Item = SignedVote> {
        self.votes
            .iter()
            .map(|((seat, vote), signature)| SignedVote {
                vote: *vote,
                seat: *seat,
                signature: *signature,
            })
    }

    fn of_seat(&self, seat: SeatIndex) -> impl Iterator<Item = SignedVote> {
        let lowest = Vote::notarize(Term::ZERO, View::ZERO, View::ZERO, B256::ZERO);
        self.votes
            .range((seat, lowest)..)
            .take_while(move |((at, _), _)| *at == seat)
            .map(|((seat, vote), signature)| SignedVote {
                vote: *vote,
                seat: *seat,
                signature: *signature,
            })
    }

    /// The certificates, by kind.
    pub fn certificates(&self) -> impl Iterator<Item = VoteCertificate> {
        self.certificates
            .iter()
            .map(|(vote, (signers, signature))| VoteCertificate {
                vote: *vote,
                signers: signers.clone(),
                signature: *signature,
            })
    }

    /// Two conflicting votes of each seat that has some. Their signatures are not checked.
    pub fn conflicts(&self) -> Vec<(SignedVote, SignedVote)> {
        let seats: BTreeSet<_> = self.votes.keys().map(|(seat, _)| *seat).collect();
        let conflict = |seat: SeatIndex| {
            let votes: Vec<_> = self.of_seat(seat).collect();
            let pairs = votes
                .iter()
                .enumerate()
                .flat_map(|(i, first)| votes[i + 1..].iter().map(move |second| (*first, *second)));
            pairs
                .into_iter()
                .find(|(first, second)| first.vote.conflicts_with(&second.vote))
        };
        seats.into_iter().filter_map(conflict).collect()
    }
}

/// A block that was voted for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, RlpEncodable, RlpDecodable)]
struct Proposal {
    parent_view: View,
    payload: B256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct PackedCertificate {
    kind: VoteKind,
    proposal: u16,
    signers: SeatBitmap,
    signature: SignatureBytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Packed {
    term: Term,
    view: View,
    proposals: Vec<Proposal>,
    votes: Bytes,
    certificates: Vec<PackedCertificate>,
}

impl ViewRecord {
    fn pack(&self) -> Packed {
        let all = self.votes.keys().map(|(_, vote)| vote);
        let proposals: BTreeSet<_> = all
            .chain(self.certificates.keys())
            .filter(|vote| vote.kind() != VoteKind::Nullify)
            .map(proposal)
            .collect();
        let proposals: Vec<_> = proposals.into_iter().collect();
        let place = |vote: &Vote| match vote.kind() {
            VoteKind::Nullify => 0,
            _ => proposals.binary_search(&proposal(vote)).unwrap_or_default() as u16,
        };
        let mut votes = Vec::with_capacity(self.votes.len() * VOTE_BYTES);
        for ((seat, vote), signature) in &self.votes {
            let word = (vote.kind() as u16) << PROPOSAL_BITS | place(vote);
            votes.extend_from_slice(&(seat.get() as u16).to_be_bytes());
            votes.extend_from_slice(&word.to_be_bytes());
            votes.extend_from_slice(signature.as_slice());
        }
        let certificates = self.certificates.iter();
        let certificates = certificates
            .map(|(vote, (signers, signature))| PackedCertificate {
                kind: vote.kind(),
                proposal: place(vote),
                signers: signers.clone(),
                signature: *signature,
            })
            .collect();
        Packed {
            term: self.term,
            view: self.view,
            proposals,
            votes: votes.into(),
            certificates,
        }
    }

    fn unpack(packed: Packed) -> Result<Self, &'static str> {
        if packed.proposals.len() > PROPOSALS_MAX {
            return Err("view record has more blocks than its limit");
        }
        if !packed.votes.len().is_multiple_of(VOTE_BYTES) {
            return Err("votes of a view record are cut off");
        }
        let vote = |kind, place: usize| {
            if kind == VoteKind::Nullify {
                return Ok(Vote::nullify(packed.term, packed.view));
            }
            let at = packed.proposals.get(place);
            let at = at.ok_or("vote for a block that the view record does not name")?;
            let make = match kind {
                VoteKind::Notarize => Vote::notarize,
                _ => Vote::finalize,
            };
            Ok::<_, &str>(make(packed.term, packed.view, at.parent_view, at.payload))
        };
        let mut record = Self::new(packed.term, packed.view);
        for bytes in packed.votes.chunks_exact(VOTE_BYTES) {
            let seat = u16::from_be_bytes([bytes[0], bytes[1]]);
            let word = u16::from_be_bytes([bytes[2], bytes[3]]);
            let kind = VoteKind::ALL.get(usize::from(word >> PROPOSAL_BITS));
            let kind = kind.ok_or("kind of vote is not 0, 1 or 2")?;
            let place = word & ((1 << PROPOSAL_BITS) - 1);
            let kept = record.insert(SignedVote {
                vote: vote(*kind, usize::from(place))?,
                seat: SeatIndex::new(u32::from(seat)),
                signature: SignatureBytes::from_slice(&bytes[4..]),
            });
            if !kept {
                return Err("view record repeats a vote or has too many of one seat");
            }
        }
        for certificate in packed.certificates {
            let kept = record.insert_certificate(VoteCertificate {
                vote: vote(certificate.kind, usize::from(certificate.proposal))?,
                signers: certificate.signers,
                signature: certificate.signature,
            });
            if !kept {
                return Err("view record repeats a certificate or has too many of one kind");
            }
        }
        Ok(record)
    }
}

fn proposal(vote: &Vote) -> Proposal {
    Proposal {
        parent_view: vote.parent_view(),
        payload: vote.payload(),
    }
}

impl Encodable for ViewRecord {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        self.pack().encode(out);
    }
}

impl Decodable for ViewRecord {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        Self::unpack(Packed::decode(buf)?).map_err(alloy_rlp::Error::Custom)
    }
}
