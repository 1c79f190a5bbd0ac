//! Roots that Ethereum's libraries open, and proofs that nobody can bend.

use super::*;
use crate::trie::{
    PROOF_NODE_BYTES_MAX, PROOF_NODES_MAX, ProofError, TrieProof, keyed_root, ordered_root,
    prove_keyed, prove_ordered, state_key, verify_keyed, verify_ordered,
};
use alloy_rlp::Encodable;
use alloy_trie::{Nibbles, proof::verify_proof};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn items(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| vec![i as u8; 1 + (i * 7) % 60]).collect()
}

#[test]
fn the_empty_trie_has_ethereums_empty_root_and_proves_absence() {
    assert_eq!(ordered_root::<Vec<u8>>(&[]), alloy_trie::EMPTY_ROOT_HASH);
    assert_eq!(keyed_root(&BTreeMap::new()), alloy_trie::EMPTY_ROOT_HASH);
    let root = alloy_trie::EMPTY_ROOT_HASH;
    for proof in [TrieProof::default(), prove_ordered::<Vec<u8>>(&[], 0)] {
        assert_eq!(verify_ordered(root, 0, None, &proof), Ok(()));
        assert!(verify_ordered(root, 0, Some(b"x"), &proof).is_err());
        assert!(verify_ordered(B256::ZERO, 0, None, &proof).is_err());
    }
}

#[test]
fn every_item_of_every_small_list_is_proved_and_everything_past_it_is_absent() {
    for n in [
        1usize, 2, 3, 15, 16, 17, 127, 128, 129, 130, 255, 256, 257, 300,
    ] {
        let items = items(n);
        let root = ordered_root(&items);
        for i in (0..n).step_by(1 + n / 40) {
            let proof = prove_ordered(&items, i);
            assert_eq!(
                verify_ordered(root, i, Some(&items[i]), &proof),
                Ok(()),
                "{i} of {n}"
            );
            assert!(
                verify_ordered(root, i, None, &proof).is_err(),
                "{i} of {n} is not absent"
            );
            assert!(
                verify_ordered(root, i, Some(b"other"), &proof).is_err(),
                "{i} of {n}"
            );
            assert!(
                verify_ordered(root, i + 1, Some(&items[i]), &proof).is_err(),
                "{i} of {n}"
            );
        }
        for past in [n, n + 1, 1_000, usize::MAX] {
            let proof = prove_ordered(&items, past);
            assert_eq!(
                verify_ordered(root, past, None, &proof),
                Ok(()),
                "{past} of {n}"
            );
            assert!(verify_ordered(root, past, Some(&items[0]), &proof).is_err());
        }
    }
}

#[test]
fn tiny_values_whose_nodes_are_embedded_in_their_parents_are_proved_too() {
    for n in [1usize, 2, 3, 20, 130, 300] {
        let items: Vec<Vec<u8>> = (0..n).map(|i| vec![i as u8 | 1]).collect();
        let root = ordered_root(&items);
        for i in 0..n {
            let proof = prove_ordered(&items, i);
            assert_eq!(
                verify_ordered(root, i, Some(&items[i]), &proof),
                Ok(()),
                "{i} of {n}"
            );
        }
        let proof = prove_ordered(&items, n);
        assert_eq!(verify_ordered(root, n, None, &proof), Ok(()), "{n} of {n}");
    }
}

#[test]
fn state_keys_are_hashes_of_kind_and_id() {
    let by_hand = keccak256([&b"namespace"[..], &8_001u64.to_be_bytes()].concat());
    assert_eq!(state_key("namespace", 8_001), by_hand);
}

fn entries(keys: &[u16]) -> BTreeMap<B256, Vec<u8>> {
    keys.iter()
        .map(|k| (keccak256(k.to_be_bytes()), k.to_be_bytes().to_vec()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn keyed_proofs_show_what_is_there_and_what_is_not(keys in prop::collection::vec(any::<u16>(), 0..60), probe: u16) {
        let entries = entries(&keys);
        let root = keyed_root(&entries);
        for key in keys.iter().chain([&probe]) {
            let hashed = keccak256(key.to_be_bytes());
            let want = entries.get(&hashed).map(Vec::as_slice);
            let proof = prove_keyed(&entries, hashed);
            prop_assert_eq!(verify_keyed(root, hashed, want, &proof), Ok(()));
            let lie = if want.is_some() { None } else { Some(&b"x"[..]) };
            prop_assert!(verify_keyed(root, hashed, lie, &proof).is_err());
        }
    }

    #[test]
    fn our_walk_and_the_librarys_agree_on_honest_and_on_mutated_proofs(
        n in 1usize..200, i in 0usize..220, node: prop::sample::Index, byte: prop::sample::Index, xor: u8,
        drop_last: bool,
    ) {
        let items = items(n);
        let mut root = ordered_root(&items);
        let mut proof = prove_ordered(&items, i);
        // The library does not open a trie whose root node is shorter than its hash.
        prop_assume!(proof.0[0].len() >= 32);
        let at = node.index(proof.0.len());
        let mut bytes = proof.0[at].to_vec();
        let b = byte.index(bytes.len());
        bytes[b] ^= xor;
        proof.0[at] = bytes.into();
        if at == 0 {
            // A hostile proposer signs any root it likes.
            root = keccak256(&proof.0[0]);
        }
        if drop_last {
            proof.0.pop();
        }
        let want = items.get(i).map(Vec::as_slice);
        let key = Nibbles::unpack(alloy_rlp::encode_fixed_size(&i));
        for value in [want, None] {
            let ours = verify_ordered(root, i, value, &proof);
            let theirs = std::panic::catch_unwind(|| {
                verify_proof(root, key, value.map(<[u8]>::to_vec), &proof.0).is_ok()
            });
            // Where the library stops the process we only must not accept.
            prop_assert_eq!(ours.is_ok(), theirs.unwrap_or(false));
        }
    }
}

#[test]
fn nodes_without_the_hash_their_parent_names_are_refused() {
    let items = items(40);
    let (root, proof) = (ordered_root(&items), prove_ordered(&items, 20));
    assert!(proof.0.len() > 1);
    for at in 0..proof.0.len() {
        let mut bent = proof.clone();
        let mut bytes = bent.0[at].to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;
        bent.0[at] = bytes.into();
        assert!(
            verify_ordered(root, 20, Some(&items[20]), &bent).is_err(),
            "node {at}"
        );
    }
}

#[test]
fn a_proof_cut_short_does_not_show_absence() {
    let items = items(40);
    let (root, mut proof) = (ordered_root(&items), prove_ordered(&items, 20));
    while proof.0.pop().is_some() {
        assert!(verify_ordered(root, 20, None, &proof).is_err());
        assert!(verify_ordered(root, 20, Some(&items[20]), &proof).is_err());
    }
}

#[test]
fn nodes_left_over_are_refused() {
    let items = items(40);
    let (root, mut proof) = (ordered_root(&items), prove_ordered(&items, 20));
    proof.0.push(proof.0[0].clone());
    assert!(verify_ordered(root, 20, Some(&items[20]), &proof).is_err());
}

#[test]
fn oversize_proofs_are_refused_before_they_are_hashed() {
    let nodes = PROOF_NODES_MAX + 1;
    let deep = TrieProof(vec![Bytes::from_static(&[0xc0]); nodes]);
    assert_eq!(
        verify_ordered(B256::ZERO, 0, None, &deep),
        Err(ProofError::TooDeep { nodes })
    );
    let size = PROOF_NODE_BYTES_MAX + 1;
    let long = TrieProof(vec![Bytes::from_static(&[0xc0]), vec![0; size].into()]);
    let want = ProofError::NodeTooLong { index: 1, size };
    assert_eq!(verify_ordered(B256::ZERO, 0, None, &long), Err(want));
}

#[test]
fn a_path_longer_than_any_key_is_refused_and_stops_nobody() {
    // Extensions of 40 nibbles, one under the other: hash-linked by whoever made them up.
    let extension = |child: B256| -> Bytes {
        let mut path = vec![0x00];
        path.extend([0x80; 20]);
        let mut payload = Vec::new();
        path.as_slice().encode(&mut payload);
        child.encode(&mut payload);
        let mut node = Vec::new();
        alloy_rlp::Header {
            list: true,
            payload_length: payload.len(),
        }
        .encode(&mut node);
        node.extend(payload);
        node.into()
    };
    let mut proof = vec![extension(B256::ZERO)];
    for _ in 0..4 {
        let child = keccak256(proof.last().expect("not empty"));
        proof.push(extension(child));
    }
    proof.reverse();
    let root = keccak256(&proof[0]);
    let proof = TrieProof(proof);
    assert!(verify_keyed(root, B256::repeat_byte(0x80), Some(b"x"), &proof).is_err());
    assert!(verify_keyed(root, B256::repeat_byte(0x80), None, &proof).is_err());
}
