//! The tree of tracked headers, the pointer and the finalised floor.

use crate::header::{HeaderError, TrackedHeader};
use alloy_rlp::{BufMut, Decodable, Encodable};
use cortado_types::{
    B256, Bytes, L1Ref,
    limits::{CONTEXT_LAG, L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};
use std::collections::BTreeMap;
use thiserror::Error;

/// L1 headers above the finalised floor, and a few below it for contexts (R8a).
///
/// - `head` and `fin` are tracked; `fin` is `head` or an ancestor of it.
/// - Every tracked header above `fin` descends from it.
/// - At most `L1_TRACKED_HEADERS_MAX` headers above `fin`, at most `CONTEXT_LAG` below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    headers: BTreeMap<B256, TrackedHeader>,
    head: L1Ref,
    fin: L1Ref,
}

/// Why a pointer move is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MoveError {
    /// A move carries at least one header.
    #[error("pointer move carries no header")]
    Empty,
    /// More than one move may carry.
    #[error(
        "pointer move carries {count} headers, the limit is {}",
        L1_HEADERS_PER_MOVE_MAX
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// One of the headers cannot be read.
    #[error("header {index} of the move: {source}")]
    Header {
        /// Its position in the move.
        index: usize,
        /// What is wrong with it.
        source: HeaderError,
    },
    /// The first header's parent is not tracked (yet).
    #[error("L1 block {parent} is not tracked")]
    UnknownParent {
        /// The missing block.
        parent: B256,
    },
    /// A header does not follow the one before it.
    #[error(
        "L1 header {number} ({hash}) does not follow L1 header {parent_number} ({parent_hash})"
    )]
    Unlinked {
        /// Number of the header.
        number: u64,
        /// Hash of the header.
        hash: B256,
        /// Number of the one before.
        parent_number: u64,
        /// Hash of the one before.
        parent_hash: B256,
    },
    /// Its time is after the block's that carries it.
    #[error("L1 header {number} has time {timestamp} s, the block that carries it {limit} s")]
    Future {
        /// Number of the header.
        number: u64,
        /// Its time, seconds.
        timestamp: u64,
        /// Latest time allowed, seconds.
        limit: u64,
    },
    /// The new head does not descend from `L1*`.
    #[error("L1 block {number} ({hash}) does not extend the head {head_number} ({head_hash})")]
    NotExtension {
        /// Number of the proposed head.
        number: u64,
        /// Hash of the proposed head.
        hash: B256,
        /// Number of `L1*`.
        head_number: u64,
        /// Hash of `L1*`.
        head_hash: B256,
    },
    /// The L1 has gone too long without finality.
    #[error(
        "{count} L1 headers would be tracked above the finalised block, the limit is {}",
        L1_TRACKED_HEADERS_MAX
    )]
    Full {
        /// How many there would be.
        count: usize,
    },
}

impl MoveError {
    /// Whether the same move can never become valid.
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::UnknownParent { .. }
                | Self::NotExtension { .. }
                | Self::Full { .. }
                | Self::Future { .. }
        )
    }
}

/// Why `L1fin` does not move.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FinalityError {
    /// Not above the present one.
    #[error("L1 block {number} is not above the finalised block {fin}")]
    NotAbove {
        /// Number of the block.
        number: u64,
        /// Number of `L1fin`.
        fin: u64,
    },
    /// Not on the chain of `L1*`, or under another number.
    #[error("L1 block {number} ({hash}) is not an ancestor of the head {head}")]
    NotAncestor {
        /// Claimed number.
        number: u64,
        /// Its hash.
        hash: B256,
        /// Number of `L1*`.
        head: u64,
    },
}

impl Tree {
    /// A tree of one block, which is head and finalised.
    pub fn new(anchor: TrackedHeader) -> Self {
        let at = anchor.to_ref();
        Self {
            headers: BTreeMap::from([(anchor.hash, anchor)]),
            head: at,
            fin: at,
        }
    }

    /// `L1*`.
    pub fn head(&self) -> L1Ref {
        self.head
    }

    /// `L1fin`.
    pub fn fin(&self) -> L1Ref {
        self.fin
    }

    /// A tracked header.
    pub fn get(&self, hash: &B256) -> Option<&TrackedHeader> {
        self.headers.get(hash)
    }

    /// How many headers are tracked.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Never true: the head is always tracked.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    fn above_fin(&self) -> usize {
        let above = |header: &&TrackedHeader| header.number > self.fin.number;
        self.headers.values().filter(above).count()
    }

    /// The tracked ancestor of `from` (or itself) at `number`.
    pub fn ancestor_at(&self, from: &B256, number: u64) -> Option<&TrackedHeader> {
        let mut at = self.headers.get(from)?;
        while at.number > number {
            at = self.headers.get(&at.parent)?;
        }
        (at.number == number).then_some(at)
    }

    /// Whether `block` is tracked on the chain that ends in `tip`.
    pub fn is_on_chain_of(&self, block: &L1Ref, tip: &B256) -> bool {
        self.ancestor_at(tip, block.number)
            .is_some_and(|header| header.hash == block.hash)
    }

    /// R9, by extension: adds `headers`, oldest first, and moves `L1*` to the last. `latest` is the
    /// latest L1 time allowed, seconds.
    ///
    /// # Errors
    /// [`MoveError`]; the tree is unchanged then.
    pub fn extend(&mut self, headers: &[Bytes], latest: u64) -> Result<L1Ref, MoveError> {
        let count = headers.len();
        if count > L1_HEADERS_PER_MOVE_MAX {
            return Err(MoveError::TooMany { count });
        }
        let mut read = Vec::with_capacity(count);
        for (index, raw) in headers.iter().enumerate() {
            read.push(
                TrackedHeader::read(raw).map_err(|source| MoveError::Header { index, source })?,
            );
        }
        let first = read.first().ok_or(MoveError::Empty)?;
        let mut previous = *self
            .headers
            .get(&first.parent)
            .ok_or(MoveError::UnknownParent {
                parent: first.parent,
            })?;
        let base = previous.to_ref();
        for header in &read {
            let follows = header.parent == previous.hash
                && Some(header.number) == previous.number.checked_add(1)
                && header.timestamp > previous.timestamp;
            if !follows {
                return Err(MoveError::Unlinked {
                    number: header.number,
                    hash: header.hash,
                    parent_number: previous.number,
                    parent_hash: previous.hash,
                });
            }
            if header.timestamp > latest {
                return Err(MoveError::Future {
                    number: header.number,
                    timestamp: header.timestamp,
                    limit: latest,
                });
            }
            previous = *header;
        }
        // R9: the new head descends from L1*: it passes through it or starts at it.
        let passes = base == self.head
            || read[..count - 1]
                .iter()
                .any(|header| header.hash == self.head.hash);
        if !passes {
            return Err(MoveError::NotExtension {
                number: previous.number,
                hash: previous.hash,
                head_number: self.head.number,
                head_hash: self.head.hash,
            });
        }
        let new = read
            .iter()
            .filter(|header| !self.headers.contains_key(&header.hash));
        let count = self.above_fin() + new.count();
        if count > L1_TRACKED_HEADERS_MAX {
            return Err(MoveError::Full { count });
        }
        self.headers
            .extend(read.into_iter().map(|header| (header.hash, header)));
        self.head = previous.to_ref();
        Ok(self.head)
    }

    /// R10: raises `L1fin`, drops what does not descend from it but for the last `CONTEXT_LAG`
    /// ancestors.
    ///
    /// # Errors
    /// [`FinalityError`]; the tree is unchanged then.
    pub fn finalize(&mut self, block: L1Ref) -> Result<(), FinalityError> {
        if block.number <= self.fin.number {
            return Err(FinalityError::NotAbove {
                number: block.number,
                fin: self.fin.number,
            });
        }
        if !self.is_on_chain_of(&block, &self.head.hash) {
            return Err(FinalityError::NotAncestor {
                number: block.number,
                hash: block.hash,
                head: self.head.number,
            });
        }
        let mut kept = BTreeMap::new();
        let mut at = block.hash;
        for _ in 0..=CONTEXT_LAG {
            let Some(header) = self.headers.get(&at) else {
                break;
            };
            kept.insert(header.hash, *header);
            at = header.parent;
        }
        // Children stand above their parents, so one pass by number finds all descendants.
        let mut above: Vec<_> = self
            .headers
            .values()
            .filter(|header| header.number > block.number)
            .collect();
        above.sort_by_key(|header| header.number);
        for header in above {
            let descends = kept
                .get(&header.parent)
                .is_some_and(|parent| parent.number >= block.number);
            if descends {
                kept.insert(header.hash, *header);
            }
        }
        self.headers = kept;
        self.fin = block;
        Ok(())
    }
}

impl Encodable for Tree {
    fn encode(&self, out: &mut dyn BufMut) {
        let headers: Vec<TrackedHeader> = self.headers.values().copied().collect();
        let payload_length = headers.length() + self.head.length() + self.fin.length();
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
        .encode(out);
        headers.encode(out);
        self.head.encode(out);
        self.fin.encode(out);
    }
}

impl Decodable for Tree {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let list = Vec::<TrackedHeader>::decode(&mut payload)?;
        let (head, fin) = (L1Ref::decode(&mut payload)?, L1Ref::decode(&mut payload)?);
        if !payload.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        if !list.is_sorted_by(|one, next| one.hash < next.hash) {
            return Err(alloy_rlp::Error::Custom(
                "L1 headers are not in ascending order of hash",
            ));
        }
        let headers = list.into_iter().map(|header| (header.hash, header));
        let tree = Self {
            headers: headers.collect(),
            head,
            fin,
        };
        match tree.broken_invariant() {
            None => Ok(tree),
            Some(broken) => Err(alloy_rlp::Error::Custom(broken)),
        }
    }
}

impl Tree {
    /// Which of the type's invariants does not hold. What was stored may come back corrupt, and
    /// every walk to an ancestor ends only because numbers fall.
    fn broken_invariant(&self) -> Option<&'static str> {
        for header in self.headers.values() {
            let parent = self.headers.get(&header.parent);
            let falls = parent.is_none_or(|parent| {
                parent.number.checked_add(1) == Some(header.number)
                    && parent.timestamp < header.timestamp
            });
            if !falls {
                return Some("an L1 header does not follow its parent");
            }
            if parent.is_none() && header.number > self.fin.number {
                return Some("an L1 header above the finalised block has no parent");
            }
        }
        if self.headers.get(&self.head.hash).map(TrackedHeader::to_ref) != Some(self.head) {
            return Some("the L1 head is not tracked");
        }
        if !self.is_on_chain_of(&self.fin, &self.head.hash) {
            return Some("the finalised L1 block is not an ancestor of the head");
        }
        let above = self.above_fin();
        let roots = self
            .headers
            .values()
            .filter(|h| h.number == self.fin.number);
        if roots.count() != 1 {
            return Some("two L1 headers stand at the height of the finalised one");
        }
        if above > L1_TRACKED_HEADERS_MAX || self.headers.len() - above > CONTEXT_LAG as usize + 1 {
            return Some("more L1 headers than are ever tracked");
        }
        None
    }
}
