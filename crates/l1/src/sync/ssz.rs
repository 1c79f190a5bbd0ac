//! As much of SSZ as the light-client containers need: reading, and Merkle roots by SHA-256.

use cortado_types::B256;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Why bytes are not the SSZ of a container.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SszError {
    /// Too few or too many bytes.
    #[error("SSZ of {what}: {got} bytes, expected {want}")]
    Length {
        /// The container or its last part.
        what: &'static str,
        /// Bytes there are.
        got: usize,
        /// Bytes there should be.
        want: usize,
    },
    /// An offset that leads into the fixed part, back, or behind the end.
    #[error("SSZ of {what}: offset {got}; parts follow each other from {fixed} to {end}")]
    Offset {
        /// The field it leads to.
        what: &'static str,
        /// The offset.
        got: usize,
        /// Where the first part must start.
        fixed: usize,
        /// Length of the whole.
        end: usize,
    },
    /// A list longer than its limit.
    #[error("SSZ of {what}: {got} bytes, the limit is {limit}")]
    TooLong {
        /// The list.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The most it may have.
        limit: usize,
    },
}

/// Length of an offset.
pub(crate) const OFFSET: usize = 4;

/// Reads one container: the fixed part field by field, then its variable parts.
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], SszError> {
        let end = self.at + count;
        let taken = self.bytes.get(self.at..end).ok_or(SszError::Length {
            what: self.what,
            got: self.bytes.len(),
            want: end,
        })?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], SszError> {
        Ok(self.take(N)?.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, SszError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn b256(&mut self) -> Result<B256, SszError> {
        Ok(B256::from(self.array()?))
    }

    pub(crate) fn roots(&mut self, count: usize) -> Result<Vec<B256>, SszError> {
        (0..count).map(|_| self.b256()).collect()
    }

    pub(crate) fn offset(&mut self) -> Result<usize, SszError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// The variable parts, one for each of `offsets`; the first starts where the fixed part ends.
    pub(crate) fn parts<const N: usize>(
        self,
        offsets: [(&'static str, usize); N],
    ) -> Result<[&'a [u8]; N], SszError> {
        let mut parts = [&self.bytes[..0]; N];
        for (index, (what, start)) in offsets.into_iter().enumerate() {
            let misplaced = || SszError::Offset {
                what,
                got: start,
                fixed: self.at,
                end: self.bytes.len(),
            };
            if index == 0 && start != self.at {
                return Err(misplaced());
            }
            let following = offsets.get(index + 1);
            let end = following.map_or(self.bytes.len(), |(_, next)| *next);
            // Nothing, if the next part starts before this one or behind the end.
            parts[index] = self.bytes.get(start..end).ok_or_else(misplaced)?;
        }
        Ok(parts)
    }
}

pub(crate) fn put_offset(out: &mut Vec<u8>, offset: usize) {
    out.extend_from_slice(&(offset as u32).to_le_bytes());
}

pub(crate) fn put_roots(out: &mut Vec<u8>, roots: &[B256]) {
    for root in roots {
        out.extend_from_slice(root.as_slice());
    }
}

/// SHA-256 of two nodes.
pub(crate) fn hash_pair(left: B256, right: B256) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update(left);
    hasher.update(right);
    B256::from(<[u8; 32]>::from(hasher.finalize()))
}

/// A number as a leaf.
pub(crate) fn root_of_u64(value: u64) -> B256 {
    let mut leaf = B256::ZERO;
    leaf[..8].copy_from_slice(&value.to_le_bytes());
    leaf
}

/// Root of leaves, filled up with zeros to the next power of two.
pub(crate) fn merkleize(mut nodes: Vec<B256>) -> B256 {
    nodes.resize(nodes.len().next_power_of_two(), B256::ZERO);
    while nodes.len() > 1 {
        nodes = nodes
            .chunks_exact(2)
            .map(|pair| hash_pair(pair[0], pair[1]))
            .collect();
    }
    nodes[0]
}

/// Root of a vector of bytes.
pub(crate) fn root_of_bytes(bytes: &[u8]) -> B256 {
    let leaf = |chunk: &[u8]| {
        let mut leaf = B256::ZERO;
        leaf[..chunk.len()].copy_from_slice(chunk);
        leaf
    };
    merkleize(bytes.chunks(32).map(leaf).collect())
}

/// Root of a list of bytes whose limit is one leaf.
pub(crate) fn root_of_short_list(bytes: &[u8]) -> B256 {
    let mut leaf = B256::ZERO;
    leaf[..bytes.len()].copy_from_slice(bytes);
    hash_pair(leaf, root_of_u64(bytes.len() as u64))
}

/// The root that `branch` leads to from `leaf` at the generalised index, if it is of that depth.
pub(crate) fn root_of_branch(leaf: B256, branch: &[B256], gindex: u64) -> Option<B256> {
    if branch.len() as u32 != gindex.ilog2() {
        return None;
    }
    let mut node = leaf;
    for (level, sibling) in branch.iter().enumerate() {
        node = if (gindex >> level) & 1 == 1 {
            hash_pair(*sibling, node)
        } else {
            hash_pair(node, *sibling)
        };
    }
    Some(node)
}
