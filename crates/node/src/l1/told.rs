//! Which headers the seats were told, and how they hang together.

use cortado_l1::Tree;
use cortado_types::{B256, L1Ref, limits::L1_TRACKED_HEADERS_MAX};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug)]
struct Header {
    number: u64,
    parent: B256,
    /// Seconds.
    timestamp: u64,
    turn: u64,
}

/// Headers that were told.
///
/// - Nothing at or below the chain's `L1fin`; at most [`L1_TRACKED_HEADERS_MAX`], what was told
///   first forgotten first. The seats keep as many in the same order, so what is known here they
///   hold, and what is forgotten here they need to be told again.
#[derive(Debug, Default)]
pub(super) struct Told {
    headers: BTreeMap<B256, Header>,
    turns: BTreeMap<u64, B256>,
    next_turn: u64,
}

impl Told {
    /// Notes that a header was told.
    pub(super) fn insert(&mut self, block: L1Ref, parent: B256, timestamp: u64) {
        let turn = self.next_turn;
        let header = Header {
            number: block.number,
            parent,
            timestamp,
            turn,
        };
        if self.headers.contains_key(&block.hash) {
            return;
        }
        self.headers.insert(block.hash, header);
        self.turns.insert(turn, block.hash);
        self.next_turn += 1;
        if self.headers.len() > L1_TRACKED_HEADERS_MAX
            && let Some((_, oldest)) = self.turns.pop_first()
        {
            self.headers.remove(&oldest);
        }
    }

    /// Forgets everything at or below `number`.
    pub(super) fn prune(&mut self, number: u64) {
        let turns = &mut self.turns;
        self.headers.retain(|_, header| {
            let stays = header.number > number;
            if !stays {
                turns.remove(&header.turn);
            }
            stays
        });
    }

    /// Whether the block was told and is not forgotten.
    pub(super) fn contains(&self, block: L1Ref) -> bool {
        self.headers.contains_key(&block.hash)
    }

    /// The highest number that was told, 0 if nothing was.
    pub(super) fn highest(&self) -> u64 {
        let numbers = self.headers.values().map(|header| header.number);
        numbers.max().unwrap_or(0)
    }

    fn parent(&self, block: L1Ref) -> Option<L1Ref> {
        let header = self.headers.get(&block.hash)?;
        Some(L1Ref {
            number: header.number.checked_sub(1)?,
            hash: header.parent,
        })
    }
}

/// What the seats can build on: what the chain tracks, and what they were told.
pub(super) struct Known<'a> {
    pub told: &'a Told,
    pub tree: &'a Tree,
    /// `L1fin`.
    pub fin: L1Ref,
}

impl Known<'_> {
    /// Whether the chain itself has the block, so that nobody has to be told of it.
    pub(super) fn is_tracked(&self, block: L1Ref) -> bool {
        let tracked = |number| number == block.number && number > self.fin.number;
        block == self.fin
            || self
                .tree
                .get(&block.hash)
                .is_some_and(|header| tracked(header.number))
    }

    /// The times of a known block and its parent, seconds, if it is not the later of them: the chain
    /// takes no such header (R9), nor anything above it.
    pub(super) fn not_later(&self, block: L1Ref) -> Option<(u64, u64)> {
        let told = self.told.headers.get(&block.hash)?;
        let parent = self.told.headers.get(&told.parent);
        let parent = match parent {
            Some(parent) => parent.timestamp,
            None => self.tree.get(&told.parent)?.timestamp,
        };
        (told.timestamp <= parent).then_some((told.timestamp, parent))
    }

    /// Where the path from `block` down leaves what was told: a tracked block if everything up from
    /// there is known, else the block that is missing.
    pub(super) fn root(&self, block: L1Ref) -> L1Ref {
        let mut at = block;
        while !self.is_tracked(at)
            && let Some(parent) = self.told.parent(at)
        {
            at = parent;
        }
        at
    }

    /// Whether the block and everything between it and a tracked one is known.
    pub(super) fn connects(&self, block: L1Ref) -> bool {
        self.is_tracked(self.root(block))
    }

    /// The known ancestor of `block`, or itself, at `number`.
    pub(super) fn ancestor(&self, block: L1Ref, number: u64) -> Option<L1Ref> {
        let mut at = block;
        while at.number > number {
            if let Some(parent) = self.told.parent(at) {
                at = parent;
                continue;
            }
            let tracked = self.tree.ancestor_at(&at.hash, number)?;
            return Some(tracked.to_ref());
        }
        (at.number == number).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_l1::TrackedHeader;

    fn block(number: u64, fork: u8) -> L1Ref {
        let hash = B256::repeat_byte(fork) | B256::left_padding_from(&number.to_be_bytes());
        L1Ref { number, hash }
    }

    fn tree() -> Tree {
        let header = TrackedHeader {
            hash: block(0, 0).hash,
            parent: B256::ZERO,
            number: 0,
            timestamp: 0,
        };
        Tree::new(header)
    }

    fn tell(told: &mut Told, number: u64, fork: u8, parent: u8) {
        let parent = block(number - 1, parent).hash;
        told.insert(block(number, fork), parent, number);
    }

    #[test]
    fn what_was_told_is_bounded_and_what_was_told_first_is_forgotten_first() {
        let mut told = Told::default();
        let tree = tree();
        // A fork is told high up before the chain from below is.
        tell(&mut told, 100, 9, 9);
        for number in 1..=L1_TRACKED_HEADERS_MAX as u64 {
            tell(&mut told, number, 0, 0);
            tell(&mut told, number, 0, 0);
        }
        assert_eq!(told.headers.len(), L1_TRACKED_HEADERS_MAX);
        assert_eq!(told.turns.len(), L1_TRACKED_HEADERS_MAX);
        assert!(!told.contains(block(100, 9)), "the oldest, not the lowest");
        assert!(told.contains(block(1, 0)));
        let top = block(L1_TRACKED_HEADERS_MAX as u64, 0);
        let fin = block(0, 0);
        let known = |told: &Told| {
            let known = Known {
                told,
                tree: &tree,
                fin,
            };
            (known.connects(top), known.root(top))
        };
        assert_eq!(known(&told), (true, block(0, 0)));
        // One more, and the path has a hole where it was told first.
        tell(&mut told, 200, 9, 9);
        assert_eq!(known(&told), (false, block(1, 0)));
        // It is told again, and with it the path is whole but for what that pushed out.
        tell(&mut told, 1, 0, 0);
        assert_eq!(known(&told), (false, block(2, 0)));
    }

    #[test]
    fn block_that_is_not_later_than_its_parent_is_known_for_that() {
        let mut told = Told::default();
        told.insert(block(1, 0), block(0, 0).hash, 7);
        told.insert(block(2, 0), block(1, 0).hash, 7);
        told.insert(block(3, 0), block(2, 0).hash, 8);
        told.insert(block(1, 1), block(0, 0).hash, 0);
        let (tree, fin) = (tree(), block(0, 0));
        let known = Known {
            told: &told,
            tree: &tree,
            fin,
        };
        assert_eq!(known.not_later(block(1, 0)), None);
        assert_eq!(known.not_later(block(2, 0)), Some((7, 7)));
        assert_eq!(known.not_later(block(3, 0)), None);
        let (genesis, own) = (0, 0);
        assert_eq!(known.not_later(block(1, 1)), Some((own, genesis)));
    }

    #[test]
    fn what_is_final_is_forgotten() {
        let mut told = Told::default();
        for number in 1..=10 {
            tell(&mut told, number, 0, 0);
        }
        told.prune(5);
        assert_eq!((told.headers.len(), told.turns.len()), (5, 5));
        let (tree, fin) = (tree(), block(5, 0));
        let known = Known {
            told: &told,
            tree: &tree,
            fin,
        };
        assert!(known.connects(block(10, 0)), "it ends in the final block");
        assert!(!known.connects(block(5, 1)) && !known.connects(block(4, 0)));
        // The chain's own block 0 is tracked and below what is final: nothing connects to it.
        assert!(!known.is_tracked(block(0, 0)));
    }

    #[test]
    fn header_that_was_reorganised_away_and_is_canonical_again_is_known() {
        let mut told = Told::default();
        tell(&mut told, 1, 0, 0);
        tell(&mut told, 2, 1, 0);
        tell(&mut told, 2, 2, 0);
        tell(&mut told, 3, 2, 2);
        let (tree, fin) = (tree(), block(0, 0));
        let known = Known {
            told: &told,
            tree: &tree,
            fin,
        };
        assert!(known.connects(block(2, 1)) && known.connects(block(3, 2)));
        assert_eq!(known.ancestor(block(3, 2), 2), Some(block(2, 2)));
        assert_eq!(known.ancestor(block(2, 1), 1), Some(block(1, 0)));
        assert_eq!(known.ancestor(block(3, 2), 0), Some(block(0, 0)));
        assert_eq!(known.ancestor(block(3, 3), 1), None);
        assert_eq!(known.root(block(4, 4)), block(4, 4));
    }
}
