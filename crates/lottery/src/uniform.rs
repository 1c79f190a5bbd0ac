//! Randomness: the beacon, one seed per slot, and exactly uniform integers from a seed.

use core::fmt;

use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// Tag of the draws of a slot.
pub const DRAW_TAG: &[u8] = b"KOL1/draw";
/// Tag of the standby draws of a slot.
pub const STANDBY_TAG: &[u8] = b"KOL1/standby";
const SLOT_TAG: &[u8] = b"KOL1/slot";

/// The beacon of an epoch: unpredictable before the reveals are final (R16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beacon(pub [u8; 32]);

/// The seed of one slot, `SHA256("KOL1/slot" ‖ beacon ‖ slot)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// The seed of `slot` under the beacon of its epoch.
    pub fn derive(beacon: Beacon, slot: u64) -> Self {
        Self(
            Sha256::new()
                .chain_update(SLOT_TAG)
                .chain_update(beacon.0)
                .chain_update(slot.to_be_bytes())
                .finalize()
                .into(),
        )
    }
}

impl fmt::Display for Beacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// An exactly uniform integer in `[0, bound)` for draw `k` of a slot.
///
/// One hash in all but a fraction `bound / 2^128` of the cases (less than 2^-30 for any total of
/// stakes).
///
/// # Panics
/// If `bound` is zero: there is nothing to draw from, and every caller checks that first.
pub fn uniform(tag: &[u8], seed: Seed, k: u32, bound: u128) -> u128 {
    assert!(bound > 0, "a draw needs a positive bound");
    (0u32..)
        .find_map(|counter| {
            let hash = Sha256::new()
                .chain_update(tag)
                .chain_update(seed.0)
                .chain_update(k.to_be_bytes())
                .chain_update(counter.to_be_bytes())
                .finalize();
            let (head, _) = hash.split_at(16);
            reduce(
                u128::from_be_bytes(head.try_into().expect("16 of 32 bytes")),
                bound,
            )
        })
        .expect("2^32 rejections in a row have a chance below 2^-2^32")
}

/// `x mod bound`, or `None` for the topmost `2^128 mod bound` values of `x`, which would make the
/// small residues likelier.
fn reduce(x: u128, bound: u128) -> Option<u128> {
    // Fewer than `bound` values are refused, so nearly every x needs only one division. The
    // negation is `2^128 − bound`, which leaves the same remainder as `2^128`.
    let refused = x > u128::MAX - bound && x > u128::MAX - bound.wrapping_neg() % bound;
    (!refused).then(|| x % bound)
}
