//! Following the chain: what is final leaves, what is dead is cut anew, what was before a restart
//! comes back.

use super::{
    Effect, Gateway, GatewayError, Journaled, JournaledLane, Lane, Live, Record,
    record::{Opened, Pushed, Sealed, Voided},
};
use crate::{
    engine::{Derivation, EngineError, Included, outcome_of},
    source::Finalised,
};
use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use cortado_derive::Entry;
use cortado_evm::recover_signer;
use cortado_types::{B256, Bytes, Height, Namespace, TimestampMs, keccak256};
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
            let lost: Vec<_> = lost.chain(fallen).collect();
            if lane.restored.is_some() {
                lane.put_again(lost);
                continue;
            }
            if lane.live.is_empty() && lane.sequencer.open_slot().is_none() {
                lane.sequencer.follow(lane.engine.tip());
                lane.put_again(lost);
                self.place_again(namespace, now)?;
                continue;
            }
            // R6: dead by time, or because another lane block stands in its place.
            let dead = lane
                .live
                .front()
                .is_some_and(|live| lane.sequencer.is_dead(live.header.slot, applied.timestamp));
            if dead || !lane.engine.pending_connects() {
                lane.put_again(lost);
                self.recut(namespace, now)?;
            } else if moved {
                self.refork(namespace, lost, now)?;
            } else {
                lane.put_again(lost);
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
        lane.put_again(fallen);
        Ok(())
    }

    /// Cuts everything pending anew on the finalised tip.
    fn recut(&mut self, namespace: Namespace, now: TimestampMs) -> Result<(), GatewayError> {
        // Whoever reads the journal forgets what stands before this, final lane blocks too.
        self.book.sync()?;
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let transactions = lane.engine.clear_pending();
        tracing::warn!(
            %namespace, lane_blocks = lane.live.len(), transactions = transactions.len(),
            "lane blocks are dead: their slots closed without them; cutting them anew"
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

    /// Whether the L1 contexts of all journaled lane blocks can be judged. Before that
    /// [`Gateway::resume`] would take honest promises for broken ones. Contexts never decrease, so
    /// the last lane block speaks for all.
    pub fn knows_contexts(&self) -> bool {
        self.lanes.values().all(|lane| {
            // What it builds on must be derived, too.
            if !lane.engine.is_ready() {
                return false;
            }
            let last = lane
                .restored
                .as_ref()
                .and_then(|restored| restored.lanes.last());
            last.is_none_or(|last| lane.engine.knows(&last.header.context))
        })
    }

    /// Takes up work: the chain is caught up with, so what the journal holds either is final, or
    /// stands on the tip and goes on, or is dead and is cut anew.
    ///
    /// # Errors
    /// If a rollup fails.
    pub fn resume(&mut self, now: TimestampMs) -> Result<(), GatewayError> {
        for namespace in self.namespaces().collect::<Vec<_>>() {
            let lane = self.lanes.get_mut(&namespace).expect("from the map");
            let Some(Journaled { lanes, .. }) = lane.restored.take() else {
                continue;
            };
            let (mut pending, mut done) = (Vec::new(), Vec::new());
            for journaled in lanes {
                let is_final = lane.is_final(&journaled)?;
                if is_final { &mut done } else { &mut pending }.push(journaled);
            }
            self.archive_final(&done)?;
            self.effects.push(Effect::Voided(namespace));
            let lane = self.lanes.get_mut(&namespace).expect("from the map");
            lane.sequencer.follow(lane.engine.tip());
            if self.fresh && lane.engine.tip().height > Height::ZERO {
                // The journal is new and the chain is not: whatever this key signed before it was
                // lost was for the present slot and the next at most.
                lane.sequencer.stay_silent(now);
            }
            let lost = lane.without_place(&done, &pending)?;
            lane.put_again(lost);
            let mut stands = pending
                .first()
                .is_none_or(|first| first.header.parent == lane.engine.tip().hash);
            let mut restored = 0;
            while stands && restored < pending.len() {
                stands = self.restore(namespace, &pending[restored], now)?;
                restored += usize::from(stands);
            }
            let lane = self.lanes.get_mut(&namespace).expect("as above");
            if !stands {
                // Its promises cannot be kept as they are: cut everything anew.
                let rest = pending[restored..]
                    .iter()
                    .flat_map(|journaled| &journaled.transactions)
                    .filter_map(|(raw, _)| included(raw));
                lane.put_again(rest);
                self.recut(namespace, now)?;
            } else if !lane.engine.pending_fallen().is_empty() {
                // L1 changed forks while this was away.
                self.refork(namespace, Vec::new(), now)?;
            }
        }
        Ok(())
    }

    /// Puts the promises of final lane blocks that the database of promises lost into it again: it
    /// is made durable less often than the journal, which has them all.
    fn archive_final(&mut self, done: &[JournaledLane]) -> Result<(), GatewayError> {
        let mut archived = Vec::new();
        for journaled in done {
            let live = Live {
                header: journaled.header.clone(),
                l2_parent: journaled.l2_parent,
                outcomes: journaled
                    .transactions
                    .iter()
                    .map(|(raw, outcome)| (keccak256(raw), *outcome))
                    .collect(),
                signed: None,
                offered: None,
            };
            for (index, (hash, _)) in (0..).zip(&live.outcomes) {
                if self.book.get(hash)?.is_none() {
                    let promises = *super::place::promises(&self.config, &live, index);
                    let digests = promises.map(|promise| promise.digest());
                    let mut signatures = digests.iter().map(|digest| self.signer.sign(*digest));
                    let next = || signatures.next().expect("one for each digest");
                    let promises = super::signed(promises, next);
                    self.book.insert(*hash, promises);
                    archived.push(*hash);
                }
            }
        }
        Ok(self.book.archive(&archived)?)
    }

    /// Executes a journaled lane block again and signs the same promises again. `false`: it does
    /// not execute as promised, and nothing has been signed for it by this call.
    fn restore(
        &mut self,
        namespace: Namespace,
        journaled: &JournaledLane,
        now: TimestampMs,
    ) -> Result<bool, GatewayError> {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let header = &journaled.header;
        let l2_parent = lane.engine.l2_parent().map(|parent| parent.hash());
        let l2_parent = l2_parent.unwrap_or_default();
        let moved = !lane.engine.is_on_fork(&header.context) || l2_parent != journaled.l2_parent;
        let mut stands = true;
        if moved && !journaled.transactions.is_empty() {
            // L1 changed forks since: it goes on as it was promised, whatever has an effect of it now.
            let transactions = journaled.transactions.iter();
            let transactions: Vec<_> = transactions.filter_map(|(raw, _)| included(raw)).collect();
            stands = transactions.len() == journaled.transactions.len();
            lane.engine
                .adopt_lane(header.clone(), self.signer.address(), transactions);
        } else {
            lane.engine.open_lane(header.clone(), self.signer.address());
            for (raw, outcome) in &journaled.transactions {
                let executed = included(raw).map(|included| lane.engine.push(included));
                stands &= matches!(&executed, Some(Ok(done)) if outcome_of(done) == *outcome);
            }
        }
        // What was promised named the parent of then.
        let l2_parent = journaled.l2_parent;
        lane.live.push_back(Live {
            header: header.clone(),
            l2_parent,
            outcomes: Vec::new(),
            signed: None,
            offered: None,
        });
        if !stands {
            tracing::error!(
                %namespace, height = %header.height,
                "a journaled lane block does not execute as promised"
            );
            lane.engine.discard_lane();
            lane.live.pop_back();
            return Ok(false);
        }
        let place = super::Place {
            slot: header.slot,
            seq: header.seq,
            height: header.height,
            parent: header.parent,
            timestamp: header.timestamp,
        };
        lane.sequencer.opened(&place, now);
        self.effects.push(Effect::Opened(header.clone()));
        for (raw, outcome) in &journaled.transactions {
            let lane = self.lanes.get_mut(&namespace).expect("as above");
            let Some(included) = included(raw) else {
                continue;
            };
            let live = lane.live.back_mut().expect("pushed above");
            let index = live.outcomes.len() as u64;
            live.outcomes.push((included.hash(), *outcome));
            lane.known.insert(included.hash(), header.height.get());
            lane.sequencer.pushed(1);
            let promises = super::place::promises(&self.config, live, index);
            let raw = raw.clone();
            self.effects.push(Effect::Promise {
                namespace,
                raw,
                promises,
                ticket: None,
            });
        }
        if journaled.sealed {
            let lane = self.lanes.get_mut(&namespace).expect("as above");
            lane.engine.seal_lane(header.clone())?;
            lane.sequencer.sealed(header);
            self.effects.push(Effect::Sealed(header.clone()));
        }
        self.lanes.get_mut(&namespace).expect("as above").recount();
        Ok(true)
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

    /// Transactions of final lane blocks that have no effect and are in no other one: L1 changed forks
    /// while this was away.
    fn without_place(
        &self,
        done: &[JournaledLane],
        pending: &[JournaledLane],
    ) -> Result<Vec<Included>, GatewayError> {
        let placed = pending.iter().flat_map(|lane| &lane.transactions);
        let placed: BTreeSet<_> = placed.map(|(raw, _)| keccak256(raw)).collect();
        let mut lost = Vec::new();
        for (raw, _) in done.iter().flat_map(|lane| &lane.transactions) {
            let hash = keccak256(raw);
            let stands = self.engine.store().transaction(&hash);
            if !placed.contains(&hash) && stands.map_err(EngineError::from)?.is_none() {
                lost.extend(included(raw));
            }
        }
        Ok(lost)
    }

    /// Forgets what is pending.
    fn void(&mut self) {
        self.live.clear();
        self.known.clear();
        self.bytes = 0;
    }

    fn recount(&mut self) {
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

    /// Whether a journaled lane block is in the finalised chain.
    fn is_final(&self, journaled: &JournaledLane) -> Result<bool, GatewayError> {
        let row = self.engine.lane(journaled.header.height)?;
        Ok(journaled.sealed && row.is_some_and(|row| row.hash == journaled.header.hash()))
    }
}

/// A raw transaction with its sender.
fn included(raw: &Bytes) -> Option<Included> {
    let transaction = TxEnvelope::decode_2718_exact(raw).ok()?;
    let signer = recover_signer(&transaction).ok()?;
    Some(Included {
        raw: raw.clone(),
        transaction: Recovered::new_unchecked(transaction, signer),
    })
}
