//! Derivation along a fork that may change: what of it stands is kept, the rest is derived again.

use crate::{
    fork::{Fork, ForkError},
    lane::{Cursor, L2Input, NotYet, Params, derive_lane},
    reference::References,
};
use cortado_l1::{HeaderError, TrackedHeader};
use cortado_types::{Block, L1Ref, LaneBody, LaneHeader, Operation};
use std::{collections::VecDeque, sync::Arc};

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

/// What one step changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// How many of the lane blocks derived before the step stand as they were.
    pub kept: usize,
    /// How many were derived before the step. From `kept` up to here they were derived anew.
    pub derived: usize,
    /// What the lane blocks after the kept ones become, in order, as far as it can be told.
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

/// One namespace's finalised lane blocks as they are derived on a fork that follows the chain's own
/// pointer.
///
/// ```text
///   settled │ held lane blocks                      A: where old and new fork part
///   ────────┼──■────■────■────■────■ · □ □          contexts of the first three lie at or below A:
///           │  └ kept ───┘    └────┴ derived anew   they stand, whatever the fork
///                                      └──┴ wait until it is known what L1 blocks queued
/// ```
///
/// - What is held is what some fork above `L1fin` could still change.
/// - Deriving everything from the start on the present fork gives the same inputs.
/// - Nobody has to know what a fork queued that lost: lane blocks wait for what the present fork
///   queued, and when the fork changes, for what the new one did.
#[derive(Clone, Debug)]
pub struct Timeline<R> {
    references: R,
    params: Params,
    fork: Fork,
    held: VecDeque<Held>,
    waiting: VecDeque<Lane>,
    /// Derivation's place after the last lane block that is derived.
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
            waiting: VecDeque::new(),
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

    /// Derivation's place after the last lane block that is derived.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Lane blocks that are derived and could still change, oldest first.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &Lane> {
        self.held.iter().map(|held| &held.lane)
    }

    /// Lane blocks that wait to be derived.
    pub fn waiting(&self) -> impl ExactSizeIterator<Item = &Lane> {
        self.waiting.iter()
    }

    /// The `index`-th of [`Timeline::held`].
    pub fn lane(&self, index: usize) -> Option<&Lane> {
        self.held.get(index).map(|held| &held.lane)
    }

    /// Derivation's place before the first lane block held: what no fork can change any more.
    pub fn settled(&self) -> &Cursor {
        self.held.front().map_or(&self.cursor, |held| &held.before)
    }

    /// Takes in what a block of the finality chain brings (R8): `lanes`, then `headers`, parents
    /// first, then where the pointer and the floor stand after it. The fork then ends in `head`, or
    /// in `fin` while `head` does not descend from it. What a change of fork changes is derived
    /// anew.
    ///
    /// # Errors
    /// If a header does not link or the tip is not held, which never happens with finalised blocks
    /// in order. The fork is then as before, but for headers.
    pub fn advance(
        &mut self,
        lanes: Vec<Lane>,
        headers: &[TrackedHeader],
        (head, fin): (L1Ref, L1Ref),
    ) -> Result<Advance, ForkError> {
        for header in headers {
            self.fork.insert(*header)?;
        }
        let is_final = self.fork.is_ancestor(&fin, &head);
        let unknown = ForkError::UnknownTip { hash: head.hash };
        let tip = if is_final.ok_or(unknown)? { head } else { fin };
        let derived = self.held.len();
        if tip != self.fork.tip() {
            self.retarget(tip)?;
        }
        let kept = self.held.len();
        self.waiting.extend(lanes);
        Ok(Advance {
            kept,
            derived,
            inputs: self.derive_waiting(),
        })
    }

    /// Derives what waits, as far as it is known now what L1 blocks queued.
    pub fn catch_up(&mut self) -> Advance {
        let derived = self.held.len();
        Advance {
            kept: derived,
            derived,
            inputs: self.derive_waiting(),
        }
    }

    /// What the first waiting lane block waits for.
    pub fn missing(&self) -> Option<NotYet> {
        self.derive_one(self.waiting.front()?).err()
    }

    fn derive_one(&self, lane: &Lane) -> Result<(u64, Cursor, L2Input), NotYet> {
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
        Ok((common.number, next, input))
    }

    fn derive_waiting(&mut self) -> Vec<L2Input> {
        let mut inputs = Vec::with_capacity(self.waiting.len());
        while let Some(lane) = self.waiting.pop_front() {
            let Ok((common, next, input)) = self.derive_one(&lane) else {
                self.waiting.push_front(lane);
                break;
            };
            let before = std::mem::replace(&mut self.cursor, next);
            self.held.push_back(Held {
                lane,
                before,
                common,
            });
            inputs.push(input);
        }
        inputs
    }

    /// Makes `tip` the end of the fork. Lane blocks from the first that this changes wait again.
    fn retarget(&mut self, tip: L1Ref) -> Result<(), ForkError> {
        let unknown = ForkError::UnknownTip { hash: tip.hash };
        let parting = self.fork.highest_common(&tip).ok_or(unknown)?.number;
        self.fork.set_tip(tip.hash)?;
        // Up to where the forks part they are the same L1, so a lane block whose context meets
        // neither of them above that cannot tell them apart.
        let changes = |held: &Held| {
            let now = self.fork.highest_common(&held.lane.header.context);
            held.common > parting || now.is_none_or(|common| common.number > parting)
        };
        let Some(first) = self.held.iter().position(changes) else {
            return Ok(());
        };
        let changed = self.held.split_off(first);
        if let Some(front) = changed.front() {
            self.cursor = front.before.clone();
        }
        for held in changed.into_iter().rev() {
            self.waiting.push_front(held.lane);
        }
        Ok(())
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
        count
    }

    /// Drops the L1 headers that nothing derived from here on can need.
    pub fn prune(&mut self) {
        let settled = self.settled().clone();
        self.fork.prune(&settled);
    }
}
