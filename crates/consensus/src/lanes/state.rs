//! Decide about lane blocks. No clock, no disk, no network: all three come in as arguments.

use super::ingress::Offer;
use cortado_chain::{LaneRejection, State, check_lane, check_place};
use cortado_preconf::LaneEquivocation;
use cortado_types::{
    Address, B256, Block, Height, LaneEntry, Namespace, QuorumCertificate, Seq, SignedLaneHeader,
    Slot, TimestampMs,
    limits::{DRIFT_MS, GRACE_MS, LANES_PER_BLOCK_MAX},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use thiserror::Error;

/// Lane blocks of one namespace in one block: a quarter of the block, so that a namespace that
/// fell behind leaves room for others.
const RUN_LENGTH_MAX: usize = LANES_PER_BLOCK_MAX / 4;

/// Lane blocks that may wait for inclusion in one namespace. A proposer that cuts one every 20 ms
/// fills a two-second slot with a hundred.
const PENDING_PER_NAMESPACE_MAX: usize = 1_024;

/// What to do with a lane block that arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New and in order: check the body, store it, then acknowledge.
    New {
        /// Who signed it.
        signer: Address,
    },
    /// Already here.
    Known {
        /// Whether it is on disk and acknowledged by this seat.
        acknowledged: bool,
    },
    /// Its signer signed another header for the same place (R21).
    Equivocation(Box<LaneEquivocation>),
}

/// Why a lane block is not taken now.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// It breaks a rule of the chain.
    #[error(transparent)]
    Lane(#[from] LaneRejection),
    /// R6a: no acknowledgement after the slot's end by this seat's clock.
    #[error("slot {slot} ended at {end} ms, it is {now} ms")]
    SlotOver {
        /// Its slot.
        slot: Slot,
        /// When that ended, ms.
        end: TimestampMs,
        /// This seat's clock, ms.
        now: TimestampMs,
    },
    /// Its slot has not begun, even allowing for drift.
    #[error("slot {slot} begins at {start} ms, it is {now} ms")]
    SlotAhead {
        /// Its slot.
        slot: Slot,
        /// When that begins, ms.
        start: TimestampMs,
        /// This seat's clock, ms.
        now: TimestampMs,
    },
    /// An ancestor is missing; the proposer sends it again.
    #[error("parent {parent} of lane block {height} is not held")]
    UnknownParent {
        /// The missing parent.
        parent: B256,
        /// Number of the refused lane block.
        height: Height,
    },
    /// It does not follow the parent that it names.
    #[error("lane block {height} (slot {slot}, seq {seq}) does not follow its parent")]
    Misplaced {
        /// Its number.
        height: Height,
        /// Its slot.
        slot: Slot,
        /// Its position in the slot.
        seq: Seq,
    },
    /// R6a: the slot's share of this seat's disk is used up.
    #[error(
        "{used} bytes of namespace {namespace} in slot {slot} are held, {size} more would pass the limit of {limit}"
    )]
    Quota {
        /// Its namespace.
        namespace: Namespace,
        /// Its slot.
        slot: Slot,
        /// Bytes held.
        used: u64,
        /// Bytes it would add.
        size: u64,
        /// The limit, bytes.
        limit: u64,
    },
    /// Too many wait for inclusion.
    #[error(
        "{pending} lane blocks of namespace {namespace} wait for inclusion, the limit is {PENDING_PER_NAMESPACE_MAX}"
    )]
    Backlog {
        /// Its namespace.
        namespace: Namespace,
        /// How many wait.
        pending: usize,
    },
}

/// One (namespace, slot, seq, signer): at most one header stands here (R6a).
type Place = (Namespace, Slot, Seq, Address);

#[derive(Debug)]
struct Entry {
    lane: SignedLaneHeader,
    acknowledged: bool,
    certificate: Option<QuorumCertificate>,
}

/// Lane blocks that may yet be included.
///
/// - `by_height` lists exactly the hashes in `entries`.
/// - A place in `places` stays until its slot is over, also when its lane block is final: it is
///   what keeps a seat from contradicting itself.
pub struct Lanes {
    state: Arc<State>,
    entries: BTreeMap<B256, Entry>,
    by_height: BTreeMap<Namespace, BTreeMap<Height, BTreeSet<B256>>>,
    places: BTreeMap<Place, SignedLaneHeader>,
    spent: BTreeMap<(Namespace, Slot), u64>,
    /// Certificates that came before their lane blocks.
    early: BTreeMap<B256, QuorumCertificate>,
}

/// Certificates kept for lane blocks that are not here. They are fetched; more than a slot's worth
/// means that this node is too far behind to lead anyway.
const EARLY_CERTIFICATES_MAX: usize = 1_024;

impl Lanes {
    /// Nothing pending on top of `state`.
    pub fn new(state: Arc<State>) -> Self {
        Self {
            state,
            entries: BTreeMap::new(),
            by_height: BTreeMap::new(),
            places: BTreeMap::new(),
            spent: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    /// Judges a lane header at `now`. Its body is not looked at.
    ///
    /// # Errors
    /// [`Refusal`] says why it is not taken; most pass when the proposer sends again.
    pub fn judge(
        &self,
        lane: &SignedLaneHeader,
        hash: B256,
        now: TimestampMs,
    ) -> Result<Verdict, Refusal> {
        if let Some(entry) = self.entries.get(&hash) {
            return Ok(Verdict::Known {
                acknowledged: entry.acknowledged,
            });
        }
        let header = &lane.header;
        let clock = &self.state.config.clock;
        let slot = header.slot;
        let (start, end) = (clock.start(slot), clock.end(slot));
        if now >= end {
            return Err(Refusal::SlotOver { slot, end, now });
        }
        if start.since(now) > DRIFT_MS {
            return Err(Refusal::SlotAhead { slot, start, now });
        }
        let signer = check_lane(&self.state, lane)?;
        let place = (header.namespace, slot, header.seq, signer);
        if let Some(first) = self.places.get(&place) {
            if first.header == header.clone() {
                return Ok(Verdict::Known { acknowledged: true });
            }
            let (first, second) = (first.clone(), lane.clone());
            return Ok(Verdict::Equivocation(Box::new(LaneEquivocation {
                first,
                second,
            })));
        }
        self.check_parent(lane)?;
        let used = self
            .spent
            .get(&(header.namespace, slot))
            .copied()
            .unwrap_or(0);
        let limit = self
            .state
            .namespaces
            .get(&header.namespace)
            .map_or(0, |state| state.slot_bytes_max);
        if used.saturating_add(header.size) > limit {
            let (namespace, size) = (header.namespace, header.size);
            return Err(Refusal::Quota {
                namespace,
                slot,
                used,
                size,
                limit,
            });
        }
        let pending = self
            .by_height
            .get(&header.namespace)
            .map_or(0, BTreeMap::len);
        if pending >= PENDING_PER_NAMESPACE_MAX {
            return Err(Refusal::Backlog {
                namespace: header.namespace,
                pending,
            });
        }
        Ok(Verdict::New { signer })
    }

    /// R6a: an acknowledgement covers the uncertified ancestors, so they must be held.
    fn check_parent(&self, lane: &SignedLaneHeader) -> Result<(), Refusal> {
        let header = &lane.header;
        let tip = self
            .state
            .namespaces
            .get(&header.namespace)
            .map(|state| state.tip);
        let tip = tip.unwrap_or_default();
        let misplaced = || Refusal::Misplaced {
            height: header.height,
            slot: header.slot,
            seq: header.seq,
        };
        let (height, slot, seq, last, time) = if header.parent == tip.hash {
            (tip.height, tip.slot, tip.seq, tip.last, tip.timestamp)
        } else {
            // It may still be on its way to the disk: the sync that covers the child began later.
            let parent = self.entries.get(&header.parent);
            let Some(parent) = parent.map(|entry| &entry.lane.header) else {
                let (parent, height) = (header.parent, header.height);
                return Err(Refusal::UnknownParent { parent, height });
            };
            if parent.namespace != header.namespace {
                return Err(misplaced());
            }
            (
                parent.height,
                parent.slot,
                parent.seq,
                parent.last,
                parent.timestamp,
            )
        };
        let same_slot = height > Height::ZERO && slot == header.slot;
        let in_place = if same_slot {
            !last && seq.next() == Some(header.seq)
        } else {
            header.seq == Seq::ZERO && (height == Height::ZERO || header.slot > slot)
        };
        if height.next() == Some(header.height) && in_place && header.timestamp >= time {
            Ok(())
        } else {
            Err(misplaced())
        }
    }

    /// Takes a judged lane block's place and quota, before it is stored. From now on no other
    /// header is taken for its place.
    pub fn reserve(&mut self, lane: &SignedLaneHeader, hash: B256, signer: Address) {
        let header = &lane.header;
        self.places.insert(
            (header.namespace, header.slot, header.seq, signer),
            lane.clone(),
        );
        *self
            .spent
            .entry((header.namespace, header.slot))
            .or_default() += header.size;
        self.insert(lane, hash, false);
    }

    /// The lane block is on disk with the mark that it is acknowledged.
    pub fn acknowledge(&mut self, hash: &B256) {
        if let Some(entry) = self.entries.get_mut(hash) {
            entry.acknowledged = true;
        }
    }

    /// A lane block that is on disk without being acknowledged: fetched because others certified
    /// it.
    pub fn hold(&mut self, lane: &SignedLaneHeader, hash: B256) {
        if !self.entries.contains_key(&hash) {
            self.insert(lane, hash, false);
        }
    }

    /// Reads back what an earlier run of this node stored and acknowledged.
    pub fn restore(&mut self, lane: &SignedLaneHeader, hash: B256, acknowledged: bool) {
        if acknowledged && let Ok(signer) = lane.signer() {
            self.reserve(lane, hash, signer);
            self.acknowledge(&hash);
        } else {
            self.hold(lane, hash);
        }
    }

    fn insert(&mut self, lane: &SignedLaneHeader, hash: B256, acknowledged: bool) {
        let header = &lane.header;
        let certificate = self.early.remove(&hash);
        self.by_height
            .entry(header.namespace)
            .or_default()
            .entry(header.height)
            .or_default()
            .insert(hash);
        self.entries.insert(
            hash,
            Entry {
                lane: lane.clone(),
                acknowledged,
                certificate,
            },
        );
    }

    /// A quorum holds the lane block `hash`. Returns whether it is here; if not it should be
    /// fetched.
    pub fn certify(&mut self, hash: B256, certificate: QuorumCertificate) -> bool {
        if let Some(entry) = self.entries.get_mut(&hash) {
            entry.certificate = Some(certificate);
            return true;
        }
        if self.early.len() < EARLY_CERTIFICATES_MAX {
            self.early.insert(hash, certificate);
        }
        false
    }

    /// The header of a pending lane block.
    pub fn get(&self, hash: &B256) -> Option<&SignedLaneHeader> {
        self.entries.get(hash).map(|entry| &entry.lane)
    }

    /// Acknowledged lane blocks that wait for inclusion, oldest first per namespace.
    pub fn acknowledged(&self) -> impl Iterator<Item = B256> + '_ {
        self.by_height
            .values()
            .flat_map(|heights| heights.values().flatten())
            .filter(|hash| {
                self.entries
                    .get(*hash)
                    .is_some_and(|entry| entry.acknowledged)
            })
            .copied()
    }

    /// What a leader can include on top of `state` in a block of time `time`: per namespace the
    /// longest run from its tip that ends with a certificate and whose slots are open.
    pub fn offer(&self, state: &State, time: TimestampMs) -> Offer {
        let mut scratch = state.clone();
        let mut offer = Offer::default();
        for namespace in self.by_height.keys() {
            offer.waiting |= self
                .run(&mut scratch, *namespace, time, &mut offer.runs)
                .is_some();
        }
        offer
    }

    /// Adds the run of one namespace. `Some` says that a certified lane block is left over.
    fn run(
        &self,
        scratch: &mut State,
        namespace: Namespace,
        time: TimestampMs,
        runs: &mut Vec<Vec<LaneEntry>>,
    ) -> Option<()> {
        let tip = scratch.namespaces.get(&namespace)?.tip;
        let path = self.certified_path(namespace, tip.hash, tip.height)?;
        let length = path.len();
        let mut run: Vec<LaneEntry> = Vec::new();
        let mut certified = 0;
        for hash in path.into_iter().take(RUN_LENGTH_MAX) {
            let entry = self.entries.get(&hash)?;
            let Ok(tip) = check_place(scratch, &entry.lane, time) else {
                break;
            };
            scratch.namespaces.get_mut(&namespace)?.tip = tip;
            run.push(LaneEntry {
                lane: entry.lane.clone(),
                certificate: entry.certificate.clone(),
            });
            if entry.certificate.is_some() {
                certified = run.len();
            }
        }
        run.truncate(certified);
        // One certificate covers all before it (R6a).
        for entry in run.iter_mut().rev().skip(1) {
            entry.certificate = None;
        }
        if !run.is_empty() {
            runs.push(run);
        }
        (certified < length).then_some(())
    }

    /// The path from the tip to the highest certified lane block that descends from it.
    fn certified_path(
        &self,
        namespace: Namespace,
        tip: B256,
        tip_height: Height,
    ) -> Option<Vec<B256>> {
        let heights = self.by_height.get(&namespace)?;
        for hash in heights.values().rev().flatten() {
            let Some(entry) = self.entries.get(hash) else {
                continue;
            };
            if entry.certificate.is_none() || entry.lane.header.height <= tip_height {
                continue;
            }
            let mut path = vec![*hash];
            let mut at = &entry.lane.header;
            while at.parent != tip {
                let Some(parent) = self.entries.get(&at.parent) else {
                    break;
                };
                if parent.lane.header.height <= tip_height {
                    break;
                }
                path.push(at.parent);
                at = &parent.lane.header;
            }
            if at.parent == tip {
                path.reverse();
                return Some(path);
            }
        }
        None
    }

    /// Other seats sit: what the ones before certified, these have to certify anew (R6a). What this
    /// seat acknowledged it still holds.
    pub fn change_term(&mut self) {
        for entry in self.entries.values_mut() {
            entry.certificate = None;
        }
        self.early.clear();
    }

    /// A block became final: drops what it included or closed.
    pub fn finalize(&mut self, block: &Block, state: Arc<State>, now: TimestampMs) {
        let time = block.header.timestamp;
        let clock = state.config.clock;
        let tips: BTreeMap<_, _> = state
            .namespaces
            .iter()
            .map(|(id, namespace)| (*id, namespace.tip.height))
            .collect();
        self.state = state;
        self.retain(|header| {
            tips.get(&header.namespace)
                .is_some_and(|tip| header.height > *tip)
                && time < clock.end(header.slot).plus(GRACE_MS)
        });
        // By both clocks: an acknowledgement is refused by this seat's own.
        let over = |slot: &Slot| time.min(now) >= clock.end(*slot).plus(GRACE_MS);
        self.places.retain(|(_, slot, _, _), _| !over(slot));
        self.spent.retain(|(_, slot), _| !over(slot));
        if self.entries.is_empty() {
            self.early.clear();
        }
    }

    fn retain(&mut self, keep: impl Fn(&cortado_types::LaneHeader) -> bool) {
        let by_height = &mut self.by_height;
        self.entries.retain(|hash, entry| {
            let header = &entry.lane.header;
            if keep(header) {
                return true;
            }
            if let Some(heights) = by_height.get_mut(&header.namespace)
                && let Some(hashes) = heights.get_mut(&header.height)
            {
                hashes.remove(hash);
                if hashes.is_empty() {
                    heights.remove(&header.height);
                }
            }
            false
        });
        by_height.retain(|_, heights| !heights.is_empty());
    }
}

#[cfg(test)]
mod tests;
