use proptest::prelude::*;

use super::*;
use crate::{
    BlockBuilder,
    testing::{inputs, l1},
};

/// What the tree should answer, by walking parents each time.
struct Model {
    parents: HashMap<B256, B256>,
    finalized: Vec<B256>,
    head: B256,
}

impl Model {
    /// From the finalised block to `hash`; `None` if it does not descend from it.
    fn path(&self, hash: B256) -> Option<Vec<B256>> {
        let root = *self.finalized.last()?;
        let mut path = vec![hash];
        while *path.last()? != root {
            path.push(*self.parents.get(path.last()?)?);
        }
        path.reverse();
        Some(path)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(prop::sample::Index),
    SetCanonical(prop::sample::Index),
    Finalize(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => any::<prop::sample::Index>().prop_map(Step::Insert),
        3 => any::<prop::sample::Index>().prop_map(Step::SetCanonical),
        1 => any::<prop::sample::Index>().prop_map(Step::Finalize),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_history_of_forks_moves_and_finality_agrees_with_a_walk(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let (spec, genesis) = l1();
        let mut known = vec![Arc::new(genesis)];
        let root = known[0].hash();
        let mut tree = Tree::new(known[0].clone());
        let mut model =
            Model { parents: HashMap::new(), finalized: vec![root], head: root };
        for (salt, step) in (0u16..).zip(steps) {
            match step {
                Step::Insert(on) => {
                    let parent = on.get(&known).clone();
                    let mut inputs = inputs(&parent);
                    inputs.extra_data = salt.to_be_bytes().to_vec().into();
                    let block = BlockBuilder::new(&spec, &parent, inputs).unwrap().finish().unwrap();
                    let block = Arc::new(block);
                    let fits = model.path(parent.hash()).is_some();
                    prop_assert_eq!(tree.insert(block.clone()).is_ok(), fits);
                    if fits {
                        model.parents.insert(block.hash(), parent.hash());
                        known.push(block);
                    }
                }
                Step::SetCanonical(to) => {
                    let to = to.get(&known).hash();
                    let old = model.path(model.head).unwrap();
                    let Some(new) = model.path(to) else {
                        prop_assert!(tree.set_canonical(to).is_err());
                        continue;
                    };
                    let reorg = tree.set_canonical(to).unwrap();
                    let list = |blocks: &[Arc<ExecutedBlock>]| -> Vec<B256> {
                        blocks.iter().map(|block| block.hash()).collect()
                    };
                    let gone: Vec<_> = old.iter().filter(|h| !new.contains(h)).copied().collect();
                    let come: Vec<_> = new.iter().filter(|h| !old.contains(h)).copied().collect();
                    prop_assert_eq!(list(&reorg.removed), gone);
                    prop_assert_eq!(list(&reorg.added), come);
                    model.head = to;
                }
                Step::Finalize(to) => {
                    let to = to.get(&known).hash();
                    let canonical = model.path(model.head).unwrap();
                    let Some(index) = canonical.iter().position(|hash| *hash == to) else {
                        let old = model.finalized.contains(&to);
                        prop_assert_eq!(tree.plan_finality(to).is_ok(), old);
                        continue;
                    };
                    let plan = tree.plan_finality(to).unwrap();
                    let newly = tree.finalize(plan);
                    prop_assert_eq!(newly.len(), index);
                    model.finalized.extend(&canonical[1..=index]);
                }
            }
            let canonical = model.path(model.head).unwrap();
            let from = model.finalized.len() as u64 - 1;
            for (number, hash) in (from..).zip(&canonical) {
                prop_assert_eq!(tree.executed_by_number(number).map(|b| b.hash()), Some(*hash));
            }
            for (number, hash) in (0..).zip(&model.finalized) {
                prop_assert_eq!(tree.executed_by_number(number).map(|b| b.hash()), Some(*hash));
            }
            let above = from + canonical.len() as u64;
            prop_assert!(tree.executed_by_number(above).is_none());
            prop_assert_eq!(tree.head().hash(), model.head);
            prop_assert_eq!(Some(tree.finalized().hash()), model.finalized.last().copied());
            for block in &known {
                let held = model.path(block.hash()).is_some();
                prop_assert_eq!(tree.get(&block.hash()).is_some(), held);
            }
        }
    }
}
