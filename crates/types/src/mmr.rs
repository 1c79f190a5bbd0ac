//! Mountain range over header hashes (R4): one certificate proves any past block.
//!
//! ```text
//!  peak            6              The range over n leaves is one perfect tree for each set bit
//!               /     \           of n, largest first. Its root hashes the number of leaves and
//!  level 1     4       5    9     all peaks, so a leaf has one position in one range.
//!             / \     / \  / \
//!  leaves    0   1   2   3 7  8   10
//! ```

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// keccak(0x01 ‖ left ‖ right).
fn parent(left: B256, right: B256) -> B256 {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_slice());
    bytes[33..].copy_from_slice(right.as_slice());
    keccak256(bytes)
}

/// keccak(0x02 ‖ leaves u64 BE ‖ peaks, largest mountain first).
fn root(leaves: u64, peaks: &[B256]) -> B256 {
    let mut bytes = Vec::with_capacity(9 + 32 * peaks.len());
    bytes.push(2);
    bytes.extend_from_slice(&leaves.to_be_bytes());
    for peak in peaks {
        bytes.extend_from_slice(peak.as_slice());
    }
    keccak256(bytes)
}

/// What chain state keeps: enough to append, not to prove.
///
/// - `peaks.len()` is the number of set bits of `leaves`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, RlpEncodable)]
#[serde(try_from = "RawPeaks")]
pub struct Peaks {
    leaves: u64,
    peaks: Vec<B256>,
}

/// Peaks as they were stored, before it is known that they fit the number of leaves.
#[derive(Deserialize, RlpDecodable)]
struct RawPeaks {
    leaves: u64,
    peaks: Vec<B256>,
}

/// Stored peaks that are not one for each mountain.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{peaks} peaks are stored for {leaves} headers, there must be {}", leaves.count_ones())]
pub struct PeaksError {
    /// Headers covered.
    pub leaves: u64,
    /// Peaks given.
    pub peaks: usize,
}

impl TryFrom<RawPeaks> for Peaks {
    type Error = PeaksError;

    fn try_from(raw: RawPeaks) -> Result<Self, PeaksError> {
        let (leaves, peaks) = (raw.leaves, raw.peaks);
        // A full range of heights is out of reach of any chain and could not be appended to.
        if peaks.len() == leaves.count_ones() as usize && leaves < u64::MAX {
            Ok(Self { leaves, peaks })
        } else {
            Err(PeaksError {
                leaves,
                peaks: peaks.len(),
            })
        }
    }
}

impl Decodable for Peaks {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        RawPeaks::decode(buf)?
            .try_into()
            .map_err(|_| alloy_rlp::Error::Custom("peaks do not fit the number of headers"))
    }
}

impl Peaks {
    /// Appends the hash of the next header.
    pub fn push(&mut self, leaf: B256) {
        let mut node = leaf;
        for _ in 0..self.leaves.trailing_ones() {
            let left = self.peaks.pop().expect("a mountain for each set bit");
            node = parent(left, node);
        }
        self.peaks.push(node);
        self.leaves += 1;
    }

    /// How many headers it covers.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The history root.
    pub fn root(&self) -> B256 {
        root(self.leaves, &self.peaks)
    }
}

/// Every node, for making proofs; a node that serves proofs keeps one of these.
#[derive(Clone, Debug, Default)]
pub struct Range {
    levels: Vec<Vec<B256>>,
}

/// That a header is the `index`-th of the `leaves` under a history root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProof {
    /// Position of the header: its height.
    pub index: u64,
    /// Headers under the root: the height of the header that carries it.
    pub leaves: u64,
    /// From the leaf up to its mountain's peak.
    pub siblings: Vec<B256>,
    /// All peaks, largest mountain first; the leaf's own is recomputed.
    pub peaks: Vec<B256>,
}

/// Why a history proof is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum HistoryError {
    /// No such position.
    #[error("position {index} is not below the {leaves} headers of the range")]
    OutOfRange {
        /// Claimed position.
        index: u64,
        /// Headers in the range.
        leaves: u64,
    },
    /// A range of this many headers has another shape.
    #[error(
        "proof has {siblings} siblings and {peaks} peaks, this position needs {want_siblings} and {want_peaks}"
    )]
    Shape {
        /// Siblings given.
        siblings: usize,
        /// Peaks given.
        peaks: usize,
        /// Siblings needed.
        want_siblings: usize,
        /// Peaks needed.
        want_peaks: usize,
    },
    /// The hashes do not meet.
    #[error("proof leads to {got}, the history root is {want}")]
    Root {
        /// Recomputed root.
        got: B256,
        /// Expected root.
        want: B256,
    },
}

/// (height of the mountain that holds `index`, its place among the peaks, `index` within it).
fn mountain(index: u64, leaves: u64) -> Option<(u32, usize, u64)> {
    let mut start = 0;
    let mut place = 0;
    for height in (0..u64::BITS).rev() {
        if leaves >> height & 1 == 1 {
            if index < start + (1 << height) {
                return Some((height, place, index - start));
            }
            start += 1 << height;
            place += 1;
        }
    }
    None
}

impl Range {
    /// Appends the hash of the next header.
    pub fn push(&mut self, leaf: B256) {
        let mut node = leaf;
        for height in 0.. {
            if self.levels.len() == height {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[height];
            level.push(node);
            let count = level.len();
            if count % 2 == 1 {
                return;
            }
            node = parent(level[count - 2], node);
        }
    }

    /// How many headers it covers.
    pub fn leaves(&self) -> u64 {
        self.levels.first().map_or(0, |level| level.len() as u64)
    }

    fn peaks(&self, leaves: u64) -> Vec<B256> {
        let mut start = 0u64;
        let mut peaks = Vec::new();
        for height in (0..u64::BITS).rev() {
            if leaves >> height & 1 == 1 {
                peaks.push(self.levels[height as usize][(start >> height) as usize]);
                start += 1 << height;
            }
        }
        peaks
    }

    /// Proof that header `index` is under the root over the first `leaves` headers; `None` if the
    /// range does not hold that many or `index` is not below `leaves`.
    pub fn prove(&self, index: u64, leaves: u64) -> Option<HistoryProof> {
        if leaves > self.leaves() {
            return None;
        }
        let (height, _, _) = mountain(index, leaves)?;
        let siblings = (0..height)
            .map(|h| self.levels[h as usize][((index >> h) ^ 1) as usize])
            .collect();
        Some(HistoryProof {
            index,
            leaves,
            siblings,
            peaks: self.peaks(leaves),
        })
    }
}

impl HistoryProof {
    /// Checks that `leaf` stands at `self.index` under `want`.
    ///
    /// # Errors
    /// [`HistoryError`] if it does not.
    pub fn verify(&self, leaf: B256, want: B256) -> Result<(), HistoryError> {
        let (height, place, mut within) =
            mountain(self.index, self.leaves).ok_or(HistoryError::OutOfRange {
                index: self.index,
                leaves: self.leaves,
            })?;
        let (want_siblings, want_peaks) = (height as usize, self.leaves.count_ones() as usize);
        if self.siblings.len() != want_siblings || self.peaks.len() != want_peaks {
            return Err(HistoryError::Shape {
                siblings: self.siblings.len(),
                peaks: self.peaks.len(),
                want_siblings,
                want_peaks,
            });
        }
        let mut node = leaf;
        for sibling in &self.siblings {
            node = if within & 1 == 1 {
                parent(*sibling, node)
            } else {
                parent(node, *sibling)
            };
            within >>= 1;
        }
        let mut peaks = self.peaks.clone();
        peaks[place] = node;
        let got = root(self.leaves, &peaks);
        if got == want {
            Ok(())
        } else {
            Err(HistoryError::Root { got, want })
        }
    }
}
