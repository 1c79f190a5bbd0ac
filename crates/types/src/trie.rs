//! Merkle-Patricia roots and proofs, by `alloy-trie`, so that L1 opens them with what it has.
//!
//! Two kinds of trie: an *ordered* one (key = RLP of the position, as Ethereum's transaction
//! trie) and a *keyed* one (key = keccak of the name, as Ethereum's state trie).

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Error};
use alloy_trie::{
    EMPTY_ROOT_HASH, HashBuilder, Nibbles,
    nodes::TrieNode,
    proof::ProofRetainer,
    root::{adjust_index_for_rlp, ordered_trie_root_encoded},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// Nodes on a path: 64 nibbles of a hashed key and the leaf. More cannot be honest.
pub const PROOF_NODES_MAX: usize = 66;

/// Bytes of a node: sixteen hashes, or a leaf with the largest transaction.
pub const PROOF_NODE_BYTES_MAX: usize = crate::limits::TRANSACTION_BYTES_MAX + 1_024;

/// The path from a root to one value, or to where it would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrieProof(pub Vec<Bytes>);

/// Why a proof does not show what it claims.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProofError {
    /// More nodes than any path has.
    #[error("proof has {nodes} nodes, the limit is {}", PROOF_NODES_MAX)]
    TooDeep {
        /// How many.
        nodes: usize,
    },
    /// One node is too long.
    #[error(
        "proof node {index} is {size} bytes, the limit is {}",
        PROOF_NODE_BYTES_MAX
    )]
    NodeTooLong {
        /// Its position in the proof.
        index: usize,
        /// Its size in bytes.
        size: usize,
    },
    /// The nodes do not lead from the root to the value.
    #[error("proof does not lead from root {root} to the value: {reason}")]
    Invalid {
        /// The root it was checked against.
        root: B256,
        /// What was found instead.
        reason: String,
    },
}

/// Root of the ordered trie over `items`.
pub fn ordered_root<T: AsRef<[u8]>>(items: &[T]) -> B256 {
    ordered_trie_root_encoded(items)
}

fn position_key(index: usize) -> Nibbles {
    Nibbles::unpack(alloy_rlp::encode_fixed_size(&index))
}

/// Proof of item `index` of the ordered trie, or of its absence if `index` is past the end.
pub fn prove_ordered<T: AsRef<[u8]>>(items: &[T], index: usize) -> TrieProof {
    let key = position_key(index);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![key]));
    for i in 0..items.len() {
        let position = adjust_index_for_rlp(i, items.len());
        builder.add_leaf(position_key(position), items[position].as_ref());
    }
    collect(builder, key)
}

fn collect(mut builder: HashBuilder, key: Nibbles) -> TrieProof {
    builder.root();
    let nodes = builder.take_proof_nodes().matching_nodes_sorted(&key);
    // A node shorter than a hash stands inside its parent and is no step of its own; the root is
    // named by hash at any length.
    let steps = nodes
        .into_iter()
        .enumerate()
        .filter(|(step, (_, node))| *step == 0 || node.len() >= B256::len_bytes());
    TrieProof(steps.map(|(_, (_, node))| node).collect())
}

/// Checks that item `index` of the ordered trie under `root` is `value`, or absent if `None`.
///
/// # Errors
/// [`ProofError`] if it does not show that.
pub fn verify_ordered(
    root: B256,
    index: usize,
    value: Option<&[u8]>,
    proof: &TrieProof,
) -> Result<(), ProofError> {
    verify(root, position_key(index), value, proof)
}

/// Root of the keyed trie: `entries` maps hashed keys to values.
pub fn keyed_root(entries: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// Proof of one entry of the keyed trie, or of its absence.
pub fn prove_keyed(entries: &BTreeMap<B256, Vec<u8>>, key: B256) -> TrieProof {
    let target = Nibbles::unpack(key);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in entries {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    collect(builder, target)
}

/// Checks that the entry at the hashed `key` under `root` is `value`, or absent if `None`.
///
/// # Errors
/// [`ProofError`] if it does not show that.
pub fn verify_keyed(
    root: B256,
    key: B256,
    value: Option<&[u8]>,
    proof: &TrieProof,
) -> Result<(), ProofError> {
    verify(root, Nibbles::unpack(key), value, proof)
}

/// Where a state entry stands in the keyed trie: keccak of its kind and its id (u64, big endian).
pub fn state_key(kind: &str, id: u64) -> B256 {
    let mut name = kind.as_bytes().to_vec();
    name.extend_from_slice(&id.to_be_bytes());
    keccak256(name)
}

/// The entry at the hashed `key` under `root`, or `None` if the proof shows that it is absent.
///
/// # Errors
/// [`ProofError`] if it shows neither.
pub fn open_keyed(root: B256, key: B256, proof: &TrieProof) -> Result<Option<Vec<u8>>, ProofError> {
    open(root, Nibbles::unpack(key), proof)
}

fn open(root: B256, key: Nibbles, proof: &TrieProof) -> Result<Option<Vec<u8>>, ProofError> {
    if proof.0.len() > PROOF_NODES_MAX {
        return Err(ProofError::TooDeep {
            nodes: proof.0.len(),
        });
    }
    for (index, node) in proof.0.iter().enumerate() {
        if node.len() > PROOF_NODE_BYTES_MAX {
            return Err(ProofError::NodeTooLong {
                index,
                size: node.len(),
            });
        }
    }
    walk(root, key, &proof.0).map_err(|error| ProofError::Invalid {
        root,
        reason: error.to_string(),
    })
}

fn verify(
    root: B256,
    key: Nibbles,
    value: Option<&[u8]>,
    proof: &TrieProof,
) -> Result<(), ProofError> {
    let invalid = |reason: String| ProofError::Invalid { root, reason };
    let found = open(root, key, proof)?;
    match (found.as_deref(), value) {
        (found, want) if found == want => Ok(()),
        (None, _) => Err(invalid("nothing stands there".to_owned())),
        (Some(_), None) => Err(invalid("a value stands there".to_owned())),
        (Some(_), Some(_)) => Err(invalid("another value stands there".to_owned())),
    }
}

/// The value at `key` under `root`, or `None` if the nodes show that there is none.
///
/// The nodes may be anybody's, and a hostile proposer chooses even the root that it signs; the
/// library's own verifier stops the process when the keys of nodes add up to more than 64 nibbles,
/// and does not open a trie whose root node is shorter than a hash (a body of one tiny transaction).
fn walk(root: B256, key: Nibbles, proof: &[Bytes]) -> alloy_rlp::Result<Option<Vec<u8>>> {
    let mut rest = proof.iter();
    let mut next = |hash: &[u8]| -> alloy_rlp::Result<TrieNode> {
        let node = rest.next().ok_or(Error::Custom("a node is missing"))?;
        if keccak256(node) != *hash {
            return Err(Error::Custom(
                "a node does not have the hash its parent names",
            ));
        }
        decode_node(node)
    };
    let mut node = match proof {
        [] if root == EMPTY_ROOT_HASH => return Ok(None),
        _ => next(root.as_slice())?,
    };
    let mut depth = 0;
    let found = loop {
        let child = match node {
            TrieNode::EmptyRoot if root == EMPTY_ROOT_HASH => break None,
            TrieNode::EmptyRoot => return Err(Error::Custom("an empty node inside the trie")),
            TrieNode::Leaf(leaf) => break (key.slice(depth..) == leaf.key).then_some(leaf.value),
            TrieNode::Extension(extension) => {
                if !key.slice(depth..).starts_with(&extension.key) {
                    break None;
                }
                depth += extension.key.len();
                extension.child
            }
            TrieNode::Branch(branch) => {
                let nibble = key
                    .get(depth)
                    .ok_or(Error::Custom("the path is too long"))?;
                depth += 1;
                let before = branch.state_mask.get() & ((1 << nibble) - 1);
                match branch.stack.get(before.count_ones() as usize) {
                    Some(child) if branch.state_mask.is_bit_set(nibble) => child.clone(),
                    _ => break None,
                }
            }
        };
        node = match child.as_hash() {
            Some(hash) => next(hash.as_slice())?,
            None => decode_node(&child)?,
        };
    };
    if rest.next().is_some() {
        return Err(Error::Custom("nodes are left over"));
    }
    Ok(found)
}

fn decode_node(bytes: &[u8]) -> alloy_rlp::Result<TrieNode> {
    let mut rest = bytes;
    let node = TrieNode::decode(&mut rest)?;
    if rest.is_empty() {
        Ok(node)
    } else {
        Err(Error::UnexpectedLength)
    }
}
