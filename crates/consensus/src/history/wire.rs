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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block::Block, scheme::CheapScheme, simulate};
    use cortado_chain::{Draft, State, build};
    use cortado_types::TimestampMs;

    /// Blocks 1 to `count` of a chain, without certificates.
    fn chain(count: u64) -> Vec<Block> {
        let plan = simulate::Plan {
            seats: 4,
            spares: 0,
            proposers: 0,
            slot_ms: 2_000,
            term_ms: cortado_types::genesis::TERM_MS_MAX,
            slot_bytes_max: 1,
            anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
            tuning: crate::engine::Tuning::default(),
        };
        let mut state = State::genesis(&simulate::genesis(&plan).1).unwrap();
        let mut parent = state.genesis_block().header;
        let mut blocks = Vec::new();
        for height in 1..=count {
            let draft = Draft {
                view: cortado_types::View::new(height),
                timestamp: TimestampMs::new(height),
                ..Draft::default()
            };
            let (block, next) = build(&state, &parent, &draft);
            (state, parent) = (next, block.header.clone());
            blocks.push(Block::new(block));
        }
        blocks
    }

    fn read(answer: &Answer, want: u64) -> Result<(), Unconvincing> {
        let bytes = alloy_rlp::encode(answer);
        Claimed::<CheapScheme>::read(&bytes, Height::new(want)).map(drop)
    }

    fn answer(block: &Block, descendants: &[&Block]) -> Answer {
        Answer {
            newest: Height::new(9),
            block: block.bytes().clone(),
            descendants: descendants
                .iter()
                .map(|block| block.inner().header.clone())
                .collect(),
            finalization: Vec::new().into(),
        }
    }

    #[test]
    fn a_final_block_of_another_height_answers_no_question() {
        let blocks = chain(2);
        let refused = read(&answer(&blocks[1], &[]), 1).unwrap_err();
        assert!(matches!(refused, Unconvincing::Height { .. }), "{refused}");
    }

    #[test]
    fn headers_that_do_not_follow_each_other_tie_no_block_to_a_certificate() {
        let blocks = chain(4);
        let gap = answer(&blocks[0], &[&blocks[2]]);
        let twice = answer(&blocks[0], &[&blocks[1], &blocks[1]]);
        for broken in [gap, twice] {
            let refused = read(&broken, 1).unwrap_err();
            assert!(matches!(refused, Unconvincing::Chain { .. }), "{refused}");
        }
        // An honest path, but no certificate at its end.
        let refused = read(&answer(&blocks[0], &[&blocks[1], &blocks[2]]), 1).unwrap_err();
        let certificate =
            matches!(refused, Unconvincing::Part { what, .. } if what == "certificate");
        assert!(certificate, "{refused}");
    }
}
