//! Which lane blocks are on their way, to whom, and what became of them.

use crate::lanes::SealedLane;
use cortado_chain::State;
use cortado_types::{
    B256, Block, Height, Namespace, SeatIndex, Slot, TimestampMs, limits::GRACE_MS,
};
use std::collections::{BTreeMap, BTreeSet};

/// A seat that has not acknowledged gets a lane block again after this long, ms. Longer than a
/// round trip and a group fsync on a wide area network.
pub const RESEND_AFTER_MS: u64 = 400;

/// Bytes sent again in one pass, so that new lane blocks are not kept waiting by old ones.
const RESEND_BYTES_MAX: usize = 16 << 20;

/// What became of a lane block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In the final block with this hash.
    Included {
        /// Its namespace.
        namespace: Namespace,
        /// The lane header's hash.
        hash: B256,
    },
    /// It can no longer be included.
    Voided {
        /// Its namespace.
        namespace: Namespace,
        /// Its slot.
        slot: Slot,
        /// The lane header's hash.
        hash: B256,
    },
}

#[derive(Debug)]
struct Sent {
    lane: SealedLane,
    acknowledged: BTreeSet<SeatIndex>,
    at: TimestampMs,
}

/// Lane blocks that are neither included nor void, by namespace and height.
#[derive(Debug)]
pub struct Outbox {
    seats: usize,
    sent: BTreeMap<(Namespace, Height), Sent>,
    places: BTreeMap<B256, (Namespace, Height)>,
}

impl Outbox {
    /// Nothing sent yet.
    pub fn new(seats: usize) -> Self {
        Self {
            seats,
            sent: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// A lane block was sent to all seats at `now`. Returns whether it is new.
    pub fn publish(&mut self, lane: SealedLane, now: TimestampMs) -> bool {
        let header = &lane.lane.header;
        let place = (header.namespace, header.height);
        if self.places.contains_key(&lane.hash) {
            return false;
        }
        self.places.insert(lane.hash, place);
        let sent = Sent {
            lane,
            acknowledged: BTreeSet::new(),
            at: now,
        };
        if let Some(replaced) = self.sent.insert(place, sent) {
            // A new lane block at the height of a void one that was not reported yet.
            self.places.remove(&replaced.lane.hash);
        }
        true
    }

    /// A seat acknowledged.
    pub fn acknowledged(&mut self, hash: &B256, seat: SeatIndex) {
        if let Some(sent) = self
            .places
            .get(hash)
            .and_then(|place| self.sent.get_mut(place))
        {
            sent.acknowledged.insert(seat);
        }
    }

    /// Other seats sit, `seats` of them: nobody has acknowledged anything. Gives back what is on its
    /// way, oldest first; seats that have it are given time until it is sent again.
    pub fn change_term(&mut self, seats: usize, now: TimestampMs) -> Vec<SealedLane> {
        self.seats = seats;
        let mut waiting = Vec::with_capacity(self.sent.len());
        for sent in self.sent.values_mut() {
            sent.acknowledged.clear();
            sent.at = now;
            waiting.push(sent.lane.clone());
        }
        waiting
    }

    /// What to send again at `now`, and to whom, oldest first.
    pub fn overdue(&mut self, now: TimestampMs) -> Vec<(SealedLane, Vec<SeatIndex>)> {
        let mut overdue = Vec::new();
        let mut bytes = 0;
        for sent in self.sent.values_mut() {
            if now.since(sent.at) < RESEND_AFTER_MS || sent.acknowledged.len() >= self.seats {
                continue;
            }
            let silent: Vec<_> = (0..self.seats as u32)
                .map(SeatIndex::new)
                .filter(|seat| !sent.acknowledged.contains(seat))
                .collect();
            bytes += sent.lane.bytes.len() * silent.len();
            if bytes > RESEND_BYTES_MAX && !overdue.is_empty() {
                break;
            }
            sent.at = now;
            overdue.push((sent.lane.clone(), silent));
        }
        overdue
    }

    /// A block is final: says what it did to the lane blocks on their way, in order.
    pub fn finalize(&mut self, block: &Block, state: &State) -> Vec<Fate> {
        let mut fates = Vec::new();
        for entry in &block.lanes {
            let hash = entry.lane.header.hash();
            if let Some(place) = self.places.remove(&hash) {
                self.sent.remove(&place);
                fates.push(Fate::Included {
                    namespace: place.0,
                    hash,
                });
            }
        }
        let time = block.header.timestamp;
        let clock = &state.config.clock;
        let mut void = BTreeSet::new();
        for ((namespace, height), sent) in &self.sent {
            let header = &sent.lane.lane.header;
            let Some(tip) = state.namespaces.get(namespace).map(|state| state.tip) else {
                continue;
            };
            let taken = *height <= tip.height;
            let closed = time >= clock.end(header.slot).plus(GRACE_MS)
                || tip.height > Height::ZERO
                    && (tip.slot > header.slot || tip.slot == header.slot && tip.last);
            // What stands on a void lane block is void too: its parent will never be the tip.
            if taken || closed || void.contains(&header.parent) {
                void.insert(sent.lane.hash);
                fates.push(Fate::Voided {
                    namespace: *namespace,
                    slot: header.slot,
                    hash: sent.lane.hash,
                });
            }
        }
        for hash in void {
            if let Some(place) = self.places.remove(&hash) {
                self.sent.remove(&place);
            }
        }
        fates
    }

    /// How many are on their way.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

#[cfg(test)]
mod tests;
