//! Which headers to fetch and to tell: pure bookkeeping of the watcher.

use super::{error::L1Error, rpc::VerifiedHeader};
use cortado_types::{B256, L1Ref, limits::L1_TRACKED_HEADERS_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// Headers fetched in one go: a pointer move carries 64, so a few moves' worth.
pub(super) const WALK_MAX: u64 = 256;

/// Headers that were told, by number.
///
/// - Nothing at or below the chain's `L1fin`; at most [`L1_TRACKED_HEADERS_MAX`] hashes, the
///   lowest forgotten first: the chain tracks no more either.
#[derive(Debug, Default)]
pub(super) struct Told {
    by_number: BTreeMap<u64, BTreeSet<B256>>,
    count: usize,
}

impl Told {
    pub(super) fn contains(&self, block: &L1Ref) -> bool {
        self.by_number
            .get(&block.number)
            .is_some_and(|hashes| hashes.contains(&block.hash))
    }

    pub(super) fn highest(&self) -> Option<u64> {
        self.by_number.last_key_value().map(|(number, _)| *number)
    }

    pub(super) fn insert(&mut self, block: L1Ref) {
        if self
            .by_number
            .entry(block.number)
            .or_default()
            .insert(block.hash)
        {
            self.count += 1;
        }
        while self.count > L1_TRACKED_HEADERS_MAX {
            self.drop_lowest();
        }
    }

    /// Forgets everything at or below `number`.
    pub(super) fn prune(&mut self, number: u64) {
        while self
            .by_number
            .first_key_value()
            .is_some_and(|(lowest, _)| *lowest <= number)
        {
            self.drop_lowest();
        }
    }

    fn drop_lowest(&mut self) {
        if let Some((_, hashes)) = self.by_number.pop_first() {
            self.count -= hashes.len();
        }
    }
}

/// What to do with the header at the low end of a walk back from the L1 node's head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its parent is known: the path is whole.
    Connected,
    /// Fetch its parent.
    Parent(B256),
}

/// Judges the next step back from `header`. `is_known` says whether the chain or we know a block.
pub(super) fn step(
    header: &VerifiedHeader,
    fin: L1Ref,
    is_known: impl Fn(&L1Ref) -> bool,
) -> Result<Step, L1Error> {
    let L1Ref { number, hash } = header.block;
    let parent = number.checked_sub(1).map(|number| L1Ref {
        number,
        hash: header.parent,
    });
    match parent {
        Some(parent) if is_known(&parent) || parent == fin => Ok(Step::Connected),
        Some(parent) if parent.number > fin.number => Ok(Step::Parent(parent.hash)),
        // It would have to go below what is final: the node is on another chain.
        _ => Err(L1Error::OffFinal {
            number,
            hash,
            fin: fin.hash,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_types::Bytes;

    fn block(number: u64, fork: u8) -> L1Ref {
        L1Ref {
            number,
            hash: B256::with_last_byte(fork) | B256::from([number as u8; 32]),
        }
    }

    fn header(number: u64, parent: L1Ref) -> VerifiedHeader {
        VerifiedHeader {
            block: block(number, 0),
            parent: parent.hash,
            timestamp: number,
            raw: Bytes::new(),
        }
    }

    #[test]
    fn walk_ends_at_a_known_block_or_at_the_final_one() {
        let fin = block(10, 0);
        let known = block(12, 0);
        let is_known = |block: &L1Ref| *block == known;
        assert_eq!(step(&header(13, known), fin, is_known), Ok(Step::Connected));
        assert_eq!(step(&header(11, fin), fin, is_known), Ok(Step::Connected));
        let unknown = block(13, 0);
        assert_eq!(
            step(&header(14, unknown), fin, is_known),
            Ok(Step::Parent(unknown.hash))
        );
    }

    #[test]
    fn walk_below_the_final_block_is_refused() {
        let fin = block(10, 0);
        let fork = L1Ref {
            number: 10,
            hash: B256::repeat_byte(0xff),
        };
        let refused = step(&header(11, fork), fin, |_| false);
        assert!(matches!(refused, Err(L1Error::OffFinal { number: 11, .. })));
        let first = step(&header(0, fork), fin, |_| false);
        assert!(matches!(first, Err(L1Error::OffFinal { number: 0, .. })));
    }

    #[test]
    fn what_was_told_is_bounded_and_forgets_the_lowest_first() {
        let mut told = Told::default();
        for number in 0..L1_TRACKED_HEADERS_MAX as u64 + 10 {
            told.insert(L1Ref {
                number,
                hash: B256::ZERO,
            });
            told.insert(L1Ref {
                number,
                hash: B256::ZERO,
            });
        }
        assert_eq!(told.count, L1_TRACKED_HEADERS_MAX);
        assert!(!told.contains(&L1Ref {
            number: 9,
            hash: B256::ZERO
        }));
        assert!(told.contains(&L1Ref {
            number: 10,
            hash: B256::ZERO
        }));
        told.prune(5_000);
        assert!(!told.contains(&L1Ref {
            number: 5_000,
            hash: B256::ZERO
        }));
        assert!(told.contains(&L1Ref {
            number: 5_001,
            hash: B256::ZERO
        }));
        assert_eq!(told.count, L1_TRACKED_HEADERS_MAX + 10 - 5_001);
    }
}
