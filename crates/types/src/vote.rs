//! What the engine lets a seat say in a view, as it is signed and as evidence carries it (R2).

use crate::{
    bls::{SignatureBytes, VerifyKey, union_unique},
    certificate::{CertificateError, FinalityCertificate, SeatBitmap, verify_quorum},
    codec::put_varint,
    ids::{ChainId, SeatIndex, Term, View},
    seats::{SeatSet, base_namespace},
};
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};

/// The engine's three votes, numbered as the contracts number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum VoteKind {
    /// "This block may stand in this view."
    Notarize = 0,
    /// "This block is final: I shall vote for nothing beside it."
    Finalize = 1,
    /// "This view shall have no final block, as far as I am concerned."
    Nullify = 2,
}

impl VoteKind {
    /// All three, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Notarize, Self::Finalize, Self::Nullify];

    const fn suffix(self) -> &'static [u8] {
        match self {
            Self::Notarize => b"_NOTARIZE",
            Self::Finalize => b"_FINALIZE",
            Self::Nullify => b"_NULLIFY",
        }
    }
}

impl Encodable for VoteKind {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        (*self as u8).encode(out);
    }
    fn length(&self) -> usize {
        (*self as u8).length()
    }
}

impl Decodable for VoteKind {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let number = u8::decode(buf)?;
        Self::ALL
            .get(usize::from(number))
            .copied()
            .ok_or(alloy_rlp::Error::Custom("kind of vote is not 0, 1 or 2"))
    }
}

/// A vote without its signature.
///
/// - A nullify has no parent and no payload: both are zero.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, RlpEncodable,
)]
#[serde(try_from = "RawVote")]
pub struct Vote {
    kind: VoteKind,
    term: Term,
    view: View,
    parent_view: View,
    payload: B256,
}

/// A vote as it was written, before it is known whether it is one.
#[derive(Deserialize, RlpDecodable)]
struct RawVote {
    kind: VoteKind,
    term: Term,
    view: View,
    parent_view: View,
    payload: B256,
}

impl TryFrom<RawVote> for Vote {
    type Error = &'static str;

    fn try_from(raw: RawVote) -> Result<Self, Self::Error> {
        let empty = raw.parent_view == View::ZERO && raw.payload == B256::ZERO;
        if raw.kind == VoteKind::Nullify && !empty {
            return Err("a nullify has neither parent view nor payload");
        }
        Ok(Self {
            kind: raw.kind,
            term: raw.term,
            view: raw.view,
            parent_view: raw.parent_view,
            payload: raw.payload,
        })
    }
}

impl Decodable for Vote {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        RawVote::decode(buf)?
            .try_into()
            .map_err(alloy_rlp::Error::Custom)
    }
}

impl Vote {
    /// A notarize of the header hash `payload`.
    pub const fn notarize(term: Term, view: View, parent_view: View, payload: B256) -> Self {
        let kind = VoteKind::Notarize;
        Self {
            kind,
            term,
            view,
            parent_view,
            payload,
        }
    }

    /// A finalize of the header hash `payload`.
    pub const fn finalize(term: Term, view: View, parent_view: View, payload: B256) -> Self {
        let kind = VoteKind::Finalize;
        Self {
            kind,
            term,
            view,
            parent_view,
            payload,
        }
    }

    /// A nullify of a view.
    pub const fn nullify(term: Term, view: View) -> Self {
        Self {
            kind: VoteKind::Nullify,
            term,
            view,
            parent_view: View::ZERO,
            payload: B256::ZERO,
        }
    }

    /// What is said.
    pub const fn kind(&self) -> VoteKind {
        self.kind
    }

    /// The term whose seats vote.
    pub const fn term(&self) -> Term {
        self.term
    }

    /// The view in which it is said.
    pub const fn view(&self) -> View {
        self.view
    }

    /// View of the block's parent; 0 in a nullify.
    pub const fn parent_view(&self) -> View {
        self.parent_view
    }

    /// Hash of the header voted for; zero in a nullify.
    pub const fn payload(&self) -> B256 {
        self.payload
    }

    /// `varint(len ns) ‖ ns ‖ varint(term) ‖ varint(view) [‖ varint(parent view) ‖ payload]` with
    /// `ns = base ‖ suffix of the kind`: the bytes that a seat signs.
    pub fn message(&self, base_namespace: &[u8]) -> Vec<u8> {
        let mut namespace = base_namespace.to_vec();
        namespace.extend_from_slice(self.kind.suffix());
        let mut body = Vec::with_capacity(64);
        put_varint(&mut body, self.term.get());
        put_varint(&mut body, self.view.get());
        if self.kind != VoteKind::Nullify {
            put_varint(&mut body, self.parent_view.get());
            body.extend_from_slice(self.payload.as_slice());
        }
        union_unique(&namespace, &body)
    }

    /// Whether an honest seat never casts both of these, being in one view: two different
    /// notarizes, two different finalizes, a nullify and a finalize.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        if self.term != other.term || self.view != other.view {
            return false;
        }
        if self.kind == other.kind {
            return self != other;
        }
        self.kind != VoteKind::Notarize && other.kind != VoteKind::Notarize
    }

    /// Whether this is a finalize and `later` a vote for a block in a later view of the term: what
    /// accuses across views if that block does not descend from this one's.
    pub fn crosses(&self, later: &Self) -> bool {
        self.kind == VoteKind::Finalize
            && later.kind != VoteKind::Nullify
            && self.term == later.term
            && later.view > self.view
    }
}

/// A vote and who signed it. Nothing is checked by making one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable,
)]
pub struct SignedVote {
    /// What was said.
    pub vote: Vote,
    /// By which seat of the term.
    pub seat: SeatIndex,
    /// Its signature.
    pub signature: SignatureBytes,
}

impl SignedVote {
    /// Checks the signature under the seat's key.
    ///
    /// # Errors
    /// If it is not a point, or of another key or message.
    pub fn verify(
        &self,
        key: &VerifyKey,
        chain_id: ChainId,
        seats_hash: B256,
    ) -> Result<(), crate::bls::BlsError> {
        let message = self.vote.message(&base_namespace(chain_id, seats_hash));
        key.verify(&message, self.signature)
    }
}

/// A quorum of the seats of a term cast one vote: a notarization, a finalization, a nullification.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct VoteCertificate {
    /// What all of them said.
    pub vote: Vote,
    /// Who signed.
    pub signers: SeatBitmap,
    /// Sum of their signatures.
    pub signature: SignatureBytes,
}

impl VoteCertificate {
    /// Checks quorum and signature against `seats`, the seats of the vote's term.
    ///
    /// # Errors
    /// [`CertificateError`] says what is missing.
    pub fn verify(&self, chain_id: ChainId, seats: &SeatSet) -> Result<(), CertificateError> {
        let message = self.vote.message(&seats.base_namespace(chain_id));
        verify_quorum(&self.signers, self.signature, &message, seats)
    }
}

impl From<&FinalityCertificate> for VoteCertificate {
    fn from(certificate: &FinalityCertificate) -> Self {
        Self {
            vote: certificate.vote(),
            signers: certificate.signers.clone(),
            signature: certificate.signature,
        }
    }
}
