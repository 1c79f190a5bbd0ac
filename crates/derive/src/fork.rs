//! A view of one L1 fork, as far as derivation reads it.

use crate::lane::{Cursor, NotYet};
use cortado_l1::{HeaderError, TrackedHeader};
use cortado_types::{B256, Bytes, L1Ref, limits::REF_MAX};
use std::collections::BTreeMap;
use thiserror::Error;

/// An L1→L2 call queued on L1, to be imported in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The L1 block that queued it.
    pub block: L1Ref,
    /// Position of its log in that block.
    pub log_index: u64,
    /// Gas it is granted; counts against the import limit (R12).
    pub gas: u64,
    /// What the executor does with it.
    pub payload: Bytes,
}

/// Why headers cannot be added to a fork.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ForkError {
    /// Not a header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its parent is not held.
    #[error("L1 block {number} ({hash}) has parent {parent}, which is not held")]
    Unlinked {
        /// Its number.
        number: u64,
        /// Its hash.
        hash: B256,
        /// Its parent.
        parent: B256,
    },
    /// The tip is not held.
    #[error("L1 block {hash} is not held, it cannot be the tip")]
    UnknownTip {
        /// The block.
        hash: B256,
    },
}

/// Headers of L1 and which of them are on the fork `F` that ends in the tip.
///
/// - `canonical` is the chain of ancestors of the tip, without a gap, down to the lowest header held.
/// - A view that begins above the chain's L1 anchor must hold `REF_MAX` headers below the first
///   context it derives with: a reference to a block that is not held counts as no ancestor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    headers: BTreeMap<B256, TrackedHeader>,
    canonical: BTreeMap<u64, B256>,
    entries: BTreeMap<B256, Vec<Entry>>,
    has_queue: bool,
}

/// Headers kept below the tip: a context may reach back `CONTEXT_LAG` behind an anchor that is
/// itself behind the tip, and a reference `REF_MAX` behind the context.
const KEPT: u64 = 2 * REF_MAX;

impl Fork {
    /// A fork of one block, for a rollup without a queue of L1→L2 calls.
    pub fn new(anchor: TrackedHeader) -> Self {
        Self {
            headers: BTreeMap::from([(anchor.hash, anchor)]),
            canonical: BTreeMap::from([(anchor.number, anchor.hash)]),
            entries: BTreeMap::new(),
            has_queue: false,
        }
    }

    /// A fork of one block, for a rollup with a queue: derivation then waits until
    /// [`Fork::set_entries`] has spoken of every L1 block it passes, also of those that queue none.
    pub fn with_queue(anchor: TrackedHeader) -> Self {
        Self {
            has_queue: true,
            ..Self::new(anchor)
        }
    }

    /// The end of the fork.
    pub fn tip(&self) -> L1Ref {
        let (number, hash) = self.canonical.last_key_value().expect("never empty");
        L1Ref {
            number: *number,
            hash: *hash,
        }
    }

    /// Adds a header whose parent is held; the tip stays.
    ///
    /// # Errors
    /// If the parent is not held.
    pub fn insert(&mut self, header: TrackedHeader) -> Result<(), ForkError> {
        let linked = self
            .headers
            .get(&header.parent)
            .is_some_and(|parent| parent.number.checked_add(1) == Some(header.number));
        if !linked {
            return Err(ForkError::Unlinked {
                number: header.number,
                hash: header.hash,
                parent: header.parent,
            });
        }
        self.headers.insert(header.hash, header);
        Ok(())
    }

    /// Makes `hash` the tip: `F` is now its chain of ancestors.
    ///
    /// # Errors
    /// If it is not held.
    pub fn set_tip(&mut self, hash: B256) -> Result<(), ForkError> {
        let header = *self
            .headers
            .get(&hash)
            .ok_or(ForkError::UnknownTip { hash })?;
        self.canonical.split_off(&header.number);
        let mut at = Some(header);
        while let Some(header) = at {
            if self.canonical.get(&header.number) == Some(&header.hash) {
                break;
            }
            self.canonical.insert(header.number, header.hash);
            at = self.headers.get(&header.parent).copied();
        }
        Ok(())
    }

    /// Drops what neither a reference nor the entries still to import can need. `cursor` is the
    /// lowest from which the caller may still derive; a namespace that was idle for days is what
    /// holds headers back.
    pub fn prune(&mut self, cursor: &Cursor) {
        let floor = self.tip().number.saturating_sub(KEPT);
        let floor = floor.min(cursor.context.number);
        self.canonical = self.canonical.split_off(&floor);
        self.headers.retain(|_, header| header.number >= floor);
        self.entries
            .retain(|hash, _| self.headers.contains_key(hash));
    }

    /// Says which entries an L1 block queued.
    pub fn set_entries(&mut self, block: B256, mut entries: Vec<Entry>) {
        // R12: ordered by (L1 block, log index).
        entries.sort_by_key(|entry| entry.log_index);
        self.entries.insert(block, entries);
    }

    /// Whether `block` is on the fork; `None` if it is below what is held.
    pub fn contains(&self, block: &L1Ref) -> Option<bool> {
        let (lowest, _) = self.canonical.first_key_value().expect("never empty");
        (block.number >= *lowest).then(|| self.canonical.get(&block.number) == Some(&block.hash))
    }

    /// The L1 block on the fork at `number`.
    pub fn at(&self, number: u64) -> Option<L1Ref> {
        self.canonical.get(&number).map(|hash| L1Ref {
            number,
            hash: *hash,
        })
    }

    /// A held header.
    pub fn header(&self, hash: &B256) -> Option<&TrackedHeader> {
        self.headers.get(hash)
    }

    /// The highest ancestor of `block`, or itself, that is on the fork; `None` if headers between
    /// are not held.
    pub fn highest_common(&self, block: &L1Ref) -> Option<L1Ref> {
        let mut at = *block;
        loop {
            if self.canonical.get(&at.number) == Some(&at.hash) {
                return Some(at);
            }
            let header = self.headers.get(&at.hash)?;
            at = self.headers.get(&header.parent)?.to_ref();
        }
    }

    /// Whether `ancestor` is `block` or an ancestor of it; `None` if headers between are not held.
    pub fn is_ancestor(&self, ancestor: &L1Ref, block: &L1Ref) -> Option<bool> {
        let mut at = *block;
        // Only the part that is off the fork is walked; a hostile lane block may ask this of every
        // one of its transactions.
        while self.canonical.get(&at.number) != Some(&at.hash) {
            if at.number <= ancestor.number {
                return Some(at == *ancestor);
            }
            let header = self.headers.get(&at.hash)?;
            at = self.headers.get(&header.parent)?.to_ref();
        }
        if at.number < ancestor.number {
            return Some(false);
        }
        self.contains(ancestor)
    }

    /// Entries queued in the fork's blocks above `after` up to `to`, in order.
    ///
    /// # Errors
    /// [`NotYet`] names the first block of which it is not known what it queued.
    pub fn entries_between(&self, after: u64, to: u64) -> Result<Vec<Entry>, NotYet> {
        let mut entries = Vec::new();
        if !self.has_queue {
            return Ok(entries);
        }
        for number in after.saturating_add(1)..=to {
            let missing = |hash| NotYet(L1Ref { number, hash });
            let hash = self.canonical.get(&number);
            let hash = hash.ok_or(missing(B256::ZERO))?;
            let queued = self.entries.get(hash).ok_or(missing(*hash))?;
            entries.extend(queued.iter().cloned());
        }
        Ok(entries)
    }
}
