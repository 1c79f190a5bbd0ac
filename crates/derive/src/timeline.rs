//! Derivation along a fork that may change: what of it stands is kept, the rest is derived again.

use crate::{
    fork::{Fork, ForkError},
    lane::{Cursor, L2Input, NotYet, Params, derive_lane},
    reference::References,
};
use cortado_l1::{HeaderError, TrackedHeader};
use cortado_types::{Block, L1Ref, LaneBody, LaneHeader, Operation};
use std::{collections::VecDeque, sync::Arc};
use thiserror::Error;

/// A finalised lane block with its body, which has been checked against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Its header.
    pub header: LaneHeader,
    /// Its body.
    pub body: Arc<LaneBody>,
}

/// A lane block whose derivation another fork could change.
#[derive(Clone, Debug)]
struct Held {
    lane: Lane,
    /// Derivation's place before it.
    before: Cursor,
    /// Number of the highest ancestor of its context that is on the fork.
    common: u64,
}

/// What one step of the finality chain changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// How many of the lane blocks held before the step stand as they were derived.
    pub kept: usize,
    /// How many were held before the step. From `kept` up to here they were derived anew.
    pub held: usize,
    /// What the lane blocks after the kept ones become, old ones first, then those of the step.
    pub inputs: Vec<L2Input>,
}

/// The L1 headers that a block of the finality chain brings, parents first.
///
/// # Errors
/// If one is malformed, which a finalised block's never is.
pub fn pointer_headers(block: &Block) -> Result<Vec<TrackedHeader>, HeaderError> {
    let raw = block
        .operations
        .iter()
        .filter_map(|operation| match operation {
            Operation::MovePointer(moved) => Some(&moved.headers),
            _ => None,
        });
    raw.flatten().map(|raw| TrackedHeader::read(raw)).collect()
}

/// Why a timeline cannot advance.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AdvanceError {
    /// An L1 block is missing.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// A header does not link, or the tip is not held.
    #[error(transparent)]
    Fork(#[from] ForkError),
}

/// One namespace's finalised lane blocks as they are derived on a fork that follows the chain's own
/// pointer.
///
/// ```text
///   settled │ held lane blocks                      A: where old and new fork part
///   ────────┼──■────■────■────■────■                contexts of the first three lie at or below A:
///           │  └ kept ───┘    └────┴ derived anew   they stand, whatever the fork
/// ```
///
/// - What is held is what some fork above `L1fin` could still change.
/// - Deriving everything from the start on the present fork gives the same inputs.
#[derive(Clone, Debug)]
pub struct Timeline<R> {
    references: R,
    params: Params,
    fork: Fork,
    held: VecDeque<Held>,
    /// Derivation's place after the last lane block.
    cursor: Cursor,
}

impl<R: References> Timeline<R> {
    /// At `cursor`, on `fork`.
    pub const fn new(references: R, params: Params, fork: Fork, cursor: Cursor) -> Self {
        Self {
            references,
            params,
            fork,
            held: VecDeque::new(),
            cursor,
        }
    }

    /// The fork that it is derived on.
    pub fn fork(&self) -> &Fork {
        &self.fork
    }

    /// For saying what L1 blocks queued.
    pub fn fork_mut(&mut self) -> &mut Fork {
        &mut self.fork
    }

    /// Derivation's place after the last lane block.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Lane blocks held, oldest first, each with derivation's place before it.
    pub fn held(&self) -> impl ExactSizeIterator<Item = (&Lane, &Cursor)> {
        self.held.iter().map(|held| (&held.lane, &held.before))
    }

    /// Takes in what a block of the finality chain brings (R8): `lanes`, then `headers`, parents
    /// first, then where the pointer and the floor stand after it. The fork then ends in `head`, or
    /// in `fin` while `head` does not descend from it. What a change of fork changes is derived
    /// anew.
    ///
    /// # Errors
    /// [`AdvanceError`]; the lane blocks and the fork's tip are then as before.
    pub fn advance(
        &mut self,
        lanes: Vec<Lane>,
        headers: &[TrackedHeader],
        (head, fin): (L1Ref, L1Ref),
    ) -> Result<Advance, AdvanceError> {
        let (held, cursor) = (self.held.len(), self.cursor.clone());
        let old_tip = self.fork.tip();
        let result = self.try_advance(lanes, headers, (head, fin));
        if result.is_err() {
            self.held.truncate(held);
            self.cursor = cursor;
            if self.fork.tip() != old_tip {
                self.fork.set_tip(old_tip.hash)?;
            }
        }
        result
    }

    fn try_advance(
        &mut self,
        lanes: Vec<Lane>,
        headers: &[TrackedHeader],
        (head, fin): (L1Ref, L1Ref),
    ) -> Result<Advance, AdvanceError> {
        let held = self.held.len();
        let mut inputs = self.append(lanes)?;
        for header in headers {
            self.fork.insert(*header)?;
        }
        let mut kept = held;
        let is_final = self.fork.is_ancestor(&fin, &head).ok_or(NotYet(head))?;
        let tip = if is_final { head } else { fin };
        if tip != self.fork.tip() {
            let changed = self.retarget(tip)?;
            // Lane blocks before the first that changes stand, those of this step too.
            if let Some((from, again)) = changed {
                inputs.truncate(from.saturating_sub(held));
                inputs.extend(again);
                kept = held.min(from);
            }
        }
        Ok(Advance { kept, held, inputs })
    }

    fn append(&mut self, lanes: Vec<Lane>) -> Result<Vec<L2Input>, NotYet> {
        let mut inputs = Vec::with_capacity(lanes.len());
        for lane in lanes {
            let context = lane.header.context;
            let common = self.fork.highest_common(&context).ok_or(NotYet(context))?;
            let (next, input) = derive_lane(
                &self.cursor,
                &lane.header,
                &lane.body,
                &self.fork,
                &self.references,
                &self.params,
            )?;
            let before = std::mem::replace(&mut self.cursor, next);
            self.held.push_back(Held {
                lane,
                before,
                common: common.number,
            });
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// Makes `tip` the end of the fork; the first lane block that this changes, and what it and those
    /// after it become.
    fn retarget(&mut self, tip: L1Ref) -> Result<Option<(usize, Vec<L2Input>)>, AdvanceError> {
        let parting = self.fork.highest_common(&tip).ok_or(NotYet(tip))?.number;
        self.fork.set_tip(tip.hash)?;
        // Up to where the forks part they are the same L1, so a lane block whose context meets
        // neither of them above that cannot tell them apart.
        let mut first = None;
        for (index, held) in self.held.iter().enumerate() {
            let context = held.lane.header.context;
            let common = self.fork.highest_common(&context).ok_or(NotYet(context))?;
            if held.common.max(common.number) > parting {
                first = Some(index);
                break;
            }
        }
        let Some(first) = first else {
            return Ok(None);
        };
        let again: Vec<Lane> = self
            .held
            .range(first..)
            .map(|held| held.lane.clone())
            .collect();
        let old = self.held.split_off(first);
        let end = self.cursor.clone();
        if let Some(front) = old.front() {
            self.cursor = front.before.clone();
        }
        match self.append(again) {
            Ok(inputs) => Ok(Some((first, inputs))),
            Err(missing) => {
                self.held.truncate(first);
                self.held.extend(old);
                self.cursor = end;
                Err(missing.into())
            }
        }
    }

    /// Lets go of lane blocks from the front that no fork above the finalised block `fin` can change;
    /// how many. `fin` is on the fork.
    pub fn settle(&mut self, fin: &L1Ref) -> usize {
        let mut count = 0;
        while let Some(held) = self.held.front() {
            let context = held.lane.header.context;
            let is_open = context != *fin && self.fork.is_ancestor(fin, &context) == Some(true);
            if is_open {
                break;
            }
            self.held.pop_front();
            count += 1;
        }
        let lowest = self.held.front().map_or(&self.cursor, |held| &held.before);
        self.fork.prune(lowest);
        count
    }
}
