//! Following the chain: what is final leaves, what is dead is cut anew.

use super::{
    Effect, Gateway, GatewayError, Lane, Record,
    record::{Opened, Pushed, Sealed, Voided, Waiting},
};
use crate::{
    engine::{Derivation, Included},
    source::Finalised,
};
use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use cortado_derive::Entry;
use cortado_evm::recover_signer;
use cortado_types::{B256, Bytes, Namespace, TimestampMs};
use std::collections::BTreeSet;

impl Gateway {
    /// Applies a finalised block to every rollup that has not seen it. Lane blocks that can no
    /// longer enter are re-cut: their transactions, in the same order, go to new places and are
    /// promised anew. Call [`Gateway::commit`] first, so that nobody is answered with a promise that
    /// this block voids.
    ///
    /// # Errors
    /// If a rollup fails.
    pub fn apply(&mut self, finalised: &Finalised, now: TimestampMs) -> Result<(), GatewayError> {
        let height = finalised.block().header.height;
        for namespace in self.namespaces().collect::<Vec<_>>() {
            let lane = self.lanes.get_mut(&namespace).expect("from the map");
            if lane.engine.next_height() > height {
                continue;
            }
            let applied = lane.engine.apply(finalised)?;
            lane.engine.publish()?;
            let mut archived = Vec::new();
            let mut pruned = 0;
            for hash in &applied.included {
                let ours = lane
                    .live
                    .front()
                    .is_some_and(|live| live.signed.is_some() && live.header.hash() == *hash);
                if ours && let Some(live) = lane.live.pop_front() {
                    pruned += 1;
                    let height = live.header.height.get();
                    let mut own = BTreeSet::new();
                    for (hash, _) in live.outcomes {
                        // It may have been placed again since.
                        if lane.known.get(&hash) == Some(&height) {
                            lane.known.remove(&hash);
                            archived.push(hash);
                            own.insert(hash);
                        }
                    }
                    lane.undecided.insert(height, own);
                    lane.sequencer.included();
                }
            }
            lane.recount();
            lane.feed.prune(pruned);
            self.book.archive(&archived)?;
            let lane = self.lanes.get_mut(&namespace).expect("from the map");
            let moved = applied.left.is_some() || applied.derivation.reorg.is_some();
            let undecided = applied.derivation.reorg.iter();
            for (height, hashes) in undecided.flat_map(|reorg| reorg.undecided.clone()) {
                let known = lane.undecided.entry(height.get()).or_default();
                known.extend(hashes);
            }
            let fallen = lane.fallen(&applied.derivation);
            let lost = applied.derivation.reorg.map(|reorg| reorg.lost);
            let lost = lost.into_iter().flatten().map(|lost| lost.included);
            let mut lost: Vec<_> = lost.chain(fallen).collect();
            if let Some(journaled) = &lane.restored {
                // This block came before the restart, too.
                lost.retain(|included| !journaled.dropped.contains(&included.hash()));
            }
            lane.write_down(&mut self.records, &lost);
            lane.put_again(lost);
            if lane.restored.is_some() {
                continue;
            }
            if lane.live.is_empty() && lane.sequencer.open_slot().is_none() {
                lane.sequencer.follow(lane.engine.tip());
                self.place_again(namespace, now)?;
                continue;
            }
            // R6: dead by time, or because another lane block stands in its place.
            let dead = lane
                .live
                .front()
                .is_some_and(|live| lane.sequencer.is_dead(live.header.slot, applied.timestamp));
            if dead || !lane.engine.pending_connects() {
                let why = match dead {
                    true => "their slots closed without them",
                    false => "they do not follow the last final lane block",
                };
                self.recut(namespace, why, now)?;
            } else if moved {
                self.refork(namespace, now)?;
            }
        }
        Ok(())
    }

    /// Takes in what an L1 block queued. What waited for it goes on.
    ///
    /// # Errors
    /// If a rollup fails.
    pub fn tell_queue(
        &mut self,
        namespace: Namespace,
        block: B256,
        entries: Vec<Entry>,
    ) -> Result<(), GatewayError> {
        let Some(lane) = self.lanes.get_mut(&namespace) else {
            return Ok(());
        };
        let derivation = lane.engine.tell_queue(block, entries)?;
        lane.engine.publish()?;
        let fallen = lane.fallen(&derivation);
        lane.write_down(&mut self.records, &fallen);
        lane.put_again(fallen);
        Ok(())
    }

    /// Cuts everything pending anew on the finalised tip.
    pub(super) fn recut(
        &mut self,
        namespace: Namespace,
        why: &'static str,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        // Whoever reads the journal forgets what stands before this, final lane blocks too.
        self.book.sync()?;
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let transactions = lane.engine.clear_pending();
        tracing::warn!(
            %namespace, lane_blocks = lane.live.len(), transactions = transactions.len(),
            why, "lane blocks are dead, cutting them anew"
        );
        lane.void();
        lane.sequencer.recut(lane.engine.tip(), now);
        let (floor, unsigned) = (lane.sequencer.floor(), lane.sequencer.unsigned());
        super::record(
            &mut self.records,
            Record::Voided(Voided {
                namespace,
                floor,
                unsigned,
            }),
        );
        self.effects.push(Effect::Voided(namespace));
        lane.put_again(transactions);
        self.place_again(namespace, now)?;
        Ok(())
    }

    /// Starts a new segment of the journal that begins with all that is pending. Promises of final
    /// lane blocks are made durable first, they leave the journal.
    ///
    /// # Errors
    /// If a disk fails.
    pub fn roll(&mut self) -> Result<(), GatewayError> {
        // What the journal drops as final must be final after a crash too.
        self.persist()?;
        let mut checkpoint = Vec::new();
        for (namespace, lane) in &self.lanes {
            let (floor, unsigned) = (lane.sequencer.floor(), lane.sequencer.unsigned());
            super::record(
                &mut checkpoint,
                Record::Voided(Voided {
                    namespace: *namespace,
                    floor,
                    unsigned,
                }),
            );
            for included in lane.waiting() {
                let (namespace, raw) = (*namespace, included.raw.clone());
                let waiting = Waiting { namespace, raw };
                super::record(&mut checkpoint, Record::Waiting(waiting));
            }
            for (live, pending) in lane.live.iter().zip(lane.engine.pending()) {
                let (header, l2_parent) = (live.header.clone(), live.l2_parent);
                super::record(
                    &mut checkpoint,
                    Record::Opened(Opened {
                        header: header.clone(),
                        l2_parent,
                    }),
                );
                for (included, (_, outcome)) in pending.transactions.iter().zip(&live.outcomes) {
                    let (raw, outcome) = (included.raw.clone(), *outcome);
                    let namespace = *namespace;
                    super::record(
                        &mut checkpoint,
                        Record::Pushed(Pushed {
                            namespace,
                            raw,
                            outcome,
                        }),
                    );
                }
                if pending.sealed.is_some() {
                    super::record(&mut checkpoint, Record::Sealed(Sealed { header }));
                }
            }
        }
        self.journal.roll(&checkpoint)?;
        Ok(())
    }

    /// Makes what was applied durable.
    ///
    /// # Errors
    /// If a disk fails.
    pub fn persist(&mut self) -> Result<(), GatewayError> {
        self.book.sync()?;
        for lane in self.lanes.values_mut() {
            lane.engine.persist()?;
        }
        Ok(())
    }
}

impl Lane {
    /// What has no effect of our lane blocks that are derived now, and has no other place: L1 changed
    /// forks between their promises and their finality.
    fn fallen(&mut self, derivation: &Derivation) -> Vec<Included> {
        let mut again = Vec::new();
        for lane in &derivation.lanes {
            let height = lane.lane.header.height.get();
            let Some(own) = self.undecided.remove(&height) else {
                continue;
            };
            let fallen = lane.fallen.iter();
            let fallen = fallen.filter(|fallen| own.contains(&fallen.hash));
            again.extend(fallen.filter_map(|fallen| included(&fallen.raw)));
        }
        again
    }

    /// Forgets what is pending.
    fn void(&mut self) {
        self.live.clear();
        self.known.clear();
        self.bytes = 0;
    }

    pub(super) fn recount(&mut self) {
        let pending = self.engine.pending();
        self.bytes = pending
            .map(|lane| {
                lane.transactions
                    .iter()
                    .map(|tx| tx.raw.len())
                    .sum::<usize>()
            })
            .sum();
    }
}

/// A raw transaction with its sender.
pub(super) fn included(raw: &Bytes) -> Option<Included> {
    let transaction = TxEnvelope::decode_2718_exact(raw).ok()?;
    let signer = recover_signer(&transaction).ok()?;
    Some(Included {
        raw: raw.clone(),
        transaction: Recovered::new_unchecked(transaction, signer),
    })
}
