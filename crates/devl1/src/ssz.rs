//! As much of SSZ's Merkle trees as beacon headers need.

use std::sync::OnceLock;

use alloy_primitives::{B256, U256};
use sha2::{Digest, Sha256};

/// Depth of the deepest tree here: the list of validators.
const DEPTH_MAX: usize = 40;

/// SHA-256 of two nodes.
pub fn hash_pair(left: B256, right: B256) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update(left);
    hasher.update(right);
    B256::from_slice(&hasher.finalize())
}

/// Root of a tree of zero leaves, `depth` levels deep.
fn zero_root(depth: usize) -> B256 {
    static ROOTS: OnceLock<Vec<B256>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = vec![B256::ZERO];
        for level in 0..DEPTH_MAX {
            roots.push(hash_pair(roots[level], roots[level]));
        }
        roots
    });
    roots[depth.min(DEPTH_MAX)]
}

/// Root of a tree of `2^depth` leaves, of which all but the given first ones are zero. Leaves
/// beyond the tree are left out.
pub fn merkleize(leaves: &[B256], depth: usize) -> B256 {
    let mut level = leaves.to_vec();
    for height in 0..depth {
        if level.is_empty() {
            return zero_root(depth);
        }
        level = level
            .chunks(2)
            .map(|pair| hash_pair(pair[0], pair.get(1).copied().unwrap_or(zero_root(height))))
            .collect();
    }
    level.first().copied().unwrap_or(zero_root(depth))
}

/// The siblings of leaf `index`, bottom first.
pub fn branch(leaves: &[B256], depth: usize, index: usize) -> Vec<B256> {
    let mut siblings = Vec::with_capacity(depth);
    let mut level = leaves.to_vec();
    let mut position = index;
    for height in 0..depth {
        siblings.push(
            level
                .get(position ^ 1)
                .copied()
                .unwrap_or(zero_root(height)),
        );
        level = level
            .chunks(2)
            .map(|pair| hash_pair(pair[0], pair.get(1).copied().unwrap_or(zero_root(height))))
            .collect();
        position /= 2;
    }
    siblings
}

/// Root of a list: its elements' root with its length.
pub fn mix_in_length(root: B256, length: usize) -> B256 {
    hash_pair(root, uint64(length as u64))
}

/// A `uint64` leaf: little-endian.
pub fn uint64(value: u64) -> B256 {
    uint256(U256::from(value))
}

/// A `uint256` leaf: little-endian.
pub fn uint256(value: U256) -> B256 {
    B256::from(value.to_le_bytes::<32>())
}

/// At most 32 bytes as a leaf, zeros after them.
pub fn bytes(value: &[u8]) -> B256 {
    B256::right_padding_from(&value[..value.len().min(32)])
}

/// A vector of `uint64`, four to a leaf.
pub fn packed(values: &[u64]) -> Vec<B256> {
    values
        .chunks(4)
        .map(|four| {
            let mut leaf = [0; 32];
            for (slot, value) in leaf.chunks_mut(8).zip(four) {
                slot.copy_from_slice(&value.to_le_bytes());
            }
            B256::from(leaf)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook definition, over all the leaves.
    fn naive(leaves: &[B256], depth: usize) -> B256 {
        let mut level = leaves.to_vec();
        level.resize(1 << depth, B256::ZERO);
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| hash_pair(pair[0], pair[1]))
                .collect();
        }
        level[0]
    }

    fn leaves(count: usize) -> Vec<B256> {
        (1..=count).map(|n| uint64(n as u64)).collect()
    }

    #[test]
    fn a_root_is_that_of_the_tree_written_out() {
        for count in 0..=16 {
            assert_eq!(
                merkleize(&leaves(count), 4),
                naive(&leaves(count), 4),
                "{count} leaves"
            );
        }
    }

    #[test]
    fn a_branch_leads_to_the_root() {
        let leaves = leaves(11);
        for index in 0..16 {
            let mut node = leaves.get(index).copied().unwrap_or_default();
            for (height, sibling) in branch(&leaves, 4, index).into_iter().enumerate() {
                let right = (index >> height) & 1 == 1;
                node = if right {
                    hash_pair(sibling, node)
                } else {
                    hash_pair(node, sibling)
                };
            }
            assert_eq!(node, naive(&leaves, 4), "leaf {index}");
        }
    }

    #[test]
    fn numbers_are_packed_four_to_a_leaf_little_endian() {
        let leaves = packed(&[1, 2, 3, 4, 5]);
        assert_eq!(leaves.len(), 2);
        assert_eq!(
            (leaves[0][0], leaves[0][8], leaves[0][24], leaves[1][0]),
            (1, 2, 4, 5)
        );
    }
}
