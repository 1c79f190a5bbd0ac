use std::collections::BTreeMap;

use alloy_primitives::{B256, U256, b256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, proof::verify_proof};
use proptest::prelude::*;

use super::{Trie, TrieValue};

#[derive(Clone, Debug)]
struct Raw(&'static str);

impl TrieValue for Raw {
    fn encode_leaf(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Root by alloy's builder, which sees the whole sorted content at once.
fn reference_root(content: &BTreeMap<B256, U256>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in content {
        builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
    }
    builder.root()
}

fn assert_proves(trie: &Trie<U256>, key: &B256, expected: Option<&U256>) {
    let proof = trie.prove(key);
    let expected = expected.map(alloy_rlp::encode);
    verify_proof(trie.root(), Nibbles::unpack(key), expected, &proof).expect("the proof holds");
}

#[test]
fn an_empty_trie_has_the_known_root() {
    assert_eq!(Trie::<U256>::default().root(), EMPTY_ROOT_HASH);
}

#[test]
fn the_dogs_of_the_official_secure_trie_test_have_the_known_root() {
    let mut trie = Trie::default();
    for (key, value) in [
        ("doe", "reindeer"),
        ("dog", "puppy"),
        ("dogglesworth", "cat"),
    ] {
        trie.insert(keccak256(key), Raw(value));
    }
    assert_eq!(
        trie.root(),
        b256!("d4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585")
    );
}

#[test]
fn a_change_hashes_only_its_path() {
    let mut trie = Trie::default();
    for i in 0..4096u64 {
        trie.insert(keccak256(i.to_be_bytes()), U256::from(i + 1));
    }
    trie.root();
    let before = trie.clone();
    trie.insert(keccak256(7u64.to_be_bytes()), U256::from(99));
    assert!(
        count_unhashed(&trie) <= 5,
        "a path of about log16(4096) nodes, not the whole trie"
    );
    assert_eq!(
        count_unhashed(&before),
        0,
        "the old version keeps its hashes"
    );
}

fn count_unhashed(trie: &Trie<U256>) -> usize {
    fn walk(cell: &super::Cell<U256>) -> usize {
        let own = usize::from(cell.reference.get().is_none());
        own + match &cell.node {
            super::Node::Leaf { .. } => 0,
            super::Node::Extension { child, .. } => walk(child),
            super::Node::Branch { children } => {
                children.iter().flatten().map(|child| walk(child)).sum()
            }
        }
    }
    trie.root.as_ref().map_or(0, |root| walk(root))
}

#[test]
fn removing_an_absent_key_copies_nothing() {
    let mut trie = Trie::default();
    trie.insert(B256::ZERO, U256::from(1));
    trie.root();
    trie.remove(&B256::repeat_byte(1));
    assert_eq!(count_unhashed(&trie), 0);
}

/// Keys that differ in their last nibbles as well as in their first, so that long extensions,
/// splits in their middle and collapses all occur.
fn key() -> impl Strategy<Value = B256> {
    prop_oneof![
        (0u8..4, 0u8..16).prop_map(|(head, tail)| {
            let mut key = B256::repeat_byte(0x11);
            key[0] = head;
            key[31] = tail;
            key
        }),
        (0u8..8).prop_map(|middle| {
            let mut key = B256::repeat_byte(0x11);
            key[15] = middle << 4;
            key
        }),
        (0u16..64).prop_map(|seed| keccak256(seed.to_be_bytes())),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(B256, u64),
    Remove(B256),
    Fork,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), 1u64..1000).prop_map(|(key, value)| Step::Insert(key, value)),
        4 => key().prop_map(Step::Remove),
        1 => Just(Step::Fork),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    /// The trie against a map and alloy's hash builder, with older versions kept and checked at
    /// the end: changing a clone must never show in what it was cloned from.
    #[test]
    fn any_history_gives_the_reference_root_and_disturbs_no_fork(
        steps in prop::collection::vec(step(), 0..120),
        probes in prop::collection::vec(key(), 8),
    ) {
        let mut trie = Trie::default();
        let mut model = BTreeMap::new();
        let mut forks = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => {
                    trie.insert(key, U256::from(value));
                    model.insert(key, U256::from(value));
                }
                Step::Remove(key) => {
                    trie.remove(&key);
                    model.remove(&key);
                }
                Step::Fork => forks.push((trie.clone(), model.clone())),
            }
        }
        forks.push((trie, model));
        for (trie, model) in forks {
            prop_assert_eq!(trie.root(), reference_root(&model));
            let mut listed = Vec::new();
            trie.for_each(&mut |key, value| listed.push((*key, *value)));
            prop_assert_eq!(listed, model.iter().map(|(k, v)| (*k, *v)).collect::<Vec<_>>());
            for probe in &probes {
                prop_assert_eq!(trie.get(probe), model.get(probe));
                assert_proves(&trie, probe, model.get(probe));
            }
            for (key, value) in model.iter().take(4) {
                assert_proves(&trie, key, Some(value));
            }
        }
    }
}
