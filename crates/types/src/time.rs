//! Slots as a function of time (R5).

use crate::ids::{Slot, TimestampMs};
use serde::{Deserialize, Serialize};

/// Where slot 0 starts and how long slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotClock {
    /// Start of slot 0.
    pub genesis: TimestampMs,
    /// Length of a slot, ms; never 0 (checked by [`crate::Genesis::validate`]).
    pub slot_ms: u64,
}

impl SlotClock {
    /// The slot that contains `time`; slot 0 for times before genesis.
    pub fn slot_at(&self, time: TimestampMs) -> Slot {
        Slot::new(time.since(self.genesis) / self.slot_ms)
    }

    /// First millisecond of `slot`.
    pub fn start(&self, slot: Slot) -> TimestampMs {
        self.genesis.plus(slot.get().saturating_mul(self.slot_ms))
    }

    /// First millisecond after `slot`.
    pub fn end(&self, slot: Slot) -> TimestampMs {
        self.start(slot).plus(self.slot_ms)
    }
}
