//! The tree of tracked headers, the pointer and the finalised floor.

use crate::{header::TrackedHeader, weight::Weight};
use alloy_rlp::{BufMut, Decodable, Encodable};
use cortado_types::{
    B256, Bytes, L1Ref,
    limits::{CONTEXT_LAG, L1_HEADERS_PER_MOVE_MAX, L1_TRACKED_HEADERS_MAX},
};
use std::collections::BTreeMap;

mod error;
pub use error::{FinalityError, MoveError};

/// L1 headers around the finalised floor, those of all forks.
///
/// ```text
///            ┌─ b102 ── b103                     fork, taken over when it is heavier
///  99 ─ 100 ─┤
///        fin └─ 101 ── 102 = head
/// ```
///
/// - `head` and `fin` are tracked. `head` descends from `fin` or is it, until L1 finalises another
///   fork; then any move to a descendant of `fin` is taken (R9).
/// - Every tracked header but the lowest has its parent tracked.
/// - Nothing is lower than `CONTEXT_LAG` below the lower of `fin` and `head`; at most
///   `L1_TRACKED_HEADERS_MAX` headers in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    headers: BTreeMap<B256, TrackedHeader>,
    head: L1Ref,
    fin: L1Ref,
}

/// What came of a pointer move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// `L1*` is now this block.
    To(L1Ref),
    /// Its headers are tracked; the fork is not heavier yet. So forks that are longer than one move
    /// are followed in steps.
    Tracked,
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

    /// Whether `L1*` descends from `L1fin`; if not, L1 has finalised another fork.
    pub fn is_head_on_final(&self) -> bool {
        self.is_on_chain_of(&self.fin, &self.head.hash)
    }

    /// Weight of the fork that ends in `path`, headers that follow each other on a tracked one,
    /// above `L1fin`; `None` if it does not descend from `L1fin`.
    fn weight(&self, base: &B256, path: &[TrackedHeader], rule: &impl Weight) -> Option<u64> {
        let mut weight = path.iter().map(|header| rule.of(header)).sum::<u64>();
        let mut at = self.headers.get(base)?;
        while at.number > self.fin.number {
            weight = weight.saturating_add(rule.of(at));
            at = self.headers.get(&at.parent)?;
        }
        (at.hash == self.fin.hash).then_some(weight)
    }

    /// R9: whether `L1*` would rather be at the end of `path`, headers that follow each other on a
    /// tracked one: an extension, a heavier fork, or the only one that descends from `L1fin`. The
    /// weight above `L1fin` if so, for comparing candidates.
    pub fn prefers(&self, path: &[TrackedHeader], rule: &impl Weight) -> Option<u64> {
        let base = path.first()?.parent;
        let weight = self.weight(&base, path, rule)?;
        let extends = self.is_on_chain_of(&self.head, &base)
            || path[..path.len() - 1]
                .iter()
                .any(|header| header.hash == self.head.hash);
        let is_heavier = || {
            let own = self.weight(&self.head.hash, &[], rule);
            own.is_none_or(|own| weight > own)
        };
        (extends || is_heavier()).then_some(weight)
    }

    /// R9: adds `headers`, oldest first, and moves `L1*` to the last one if [`Tree::prefers`] it.
    /// `latest` is the latest L1 time allowed, seconds.
    ///
    /// # Errors
    /// [`MoveError`]; the tree is unchanged then.
    pub fn take(
        &mut self,
        headers: &[Bytes],
        latest: u64,
        rule: &impl Weight,
    ) -> Result<Moved, MoveError> {
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
        self.check_links(&read, latest)?;
        let (first, tip) = (read[0], read[count - 1].to_ref());
        let base = first.parent;
        let Some(weight) = self.weight(&base, &read, rule) else {
            let L1Ref {
                number: fin,
                hash: fin_hash,
            } = self.fin;
            let TrackedHeader { number, hash, .. } = first;
            return Err(MoveError::BelowFinal {
                number,
                hash,
                fin,
                fin_hash,
            });
        };
        let moves = self.prefers(&read, rule).is_some();
        let is_new = |header: &&TrackedHeader| !self.headers.contains_key(&header.hash);
        let new = read.iter().filter(is_new).count();
        if !moves && new == 0 {
            return Err(MoveError::NotHeavier {
                number: tip.number,
                hash: tip.hash,
                weight,
                head_number: self.head.number,
                head_hash: self.head.hash,
                head_weight: self.weight(&self.head.hash, &[], rule).unwrap_or_default(),
            });
        }
        let count = self.headers.len() + new;
        if count > L1_TRACKED_HEADERS_MAX {
            return Err(MoveError::Full { count });
        }
        let read = read.into_iter().map(|header| (header.hash, header));
        self.headers.extend(read);
        if !moves {
            return Ok(Moved::Tracked);
        }
        self.head = tip;
        self.forget();
        Ok(Moved::To(tip))
    }

    /// Each header follows the one before, the first one a tracked one, and none is from the future.
    fn check_links(&self, read: &[TrackedHeader], latest: u64) -> Result<(), MoveError> {
        let first = read.first().ok_or(MoveError::Empty)?;
        let parent = first.parent;
        let Some(tracked) = self.headers.get(&parent) else {
            // Above L1fin every parent may still come; at or below it none will.
            let L1Ref {
                number: fin,
                hash: fin_hash,
            } = self.fin;
            let TrackedHeader { number, hash, .. } = *first;
            return Err(if number <= fin {
                MoveError::BelowFinal {
                    number,
                    hash,
                    fin,
                    fin_hash,
                }
            } else {
                MoveError::UnknownParent { parent }
            });
        };
        let mut previous = *tracked;
        for header in read {
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
        Ok(())
    }

    /// R10: raises `L1fin` to a tracked descendant of it, on the chain of `L1*` or not. Forgets what
    /// is too low for a context to name; a fork that lost stays until then, for lane blocks that
    /// were built on it (R8a).
    ///
    /// # Errors
    /// [`FinalityError`]; the tree is unchanged then.
    pub fn finalize(&mut self, block: L1Ref) -> Result<(), FinalityError> {
        let L1Ref { number, hash } = block;
        let L1Ref {
            number: fin,
            hash: fin_hash,
        } = self.fin;
        if number <= fin {
            return Err(FinalityError::NotAbove { number, fin });
        }
        if self
            .get(&hash)
            .is_none_or(|tracked| tracked.number != number)
        {
            return Err(FinalityError::Untracked { number, hash });
        }
        if !self.is_on_chain_of(&self.fin, &hash) {
            return Err(FinalityError::NotDescendant {
                number,
                hash,
                fin,
                fin_hash,
            });
        }
        self.fin = block;
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        let floor = self.floor();
        self.headers.retain(|_, header| header.number >= floor);
    }

    /// Number below which nothing is tracked.
    fn floor(&self) -> u64 {
        self.fin
            .number
            .min(self.head.number)
            .saturating_sub(CONTEXT_LAG)
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
        let lowest = self.headers.values().map(|header| header.number).min();
        for header in self.headers.values() {
            let parent = self.headers.get(&header.parent);
            let falls = parent.is_none_or(|parent| {
                parent.number.checked_add(1) == Some(header.number)
                    && parent.timestamp < header.timestamp
            });
            if !falls {
                return Some("an L1 header does not follow its parent");
            }
            if parent.is_none() && Some(header.number) != lowest {
                return Some("an L1 header above the lowest has no parent");
            }
        }
        for (block, what) in [
            (self.head, "the L1 head is not tracked"),
            (self.fin, "the finalised L1 block is not tracked"),
        ] {
            if self.get(&block.hash).map(TrackedHeader::to_ref) != Some(block) {
                return Some(what);
            }
        }
        if lowest.is_some_and(|lowest| lowest < self.floor()) {
            return Some("an L1 header is lower than any context may be");
        }
        if self.headers.len() > L1_TRACKED_HEADERS_MAX {
            return Some("more L1 headers than are ever tracked");
        }
        None
    }
}
