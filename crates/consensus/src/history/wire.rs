//! One final block on the wire, with what shows that it is final.

use crate::{block::Digest, network::MESSAGE_BYTES_MAX, scheme::Scheme};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use commonware_codec::Decode as _;
use commonware_consensus::{Epochable as _, simplex::types::Finalization};
use commonware_parallel::Sequential;
use cortado_types::{CodecError, Header, Height, Term, decode_exact};
use rand_core::CryptoRng;
use thiserror::Error;

/// An answer, bytes. Under what the network carries, with room for the request's number.
pub const ANSWER_BYTES_MAX: usize = MESSAGE_BYTES_MAX as usize - 1_024;

/// Headers between a block and the certified one that makes it final; more do not come about while
/// a quorum is up, and so many fit an answer beside the largest block.
pub(super) const DESCENDANTS_MAX: u64 = 1_024;

/// A final block.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Answer {
    /// Height of the newest block that the peer has. Nobody vouches for it.
    pub newest: Height,
    /// RLP of the block.
    pub block: alloy_rlp::Bytes,
    /// Headers after it, up to the one that was certified; none if that is the block itself.
    pub descendants: Vec<Header>,
    /// The engine's finalization of the last of them.
    pub finalization: alloy_rlp::Bytes,
}

/// Why an answer convinces nobody.
#[derive(Debug, Error)]
pub enum Unconvincing {
    /// Not readable.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The block or the certificate is not readable.
    #[error("{what}: {source}")]
    Part {
        /// Which.
        what: &'static str,
        /// Why.
        source: commonware_codec::Error,
    },
    /// An answer to another question.
    #[error("block {got}, asked for {want}")]
    Height {
        /// What came.
        got: Height,
        /// What was asked for.
        want: Height,
    },
    /// The headers are no chain from the block to what was certified.
    #[error("header {height} does not follow the one before it")]
    Chain {
        /// Its number.
        height: Height,
    },
    /// A certificate of another term than the block's.
    #[error("certificate of term {got}, block of term {want}")]
    Term {
        /// The certificate's.
        got: u64,
        /// The block's.
        want: Term,
    },
    /// No quorum signed it.
    #[error("the certificate does not hold")]
    Certificate,
}

/// A block that was asked for, in form; nobody has verified who signed for it.
pub(super) struct Claimed<S: Scheme> {
    /// The block.
    pub(super) block: crate::block::Block,
    /// What makes it final, through `descendants` headers.
    pub(super) finalization: Finalization<S, Digest>,
    /// Headers between.
    pub(super) descendants: usize,
}

impl<S: Scheme> Claimed<S> {
    /// Reads the answer to the question for block `want`.
    pub(super) fn read(bytes: &[u8], want: Height) -> Result<(Self, Height), Unconvincing> {
        let answer: Answer = decode_exact("final block", bytes, ANSWER_BYTES_MAX)?;
        let part = |what| move |source| Unconvincing::Part { what, source };
        let block = crate::block::Block::from_bytes(answer.block.clone()).map_err(part("block"))?;
        let header = &block.inner().header;
        if header.height != want {
            let got = header.height;
            return Err(Unconvincing::Height { got, want });
        }
        let mut last = (header.height, block.hash());
        for next in &answer.descendants {
            let follows = next.parent == last.1 && Some(next.height) == last.0.next();
            if !follows || next.term != header.term {
                let height = next.height;
                return Err(Unconvincing::Chain { height });
            }
            last = (next.height, next.hash());
        }
        let config = S::certificate_codec_config_unbounded();
        let finalization = Finalization::<S, Digest>::decode_cfg(
            commonware_codec::Copying(answer.finalization.as_ref()),
            &config,
        )
        .map_err(part("certificate"))?;
        if finalization.epoch().get() != header.term.get() {
            let (got, want) = (finalization.epoch().get(), header.term);
            return Err(Unconvincing::Term { got, want });
        }
        if finalization.proposal.payload != crate::block::digest(last.1) {
            return Err(Unconvincing::Certificate);
        }
        let claimed = Self {
            block,
            finalization,
            descendants: answer.descendants.len(),
        };
        Ok((claimed, answer.newest))
    }

    /// Whether the seats behind `scheme` made it final.
    pub(super) fn holds(&self, rng: &mut impl CryptoRng, scheme: &S) -> Result<(), Unconvincing> {
        if self.finalization.verify(rng, scheme, &Sequential) {
            Ok(())
        } else {
            Err(Unconvincing::Certificate)
        }
    }
}
