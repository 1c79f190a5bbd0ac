//! The tree against a model that keeps every header for ever and searches.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// All headers ever taken, the head and the floor.
struct Model {
    all: BTreeMap<B256, TrackedHeader>,
    head: L1Ref,
    fin: L1Ref,
}

impl Model {
    fn ancestors(&self, from: L1Ref) -> Vec<L1Ref> {
        let mut chain = Vec::new();
        let mut at = self.all.get(&from.hash);
        while let Some(header) = at {
            chain.push(header.to_ref());
            at = self.all.get(&header.parent);
        }
        chain
    }

    /// What the tree must still know: the floor's descendants and a few of its ancestors.
    fn tracked(&self) -> Vec<B256> {
        let below = self.fin.number.saturating_sub(CONTEXT_LAG);
        let floor = self.ancestors(self.fin);
        self.all
            .values()
            .filter(|header| {
                let descends = self.ancestors(header.to_ref()).contains(&self.fin);
                descends || floor.contains(&header.to_ref()) && header.number >= below
            })
            .map(|header| header.hash)
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Headers from an ancestor `back` below the head, `up` blocks up.
    Move { back: u64, up: u64, salt: u8 },
    /// The floor to the block `down` below the head.
    Finalize { down: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..4, 1u64..9, prop::sample::select(vec![0u8, 0, 0, 1]))
            .prop_map(|(back, up, salt)| Step::Move { back, up, salt }),
        1 => (0u64..12).prop_map(|down| Step::Finalize { down }),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() })]

    #[test]
    fn tree_and_model_track_the_same_headers(steps in steps()) {
        let mut tree = tree();
        let anchor = *tree.get(&tree.head().hash).expect("tracked");
        let mut model =
            Model { all: BTreeMap::from([(anchor.hash, anchor)]), head: tree.head(), fin: tree.fin() };
        for step in steps {
            let chain_of_head = model.ancestors(model.head);
            match step {
                Step::Move { back, up, salt } => {
                    let back = (back as usize).min(chain_of_head.len() - 1);
                    let base = chain_of_head[back];
                    let headers = chain(base, up, salt);
                    let new: Vec<_> = headers.iter().map(read).collect();
                    let through = back == 0
                        || new[..new.len() - 1].iter().any(|header| header.to_ref() == model.head);
                    let held = tree.get(&base.hash).is_some();
                    let moved = tree.extend(&headers, u64::MAX);
                    prop_assert_eq!(moved.is_ok(), through && held);
                    if moved.is_ok() {
                        model.head = new.last().expect("at least one").to_ref();
                        model.all.extend(new.into_iter().map(|header| (header.hash, header)));
                    }
                }
                Step::Finalize { down } => {
                    let down = (down as usize).min(chain_of_head.len() - 1);
                    let block = chain_of_head[down];
                    let rises = block.number > model.fin.number;
                    prop_assert_eq!(tree.finalize(block).is_ok(), rises);
                    if rises {
                        model.fin = block;
                    }
                }
            }
            prop_assert_eq!((tree.head(), tree.fin()), (model.head, model.fin));
            let want = model.tracked();
            prop_assert_eq!(tree.len(), want.len());
            prop_assert!(want.iter().all(|hash| tree.get(hash).is_some()));
            let bytes = alloy_rlp::encode(&tree);
            prop_assert_eq!(&Tree::decode(&mut &bytes[..]).expect("our own bytes"), &tree);
        }
    }
}
