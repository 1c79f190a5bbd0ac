//! The L2 chain of a namespace on one fork of L1, whichever it is (R12).
//!
//! The [engine](crate::engine) follows the chain's own pointer, back and forth. Whoever wants to know
//! what a rollup is on some other fork, also on one that lost, derives along that fork from the start.
//!
//! ```text
//!   finalised blocks ──▶ L1Forks ──along(tip)──▶ ForkChain ──▶ ForkBlock: the L2 block, and what
//!                        all headers                 ▲  ▲      became of every transaction
//!                                        lane blocks ┘  └ what L1 blocks queued, when asked for
//! ```
//!
//! Derivation and execution are the engine's own, so along its fork the blocks are the engine's.

use crate::engine::{RollupSpec, Senders, Skipped, credit_of, execute, transaction_hash};
use cortado_derive::{
    Cursor, DropReason, Entry, Ethereum, Fork, ForkError, L2Input, NotYet, derive_lane,
    needs_receipts,
};
use cortado_evm::{BuildError, Credit, ExecutedBlock, genesis_block};
use cortado_l1::{HeaderError, TrackedHeader};
use cortado_types::{
    Address, B256, Block, Bytes, L1Ref, LaneBody, Operation, SignedLaneHeader,
    ecdsa::SignatureError,
};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use thiserror::Error;

/// L1 as a finality chain has shown it from its block 1 on: every header, on all forks.
#[derive(Clone, Debug)]
pub struct L1Forks {
    inbox: Option<Address>,
    anchor: L1Ref,
    fork: Fork,
    /// Headers, as RLP, of blocks that may have queued something by their blooms.
    open: BTreeMap<B256, Bytes>,
    head: L1Ref,
    fin: L1Ref,
}

/// Where an L1 block stands beside `L1*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is `L1*`.
    Pointer,
    /// An ancestor of it.
    Below,
    /// A descendant of it.
    Above,
    /// On another fork.
    Beside,
}

impl L1Forks {
    /// Before block 1 of the finality chain whose L1 begins at the block with the header `anchor`
    /// (RLP), for a rollup with this inbox.
    ///
    /// # Errors
    /// If that is no header.
    pub fn new(anchor: &[u8], inbox: Option<Address>) -> Result<Self, HeaderError> {
        let anchor = TrackedHeader::read(anchor)?;
        let at = anchor.to_ref();
        Ok(Self {
            inbox,
            anchor: at,
            fork: match inbox {
                Some(_) => Fork::with_queue(anchor),
                None => Fork::new(anchor),
            },
            open: BTreeMap::new(),
            head: at,
            fin: at,
        })
    }

    /// Takes in what the next finalised block brings of L1.
    ///
    /// # Errors
    /// If a header does not link, which never happens with finalised blocks in order.
    pub fn take(&mut self, block: &Block) -> Result<(), ForkError> {
        for operation in &block.operations {
            let Operation::MovePointer(moved) = operation else {
                continue;
            };
            for raw in &moved.headers {
                self.insert(raw)?;
            }
        }
        self.head = block.header.l1_head.block;
        self.fin = block.header.l1_fin;
        Ok(())
    }

    fn insert(&mut self, raw: &Bytes) -> Result<(), ForkError> {
        let header = TrackedHeader::read(raw)?;
        self.fork.insert(header)?;
        let Some(inbox) = self.inbox else {
            return Ok(());
        };
        if needs_receipts(raw, inbox)? {
            self.open.insert(header.hash, raw.clone());
        } else {
            self.fork.set_entries(header.hash, Vec::new());
        }
        Ok(())
    }

    /// The L1 block at which the finality chain begins.
    pub const fn anchor(&self) -> L1Ref {
        self.anchor
    }

    /// `L1*`.
    pub const fn head(&self) -> L1Ref {
        self.head
    }

    /// The end of the fork that the rollup's nodes are on: `L1*`, or `L1fin` while `L1*` does not
    /// descend from it.
    pub fn tip(&self) -> L1Ref {
        match self.fork.is_ancestor(&self.fin, &self.head) {
            Some(false) => self.fin,
            _ => self.head,
        }
    }

    /// An L1 block that the pointer has tracked, on whatever fork.
    pub fn get(&self, hash: &B256) -> Option<L1Ref> {
        self.fork.header(hash).map(TrackedHeader::to_ref)
    }

    /// Where a tracked L1 block stands beside `L1*`.
    pub fn standing(&self, block: L1Ref) -> Standing {
        let is_ancestor = |one: &L1Ref, two: &L1Ref| self.fork.is_ancestor(one, two) == Some(true);
        if block == self.head {
            Standing::Pointer
        } else if is_ancestor(&block, &self.head) {
            Standing::Below
        } else if is_ancestor(&self.head, &block) {
            Standing::Above
        } else {
            Standing::Beside
        }
    }

    /// The chain of a rollup on the fork that ends in `tip`, before its first lane block.
    ///
    /// # Errors
    /// If the pointer never tracked `tip`.
    pub fn along(mut self, tip: B256, spec: RollupSpec) -> Result<ForkChain, ForkError> {
        self.fork.set_tip(tip)?;
        let genesis = genesis_block(&spec.chain, &spec.genesis);
        Ok(ForkChain {
            spec,
            fork: self.fork,
            open: self.open,
            cursor: Cursor::new(self.anchor),
            head: Arc::new(genesis),
        })
    }
}

/// What became of a transaction of a lane block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is in the L2 block.
    In {
        /// Its position there.
        index: usize,
    },
    /// The fork drops it (R11, R12).
    Dropped(DropReason),
    /// The executor skips it, for the reason in words (R12).
    Skipped(String),
}

/// A transaction of a lane block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its hash.
    pub hash: B256,
    /// What became of it.
    pub fate: Fate,
}

/// An L1→L2 entry that an L2 block imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The entry.
    pub entry: Entry,
    /// The deposit that it makes; none if it is something else and has no effect.
    pub credit: Option<Credit>,
}

/// What one lane block is on a fork.
#[derive(Clone, Debug)]
pub struct ForkBlock {
    /// The L2 block, if it yields one.
    pub block: Option<Arc<ExecutedBlock>>,
    /// The L1 block whose state it may read.
    pub context: L1Ref,
    /// What it imports, in order.
    pub imports: Vec<Imported>,
    /// The lane block's transactions, all and in order.
    pub transactions: Vec<Placed>,
}

/// Why a lane block is not appended; the chain is as before.
#[derive(Debug, Error)]
pub enum AppendError {
    /// It is not known what an L1 block queued: [`ForkChain::tell_queue`] says it.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// The header has no valid signature: no finalised one.
    #[error("lane block {lane}: {source}")]
    Signature {
        /// Hash of the lane header.
        lane: B256,
        /// What is wrong.
        source: SignatureError,
    },
    /// The executor made no block.
    #[error("lane block {lane}: {source}")]
    Build {
        /// Hash of the lane header.
        lane: B256,
        /// Why.
        source: BuildError,
    },
}

/// The L2 chain of a namespace on one fork of L1.
#[derive(Clone, Debug)]
pub struct ForkChain {
    spec: RollupSpec,
    fork: Fork,
    open: BTreeMap<B256, Bytes>,
    cursor: Cursor,
    head: Arc<ExecutedBlock>,
}

impl ForkChain {
    /// Its last L2 block; genesis at first.
    pub fn head(&self) -> &Arc<ExecutedBlock> {
        &self.head
    }

    /// The header, as RLP, of an L1 block of which it is not known yet what it queued, and in which
    /// inbox.
    pub fn open(&self, block: &B256) -> Option<(&Bytes, Address)> {
        self.open.get(block).zip(self.spec.inbox)
    }

    /// Says what an L1 block queued, in order; it has been checked against the block.
    pub fn tell_queue(&mut self, block: B256, entries: Vec<Entry>) {
        self.open.remove(&block);
        self.fork.set_entries(block, entries);
    }

    /// Derives and executes the next finalised lane block. `body` has been checked against it.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(
        &mut self,
        lane: &SignedLaneHeader,
        body: &LaneBody,
    ) -> Result<ForkBlock, AppendError> {
        let (cursor, input) = derive_lane(
            &self.cursor,
            &lane.header,
            body,
            &self.fork,
            &Ethereum,
            &self.spec.params,
        )?;
        let hash = lane.header.hash();
        let signer = lane
            .signer()
            .map_err(|source| AppendError::Signature { lane: hash, source })?;
        let mut senders = Senders::default();
        let (block, skipped) = execute(&self.spec.chain, &self.head, &input, signer, &mut senders)
            .map_err(|source| AppendError::Build { lane: hash, source })?;
        let block = block.map(Arc::new);
        self.cursor = cursor;
        self.head = block.as_ref().unwrap_or(&self.head).clone();
        Ok(ForkBlock {
            block,
            context: input.context,
            transactions: placed(body, &input, skipped),
            imports: input.imports.into_iter().map(imported).collect(),
        })
    }
}

fn imported(entry: Entry) -> Imported {
    let credit = credit_of(&entry);
    Imported { entry, credit }
}

/// What became of each transaction of a body.
fn placed(body: &LaneBody, input: &L2Input, skipped: Vec<Skipped>) -> Vec<Placed> {
    let dropped = input.dropped.iter();
    let dropped = dropped.map(|dropped| (dropped.index, Fate::Dropped(dropped.reason)));
    let skipped = skipped
        .into_iter()
        .map(|skipped| (skipped.index, Fate::Skipped(skipped.reason)));
    let mut out: BTreeMap<usize, Fate> = dropped.chain(skipped).collect();
    let mut next = 0;
    let transactions = body.transactions.iter().enumerate();
    let placed = transactions.map(|(position, raw)| Placed {
        hash: transaction_hash(raw),
        fate: out.remove(&position).unwrap_or_else(|| {
            let index = next;
            next += 1;
            Fate::In { index }
        }),
    });
    placed.collect()
}
