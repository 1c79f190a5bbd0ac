//! One lane block, on one fork (R12).

use crate::{
    fork::{Entry, Fork},
    reference::References,
};
use cortado_types::{
    B256, Block, Bytes, L1Ref, LaneBody, LaneHeader, Namespace, SignedLaneHeader, limits::REF_MAX,
};
use thiserror::Error;

/// What a rollup chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Gas of L1→L2 entries imported by one L2 block at most; one entry always fits.
    pub import_gas: u64,
}

/// Where derivation of a namespace stands on a fork.
///
/// - `context` and `scanned` are on the fork; all entries up to `context` have been imported.
/// - `queue` holds the entries of the blocks above `context` up to `scanned` that have not been
///   imported, in order.
///
/// A cursor belongs to the L2 block it was left by. When the fork changes, go back to the last one
/// whose `scanned` is still on it and derive from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The L1 block up to which everything is imported.
    pub context: L1Ref,
    /// The L1 block up to which entries have been read.
    pub scanned: L1Ref,
    /// Entries read and not yet imported.
    pub queue: Vec<Entry>,
}

impl Cursor {
    /// At the L1 block where the chain begins.
    pub const fn new(anchor: L1Ref) -> Self {
        Self {
            context: anchor,
            scanned: anchor,
            queue: Vec::new(),
        }
    }
}

/// A transaction to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Its position in the lane block.
    pub index: usize,
    /// Its raw bytes.
    pub raw: Bytes,
}

/// Why a transaction is not executed on this fork (R11, R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DropReason {
    /// It refers to a block of another fork.
    #[error("its reference {0} is not on this fork")]
    OffFork(B256),
    /// Without a reference it refers to the lane block's context, which is of another fork.
    #[error("its lane block's context {0} is not on this fork")]
    ContextOffFork(B256),
    /// On every fork: the reference is no ancestor of the context.
    #[error("its reference {0} is not an ancestor of its lane block's context")]
    NotAncestor(B256),
    /// On every fork: too old.
    #[error("its reference {0} is more than {REF_MAX} blocks before its lane block's context")]
    TooOld(B256),
    /// On every fork: more than one.
    #[error("it carries {0} references, one is allowed")]
    Several(usize),
}

/// A transaction that is not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its position in the lane block.
    pub index: usize,
    /// Why.
    pub reason: DropReason,
}

/// What the executor of a rollup is given for one L2 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L2Input {
    /// The lane block it comes from.
    pub lane: LaneHeader,
    /// The L1 block whose state the L2 block may read: all up to it is imported.
    pub context: L1Ref,
    /// Entries to execute first.
    pub imports: Vec<Entry>,
    /// Transactions to execute then, in order. Invalid ones are skipped without trace.
    pub transactions: Vec<Derived>,
    /// Transactions that this fork drops.
    pub dropped: Vec<Dropped>,
}

impl L2Input {
    /// Whether it yields an L2 block (R12): one with neither imports nor transactions yields none.
    pub fn yields_block(&self) -> bool {
        !self.imports.is_empty() || !self.transactions.is_empty()
    }
}

/// Something the fork's view does not hold, or not on this fork: the block, or what it queued. Ask
/// again when it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("L1 block {} ({}), or what it queued, is not held on this fork yet", .0.number, .0.hash)]
pub struct NotYet(pub L1Ref);

/// The lane headers of `namespace` in a finalised block, in order.
pub fn lanes_of(block: &Block, namespace: Namespace) -> impl Iterator<Item = &SignedLaneHeader> {
    block
        .lanes
        .iter()
        .map(|entry| &entry.lane)
        .filter(move |lane| lane.header.namespace == namespace)
}

/// Derives one lane block. `body` has been checked against `lane`.
///
/// # Errors
/// [`NotYet`] if the fork's view lacks an L1 block it needs.
pub fn derive_lane(
    cursor: &Cursor,
    lane: &LaneHeader,
    body: &LaneBody,
    fork: &Fork,
    references: &impl References,
    params: &Params,
) -> Result<(Cursor, L2Input), NotYet> {
    let mut next = cursor.clone();
    if fork.contains(&next.scanned) == Some(false) {
        return Err(NotYet(next.scanned));
    }
    // R12: the context moves to the highest ancestor of the lane's that is on F, never down.
    let reached = fork
        .highest_common(&lane.context)
        .ok_or(NotYet(lane.context))?;
    if reached.number > next.scanned.number {
        next.queue
            .extend(fork.entries_between(next.scanned.number, reached.number)?);
        next.scanned = reached;
    }
    let imports = take_imports(&mut next.queue, params.import_gas);
    if next.queue.is_empty() {
        next.context = next.scanned;
    }
    let mut judge = Judge {
        fork,
        references,
        context: lane.context,
        is_context_on_fork: reached == lane.context,
        last: None,
    };
    let mut transactions = Vec::with_capacity(body.transactions.len());
    let mut dropped = Vec::new();
    for (index, raw) in body.transactions.iter().enumerate() {
        match judge.transaction(raw)? {
            None => transactions.push(Derived {
                index,
                raw: raw.clone(),
            }),
            Some(reason) => dropped.push(Dropped { index, reason }),
        }
    }
    let input = L2Input {
        lane: lane.clone(),
        context: next.context,
        imports,
        transactions,
        dropped,
    };
    Ok((next, input))
}

fn take_imports(queue: &mut Vec<Entry>, import_gas: u64) -> Vec<Entry> {
    let mut gas = 0u64;
    let fits = queue
        .iter()
        .take_while(|entry| {
            gas = gas.saturating_add(entry.gas);
            gas <= import_gas
        })
        .count();
    // An entry above the limit goes alone, or it would block the queue for ever.
    let count = fits.max(1).min(queue.len());
    queue.drain(..count).collect()
}

/// Which transactions of one lane block are in (R11, R12).
struct Judge<'a, R> {
    fork: &'a Fork,
    references: &'a R,
    context: L1Ref,
    is_context_on_fork: bool,
    /// The reference that was judged last; most of a lane block's are the same.
    last: Option<(B256, Option<DropReason>)>,
}

impl<R: References> Judge<'_, R> {
    /// `None` if the transaction is in.
    fn transaction(&mut self, raw: &Bytes) -> Result<Option<DropReason>, NotYet> {
        let found = self.references.references(raw);
        match found.as_slice() {
            [] if self.is_context_on_fork => Ok(None),
            [] => Ok(Some(DropReason::ContextOffFork(self.context.hash))),
            [hash] => match self.last {
                Some((last, reason)) if last == *hash => Ok(reason),
                _ => {
                    let reason = self.reference(*hash)?;
                    self.last = Some((*hash, reason));
                    Ok(reason)
                }
            },
            more => Ok(Some(DropReason::Several(more.len()))),
        }
    }

    fn reference(&self, hash: B256) -> Result<Option<DropReason>, NotYet> {
        let (fork, context) = (self.fork, self.context);
        // A block that nobody has shown cannot be an ancestor of a context that was tracked; the
        // view holds all ancestors that are young enough.
        let Some(block) = fork.header(&hash).map(cortado_l1::TrackedHeader::to_ref) else {
            return Ok(Some(DropReason::NotAncestor(hash)));
        };
        if context.number.saturating_sub(block.number) > REF_MAX {
            return Ok(Some(DropReason::TooOld(hash)));
        }
        if !fork.is_ancestor(&block, &context).ok_or(NotYet(context))? {
            return Ok(Some(DropReason::NotAncestor(hash)));
        }
        let is_on_fork = fork.contains(&block).ok_or(NotYet(block))?;
        Ok((!is_on_fork).then_some(DropReason::OffFork(hash)))
    }
}
