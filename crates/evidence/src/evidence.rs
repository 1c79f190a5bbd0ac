//! Two signed votes that accuse a seat, and what excuses it.

use crate::Voters;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use cortado_types::{
    B256, Header, SeatIndex, SeatSet, SignedVote, Vote, VoteCertificate, VoteKind,
    bls::{self, BlsError, KeyBytes, SignatureBytes},
    keccak256,
    mmr::{HistoryError, HistoryProof},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of one piece of evidence: two headers of under a KiB, and a path of at most 63 siblings
/// and 64 peaks.
pub const EVIDENCE_BYTES_MAX: usize = 8 << 10;

/// Why something is not evidence.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EvidenceError {
    /// Signed over other seats.
    #[error("evidence is over the seats {got}, expected {want}")]
    Seats {
        /// Seats hash of the evidence.
        got: B256,
        /// That of the seats it is checked against.
        want: B256,
    },
    /// The seats have no such key at that place.
    #[error("seat {seat} of {seats} does not have the key {key}")]
    Key {
        /// Place claimed.
        seat: SeatIndex,
        /// How many seats there are.
        seats: usize,
        /// Key claimed.
        key: KeyBytes,
    },
    /// Two seats cast the votes.
    #[error("the votes are of seat {first} and of seat {second}")]
    TwoSeats {
        /// Of the first.
        first: SeatIndex,
        /// Of the second.
        second: SeatIndex,
    },
    /// An honest seat may cast both.
    #[error("an honest seat may cast both votes")]
    NoConflict,
    /// A signature is not the seat's.
    #[error("seat {seat} did not sign its vote in view {view}")]
    Signature {
        /// The seat.
        seat: SeatIndex,
        /// View of the vote.
        view: cortado_types::View,
    },
    /// A header is not the one voted for.
    #[error("header {got} was not voted for, {want} was")]
    Header {
        /// Its hash.
        got: B256,
        /// The hash voted for.
        want: B256,
    },
    /// The second block descends from the first, or is it.
    #[error("the later block descends from {block}")]
    Descends {
        /// The first block.
        block: B256,
    },
    /// Nothing shows what the later block's history has at the first one's height.
    #[error("no path to the block at height {height} in the later one's history")]
    NoPath {
        /// Height of the first block.
        height: cortado_types::Height,
    },
    /// The path does not lead into the later block's history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A quorum did not certify a block of the fork.
    #[error("no quorum finalised {block}")]
    NotFinal {
        /// The block.
        block: B256,
    },
}

/// What a header's history has at another's height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct Path {
    /// The block there.
    pub other: B256,
    /// From it up to its mountain's peak.
    pub siblings: Vec<B256>,
    /// All peaks, largest mountain first.
    pub peaks: Vec<B256>,
}

impl Path {
    /// The path of `other` by a proof that it stands in a history.
    pub fn new(other: B256, proof: HistoryProof) -> Self {
        Self {
            other,
            siblings: proof.siblings,
            peaks: proof.peaks,
        }
    }
}

/// The blocks of two votes in different views, and that the later does not descend from the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
pub struct Crossing {
    /// Block of the finalize.
    pub first: Header,
    /// Block of the later vote.
    pub second: Header,
    /// What the second's history has at the first's height; needed only if the second is higher.
    pub path: Option<Path>,
}

impl Crossing {
    /// Checks that the second block does not descend from the first: at the first one's height its
    /// history has another block, or it is itself not higher. Whoever voted for a block vouched for
    /// its history.
    ///
    /// # Errors
    /// [`EvidenceError`] if it does, or nothing shows that it does not.
    pub fn verify(&self) -> Result<(), EvidenceError> {
        let (block, height) = (self.first.hash(), self.first.height);
        if block == self.second.hash() {
            return Err(EvidenceError::Descends { block });
        }
        if self.second.height <= height {
            return Ok(());
        }
        let path = self.path.as_ref();
        let path = path.ok_or(EvidenceError::NoPath { height })?;
        if path.other == block {
            return Err(EvidenceError::Descends { block });
        }
        let proof = HistoryProof {
            index: height.get(),
            leaves: self.second.height.get(),
            siblings: path.siblings.clone(),
            peaks: path.peaks.clone(),
        };
        Ok(proof.verify(path.other, self.second.history_root)?)
    }
}

/// Two votes of one key under one seats hash that no honest seat casts, or that it casts only
/// with an excuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
#[rlp(trailing)]
pub struct Evidence {
    /// The seats that both votes are signed over.
    pub seats_hash: B256,
    /// The seat's BLS key.
    pub key: KeyBytes,
    /// Index of the key in the L1 registry.
    pub registry_index: u32,
    /// One vote; across views the finalize.
    pub first: SignedVote,
    /// The other; across views the later one.
    pub second: SignedVote,
    /// The blocks of votes in different views; none for votes in one view.
    pub crossing: Option<Crossing>,
}

impl Evidence {
    /// Evidence of one seat's two votes. `None` if the votes are of two seats or of a seat past the
    /// last; nothing else is checked.
    pub fn new(
        seats: &SeatSet,
        first: SignedVote,
        second: SignedVote,
        crossing: Option<Crossing>,
    ) -> Option<Self> {
        let seat = seats.seats().get(first.seat.get() as usize)?;
        (first.seat == second.seat).then(|| Self {
            seats_hash: seats.hash(),
            key: seat.bls,
            registry_index: seat.registry_index,
            first,
            second,
            crossing,
        })
    }

    /// The seat.
    pub fn seat(&self) -> SeatIndex {
        self.first.seat
    }

    /// Whether the seat may answer: the votes are of different views.
    pub fn is_accusation(&self) -> bool {
        self.crossing.is_some()
    }

    /// Checks everything that `Slasher.sol` checks, and that the key is that of the seat.
    ///
    /// # Errors
    /// [`EvidenceError`] says why it proves nothing.
    pub fn verify(&self, voters: &impl Voters) -> Result<(), EvidenceError> {
        let (got, want) = (self.seats_hash, voters.seats_hash());
        if got != want {
            return Err(EvidenceError::Seats { got, want });
        }
        let (first, second) = (&self.first, &self.second);
        if first.seat != second.seat {
            return Err(EvidenceError::TwoSeats {
                first: first.seat,
                second: second.seat,
            });
        }
        let seat = voters.seat(first.seat);
        let known = |seat: &&cortado_types::Seat| {
            seat.bls == self.key && seat.registry_index == self.registry_index
        };
        seat.filter(known).ok_or(EvidenceError::Key {
            seat: first.seat,
            seats: voters.seats().len(),
            key: self.key,
        })?;
        match &self.crossing {
            None if first.vote.conflicts_with(&second.vote) => {}
            Some(crossing) if first.vote.crosses(&second.vote) => {
                for (header, vote) in [(&crossing.first, first), (&crossing.second, second)] {
                    let (got, want) = (header.hash(), vote.vote.payload());
                    if got != want {
                        return Err(EvidenceError::Header { got, want });
                    }
                }
                crossing.verify()?;
            }
            _ => return Err(EvidenceError::NoConflict),
        }
        for vote in [first, second] {
            if !voters.signed(vote) {
                return Err(EvidenceError::Signature {
                    seat: vote.seat,
                    view: vote.vote.view(),
                });
            }
        }
        Ok(())
    }

    /// Sum of the two signatures, as the contract checks it.
    ///
    /// # Errors
    /// If one is not a point.
    pub fn signature(&self) -> Result<SignatureBytes, BlsError> {
        bls::aggregate(&[self.first.signature, self.second.signature])
    }

    /// Names the offence. A key is slashed once for what one seat set had at risk, so all conflicts
    /// in one view are one offence; accusations are answered one by one, so each is its own.
    pub fn offence(&self) -> B256 {
        let mut bytes = self.key.to_vec();
        bytes.extend_from_slice(self.seats_hash.as_slice());
        if self.is_accusation() {
            for vote in [self.first.vote, self.second.vote] {
                bytes.extend_from_slice(&alloy_rlp::encode(vote));
            }
        }
        keccak256(bytes)
    }
}

/// Whether `certificate` excuses a seat that finalised `payload` in a view of a term and later
/// voted for a block beside it: the view was nullified, or another block was notarized in it,
/// which is itself evidence against those who made it.
pub fn excuses(certificate: &Vote, accused: &Vote) -> bool {
    let same_view = certificate.term() == accused.term() && certificate.view() == accused.view();
    same_view
        && match certificate.kind() {
            VoteKind::Nullify => true,
            VoteKind::Notarize => certificate.payload() != accused.payload(),
            VoteKind::Finalize => false,
        }
}

/// The first certificate that excuses a finalize.
pub(crate) fn excuse<'a>(
    certificates: impl IntoIterator<Item = &'a VoteCertificate>,
    accused: &Vote,
) -> Option<&'a VoteCertificate> {
    let mut certificates = certificates.into_iter();
    certificates.find(|certificate| excuses(&certificate.vote, accused))
}
