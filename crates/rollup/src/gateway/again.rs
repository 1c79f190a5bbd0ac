//! Transactions that lost their place: their lane block died, or L1 changed forks under them. They are
//! placed and promised anew (R21), a few at a time, so that nobody waits behind all of them.

use super::{Effect, Gateway, GatewayError, Lane, Record, record::Waiting};
use crate::engine::{Engine, EngineError, Included, PushError};
use alloy_consensus::Transaction;
use cortado_derive::{Ethereum, References};
use cortado_evm::TxRejection;
use cortado_types::{Address, B256, Namespace, TimestampMs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Transactions placed again before others get their turn: some milliseconds of execution.
pub const AGAIN_PER_TICK_MAX: usize = 256;

/// What waits to be placed again.
#[derive(Debug, Default)]
pub(super) struct Again {
    waiting: VecDeque<Included>,
    hashes: BTreeSet<B256>,
}

impl Again {
    fn pop(&mut self) -> Option<Included> {
        let included = self.waiting.pop_front()?;
        self.hashes.remove(&included.hash());
        Some(included)
    }

    fn push_front(&mut self, included: Included) {
        if self.hashes.insert(included.hash()) {
            self.waiting.push_front(included);
        }
    }

    /// Forgets those that have a place after all.
    pub(super) fn forget(&mut self, placed: &BTreeSet<B256>) {
        self.waiting
            .retain(|included| !placed.contains(&included.hash()));
        self.hashes.retain(|hash| !placed.contains(hash));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// How old what a transaction refers to is: the number of the L1 block, which is lower the less likely
/// it is to be lost. Without a reference, later than any.
pub(super) fn reference_rank(engine: &Engine, included: &Included) -> u64 {
    let references = Ethereum.references(&included.raw);
    let oldest = references
        .iter()
        .filter_map(|hash| engine.l1_number(hash))
        .min();
    oldest.unwrap_or(u64::MAX)
}

impl Lane {
    /// Whether a transaction tips enough for the finality that its place has: `(offered, asked)` if
    /// not, in wei per gas.
    pub(super) fn underpriced(&self, included: &Included) -> Option<(u128, u128)> {
        let (tips, fin) = (self.engine.spec().tips, self.engine.l1_fin());
        let is_final = reference_rank(&self.engine, included) <= fin.number;
        let asked = u128::from(match is_final {
            true => tips.unconditional_wei,
            false => tips.conditional_wei,
        });
        let transaction = &included.transaction;
        let tip = transaction.max_priority_fee_per_gas();
        let offered = tip.unwrap_or_else(|| transaction.max_fee_per_gas());
        (offered < asked).then_some((offered, asked))
    }

    /// Writes down transactions of final lane blocks that lost their place: the journal may not have them
    /// any more.
    pub(super) fn write_down(&self, records: &mut Vec<u8>, transactions: &[Included]) {
        for included in transactions {
            let waiting = Waiting {
                namespace: self.engine.namespace(),
                raw: included.raw.clone(),
            };
            super::record(records, Record::Waiting(waiting));
        }
    }

    /// What has no place and is not given up: behind a fork, or behind a nonce.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Included> {
        self.again.waiting.iter().chain(self.queue.iter())
    }

    /// Puts transactions that the journal has on the list of what is placed again: early references
    /// first, since they stand on any fork that is likely, then by nonce.
    pub(super) fn put_again(&mut self, transactions: impl IntoIterator<Item = Included>) {
        for included in transactions {
            if self.again.hashes.insert(included.hash()) {
                self.again.waiting.push_back(included);
            }
        }
        let engine = &self.engine;
        self.again
            .waiting
            .make_contiguous()
            .sort_by_cached_key(|included| {
                (
                    reference_rank(engine, included),
                    included.transaction.nonce(),
                )
            });
    }
}

impl Gateway {
    /// Puts submissions with early references first: they have the stronger finality. What one sender
    /// sent keeps its order, and so do senders that differ in nothing.
    pub fn early_references_first<T>(
        &self,
        batch: &mut [T],
        of: impl Fn(&T) -> (Namespace, &Included),
    ) {
        let mut ranks: BTreeMap<(Namespace, Address), u64> = BTreeMap::new();
        for one in &*batch {
            let (namespace, included) = of(one);
            let Some(lane) = self.lanes.get(&namespace) else {
                continue;
            };
            let rank = reference_rank(&lane.engine, included);
            let least = ranks
                .entry((namespace, included.transaction.signer()))
                .or_insert(rank);
            *least = rank.min(*least);
        }
        if ranks.values().any(|rank| *rank < u64::MAX) {
            batch.sort_by_key(|one| {
                let (namespace, included) = of(one);
                ranks
                    .get(&(namespace, included.transaction.signer()))
                    .copied()
            });
        }
    }

    /// Places some of the transactions that lost their place; one that has become invalid is dropped
    /// and says why (R21). Whether there is more to do at once.
    ///
    /// # Errors
    /// If a rollup fails.
    pub(super) fn place_again(
        &mut self,
        namespace: Namespace,
        now: TimestampMs,
    ) -> Result<bool, GatewayError> {
        for _ in 0..AGAIN_PER_TICK_MAX {
            let lane = self
                .lanes
                .get_mut(&namespace)
                .expect("checked by the callers");
            if !lane.engine.is_ready() {
                return Ok(false);
            }
            let Some(included) = lane.again.pop() else {
                return Ok(false);
            };
            let (hash, sender) = (included.hash(), included.transaction.signer());
            let error = match self.place(namespace, included.clone(), None, now)? {
                Ok(()) => {
                    self.drain_queue(namespace, sender, now)?;
                    continue;
                }
                Err(error) => error,
            };
            let lane = self.lanes.get_mut(&namespace).expect("as above");
            lane.known.remove(&hash);
            let stands = lane.engine.store().transaction(&hash);
            if stands.map_err(EngineError::from)?.is_some() {
                // The fork on which it has its first place is back.
                continue;
            }
            match error {
                PushError::NotOpen => {
                    lane.again.push_front(included);
                    return Ok(false);
                }
                // One before it is still to be placed.
                PushError::Rejected(error @ TxRejection::NonceTooHigh { .. })
                    if lane.queue.insert(included, now).is_ok() =>
                {
                    let reason = format!("it lost its place, and waits for one before it: {error}");
                    self.effects.push(Effect::Dropped {
                        namespace,
                        hash,
                        reason,
                    });
                }
                error => {
                    let reason = format!("it lost its place, and cannot have another: {error}");
                    self.give_up(namespace, hash, reason);
                }
            }
        }
        let lane = self.lanes.get(&namespace).expect("as above");
        Ok(!lane.again.is_empty())
    }

    /// L1 changed forks. What is pending was promised on the other one: the open lane block is closed as
    /// promised, and whatever has no effect there any more, or waits since it had none in final ones, is
    /// promised anew in lane blocks that build on the new fork. The old promises are excused (R21):
    /// they name a context that is off the fork.
    pub(super) fn refork(
        &mut self,
        namespace: Namespace,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        if !lane.withdraw_empty() {
            self.seal(namespace, false)?;
        }
        let lane = self.lanes.get_mut(&namespace).expect("as above");
        let fallen = lane.engine.pending_fallen();
        lane.put_again(fallen.into_iter().map(|(included, _)| included));
        tracing::warn!(
            %namespace, transactions = lane.again.waiting.len(),
            "L1 changed forks: what lost its place is placed again"
        );
        self.place_again(namespace, now)?;
        Ok(())
    }
}
