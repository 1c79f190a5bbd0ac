//! The tree against a model that keeps every header for ever and searches.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// All headers ever taken, the head, the floor, and below what nothing is tracked any more.
struct Model {
    all: BTreeMap<B256, TrackedHeader>,
    head: L1Ref,
    fin: L1Ref,
    lowest: u64,
}

impl Model {
    /// Ancestors that are tracked, the block itself first.
    fn ancestors(&self, from: L1Ref) -> Vec<L1Ref> {
        let mut chain = Vec::new();
        let mut at = self.all.get(&from.hash);
        while let Some(header) = at.filter(|header| header.number >= self.lowest) {
            chain.push(header.to_ref());
            at = self.all.get(&header.parent);
        }
        chain
    }

    fn forget(&mut self) {
        let floor = self.fin.number.min(self.head.number);
        self.lowest = self.lowest.max(floor.saturating_sub(CONTEXT_LAG));
    }

    /// R9 in its words.
    fn take(&mut self, base: L1Ref, new: &[TrackedHeader]) -> bool {
        let mut line = self.ancestors(base);
        if !line.contains(&self.fin) {
            return false;
        }
        line.splice(0..0, new.iter().rev().map(TrackedHeader::to_ref));
        let tip = line[0];
        let own = self.ancestors(self.head);
        let extends = line[1..].contains(&self.head);
        let off_final = !own.contains(&self.fin);
        // Every block weighs one, so the heavier of two forks is the one with the greater number.
        let heavier = tip.number > self.head.number;
        let moves = extends || off_final || heavier;
        let fresh = new
            .iter()
            .any(|header| !self.all.contains_key(&header.hash));
        if moves || fresh {
            self.all
                .extend(new.iter().map(|header| (header.hash, *header)));
        }
        if moves {
            self.head = tip;
            self.forget();
        }
        moves || fresh
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// `up` headers on the `from`-th of all headers, counted from the newest number.
    Move { from: usize, up: u64, salt: u8 },
    /// The floor to the `from`-th of all headers.
    Finalize { from: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0usize..12, 1u64..9, 0u8..3).prop_map(|(from, up, salt)| Step::Move { from, up, salt }),
        1 => (0usize..30).prop_map(|from| Step::Finalize { from }),
    ];
    prop::collection::vec(step, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn tree_and_model_track_the_same_headers_of_all_forks(steps in steps()) {
        let mut tree = tree();
        let anchor = *tree.get(&tree.head().hash).expect("tracked");
        let mut model = Model {
            all: BTreeMap::from([(anchor.hash, anchor)]),
            head: tree.head(),
            fin: tree.fin(),
            lowest: anchor.number,
        };
        for step in steps {
            let mut known: Vec<_> = model.all.values().map(|header| (header.number, header.hash)).collect();
            known.sort_unstable();
            let nth = |from: usize| {
                let (number, hash) = known[known.len() - 1 - from.min(known.len() - 1)];
                L1Ref { number, hash }
            };
            match step {
                Step::Move { from, up, salt } => {
                    let base = nth(from);
                    let headers = chain(base, up, salt);
                    let new: Vec<_> = headers.iter().map(read).collect();
                    let before = tree.clone();
                    let taken = tree.take(&headers, u64::MAX, &BlockCount);
                    prop_assert_eq!(taken.is_ok(), model.take(base, &new), "{:?}", taken);
                    match taken {
                        Ok(Moved::To(head)) => prop_assert_eq!(head, tree.head()),
                        Ok(Moved::Tracked) => prop_assert_eq!(before.head(), tree.head()),
                        Err(_) => prop_assert_eq!(&before, &tree),
                    }
                }
                Step::Finalize { from } => {
                    let block = nth(from);
                    let rises = block.number > model.fin.number
                        && model.ancestors(block).contains(&model.fin);
                    prop_assert_eq!(tree.finalize(block).is_ok(), rises);
                    if rises {
                        model.fin = block;
                        model.forget();
                    }
                }
            }
            prop_assert_eq!((tree.head(), tree.fin()), (model.head, model.fin));
            model.all.retain(|_, header| header.number >= model.lowest);
            prop_assert_eq!(tree.len(), model.all.len());
            prop_assert!(model.all.keys().all(|hash| tree.get(hash).is_some()));
            let bytes = alloy_rlp::encode(&tree);
            prop_assert_eq!(&Tree::decode(&mut &bytes[..]).expect("our own bytes"), &tree);
        }
    }
}
