//! The weight: how many of the sync committee were seen to sign a block as head (R9).

use super::Verified;
use crate::{header::TrackedHeader, weight::Weight};
use cortado_types::{B256, L1Ref, limits::L1_TRACKED_HEADERS_MAX};
use std::collections::BTreeMap;

/// Blocks whose participation is kept: as many as may be tracked above `L1fin`.
pub const PROVED_BLOCKS_MAX: usize = L1_TRACKED_HEADERS_MAX;

/// Weight by sync-committee participation: a block weighs the most participants that one verified
/// update proved for it, and nothing without one.
///
/// - A block's weight never falls while it is kept.
/// - At most [`PROVED_BLOCKS_MAX`] blocks are kept, those with the highest numbers.
/// - Only a [`Verified`] adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncParticipation {
    proved: BTreeMap<(u64, B256), u64>,
}

impl SyncParticipation {
    /// Notes what an update proved. Whether that raised the block's weight.
    pub fn record(&mut self, verified: &Verified) -> bool {
        let L1Ref { number, hash } = verified.block();
        let participants = verified.participants() as u64;
        let weight = self.proved.entry((number, hash)).or_default();
        let raised = participants > *weight;
        *weight = participants.max(*weight);
        if self.proved.len() > PROVED_BLOCKS_MAX {
            let lowest = self.proved.pop_first();
            return raised && lowest.is_some_and(|(block, _)| block != (number, hash));
        }
        raised
    }

    /// Forgets the blocks below `number`.
    pub fn forget_below(&mut self, number: u64) {
        self.proved = self.proved.split_off(&(number, B256::ZERO));
    }

    /// How many blocks have a weight.
    pub fn len(&self) -> usize {
        self.proved.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.proved.is_empty()
    }
}

impl Weight for SyncParticipation {
    /// By number and hash: a committee that signs an execution header with a number that is not the
    /// block's own gives the block nothing.
    fn of(&self, header: &TrackedHeader) -> u64 {
        let block = (header.number, header.hash);
        self.proved.get(&block).copied().unwrap_or_default()
    }
}
