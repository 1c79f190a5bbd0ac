//! When a slot is open (R6).
//!
//! ```text
//!   slot 0        slot 1        slot 2
//!   |─────────────|──g──────────|──g──────    g = GRACE_MS
//!   0           3000  3600    6000 6600
//! ```

use super::world::*;
use crate::*;
use cortado_types::{limits::GRACE_MS, *};

fn clock() -> SlotClock {
    SlotClock {
        genesis: at(0, 0),
        slot_ms: SLOT_MS,
    }
}

fn open(tip: &Tip, slot: u64, ms: u64) -> bool {
    is_slot_open(&clock(), tip, Slot::new(slot), at(0, ms))
}

fn tip(slot: u64, last: bool) -> Tip {
    Tip {
        height: Height::new(1),
        slot: Slot::new(slot),
        last,
        ..Tip::default()
    }
}

#[test]
fn a_slot_opens_at_its_start_and_closes_after_its_grace() {
    let none = Tip::default();
    assert!(open(&none, 0, 0));
    assert!(open(&none, 0, SLOT_MS + GRACE_MS - 1));
    assert!(!open(&none, 0, SLOT_MS + GRACE_MS));
    assert!(!is_slot_open(
        &clock(),
        &none,
        Slot::new(1),
        TimestampMs::new(at(1, 0).get() - 1)
    ));
}

#[test]
fn the_next_slot_waits_until_the_one_before_is_closed_by_time() {
    for tip in [Tip::default(), tip(0, false)] {
        assert!(!open(&tip, 1, SLOT_MS), "slot 0 is in its grace");
        assert!(!open(&tip, 1, SLOT_MS + GRACE_MS - 1));
        assert!(
            open(&tip, 1, SLOT_MS + GRACE_MS),
            "the block that closes 0 carries 1"
        );
    }
}

#[test]
fn the_next_slot_opens_at_once_when_the_one_before_is_closed_by_its_last() {
    assert!(open(&tip(0, true), 1, SLOT_MS));
    assert!(
        !open(&tip(0, true), 1, SLOT_MS - 1),
        "but not before its own start"
    );
    assert!(!open(&tip(0, true), 0, 100), "and slot 0 is over");
    assert!(
        !open(&tip(0, true), 2, 2 * SLOT_MS),
        "slot 1 is in its grace, its holder was silent"
    );
    assert!(open(&tip(0, true), 2, 2 * SLOT_MS + GRACE_MS));
}

#[test]
fn a_slot_that_was_left_stays_closed() {
    assert!(!open(&tip(1, false), 0, SLOT_MS + 1));
    assert!(!open(&tip(1, true), 0, SLOT_MS + 1));
}

#[test]
fn a_silent_holder_closes_nothing_and_blocks_nothing() {
    assert!(open(&tip(0, false), 7, 7 * SLOT_MS + GRACE_MS));
    assert!(open(&tip(0, false), 7, 8 * SLOT_MS - 1));
}

#[test]
fn slot_zero_is_closed_by_no_last_that_was_never_signed() {
    // The zero tip is not a lane block.
    let none = Tip {
        last: true,
        ..Tip::default()
    };
    assert!(open(&none, 0, 0));
    assert!(!open(&none, 1, SLOT_MS));
}

#[test]
fn lane_blocks_enter_over_three_slots_as_the_rule_says() {
    let mut world = World::new();
    let mut step = |slot, time: TimestampMs, last, want: usize| {
        let lane = world.lane_with(A, slot, |h| h.last = last);
        let block = world.go(&world.draft(time, &[&[lane]]));
        assert_eq!(block.lanes.len(), want, "slot {slot} at {time}");
    };
    step(0, at(0, 10), false, 1);
    step(1, at(1, 0), false, 0); // slot 0 is in its grace
    step(0, at(1, 599), false, 1); // and still takes its own
    step(0, at(1, 600), false, 0); // now it is over
    step(1, at(1, 600), false, 1);
    step(1, at(1, 700), true, 1); // its holder closes slot 1
    step(1, at(1, 800), false, 0);
    step(2, at(2, 0), false, 1); // so slot 2 need not wait
}

#[test]
fn closed_slots_are_named() {
    let world = World::new();
    let lane = world.lane(A, 1);
    let (namespace, slot, time) = (A, Slot::new(1), at(1, 0));
    let source = LaneRejection::SlotClosed {
        namespace,
        slot,
        time,
    };
    assert_eq!(
        world.refuse(time, vec![lane]),
        Rejection::Lane { index: 0, source }
    );
}
