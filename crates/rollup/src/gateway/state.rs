//! When to open and to close lane blocks, and where: pure, time is an argument.
//!
//! ```text
//!  slot s                                     slot s+1
//!  |──────── promising for s ────────|─ 1/8 ─|──────── promising for s+1 …
//!  | seq 0 | seq 1 |  …      | last  |  s+1 seq 0 grows, handed out from its start
//! ```
//!
//! R20: promising for slot s stops `slot_ms/8` before its end; then its last lane block is closed
//! with `last`, empty if need be, so that s+1 opens without waiting for the grace (R6).

use cortado_chain::Tip;
use cortado_types::{
    B256, Height, LaneHeader, Seq, Slot, SlotClock, TimestampMs,
    limits::{GRACE_MS, STALL_MS, TRANSACTION_BYTES_MAX},
};

/// The part of a slot at its end in which nothing more is promised for it (R20): one in this many.
pub const PROMISE_END_FRACTION: u64 = 8;

/// After lane blocks died again and again without one between them entering, the next are placed up
/// to this many slots ahead: a proposer that the attesters cannot hear stops re-executing its whole
/// backlog every slot.
pub const BACKOFF_SLOTS_MAX: u64 = 16;

/// Framing of a body around one transaction, and more: bytes.
const BODY_FRAME_BYTES: u64 = 64;

/// What does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Slots as the chain counts them.
    pub clock: SlotClock,
    /// How long a lane block stays open, ms.
    pub lane_ms: u64,
    /// Bytes of bodies that attesters acknowledge for one slot (R6a).
    pub slot_bytes_max: u64,
}

/// Where the next lane block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its slot.
    pub slot: Slot,
    /// Its position there.
    pub seq: Seq,
    /// Its number.
    pub height: Height,
    /// Hash of the one before.
    pub parent: B256,
    /// Its time, ms.
    pub timestamp: TimestampMs,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Open a lane block here.
    Open(Place),
    /// Close the open one.
    Seal {
        /// Whether it closes its slot.
        last: bool,
    },
    /// Nothing before this time, unless something arrives.
    Wait(TimestampMs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenLane {
    slot: Slot,
    opened: TimestampMs,
    transactions: usize,
}

/// One namespace's places, as its proposer fills them.
///
/// - Places only grow: nothing is ever opened at or before a place where something was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequencer {
    policy: Policy,
    /// The last lane block of our own chain, final or not.
    tip: Tip,
    open: Option<OpenLane>,
    /// No lane block before this slot.
    floor: Slot,
    /// First slot in which nothing was ever opened.
    unsigned: Slot,
    /// Bytes in the slot of the tip.
    slot_bytes: u64,
    /// Slots with a re-cut since a lane block last entered.
    failures: u32,
    /// When the last re-cut was.
    recut_at: TimestampMs,
}

impl Sequencer {
    /// On the finalised `tip`. Nothing will be opened before slot `floor`; nothing was ever opened
    /// at or after slot `unsigned` by this key.
    pub fn new(policy: Policy, tip: Tip, floor: Slot, unsigned: Slot) -> Self {
        Self {
            policy,
            tip,
            open: None,
            floor,
            unsigned,
            slot_bytes: 0,
            failures: 0,
            recut_at: TimestampMs::new(0),
        }
    }

    /// No lane block is opened before this slot.
    pub fn floor(&self) -> Slot {
        self.floor
    }

    /// Opens nothing in the slots that this key may have signed for without remembering it: the
    /// present and the next.
    pub fn stay_silent(&mut self, now: TimestampMs) {
        let next = self.slot_by_clock(now).get().saturating_add(1);
        self.floor = self.floor.max(Slot::new(next.saturating_add(1)));
        self.unsigned = self.unsigned.max(self.floor);
    }

    /// The end of our own chain.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// First slot in which nothing was ever opened.
    pub fn unsigned(&self) -> Slot {
        self.unsigned
    }

    /// When promising for `slot` ends, ms (R20).
    pub fn promise_end(&self, slot: Slot) -> TimestampMs {
        let clock = &self.policy.clock;
        TimestampMs::new(clock.end(slot).get() - clock.slot_ms / PROMISE_END_FRACTION)
    }

    /// The slot by the clock, and the next after promising for it has ended.
    fn slot_by_clock(&self, now: TimestampMs) -> Slot {
        let slot = self.policy.clock.slot_at(now);
        if now >= self.promise_end(slot) {
            slot.next().unwrap_or(slot)
        } else {
            slot
        }
    }

    /// The slot that is promised for.
    fn promise_slot(&self, now: TimestampMs) -> Slot {
        let mut slot = self.slot_by_clock(now).max(self.floor);
        if self.tip.height > Height::ZERO && self.tip.slot >= slot {
            slot = self.tip.slot;
            if self.tip.last {
                slot = slot.next().unwrap_or(slot);
            }
        }
        slot
    }

    /// The next place in `slot`.
    fn place(&self, slot: Slot, now: TimestampMs) -> Place {
        let clock = &self.policy.clock;
        let same = self.tip.height > Height::ZERO && self.tip.slot == slot;
        let seq = if same {
            self.tip.seq.next().unwrap_or(self.tip.seq)
        } else {
            Seq::ZERO
        };
        let latest = TimestampMs::new(clock.end(slot).get() - 1);
        let timestamp = now
            .max(clock.start(slot))
            .min(latest)
            .max(self.tip.timestamp);
        Place {
            slot,
            seq,
            height: self.tip.height.next().unwrap_or(self.tip.height),
            parent: self.tip.hash,
            timestamp,
        }
    }

    /// What to do at `now`; `demand` says that a transaction waits for a place, `oldest` is the slot
    /// of the oldest lane block that is not final.
    pub fn decide(&self, now: TimestampMs, demand: bool, oldest: Option<Slot>) -> Decision {
        let clock = &self.policy.clock;
        if let Some(open) = &self.open {
            let end = self.promise_end(open.slot);
            if now >= end || self.slot_by_clock(now) > open.slot {
                return Decision::Seal { last: true };
            }
            let due = open
                .opened
                .plus(self.policy.lane_ms)
                .max(clock.start(open.slot));
            if open.transactions == 0 {
                // Nothing was said of it yet: its time and context can still be made newer.
                return if demand && now >= due && now > open.opened {
                    Decision::Open(self.place(open.slot, now))
                } else {
                    Decision::Wait(end)
                };
            }
            return if now >= due {
                Decision::Seal { last: false }
            } else {
                Decision::Wait(due.min(end))
            };
        }
        // During a stall an empty lane block would only be one more dead one.
        let stalled =
            oldest.is_some_and(|oldest| now >= clock.end(oldest).plus(GRACE_MS + STALL_MS));
        if let Some(place) = self.closing_place(now)
            && !stalled
        {
            return Decision::Open(place);
        }
        if demand {
            let slot = self.promise_slot(now);
            // Farther ahead than the next slot only after a re-cut, by its floor.
            let limit = self.slot_by_clock(now).max(self.floor);
            if slot <= limit.next().unwrap_or(limit) {
                return Decision::Open(self.place(slot, now));
            }
        }
        let slot = clock.slot_at(now);
        let end = self.promise_end(slot);
        let next = slot.next().unwrap_or(slot);
        Decision::Wait(if now < end {
            end
        } else {
            self.promise_end(next)
        })
    }

    /// The place of an empty lane block with `last`, if the slot that just stopped being promised
    /// for has none yet and is not over.
    fn closing_place(&self, now: TimestampMs) -> Option<Place> {
        let slot = self.policy.clock.slot_at(now);
        let closing = now >= self.promise_end(slot) && slot >= self.floor;
        let behind = self.tip.height == Height::ZERO || self.tip.slot < slot;
        let unfinished = self.tip.slot == slot && !self.tip.last;
        (closing && (behind || unfinished)).then(|| self.place(slot, now))
    }

    /// A lane block was opened.
    pub fn opened(&mut self, place: &Place, now: TimestampMs) {
        self.open = Some(OpenLane {
            slot: place.slot,
            opened: now,
            transactions: 0,
        });
        self.unsigned = self.unsigned.max(place.slot.next().unwrap_or(place.slot));
    }

    /// The open lane block, of which nothing was said yet, is no more; its place is free.
    pub fn discarded(&mut self) {
        self.open = None;
    }

    /// Transactions entered the open lane block.
    pub fn pushed(&mut self, transactions: usize) {
        if let Some(open) = &mut self.open {
            open.transactions += transactions;
        }
    }

    /// Whether a lane block is open, and in which slot.
    pub fn open_slot(&self) -> Option<Slot> {
        self.open.map(|open| open.slot)
    }

    /// The open lane block was closed with this header.
    pub fn sealed(&mut self, header: &LaneHeader) {
        self.open = None;
        if self.tip.height == Height::ZERO || self.tip.slot != header.slot {
            self.slot_bytes = 0;
        }
        self.slot_bytes = self.slot_bytes.saturating_add(header.size);
        self.tip = Tip {
            height: header.height,
            hash: header.hash(),
            slot: header.slot,
            seq: header.seq,
            last: header.last,
            timestamp: header.timestamp,
        };
    }

    /// Bytes that the open lane block's slot can still take.
    pub fn slot_room(&self, slot: Slot) -> u64 {
        let used = if self.tip.height > Height::ZERO && self.tip.slot == slot {
            self.slot_bytes
        } else {
            0
        };
        self.policy.slot_bytes_max.saturating_sub(used)
    }

    /// Longest transaction that fits an otherwise empty slot, bytes.
    pub fn transaction_bytes_max(&self) -> usize {
        let slot = self.policy.slot_bytes_max.saturating_sub(BODY_FRAME_BYTES);
        TRANSACTION_BYTES_MAX.min(usize::try_from(slot).unwrap_or(usize::MAX))
    }

    /// One of our lane blocks is final.
    pub fn included(&mut self) {
        self.failures = 0;
    }

    /// R6: whether a lane block of `slot` that is not in the chain up to a block of time
    /// `finalised` can never enter.
    pub fn is_dead(&self, slot: Slot, finalised: TimestampMs) -> bool {
        finalised >= self.policy.clock.end(slot).plus(GRACE_MS)
    }

    /// Starts anew on the finalised `tip`: all pending lane blocks are dead. What follows goes to
    /// slots in which nothing was signed, so that no place gets a second header and no position a
    /// second promise (R20, R21); after repeated failure, farther away.
    pub fn recut(&mut self, tip: Tip, now: TimestampMs) {
        self.tip = tip;
        self.open = None;
        self.slot_bytes = 0;
        let from = self.unsigned.max(self.slot_by_clock(now));
        let mut skip = 0;
        // Several in one slot are one failure seen several times, as when blocks are caught up with.
        if now >= self.recut_at.plus(self.policy.clock.slot_ms) {
            skip = (1u64 << self.failures.min(BACKOFF_SLOTS_MAX.ilog2())) - 1;
            self.failures = self.failures.saturating_add(1);
            self.recut_at = now;
        }
        let floor = Slot::new(from.get().saturating_add(skip));
        self.floor = self.floor.max(floor);
    }

    /// Moves to a finalised tip that somebody else made, or that was made before a restart.
    pub fn follow(&mut self, tip: Tip) {
        if self.tip != tip {
            self.tip = tip;
            self.slot_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests;
