//! Lane blocks that are not final yet, executed on top of `latest` as they grow.
//!
//! A layer is executed when it connects: when its parent is the lane block below it, and that is
//! executed. One that does not connect yet (its parent is final elsewhere and not here, or the
//! chain has passed it by) is kept and shows nothing.
//!
//! A layer is executed as the derived lane block would be. So when L1 changes forks under it, some of
//! its transactions may have no effect any more ([`Engine::pending_fallen`]).

use super::{
    Engine, PushError, execute,
    execute::{Senders, Skipped, transaction_hash},
};
use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_rlp::Encodable;
use cortado_derive::{Cursor, DropReason, Dropped, Ethereum, L2Input, References, derive_lane};
use cortado_evm::{BlockBuilder, BuildError, ExecutedBlock, TxOutcome};
use cortado_preconf::Outcome;
use cortado_types::{
    Address, B256, Bytes, Height, LaneBody, LaneHeader, SignedLaneHeader,
    limits::{LANE_BODY_BYTES_MAX, LANE_TRANSACTIONS_MAX},
};
use std::sync::Arc;

mod execution;

/// Framing of a body around its transactions: two list headers of at most nine bytes.
const BODY_FRAME_BYTES: usize = 18;

/// A transaction in a layer.
#[derive(Clone, Debug)]
pub struct Included {
    /// As submitted.
    pub raw: Bytes,
    /// Decoded, with its sender.
    pub transaction: Recovered<TxEnvelope>,
}

impl Included {
    /// Hash of the transaction.
    pub fn hash(&self) -> B256 {
        transaction_hash(&self.raw)
    }
}

impl PendingLane<'_> {
    /// Its body so far.
    pub fn body(&self) -> LaneBody {
        LaneBody {
            transactions: self.transactions.iter().map(|tx| tx.raw.clone()).collect(),
        }
    }
}

/// A lane block that is not final, as callers see it.
#[derive(Clone, Copy, Debug)]
pub struct PendingLane<'a> {
    /// Its header; body root, size and `last` mean nothing until it is sealed.
    pub header: &'a LaneHeader,
    /// Hash of its header, once it is sealed.
    pub sealed: Option<B256>,
    /// Its transactions.
    pub transactions: &'a [Included],
    /// Whether it is executed.
    pub executed: bool,
    /// RLP size of its body at most, bytes.
    pub bytes: usize,
}

#[derive(Debug)]
enum Run {
    /// Does not connect.
    Waiting,
    /// Connected, growing.
    Open(Box<Open>),
    /// Connected and sealed.
    Done(Box<Done>),
}

#[derive(Debug)]
struct Done {
    block: Option<Arc<ExecutedBlock>>,
    input: L2Input,
    cursor: Cursor,
    skipped: Vec<Skipped>,
}

#[derive(Debug)]
struct Open {
    /// Made at the first transaction, unless there are imports.
    builder: Option<BlockBuilder>,
    /// Imports, context and what is dropped; its transactions are in the layer.
    input: L2Input,
    cursor: Cursor,
    skipped: Vec<Skipped>,
    /// The executed block below.
    parent: Arc<ExecutedBlock>,
    /// Whether transactions without a reference execute on this fork.
    context_on_fork: bool,
}

/// One pending lane block.
#[derive(Debug)]
pub(super) struct Layer {
    header: LaneHeader,
    sealed: Option<B256>,
    signer: Address,
    transactions: Vec<Included>,
    bytes: usize,
    run: Run,
}

impl Layer {
    pub(super) fn sealed_as(&self) -> Option<B256> {
        self.sealed
    }

    pub(super) fn body(&self) -> LaneBody {
        LaneBody {
            transactions: self.transactions.iter().map(|tx| tx.raw.clone()).collect(),
        }
    }

    pub(super) fn signer(&self) -> Address {
        self.signer
    }

    pub(super) fn senders(&self) -> Senders {
        let mut senders = Senders::default();
        for (index, included) in self.transactions.iter().enumerate() {
            senders.set(index, included.transaction.signer());
        }
        senders
    }

    /// What the derived lane block became, if it was executed here on the same parent with the same
    /// input, and what was skipped. No block: it becomes no L2 block.
    pub(super) fn executed_as(
        &self,
        head: &ExecutedBlock,
        derived: &L2Input,
    ) -> Option<(Option<ExecutedBlock>, Vec<Skipped>)> {
        let Run::Done(done) = &self.run else {
            return None;
        };
        let Done {
            block,
            input,
            skipped,
            ..
        } = done.as_ref();
        let same = input.imports == derived.imports
            && input.context == derived.context
            && input.dropped == derived.dropped
            && derived.transactions.len() + derived.dropped.len() == self.transactions.len();
        let stands = |block: &ExecutedBlock| block.header.parent_hash == head.hash();
        let stands = same && block.as_deref().is_none_or(stands);
        stands.then(|| (block.as_deref().cloned(), skipped.clone()))
    }

    /// Its transactions that have no effect, with reasons.
    fn fallen(&self) -> impl Iterator<Item = (Included, String)> {
        let (input, skipped) = match &self.run {
            Run::Waiting => (None, None),
            Run::Open(open) => (Some(&open.input), Some(&open.skipped)),
            Run::Done(done) => (Some(&done.input), Some(&done.skipped)),
        };
        let dropped = input.into_iter().flat_map(|input| &input.dropped);
        let dropped = dropped.map(|dropped| (dropped.index, dropped.reason.to_string()));
        let skipped = skipped.into_iter().flatten();
        let skipped = skipped.map(|skipped| (skipped.index, skipped.reason.clone()));
        let mut fallen: Vec<_> = dropped.chain(skipped).collect();
        fallen.sort_unstable_by_key(|(index, _)| *index);
        let included = |(index, reason): (usize, String)| {
            Some((self.transactions.get(index)?.clone(), reason))
        };
        fallen.into_iter().filter_map(included)
    }

    pub(super) fn block(&self) -> Option<&Arc<ExecutedBlock>> {
        match &self.run {
            Run::Done(done) => done.block.as_ref(),
            _ => None,
        }
    }

    pub(super) fn header(&self) -> &LaneHeader {
        &self.header
    }

    /// The block under construction.
    pub(super) fn builder(&mut self) -> Option<&mut BlockBuilder> {
        match &mut self.run {
            Run::Open(open) => open.builder.as_mut(),
            _ => None,
        }
    }
}

impl Engine {
    /// Pending lane blocks, oldest first.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = PendingLane<'_>> {
        self.layers.iter().map(|layer| PendingLane {
            header: &layer.header,
            sealed: layer.sealed,
            transactions: &layer.transactions,
            executed: !matches!(layer.run, Run::Waiting),
            bytes: layer.bytes,
        })
    }

    /// The block that the open lane block, or the next one, executes on.
    pub fn l2_parent(&self) -> Option<Arc<ExecutedBlock>> {
        match self.layers.back().map(|layer| &layer.run) {
            Some(Run::Open(open)) => Some(open.parent.clone()),
            _ => self.base(self.layers.len()).map(|(parent, _)| parent),
        }
    }

    /// Next nonce of an account after everything executed as pending.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        if let Some(Run::Open(open)) = self.layers.back().map(|layer| &layer.run)
            && let Some(builder) = &open.builder
        {
            return builder.account(address).map_or(0, |(nonce, _, _)| nonce);
        }
        let top = self.l2_parent().unwrap_or_else(|| self.head());
        top.state
            .account(address)
            .map_or(0, |account| account.nonce)
    }

    /// Opens a lane block on top. `header` is a draft: body root, size and `last` come when it is
    /// sealed. `signer` will sign it.
    pub fn open_lane(&mut self, header: LaneHeader, signer: Address) {
        self.layers.push_back(Layer {
            header,
            sealed: None,
            signer,
            transactions: Vec::new(),
            bytes: BODY_FRAME_BYTES,
            run: Run::Waiting,
        });
        self.advance();
    }

    /// Takes away the open lane block if it is empty; whether it did.
    pub fn discard_empty_lane(&mut self) -> bool {
        self.layers
            .pop_back_if(|layer| layer.sealed.is_none() && layer.transactions.is_empty())
            .is_some()
    }

    /// Takes away the open lane block, whatever it holds; for one that was never spoken of.
    pub fn discard_lane(&mut self) {
        self.layers.pop_back_if(|layer| layer.sealed.is_none());
    }

    /// Executes a transaction at the end of the open lane block.
    ///
    /// # Errors
    /// [`PushError`]; nothing has changed then.
    pub fn push(&mut self, included: Included) -> Result<TxOutcome, PushError> {
        let layer = self.layers.back_mut().ok_or(PushError::NotOpen)?;
        let more = included.raw.length();
        if layer.sealed.is_some() {
            return Err(PushError::NotOpen);
        }
        if layer.bytes + more > LANE_BODY_BYTES_MAX
            || layer.transactions.len() >= LANE_TRANSACTIONS_MAX
        {
            let (transactions, bytes) = (layer.transactions.len(), layer.bytes);
            return Err(PushError::Full {
                transactions,
                bytes,
                more,
            });
        }
        let Run::Open(open) = &mut layer.run else {
            return Err(PushError::NotOpen);
        };
        // R11: what would be dropped is not promised.
        if !open.context_on_fork || !Ethereum.references(&included.raw).is_empty() {
            let body = LaneBody {
                transactions: vec![included.raw.clone()],
            };
            let params = &self.spec.params;
            let derived = derive_lane(
                &open.cursor,
                &layer.header,
                &body,
                self.timeline.fork(),
                &Ethereum,
                params,
            );
            match derived {
                Ok((_, input)) => {
                    if let Some(dropped) = input.dropped.first() {
                        return Err(dropped.reason.into());
                    }
                }
                Err(missing) => return Err(DropReason::NotAncestor(missing.0.hash).into()),
            }
        }
        let is_first = open.builder.is_none();
        if is_first {
            let builder =
                execute::begin(&self.spec.chain, &open.parent, &open.input, layer.signer)?;
            open.builder = Some(builder);
        }
        let builder = open.builder.as_mut().ok_or(PushError::NotOpen)?;
        let outcome = match builder.push(&included.transaction) {
            Ok(outcome) => outcome,
            Err(rejection) => {
                // R12: what holds nothing yields no L2 block.
                if is_first {
                    open.builder = None;
                }
                return Err(rejection.into());
            }
        };
        layer.bytes += more;
        layer.transactions.push(included);
        Ok(outcome)
    }

    /// Adds a transaction that its proposer has executed, executing it here too if the lane block
    /// connects. `None`: it does not connect yet.
    ///
    /// # Errors
    /// [`PushError`]: the proposer promised what does not execute here.
    pub fn push_promised(&mut self, included: Included) -> Result<Option<TxOutcome>, PushError> {
        let layer = self.layers.back_mut().ok_or(PushError::NotOpen)?;
        if layer.sealed.is_none() && matches!(layer.run, Run::Waiting) {
            let more = included.raw.length();
            if layer.bytes + more > LANE_BODY_BYTES_MAX
                || layer.transactions.len() >= LANE_TRANSACTIONS_MAX
            {
                let (transactions, bytes) = (layer.transactions.len(), layer.bytes);
                return Err(PushError::Full {
                    transactions,
                    bytes,
                    more,
                });
            }
            layer.bytes += more;
            layer.transactions.push(included);
            return Ok(None);
        }
        let pushed = self.push(included.clone());
        // What stands in the lane block without effect is part of it all the same.
        if let Some(layer) = self.layers.back_mut()
            && let Run::Open(open) = &mut layer.run
        {
            let index = layer.transactions.len();
            match &pushed {
                Err(PushError::Reference(reason)) => {
                    let reason = *reason;
                    open.input.dropped.push(Dropped { index, reason });
                }
                Err(PushError::Rejected(rejection)) => {
                    open.skipped.push(Skipped {
                        index,
                        reason: rejection.to_string(),
                    });
                    // It is skipped, and the lane block yields an L2 block all the same.
                    if open.builder.is_none() {
                        let (parent, input) = (&open.parent, &open.input);
                        let spec = &self.spec.chain;
                        open.builder = Some(execute::begin(spec, parent, input, layer.signer)?);
                    }
                }
                _ => return pushed.map(Some),
            }
            layer.bytes += included.raw.length();
            layer.transactions.push(included);
        }
        pushed.map(Some)
    }

    /// The open lane block's header as it is when sealed now; `None` if none is open.
    pub fn sealed_header(&self, last: bool) -> Option<LaneHeader> {
        let layer = self.layers.back().filter(|layer| layer.sealed.is_none())?;
        let body = layer.body();
        Some(LaneHeader {
            last,
            body_root: body.root(),
            size: body.size(),
            ..layer.header.clone()
        })
    }

    /// Closes the open lane block with this header. Returns the L2 block it becomes, if it becomes
    /// one and connects.
    ///
    /// # Errors
    /// If the executor fails.
    pub fn seal_lane(
        &mut self,
        header: LaneHeader,
    ) -> Result<Option<Arc<ExecutedBlock>>, BuildError> {
        let Some(layer) = self
            .layers
            .back_mut()
            .filter(|layer| layer.sealed.is_none())
        else {
            return Ok(None);
        };
        layer.sealed = Some(header.hash());
        layer.header = header;
        finish(layer)?;
        Ok(layer.block().cloned())
    }

    /// Forgets all pending lane blocks; gives their transactions in order.
    pub fn clear_pending(&mut self) -> Vec<Included> {
        self.layers
            .drain(..)
            .flat_map(|layer| layer.transactions)
            .collect()
    }

    pub(super) fn layers(&mut self) -> impl Iterator<Item = &mut Layer> {
        self.layers.iter_mut()
    }
}

fn finish(layer: &mut Layer) -> Result<(), BuildError> {
    match std::mem::replace(&mut layer.run, Run::Waiting) {
        Run::Open(open) => {
            let Open {
                builder,
                input,
                cursor,
                skipped,
                ..
            } = *open;
            let block = builder.map(BlockBuilder::finish).transpose()?.map(Arc::new);
            layer.run = Run::Done(Box::new(Done {
                block,
                input,
                cursor,
                skipped,
            }));
        }
        other => layer.run = other,
    }
    Ok(())
}

/// The promise that an outcome makes (R19).
pub fn outcome_of(outcome: &TxOutcome) -> Outcome {
    Outcome::of(outcome.success(), outcome.logs(), outcome.gas_used)
}

/// Checks that `lane` is what `draft` said, sealed.
pub fn is_sealed_form(draft: &LaneHeader, lane: &SignedLaneHeader) -> bool {
    let sealed = &lane.header;
    let again = LaneHeader {
        last: sealed.last,
        body_root: sealed.body_root,
        size: sealed.size,
        ..draft.clone()
    };
    again == *sealed
}
