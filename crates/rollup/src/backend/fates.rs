//! What became of transactions beside the chain: fallen, lost to another L1 fork, placed again.

use crate::engine::{Derivation, Reorg};
use cortado_types::{B256, L1Ref};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Transactions whose fate is remembered beside the chain. The oldest are forgotten.
const REMEMBERED_MAX: usize = 65_536;

/// A map that forgets its oldest entries.
#[derive(Debug)]
pub(super) struct Recent<T> {
    /// With the turn in which each came.
    entries: BTreeMap<B256, (u64, T)>,
    order: BTreeMap<u64, B256>,
    turn: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            turn: 0,
        }
    }
}

impl<T> Recent<T> {
    pub(super) fn insert(&mut self, hash: B256, value: T) {
        self.turn += 1;
        let turn = self.entries.get(&hash).map_or(self.turn, |(turn, _)| *turn);
        self.entries.insert(hash, (turn, value));
        self.order.insert(turn, hash);
        if self.order.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(super) fn get(&self, hash: &B256) -> Option<&T> {
        self.entries.get(hash).map(|(_, value)| value)
    }

    fn get_mut(&mut self, hash: &B256) -> Option<&mut T> {
        self.entries.get_mut(hash).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, hash: &B256) {
        if let Some((turn, _)) = self.entries.remove(hash) {
            self.order.remove(&turn);
        }
    }
}

/// A change of L1 fork that took a transaction out of its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LostPlace {
    /// Number of the L2 block in which it was.
    pub block_number: u64,
    /// Why it is not there any more.
    pub reason: String,
    /// The end of the L1 fork that was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<L1Ref>,
}

/// What L1 reorgs did since this node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReorgCounts {
    /// Changes of L1 fork.
    pub reorgs: u64,
    /// Times that a transaction of a derived block lost its place.
    pub dropped: u64,
    /// Times that one kept it although its block was derived again.
    pub survived: u64,
    /// Transactions that lost their place and have another.
    pub reexecuted: u64,
}

/// Fates of transactions.
#[derive(Debug, Default)]
pub(super) struct Fates {
    fallen: Recent<String>,
    lost: Recent<(LostPlace, bool)>,
    pub(super) counts: ReorgCounts,
}

impl Fates {
    /// It will have no effect.
    pub(super) fn fall(&mut self, hash: B256, reason: String) {
        self.fallen.insert(hash, reason);
    }

    /// It has a place again.
    pub(super) fn stand(&mut self, hash: &B256) {
        self.fallen.remove(hash);
    }

    /// Why it has no effect.
    pub(super) fn fallen(&self, hash: &B256) -> Option<&String> {
        self.fallen.get(hash)
    }

    /// The place that it lost last.
    pub(super) fn lost(&self, hash: &B256) -> Option<&LostPlace> {
        self.lost.get(hash).map(|(place, _)| place)
    }

    /// Takes in what was derived; `left` is the end of the L1 fork before, if that changed.
    pub(super) fn take(&mut self, derivation: &Derivation, left: Option<L1Ref>) {
        self.counts.reorgs += u64::from(left.is_some());
        if let Some(reorg) = &derivation.reorg {
            self.reorg(reorg, left);
        }
        for lane in &derivation.lanes {
            for fallen in &lane.fallen {
                self.fall(fallen.hash, fallen.reason.clone());
            }
            for transaction in lane.block.iter().flat_map(|block| &block.transactions) {
                self.count_again(transaction.tx_hash());
            }
        }
    }

    fn reorg(&mut self, reorg: &Reorg, left: Option<L1Ref>) {
        self.counts.dropped += reorg.lost.len() as u64;
        self.counts.survived += reorg.survived as u64;
        for lost in &reorg.lost {
            let place = LostPlace {
                block_number: lost.number,
                reason: lost.reason.clone(),
                left,
            };
            let hash = lost.included.hash();
            self.fall(hash, lost.reason.clone());
            self.lost.insert(hash, (place, false));
        }
        for hash in reorg.undecided.iter().flat_map(|(_, hashes)| hashes) {
            let reason = "its lane block waits until it is known what L1 queued on this fork";
            self.fall(*hash, reason.to_owned());
        }
        // A fork that came back brings back what was on it.
        for transaction in reorg.added.iter().flat_map(|block| &block.transactions) {
            self.count_again(transaction.tx_hash());
        }
    }

    fn count_again(&mut self, hash: &B256) {
        self.fallen.remove(hash);
        if let Some((_, again)) = self.lost.get_mut(hash)
            && !*again
        {
            *again = true;
            self.counts.reexecuted += 1;
        }
    }
}
