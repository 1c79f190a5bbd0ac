//! Which headers to fetch: pure bookkeeping of the walk between what is known and the head.
//!
//! ```text
//!  tracked ── told ── base │ ? ── ? ── … ── target ── … ── head of the endpoint
//!                   search ▲ ◀── walk back by hash ──┘
//! ```
//!
//! The search asks the endpoint for blocks of its chain by number until it has found the last one
//! that connects. From there the gap is closed in steps, each a walk back by hash from a target, so
//! neither the length of an outage nor a reorg within it makes a step longer.

use super::error::L1Error;
use cortado_types::L1Ref;

/// Headers fetched in one step: a pointer move carries 64, so a few moves' worth.
pub(super) const WALK_MAX: u64 = 256;

/// Looks for the last block of an endpoint's chain that connects.
///
/// - Block `low` connects or is the floor; block `high` does not connect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    low: u64,
    high: u64,
    /// Where to ask next and how far to go back if that does not connect, until something did.
    back: Option<(u64, u64)>,
}

impl Search {
    /// Between `floor`, below which nothing is looked for, and `head`, which does not connect.
    /// `hint`: the highest number at which something is known.
    pub(super) fn new(floor: u64, head: u64, hint: u64) -> Self {
        let at = hint.min(head.saturating_sub(1)).max(floor);
        Self {
            low: floor,
            high: head,
            back: Some((at, 1)),
        }
    }

    /// The number to ask for; `None` when it is over.
    pub(super) fn ask(&self) -> Option<u64> {
        match self.back {
            Some((at, _)) => Some(at),
            None if self.high - self.low > 1 => Some(self.low + (self.high - self.low) / 2),
            None => None,
        }
    }

    /// Whether the block that was asked for connects.
    pub(super) fn answer(&mut self, connects: bool) {
        let Some(at) = self.ask() else {
            return;
        };
        if connects {
            self.low = at;
            self.back = None;
            return;
        }
        self.high = at;
        self.back = self.back.map(|(_, step)| {
            let next = at.saturating_sub(step).max(self.low);
            (next, step.saturating_mul(2))
        });
    }
}

/// Judges a step back from `block` to `missing`, of which nothing is known: it has to be above what
/// is final, else the endpoint is on another chain.
pub(super) fn check_above(block: L1Ref, missing: L1Ref, fin: L1Ref) -> Result<(), L1Error> {
    if missing.number > fin.number {
        return Ok(());
    }
    Err(L1Error::OffFinal {
        number: block.number,
        hash: block.hash,
        fin: fin.hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cortado_types::B256;
    use proptest::prelude::*;

    /// Runs a search on a chain that connects up to `last`; the last one found and the questions.
    fn run(floor: u64, head: u64, hint: u64, last: u64) -> (u64, usize) {
        let mut search = Search::new(floor, head, hint);
        let mut asked = 0;
        while let Some(at) = search.ask() {
            assert!((floor..head).contains(&at));
            search.answer(at <= last);
            asked += 1;
            assert!(asked < 200, "it ends");
        }
        (search.low, asked)
    }

    #[test]
    fn next_block_of_a_known_chain_costs_one_question() {
        assert_eq!(run(0, 101, 100, 100), (100, 1));
    }

    #[test]
    fn walk_below_the_final_block_is_refused() {
        let fin = L1Ref {
            number: 10,
            hash: B256::repeat_byte(1),
        };
        let block = |number| L1Ref {
            number,
            hash: B256::repeat_byte(2),
        };
        check_above(block(12), block(11), fin).unwrap();
        for number in [10, 9, 0] {
            let refused = check_above(block(11), block(number), fin).unwrap_err();
            assert!(matches!(refused, L1Error::OffFinal { .. }) && refused.is_other_chain());
        }
    }

    proptest! {
        #[test]
        fn the_last_connected_block_is_found_with_few_questions(
            floor in 0u64..10_000, gap in 1u64..100_000, hint in 0u64..200_000, last in 0u64..100_000,
        ) {
            let head = floor + gap;
            let last = floor + last % gap;
            let (found, asked) = run(floor, head, hint, last);
            prop_assert_eq!(found, last);
            prop_assert!(asked <= 36, "{} questions", asked);
        }
    }
}
