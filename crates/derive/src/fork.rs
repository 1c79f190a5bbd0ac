//! A view of one L1 fork, as far as derivation reads it.

use cortado_l1::{HeaderError, TrackedHeader};
use cortado_types::{B256, Block, Bytes, L1Ref, Operation, limits::REF_MAX};
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
/// - `canonical` is the chain of ancestors of the tip, as far down as headers are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    headers: BTreeMap<B256, TrackedHeader>,
    canonical: BTreeMap<u64, B256>,
    entries: BTreeMap<B256, Vec<Entry>>,
}

/// Headers kept below the tip: a context may reach back `CONTEXT_LAG` behind an anchor that is
/// itself behind the tip, and a reference `REF_MAX` behind the context.
const KEPT: u64 = 2 * REF_MAX;

impl Fork {
    /// A fork of one block.
    pub fn new(anchor: TrackedHeader) -> Self {
        Self {
            headers: BTreeMap::from([(anchor.hash, anchor)]),
            canonical: BTreeMap::from([(anchor.number, anchor.hash)]),
            entries: BTreeMap::new(),
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
        let floor = header.number.saturating_sub(KEPT);
        if self
            .canonical
            .first_key_value()
            .is_some_and(|(number, _)| *number < floor)
        {
            self.canonical = self.canonical.split_off(&floor);
            self.headers.retain(|_, header| header.number >= floor);
            self.entries
                .retain(|hash, _| self.headers.contains_key(hash));
        }
        Ok(())
    }

    /// Follows the pointer of a finalised block: adds the headers that its move carries and makes
    /// the last of them the tip. For a node that takes the chain's own `L1*` as its fork.
    ///
    /// # Errors
    /// If a header is malformed or does not link, which a finalised block's never does.
    pub fn follow(&mut self, block: &Block) -> Result<(), ForkError> {
        for operation in &block.operations {
            let Operation::MovePointer(moved) = operation else {
                continue;
            };
            let mut tip = None;
            for raw in &moved.headers {
                let header = TrackedHeader::read(raw)?;
                self.insert(header)?;
                tip = Some(header.hash);
            }
            if let Some(tip) = tip {
                self.set_tip(tip)?;
            }
        }
        Ok(())
    }

    /// Says which entries an L1 block queued, in log order.
    pub fn set_entries(&mut self, block: B256, entries: Vec<Entry>) {
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
        if self.contains(block) == Some(true) {
            return self.contains(ancestor);
        }
        let mut at = *self.headers.get(&block.hash)?;
        while at.number > ancestor.number {
            at = *self.headers.get(&at.parent)?;
        }
        Some(at.hash == ancestor.hash)
    }

    /// Entries queued in the fork's blocks above `after` up to `to`, in order.
    pub fn entries_between(&self, after: u64, to: u64) -> Vec<Entry> {
        self.canonical
            .range(after.saturating_add(1)..=to.max(after))
            .filter_map(|(_, hash)| self.entries.get(hash))
            .flatten()
            .cloned()
            .collect()
    }
}
