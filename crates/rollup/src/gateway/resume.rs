//! Coming back after a restart: what the journal has is final, or goes on, or is placed again.

use super::{
    Effect, Gateway, GatewayError, Journaled, JournaledLane, Lane, Live, follow::included,
};
use crate::engine::{EngineError, Included, outcome_of};
use cortado_types::{B256, Height, Namespace, TimestampMs, keccak256};
use std::collections::BTreeSet;

impl Gateway {
    /// Whether all journaled lane blocks that are not final can be executed. Before that [`Gateway::resume`] would take honest
    /// promises for broken ones: what was told of L1 before a kill may have to be told again.
    pub fn can_resume(&self) -> bool {
        self.lanes.values().all(|lane| {
            let journaled = lane.restored.iter().flat_map(|restored| &restored.lanes);
            let tip = lane.engine.tip().height;
            let pending = journaled.filter(|journaled| journaled.header.height > tip);
            let mut contexts = pending.map(|journaled| &journaled.header.context);
            // What they build on must be derived, too.
            lane.engine.is_ready() && contexts.all(|context| lane.engine.can_execute_on(context))
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
            let Some(mut from_journal) = lane.restored.take() else {
                continue;
            };
            let (mut pending, mut done) = (Vec::new(), Vec::new());
            for journaled in std::mem::take(&mut from_journal.lanes) {
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
            let placed = pending.iter().flat_map(|lane| &lane.transactions);
            let placed = placed.map(|(raw, _)| keccak256(raw)).collect();
            let lost = lane.without_place(&from_journal, &done, &placed)?;
            // Blocks that were applied before may have taken the first place from what has another.
            lane.again.forget(&placed);
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
                let why = "they do not stand as the journal has them";
                self.recut(namespace, why, now)?;
            } else if !lane.engine.pending_fallen().is_empty() {
                // L1 changed forks while this was away.
                self.refork(namespace, now)?;
            }
        }
        Ok(())
    }

    /// Puts the promises of final lane blocks that the database of promises lost into it again: it
    /// is made durable less often than the journal, which has them all.
    fn archive_final(&mut self, done: &[JournaledLane]) -> Result<(), GatewayError> {
        let mut archived = Vec::new();
        for journaled in done {
            let transactions = journaled.transactions.iter();
            let outcomes = transactions.map(|(raw, outcome)| (keccak256(raw), *outcome));
            let mut live = Live::opened(journaled.header.clone(), journaled.l2_parent);
            live.outcomes = outcomes.collect();
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
        lane.live.push_back(Live::opened(header.clone(), l2_parent));
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
}

impl Lane {
    /// Transactions that were acknowledged and are in no lane block in which they have an effect: those that
    /// waited, and those of final lane blocks, since L1 may have changed forks while this was away.
    fn without_place(
        &self,
        journaled: &Journaled,
        done: &[JournaledLane],
        placed: &BTreeSet<B256>,
    ) -> Result<Vec<Included>, GatewayError> {
        let done = done.iter().flat_map(|lane| &lane.transactions);
        let done = done.map(|(raw, _)| (keccak256(raw), raw));
        let waiting = journaled.waiting.iter().map(|(hash, raw)| (*hash, raw));
        let mut lost = Vec::new();
        for (hash, raw) in waiting.chain(done) {
            if placed.contains(&hash) || journaled.dropped.contains(&hash) {
                continue;
            }
            let stands = self.engine.store().transaction(&hash);
            if stands.map_err(EngineError::from)?.is_none() {
                lost.extend(included(raw));
            }
        }
        Ok(lost)
    }

    /// Whether a journaled lane block is in the finalised chain.
    fn is_final(&self, journaled: &JournaledLane) -> Result<bool, GatewayError> {
        let row = self.engine.lane(journaled.header.height)?;
        Ok(journaled.sealed && row.is_some_and(|row| row.hash == journaled.header.hash()))
    }
}
