//! What stories add up to.

use std::{collections::BTreeMap, ops::AddAssign};

/// Depths that are counted together; the first of each.
const BUCKETS: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 65];

/// What reorgs did to transactions that were derived before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reorged {
    /// Reorgs.
    pub reorgs: u64,
    /// Were in, on either rollup, and are not any more.
    pub dropped: u64,
    /// Were derived anew and are in as before.
    pub survived: u64,
    /// Were out and are in.
    pub returned: u64,
}

impl AddAssign for Reorged {
    fn add_assign(&mut self, other: Self) {
        self.reorgs += other.reorgs;
        self.dropped += other.dropped;
        self.survived += other.survived;
        self.returned += other.returned;
    }
}

/// Promises by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// They came true.
    pub kept: u64,
    /// They did not, because of L1: what they were built on is off the fork (R19).
    pub excused: u64,
    /// Their lane block never entered: its context fell too far behind while it was on its way (R8a).
    pub void: u64,
}

/// Counts over stories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Stories.
    pub cases: u64,
    /// Blocks of the finality chain.
    pub blocks: u64,
    /// L1 blocks, those of all forks.
    pub l1_blocks: u64,
    /// Pointer moves that only tracked a fork.
    pub tracked: u64,
    /// Times L1 finalised another fork than the pointer's.
    pub other_finalised: u64,
    /// Lane blocks.
    pub lanes: u64,
    /// L2 blocks on the last fork.
    pub l2_blocks: u64,
    /// L2 blocks without transactions on the last fork.
    pub import_only: u64,
    /// Reorgs, all depths together.
    pub reorged: Reorged,
    /// Reorgs by depth: the first of those counted together.
    pub by_depth: BTreeMap<u64, Reorged>,
    /// Transactions executed on the last fork.
    pub executed: u64,
    /// In on the last fork, and not valid.
    pub skipped: u64,
    /// Not in on the last fork.
    pub dropped: u64,
    /// Deposits on the last fork.
    pub deposits: u64,
    /// Of them: credited.
    pub credited: u64,
    /// Of them: in the queue or not reached yet.
    pub waiting: u64,
    /// Deposits on forks that lost.
    pub lost: u64,
    /// Promises.
    pub promises: Promises,
}

impl Report {
    /// Counts what happened since `before` as one reorg of `depth`.
    pub(crate) fn reorg(&mut self, depth: u64, before: Reorged) {
        self.reorged.reorgs += 1;
        let bucket = BUCKETS.iter().rev().find(|first| depth >= **first);
        *self.by_depth.entry(*bucket.unwrap_or(&0)).or_default() += Reorged {
            reorgs: 1,
            dropped: self.reorged.dropped - before.dropped,
            survived: self.reorged.survived - before.survived,
            returned: self.reorged.returned - before.returned,
        };
    }

    /// The depths of the bucket that begins at `first`, in words.
    pub fn depths(first: u64) -> String {
        match BUCKETS.iter().find(|next| **next > first) {
            Some(next) if *next == first + 1 => first.to_string(),
            Some(next) => format!("{first} to {}", next - 1),
            None => format!("{first} and more"),
        }
    }
}

impl AddAssign<&Self> for Report {
    fn add_assign(&mut self, other: &Self) {
        self.cases += other.cases;
        self.blocks += other.blocks;
        self.l1_blocks += other.l1_blocks;
        self.tracked += other.tracked;
        self.other_finalised += other.other_finalised;
        self.lanes += other.lanes;
        self.l2_blocks += other.l2_blocks;
        self.import_only += other.import_only;
        self.reorged += other.reorged;
        for (first, reorged) in &other.by_depth {
            *self.by_depth.entry(*first).or_default() += *reorged;
        }
        self.executed += other.executed;
        self.skipped += other.skipped;
        self.dropped += other.dropped;
        self.deposits += other.deposits;
        self.credited += other.credited;
        self.waiting += other.waiting;
        self.lost += other.lost;
        self.promises.kept += other.promises.kept;
        self.promises.excused += other.promises.excused;
        self.promises.void += other.promises.void;
    }
}
