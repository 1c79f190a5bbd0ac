//! Slots and epochs. Pure: the time is an argument.

/// Turns times into slots and slots into epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotClock {
    /// Start of slot 0, in milliseconds since the Unix epoch.
    pub genesis_time_ms: u64,
    /// Length of a slot in milliseconds, at least 1.
    pub slot_ms: u64,
    /// Slots of an epoch, at least 1.
    pub slots_per_epoch: u64,
}

impl SlotClock {
    /// The slot at a time; `None` before genesis.
    pub fn slot_at(&self, now_ms: u64) -> Option<u64> {
        Some(now_ms.checked_sub(self.genesis_time_ms)? / self.slot_ms)
    }

    /// Start of a slot, in milliseconds since the Unix epoch.
    pub fn start_ms(&self, slot: u64) -> u64 {
        self.genesis_time_ms
            .saturating_add(slot.saturating_mul(self.slot_ms))
    }

    /// The timestamp of a slot's block, in seconds. Slots shorter than a second share some.
    pub fn timestamp(&self, slot: u64) -> u64 {
        self.start_ms(slot) / 1_000
    }

    /// The epoch of a slot.
    pub fn epoch(&self, slot: u64) -> u64 {
        slot / self.slots_per_epoch
    }

    /// The first slot of an epoch.
    pub fn start_slot(&self, epoch: u64) -> u64 {
        epoch.saturating_mul(self.slots_per_epoch)
    }

    /// Milliseconds from a time to the start of the next slot (before genesis: to slot 1, since
    /// slot 0 is the genesis block's).
    pub fn until_next_ms(&self, now_ms: u64) -> u64 {
        let next = self
            .slot_at(now_ms)
            .map_or(1, |slot| slot.saturating_add(1));
        self.start_ms(next).saturating_sub(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: SlotClock = SlotClock {
        genesis_time_ms: 10_000,
        slot_ms: 2_000,
        slots_per_epoch: 8,
    };

    #[test]
    fn a_slot_lasts_from_its_start_to_the_next_start() {
        assert_eq!(CLOCK.slot_at(9_999), None);
        assert_eq!(CLOCK.slot_at(10_000), Some(0));
        assert_eq!(CLOCK.slot_at(11_999), Some(0));
        assert_eq!(CLOCK.slot_at(12_000), Some(1));
        assert_eq!(CLOCK.start_ms(1), 12_000);
    }

    #[test]
    fn the_wait_ends_at_the_next_start() {
        assert_eq!(CLOCK.until_next_ms(0), 12_000);
        assert_eq!(CLOCK.until_next_ms(11_999), 1);
        assert_eq!(CLOCK.until_next_ms(12_000), 2_000);
    }

    #[test]
    fn epochs_count_whole_epochs_of_slots() {
        assert_eq!(CLOCK.epoch(7), 0);
        assert_eq!(CLOCK.epoch(8), 1);
        assert_eq!(CLOCK.start_slot(2), 16);
    }
}
