//! An in-memory Merkle-Patricia trie whose versions share structure.
//!
//! Cloning a [`Trie`] is one reference count; a changed version copies only the path from the root
//! to the changed leaf. Node hashes are computed on demand and cached in the node, so a root after
//! `k` changes costs `O(k · depth)` hashes whatever the size of the trie, and forks that share
//! nodes share their hashes.
//!
//! Keys are 32-byte hashes (a *secure* trie), so no key is a prefix of another and branch nodes
//! carry no values.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable};
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles,
    nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode},
};

/// Nibbles of a key: 32 bytes, two nibbles each.
const KEY_NIBBLES: usize = 64;

/// What a leaf holds: the RLP that enters the hash.
pub trait TrieValue: Clone {
    /// Appends the leaf's value as the trie hashes it.
    fn encode_leaf(&self, out: &mut Vec<u8>);
}

impl TrieValue for U256 {
    fn encode_leaf(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }
}

/// A persistent Merkle-Patricia trie from 32-byte hashes to `V`.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    root: Option<Link<V>>,
}

type Link<V> = Arc<Cell<V>>;

#[derive(Debug)]
struct Cell<V> {
    node: Node<V>,
    /// Reference to this node as its parent embeds it: the node itself if shorter than 32 bytes,
    /// else its hash. Reset whenever the node changes.
    reference: OnceLock<RlpNode>,
}

impl<V: Clone> Clone for Cell<V> {
    /// A copy is made in order to be changed, so it starts without a hash.
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            reference: OnceLock::new(),
        }
    }
}

#[derive(Clone, Debug)]
enum Node<V> {
    /// The whole key is kept, so a leaf that moves up or down needs no rewriting.
    Leaf { key: B256, value: V },
    /// At least one nibble; the child is always a branch.
    Extension { path: Nibbles, child: Link<V> },
    /// At least two children.
    Branch {
        children: Box<[Option<Link<V>>; 16]>,
    },
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

fn link<V>(node: Node<V>) -> Link<V> {
    Arc::new(Cell {
        node,
        reference: OnceLock::new(),
    })
}

/// The nibble of `key` at `depth`.
fn nibble(key: &B256, depth: usize) -> usize {
    let byte = key[depth / 2];
    usize::from(if depth.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 0x0f
    })
}

/// The first depth ≥ `from` at which two keys differ, `KEY_NIBBLES` if they are equal.
fn divergence(a: &B256, b: &B256, from: usize) -> usize {
    (from..KEY_NIBBLES)
        .find(|&depth| nibble(a, depth) != nibble(b, depth))
        .unwrap_or(KEY_NIBBLES)
}

/// How many nibbles of `path` agree with `key` from `depth` on.
fn agreement(path: &Nibbles, key: &B256, depth: usize) -> usize {
    (0..path.len())
        .take_while(|&i| usize::from(path.get_unchecked(i)) == nibble(key, depth + i))
        .count()
}

fn empty_children<V>() -> Box<[Option<Link<V>>; 16]> {
    Box::new([const { None }; 16])
}

impl<V: TrieValue> Trie<V> {
    /// Whether the trie holds nothing.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value under `key`.
    pub fn get(&self, key: &B256) -> Option<&V> {
        let mut cell = self.root.as_ref()?;
        let mut depth = 0;
        loop {
            match &cell.node {
                Node::Leaf { key: leaf, value } => return (leaf == key).then_some(value),
                Node::Extension { path, child } => {
                    if agreement(path, key, depth) < path.len() {
                        return None;
                    }
                    depth += path.len();
                    cell = child;
                }
                Node::Branch { children } => {
                    cell = children[nibble(key, depth)].as_ref()?;
                    depth += 1;
                }
            }
        }
    }

    /// Puts `value` under `key`; earlier clones of this trie are not disturbed.
    pub fn insert(&mut self, key: B256, value: V) {
        match &mut self.root {
            None => self.root = Some(link(Node::Leaf { key, value })),
            Some(root) => insert(root, key, value, 0),
        }
    }

    /// Removes what is under `key`, if anything.
    pub fn remove(&mut self, key: &B256) {
        if self.get(key).is_none() {
            // Looking first keeps an absent key from copying and rehashing its whole path.
            return;
        }
        if let Some(root) = self.root.take() {
            self.root = remove(root, key, 0);
        }
    }

    /// Root hash; computed for the changed part only.
    pub fn root(&self) -> B256 {
        match &self.root {
            None => EMPTY_ROOT_HASH,
            Some(root) => match reference(root, 0).as_hash() {
                Some(hash) => hash,
                // A root shorter than 32 bytes is hashed all the same.
                None => keccak256(encode(root, 0)),
            },
        }
    }

    /// Merkle proof for `key`, from the root down: of its value if present, else of its absence.
    /// Nodes embedded in their parent are part of the parent and not listed, as in `eth_getProof`.
    pub fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        let mut next = self.root.as_ref();
        let mut depth = 0;
        while let Some(cell) = next {
            if depth == 0 || reference(cell, depth).is_hash() {
                proof.push(Bytes::from(encode(cell, depth)));
            }
            next = match &cell.node {
                Node::Leaf { .. } => None,
                Node::Extension { path, child } => {
                    let follows = agreement(path, key, depth) == path.len();
                    depth += path.len();
                    follows.then_some(child)
                }
                Node::Branch { children } => {
                    let child = children[nibble(key, depth)].as_ref();
                    depth += 1;
                    child
                }
            };
        }
        proof
    }

    /// Every key and value, in key order.
    pub fn for_each(&self, visit: &mut impl FnMut(&B256, &V)) {
        fn walk<V>(cell: &Cell<V>, visit: &mut impl FnMut(&B256, &V)) {
            match &cell.node {
                Node::Leaf { key, value } => visit(key, value),
                Node::Extension { child, .. } => walk(child, visit),
                Node::Branch { children } => {
                    for child in children.iter().flatten() {
                        walk(child, visit);
                    }
                }
            }
        }
        if let Some(root) = &self.root {
            walk(root, visit);
        }
    }
}

fn insert<V: TrieValue>(link_: &mut Link<V>, key: B256, value: V, depth: usize) {
    // Unique nodes are changed in place, shared ones copied: within one batch of changes every
    // node is copied at most once.
    let split = {
        let cell = Arc::make_mut(link_);
        cell.reference = OnceLock::new();
        match &mut cell.node {
            Node::Leaf {
                key: leaf,
                value: old,
            } => {
                if *leaf == key {
                    *old = value;
                    return;
                }
                divergence(leaf, &key, depth)
            }
            Node::Extension { path, child } => {
                let agree = agreement(path, &key, depth);
                if agree == path.len() {
                    return insert(child, key, value, depth + agree);
                }
                depth + agree
            }
            Node::Branch { children } => {
                match &mut children[nibble(&key, depth)] {
                    Some(child) => insert(child, key, value, depth + 1),
                    empty => *empty = Some(link(Node::Leaf { key, value })),
                }
                return;
            }
        }
    };
    // The node ends or bends at `split`: a branch goes there, with what was and what is new.
    let mut children = empty_children();
    children[nibble(&key, split)] = Some(link(Node::Leaf { key, value }));
    match &link_.node {
        Node::Leaf { key: old, value } => {
            children[nibble(old, split)] = Some(link(Node::Leaf {
                key: *old,
                value: value.clone(),
            }));
        }
        Node::Extension { path, child } => {
            let at = split - depth;
            let rest = path.slice(at + 1..);
            let below = if rest.is_empty() {
                child.clone()
            } else {
                link(Node::Extension {
                    path: rest,
                    child: child.clone(),
                })
            };
            children[usize::from(path.get_unchecked(at))] = Some(below);
        }
        // A branch takes any key and was handled above.
        Node::Branch { .. } => return,
    }
    let branch = link(Node::Branch { children });
    *link_ = prefix(key_path(&key, depth, split), branch);
}

/// `child` under a path of zero or more nibbles, merged with an extension it may start with.
fn prefix<V: TrieValue>(path: Nibbles, child: Link<V>) -> Link<V> {
    if path.is_empty() {
        return child;
    }
    match &child.node {
        Node::Branch { .. } => link(Node::Extension { path, child }),
        Node::Extension { path: rest, child } => link(Node::Extension {
            path: path.join(rest),
            child: child.clone(),
        }),
        // The same leaf hashes differently at another depth, so it gets a fresh cell.
        Node::Leaf { key, value } => link(Node::Leaf {
            key: *key,
            value: value.clone(),
        }),
    }
}

/// The nibbles of `key` from depth `from` to `to`.
fn key_path(key: &B256, from: usize, to: usize) -> Nibbles {
    Nibbles::unpack(key).slice(from..to)
}

/// `key` is known to be below `cell`.
fn remove<V: TrieValue>(mut cell: Link<V>, key: &B256, depth: usize) -> Option<Link<V>> {
    let inner = Arc::make_mut(&mut cell);
    inner.reference = OnceLock::new();
    match &mut inner.node {
        Node::Leaf { .. } => None,
        Node::Extension { path, child } => {
            let below = remove(child.clone(), key, depth + path.len())?;
            Some(prefix(*path, below))
        }
        Node::Branch { children } => {
            let slot = &mut children[nibble(key, depth)];
            *slot = slot.take().and_then(|child| remove(child, key, depth + 1));
            let mut rest = children
                .iter()
                .enumerate()
                .filter(|(_, child)| child.is_some());
            match (rest.next(), rest.next()) {
                // A branch with one child left is that child, one nibble longer.
                (Some((index, Some(only))), None) => {
                    let path = Nibbles::from_nibbles([index as u8]);
                    Some(prefix(path, only.clone()))
                }
                (None, _) => None,
                _ => Some(cell),
            }
        }
    }
}

fn reference<V: TrieValue>(cell: &Cell<V>, depth: usize) -> &RlpNode {
    cell.reference
        .get_or_init(|| RlpNode::from_rlp(&encode(cell, depth)))
}

/// RLP of the node whose path from the root has `depth` nibbles.
fn encode<V: TrieValue>(cell: &Cell<V>, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    match &cell.node {
        Node::Leaf { key, value } => {
            let mut encoded = Vec::with_capacity(112);
            value.encode_leaf(&mut encoded);
            let path = key_path(key, depth, KEY_NIBBLES);
            LeafNodeRef {
                key: &path,
                value: &encoded,
            }
            .encode(&mut out);
        }
        Node::Extension { path, child } => {
            let child = reference(child, depth + path.len());
            ExtensionNodeRef { key: path, child }.encode(&mut out);
        }
        Node::Branch { children } => {
            let mut payload = Vec::with_capacity(16 * 33 + 1);
            for child in children.iter() {
                match child {
                    Some(child) => payload.extend_from_slice(reference(child, depth + 1)),
                    None => payload.push(EMPTY_STRING_CODE),
                }
            }
            payload.push(EMPTY_STRING_CODE); // no value in a secure trie's branch
            out.reserve(payload.len() + 4);
            alloy_rlp::Header {
                list: true,
                payload_length: payload.len(),
            }
            .encode(&mut out);
            out.extend_from_slice(&payload);
        }
    }
    out
}

#[cfg(test)]
mod tests;
