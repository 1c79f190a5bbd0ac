//! Certificates: a quorum of seats signed one thing.
//!
//! Three are one mechanism ([`QuorumCertificate`] over a [`Subject`]): availability of a body
//! (R6a), sight of an L1 block (R9), finality of an L1 block (R10). The fourth,
//! [`FinalityCertificate`], is the engine's own and finalises a block (R2).

use crate::{
    bls::{self, BlsError, SignatureBytes, union_unique},
    codec::put_varint,
    ids::{ChainId, SeatIndex, Term, View},
    limits::SEATS_MAX,
    seats::{SeatSet, base_namespace},
    vote::Vote,
};
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Why a certificate is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CertificateError {
    /// The bitmap is for another number of seats.
    #[error(
        "bitmap is {bytes} bytes with bits past seat {seats}, or the wrong length for {seats} seats"
    )]
    Bitmap {
        /// Length of the bitmap, bytes.
        bytes: usize,
        /// Seats in the set.
        seats: usize,
    },
    /// Too few signers.
    #[error("{signers} seats signed, a quorum is {quorum}")]
    BelowQuorum {
        /// How many signed.
        signers: usize,
        /// How many are needed.
        quorum: usize,
    },
    /// Another term's certificate.
    #[error("certificate is of term {got}, expected {want}")]
    Term {
        /// Term in the certificate.
        got: Term,
        /// Term of the seats it is checked against.
        want: Term,
    },
    /// It finalises another block.
    #[error("certificate finalises {got}, expected {want}")]
    Payload {
        /// Hash in the certificate.
        got: B256,
        /// Hash expected.
        want: B256,
    },
    /// The signature is not theirs.
    #[error(transparent)]
    Bls(#[from] BlsError),
}

/// One bit a seat, least significant bit first, `⌈n/8⌉` bytes, no bit at or past `n`.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeatBitmap(Bytes);

impl fmt::Debug for SeatBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl alloy_rlp::Encodable for SeatBitmap {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        self.0.encode(out);
    }
    fn length(&self) -> usize {
        self.0.length()
    }
}

impl alloy_rlp::Decodable for SeatBitmap {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let bytes = alloy_rlp::Header::decode_bytes(buf, false)?;
        if bytes.len() > SEATS_MAX / 8 {
            return Err(alloy_rlp::Error::Custom(
                "seat bitmap longer than SEATS_MAX / 8",
            ));
        }
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }
}

impl SeatBitmap {
    /// A bitmap over `seats` seats with the bits of `signers` set; signers past the end are left out.
    pub fn from_signers(seats: usize, signers: impl IntoIterator<Item = SeatIndex>) -> Self {
        let mut bytes = vec![0u8; seats.div_ceil(8)];
        for signer in signers {
            let i = signer.get() as usize;
            if i < seats {
                bytes[i / 8] |= 1 << (i % 8);
            }
        }
        Self(bytes.into())
    }

    /// From the bytes as they stand in a certificate.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, LSB first.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Seats whose bit is set, ascending.
    ///
    /// # Errors
    /// If the bitmap is not for exactly `seats` seats.
    pub fn signers(&self, seats: usize) -> Result<Vec<SeatIndex>, CertificateError> {
        let error = CertificateError::Bitmap {
            bytes: self.0.len(),
            seats,
        };
        if self.0.len() != seats.div_ceil(8) {
            return Err(error);
        }
        let mut signers = Vec::new();
        for (byte, bits) in self.0.iter().enumerate() {
            for bit in 0..8 {
                if bits >> bit & 1 == 1 {
                    let seat = byte * 8 + bit;
                    if seat >= seats {
                        return Err(error);
                    }
                    signers.push(SeatIndex::new(seat as u32));
                }
            }
        }
        Ok(signers)
    }
}

/// What seats sign beside the engine's votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// What is said.
    pub kind: SubjectKind,
    /// Of what: a lane header's hash, or an L1 block's.
    pub hash: B256,
}

/// The three things a quorum can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// "I hold this lane block's body and all its uncertified ancestors', on disk" (R6a).
    Available,
    /// "My L1 node holds this block and all its ancestors as valid" (R9). Not a preference.
    Sight,
    /// "My L1 node holds this block as finalised" (R10).
    L1Final,
}

impl SubjectKind {
    const fn suffix(self) -> &'static [u8] {
        match self {
            Self::Available => b"_AVAILABLE",
            Self::Sight => b"_SIGHT",
            Self::L1Final => b"_L1FINAL",
        }
    }
}

impl Subject {
    /// `union_unique(base ‖ suffix, varint(term) ‖ hash)`: never the bytes of an engine vote.
    pub fn message(&self, base_namespace: &[u8], term: Term) -> Vec<u8> {
        let mut namespace = base_namespace.to_vec();
        namespace.extend_from_slice(self.kind.suffix());
        let mut body = Vec::with_capacity(42);
        put_varint(&mut body, term.get());
        body.extend_from_slice(self.hash.as_slice());
        union_unique(&namespace, &body)
    }
}

/// A quorum of the seats of a term signed a [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct QuorumCertificate {
    /// Who signed.
    pub signers: SeatBitmap,
    /// Sum of their signatures.
    pub signature: SignatureBytes,
}

impl QuorumCertificate {
    /// Aggregates signatures of distinct seats. They are not verified against keys here.
    ///
    /// # Errors
    /// If there are none or one is not a point.
    pub fn aggregate(
        seats: usize,
        signatures: &[(SeatIndex, SignatureBytes)],
    ) -> Result<Self, BlsError> {
        let parts: Vec<_> = signatures.iter().map(|(_, signature)| *signature).collect();
        Ok(Self {
            signers: SeatBitmap::from_signers(seats, signatures.iter().map(|(seat, _)| *seat)),
            signature: bls::aggregate(&parts)?,
        })
    }

    /// Checks quorum and signature.
    ///
    /// # Errors
    /// [`CertificateError`] says what is missing.
    pub fn verify(
        &self,
        subject: &Subject,
        chain_id: ChainId,
        term: Term,
        seats: &SeatSet,
    ) -> Result<(), CertificateError> {
        let message = subject.message(&seats.base_namespace(chain_id), term);
        verify_quorum(&self.signers, self.signature, &message, seats)
    }
}

pub(crate) fn verify_quorum(
    bitmap: &SeatBitmap,
    signature: SignatureBytes,
    message: &[u8],
    seats: &SeatSet,
) -> Result<(), CertificateError> {
    let signers = bitmap.signers(seats.len())?;
    if signers.len() < seats.quorum() {
        return Err(CertificateError::BelowQuorum {
            signers: signers.len(),
            quorum: seats.quorum(),
        });
    }
    let keys = signers
        .iter()
        .map(|seat| &seats.keys()[seat.get() as usize]);
    bls::verify_aggregate(keys, message, signature)?;
    Ok(())
}

/// The engine's finalisation of a block: `finalize(view, payload)` signed by a quorum (R2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, RlpEncodable, RlpDecodable)]
pub struct FinalityCertificate {
    /// The term (the engine's epoch) whose seats signed.
    pub term: Term,
    /// View in which the block was finalised.
    pub view: View,
    /// View of its parent.
    pub parent_view: View,
    /// Hash of the finalised header.
    pub payload: B256,
    /// Who signed.
    pub signers: SeatBitmap,
    /// Sum of their signatures.
    pub signature: SignatureBytes,
}

impl FinalityCertificate {
    /// What each seat said.
    pub fn vote(&self) -> Vote {
        Vote::finalize(self.term, self.view, self.parent_view, self.payload)
    }

    /// The bytes that each seat signed.
    pub fn message(&self, base_namespace: &[u8]) -> Vec<u8> {
        self.vote().message(base_namespace)
    }

    /// Checks that a quorum of `seats`, the seats of `term`, finalised the header hash `payload`.
    ///
    /// # Errors
    /// [`CertificateError`] says what is wrong.
    pub fn verify(
        &self,
        payload: B256,
        chain_id: ChainId,
        term: Term,
        seats: &SeatSet,
    ) -> Result<(), CertificateError> {
        if self.term != term {
            return Err(CertificateError::Term {
                got: self.term,
                want: term,
            });
        }
        if self.payload != payload {
            return Err(CertificateError::Payload {
                got: self.payload,
                want: payload,
            });
        }
        let message = self.message(&base_namespace(chain_id, seats.hash()));
        verify_quorum(&self.signers, self.signature, &message, seats)
    }
}
