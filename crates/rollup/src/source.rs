//! Where a rollup's inputs come from and where its outputs go: the seams that a node wires to its
//! network.

use cortado_derive::Entry;
use cortado_preconf::SignedPromise;
use cortado_types::{
    Address, B256, Block, BodyError, Bytes, CertificateError, ChainId, FinalityCertificate, Header,
    Height, LaneBody, LaneHeader, Namespace, SeatSet, SignedLaneHeader,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, future::Future};
use thiserror::Error;

/// Why something is not a finalised block.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FinalisedError {
    /// Lanes or operations are not those of the header.
    #[error("block {height} is not whole: its content does not fit the header's roots")]
    NotWhole {
        /// Its number.
        height: Height,
    },
    /// Other seats finalise it than those it was checked against.
    #[error("block {height} names seats {got}, expected {want}")]
    Seats {
        /// Its number.
        height: Height,
        /// Seats hash in the header.
        got: B256,
        /// Hash of the seats expected.
        want: B256,
    },
    /// A header between the block and its certificate does not link.
    #[error("header {height} has parent {parent}, expected {want} in the same term")]
    Unlinked {
        /// Its number.
        height: Height,
        /// Its parent.
        parent: B256,
        /// Hash of the header before.
        want: B256,
    },
    /// No quorum finalised it.
    #[error("block {height}: {source}")]
    Certificate {
        /// Its number.
        height: Height,
        /// What is wrong with the certificate.
        source: CertificateError,
    },
    /// A body is not the one its lane header commits to.
    #[error("lane block {lane}: {source}")]
    Body {
        /// Hash of the lane header.
        lane: B256,
        /// What is wrong with the body.
        source: BodyError,
    },
}

/// A block with a quorum's certificate and bodies of its lane blocks, all checked. There is no
/// other way to make one than [`Finalised::verify`], so nothing unattested can reach `latest`.
#[derive(Clone, Debug)]
pub struct Finalised {
    block: Block,
    hash: B256,
    certificate: FinalityCertificate,
    bodies: BTreeMap<B256, LaneBody>,
}

impl Finalised {
    /// Checks a block, its certificate and those of `bodies` (by lane hash) that belong to it; the
    /// others are left out. `seats` are those of the block's term.
    ///
    /// # Errors
    /// [`FinalisedError`] names what does not fit.
    pub fn verify(
        block: Block,
        certificate: FinalityCertificate,
        bodies: BTreeMap<B256, LaneBody>,
        chain_id: ChainId,
        seats: &SeatSet,
    ) -> Result<Self, FinalisedError> {
        Self::verify_through(block, &[], certificate, bodies, chain_id, seats)
    }

    /// As [`Finalised::verify`], for a block that became final with a descendant: `descendants` are
    /// the headers after it, each the child of the one before, and the certificate is the last
    /// one's.
    ///
    /// # Errors
    /// [`FinalisedError`] names what does not fit.
    pub fn verify_through(
        block: Block,
        descendants: &[Header],
        certificate: FinalityCertificate,
        mut bodies: BTreeMap<B256, LaneBody>,
        chain_id: ChainId,
        seats: &SeatSet,
    ) -> Result<Self, FinalisedError> {
        let height = block.header.height;
        let (got, want) = (block.header.seats_hash, seats.hash());
        if got != want {
            return Err(FinalisedError::Seats { height, got, want });
        }
        if !block.is_whole() {
            return Err(FinalisedError::NotWhole { height });
        }
        let hash = block.hash();
        let mut certified = hash;
        for descendant in descendants {
            let parent = descendant.parent;
            if parent != certified || descendant.term != block.header.term {
                return Err(FinalisedError::Unlinked {
                    height: descendant.height,
                    parent,
                    want: certified,
                });
            }
            certified = descendant.hash();
        }
        certificate
            .verify(certified, chain_id, block.header.term, seats)
            .map_err(|source| FinalisedError::Certificate { height, source })?;
        let mut checked = BTreeMap::new();
        for entry in &block.lanes {
            let lane = entry.lane.header.hash();
            if let Some(body) = bodies.remove(&lane) {
                let header = &entry.lane.header;
                body.check(header)
                    .map_err(|source| FinalisedError::Body { lane, source })?;
                checked.insert(lane, body);
            }
        }
        Ok(Self {
            block,
            hash,
            certificate,
            bodies: checked,
        })
    }

    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Hash of its header.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// What makes it final.
    pub fn certificate(&self) -> &FinalityCertificate {
        &self.certificate
    }

    /// The body of one of its lane blocks, if it came with it.
    pub fn body(&self, lane: &B256) -> Option<&LaneBody> {
        self.bodies.get(lane)
    }
}

/// Why a source or a sink failed; asked again later, it may not.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Where finalised blocks come from: an attester's API, or p2p.
pub trait FinalisedSource: Send + Sync + 'static {
    /// The last finalised block known there.
    fn head(&self) -> impl Future<Output = Result<Height, SourceError>> + Send;

    /// Block `height` with the bodies of the lane blocks of `namespaces`; waits until it is final.
    fn finalised(
        &self,
        height: Height,
        namespaces: &[Namespace],
    ) -> impl Future<Output = Result<Finalised, SourceError>> + Send;
}

/// Where it is read what L1 blocks queued for a rollup.
pub trait QueueSource: Send + Sync + 'static {
    /// What the L1 block with this header (RLP) queued in `inbox`, in order, checked against the
    /// header.
    fn queue(
        &self,
        header: &Bytes,
        inbox: Address,
    ) -> impl Future<Output = Result<Vec<Entry>, SourceError>> + Send;
}

/// For rollups without an inbox: nothing is ever asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoQueue;

impl QueueSource for NoQueue {
    async fn queue(&self, _header: &Bytes, inbox: Address) -> Result<Vec<Entry>, SourceError> {
        Err(SourceError(format!(
            "no L1 node is configured that could tell what was queued in {inbox}"
        )))
    }
}

/// A lane block as its proposer hands it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedLane {
    /// Header and signature.
    pub lane: SignedLaneHeader,
    /// Body.
    pub body: LaneBody,
}

/// Where sealed lane blocks go: to every attester, and as certified headers to the leaders.
pub trait LaneSink: Send + Sync + 'static {
    /// Takes a lane block. Parents come before children. The same lane block comes again until it
    /// is finalised or dead, so that a leader or an attester that lost it gets it; taking it twice
    /// must be cheap.
    fn offer(&self, lane: SealedLane) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// Both promises for one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promises {
    /// That it stands at its position.
    pub inclusion: SignedPromise,
    /// That it does there what it did.
    pub execution: SignedPromise,
}

/// What a proposer says of its pending lane blocks, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event", deny_unknown_fields)]
pub enum PreconfEvent {
    /// Forget all pending lane blocks: what follows is the whole of them.
    Reset,
    /// A lane block was opened; body root, size and `last` are not yet known.
    Opened {
        /// What is fixed of its header.
        header: LaneHeader,
    },
    /// A transaction was executed in the open lane block and promised.
    Transaction {
        /// Its bytes.
        raw: Bytes,
        /// What was promised.
        promises: Box<Promises>,
    },
    /// The open lane block is closed.
    Sealed {
        /// Its header, signed.
        lane: SignedLaneHeader,
    },
    /// A promised transaction is no longer going to be included.
    Dropped {
        /// Its hash.
        hash: B256,
        /// Why.
        reason: String,
    },
}

/// An event and its place in the proposer's stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbered {
    /// Which run of the proposer counts; a restart begins anew.
    pub run: u64,
    /// Position in the run's stream, from 1.
    pub number: u64,
    /// What happened.
    pub event: PreconfEvent,
}

/// A stream of preconfirmations that resumes by itself: what it missed comes again, or a
/// [`PreconfEvent::Reset`] and the whole of what is pending.
pub trait PreconfSource: Send + 'static {
    /// The next event; waits for it.
    fn next(&mut self) -> impl Future<Output = Result<PreconfEvent, SourceError>> + Send;
}

/// What came of a submitted transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", deny_unknown_fields)]
pub enum Submitted {
    /// Persisted, signed.
    Promised {
        /// Hash of the transaction.
        hash: B256,
        /// What was promised.
        promises: Box<Promises>,
    },
    /// Waits for earlier transactions of its sender; nothing is promised.
    Queued {
        /// Hash of the transaction.
        hash: B256,
        /// The nonce that has to come first.
        expected: u64,
    },
}

/// Where a rollup node sends what its users submit.
pub trait TransactionSink: Send + Sync + 'static {
    /// Submits a raw transaction and waits for the promise.
    fn send(
        &self,
        raw: Bytes,
    ) -> impl Future<Output = Result<Submitted, cortado_ethrpc::SubmitError>> + Send;

    /// The promises for a transaction, as long as the proposer keeps them.
    fn promises(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Option<Promises>, SourceError>> + Send;
}
