//! Which lane blocks a leader includes, decided again from the rules' words. Imports only `types`.

use cortado_types::{
    B256, L1Ref, LaneEntry, LaneHeader, Namespace, Slot, TimestampMs,
    block::group_hash,
    limits::{CONTEXT_LAG, GRACE_MS},
};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that was ever included, and every L1 head there ever was.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) genesis: TimestampMs,
    pub(super) slot_ms: u64,
    pub(super) included: BTreeMap<Namespace, Vec<LaneHeader>>,
    pub(super) heads: Vec<L1Ref>,
}

impl Model {
    fn end(&self, slot: u64) -> u64 {
        self.genesis.get() + (slot + 1) * self.slot_ms
    }

    /// R6: slot `s` is over when a header with `last` closed it, or by time.
    fn is_over(&self, lanes: &[LaneHeader], slot: u64, time: u64) -> bool {
        let closed = lanes
            .iter()
            .any(|lane| lane.slot == Slot::new(slot) && lane.last);
        closed || time >= self.end(slot) + GRACE_MS
    }

    fn allows(&self, lane: &LaneHeader, time: u64) -> bool {
        let none = Vec::new();
        let lanes = self.included.get(&lane.namespace).unwrap_or(&none);
        let slot = lane.slot.get();
        let begun = time >= self.end(slot) - self.slot_ms;
        let open = begun
            && !self.is_over(lanes, slot, time)
            && lanes.iter().all(|before| before.slot <= lane.slot)
            && (0..slot).all(|before| self.is_over(lanes, before, time));
        let seq = lanes
            .iter()
            .filter(|before| before.slot == lane.slot)
            .count() as u64;
        let parent = lanes.last().map_or(B256::ZERO, LaneHeader::hash);
        let earliest = lanes.last().map_or(0, |before| before.timestamp.get());
        let anchor = self.heads.last().expect("never empty");
        open && lane.seq.get() == seq
            && lane.parent == parent
            && lane.height.get() == lanes.len() as u64 + 1
            && lane.timestamp.get() >= earliest
            && self.heads.contains(&lane.context)
            && anchor.number - lane.context.number <= CONTEXT_LAG
    }

    /// Takes the runs in order, each whole or not at all, leaving out those of `without`.
    fn take(&mut self, runs: &[Vec<LaneEntry>], time: u64, without: &BTreeSet<B256>) -> Vec<B256> {
        let mut taken = Vec::new();
        for run in runs {
            let mut trial = self.clone();
            let certified = run.last().is_some_and(|last| last.certificate.is_some());
            let fits = certified
                && run.iter().all(|entry| {
                    let lane = &entry.lane.header;
                    let fits = !without.contains(&lane.group) && trial.allows(lane, time);
                    trial
                        .included
                        .entry(lane.namespace)
                        .or_default()
                        .push(lane.clone());
                    fits
                });
            if fits {
                taken.extend(run.iter().map(|entry| entry.lane.header.hash()));
                *self = trial;
            }
        }
        taken
    }

    /// The hashes of the lane blocks that a block of time `time` includes, in order.
    pub(super) fn include(&mut self, runs: &[Vec<LaneEntry>], time: TimestampMs) -> Vec<B256> {
        let mut without = BTreeSet::new();
        loop {
            let mut trial = self.clone();
            let taken = trial.take(runs, time.get(), &without);
            let mut groups: BTreeMap<B256, Vec<_>> = BTreeMap::new();
            // By hash: a lane block that two runs offer enters once.
            let lanes = runs.iter().flatten().map(|entry| &entry.lane.header);
            let lanes: BTreeMap<B256, _> = lanes.map(|lane| (lane.hash(), lane)).collect();
            let entered = taken.iter().map(|hash| lanes[hash]);
            for lane in entered.filter(|lane| !lane.group.is_zero()) {
                let member = (lane.namespace, lane.slot, lane.seq, lane.body_root);
                groups.entry(lane.group).or_default().push(member);
            }
            let before = without.len();
            for (group, mut members) in groups {
                members.sort_unstable();
                if group_hash(&members) != group {
                    without.insert(group);
                }
            }
            if without.len() == before {
                *self = trial;
                return taken;
            }
        }
    }
}
