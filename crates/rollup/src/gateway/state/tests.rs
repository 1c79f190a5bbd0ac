use super::*;
use cortado_types::{ChainId, L1Ref, Namespace};
use proptest::prelude::*;

const SLOT_MS: u64 = 2_000;

fn policy() -> Policy {
    let clock = SlotClock {
        genesis: TimestampMs::new(1_000_000),
        slot_ms: SLOT_MS,
    };
    Policy {
        clock,
        lane_ms: 40,
        slot_bytes_max: 1 << 20,
    }
}

fn at(slot: u64, ms: u64) -> TimestampMs {
    TimestampMs::new(1_000_000 + slot * SLOT_MS + ms)
}

fn header(place: &Place, last: bool) -> LaneHeader {
    LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(7),
        slot: place.slot,
        seq: place.seq,
        last,
        height: place.height,
        parent: place.parent,
        context: L1Ref::default(),
        timestamp: place.timestamp,
        body_root: B256::ZERO,
        size: 100,
        group: B256::ZERO,
    }
}

/// Does what is decided until it waits; the headers it closed.
fn run(sequencer: &mut Sequencer, now: TimestampMs, transactions: usize) -> Vec<LaneHeader> {
    let mut closed = Vec::new();
    let mut open: Option<Place> = None;
    let mut demand = transactions > 0;
    for _ in 0..16 {
        match sequencer.decide(now, demand, None) {
            Decision::Open(place) => {
                sequencer.opened(&place, now);
                open = Some(place);
                let closing = matches!(sequencer.decide(now, false, None), Decision::Seal { .. });
                if demand && !closing {
                    sequencer.pushed(transactions);
                    demand = false;
                }
            }
            Decision::Seal { last } => {
                let place = open.take().unwrap_or_else(|| Place {
                    slot: sequencer.open_slot().expect("open"),
                    seq: sequencer
                        .place(sequencer.open_slot().expect("open"), now)
                        .seq,
                    height: sequencer.tip().height.next().expect("small"),
                    parent: sequencer.tip().hash,
                    timestamp: sequencer
                        .tip()
                        .timestamp
                        .max(policy().clock.start(sequencer.open_slot().expect("open"))),
                });
                let header = header(&place, last);
                sequencer.sealed(&header);
                closed.push(header);
            }
            Decision::Wait(until) => {
                assert!(until > now, "waits for the past at {now}");
                if demand && sequencer.open_slot().is_some() {
                    sequencer.pushed(transactions);
                    demand = false;
                    continue;
                }
                return closed;
            }
        }
    }
    panic!("does not come to rest at {now}");
}

fn new() -> Sequencer {
    Sequencer::new(policy(), Tip::default(), Slot::ZERO, Slot::ZERO)
}

#[test]
fn a_lane_block_stays_open_for_its_time_and_no_longer() {
    let mut sequencer = new();
    assert!(run(&mut sequencer, at(0, 100), 1).is_empty());
    assert!(run(&mut sequencer, at(0, 139), 0).is_empty());
    assert_eq!(run(&mut sequencer, at(0, 140), 0).len(), 1);
}

#[test]
fn nothing_is_promised_for_a_slot_in_its_last_eighth() {
    let sequencer = new();
    let end = sequencer.promise_end(Slot::new(3));
    assert_eq!(end, at(3, SLOT_MS - SLOT_MS / 8));
    assert_eq!(
        sequencer.promise_slot(TimestampMs::new(end.get() - 1)),
        Slot::new(3)
    );
    assert_eq!(sequencer.promise_slot(end), Slot::new(4));
}

#[test]
fn an_open_lane_block_without_transactions_is_made_newer_by_the_next_one() {
    let mut sequencer = new();
    let Decision::Open(place) = sequencer.decide(at(0, 100), true, None) else {
        panic!("opens");
    };
    sequencer.opened(&place, at(0, 100));
    assert!(matches!(
        sequencer.decide(at(0, 120), true, None),
        Decision::Wait(_)
    ));
    let Decision::Open(newer) = sequencer.decide(at(0, 900), true, None) else {
        panic!("opens again");
    };
    assert_eq!(
        Place {
            timestamp: at(0, 900),
            ..place
        },
        newer
    );
}

#[test]
fn repeated_failure_places_farther_ahead_up_to_a_limit() {
    let mut sequencer = new();
    let mut ahead = Vec::new();
    for slot in 0..8 {
        let now = at(slot * 100, 0);
        sequencer.recut(Tip::default(), now);
        ahead.push(sequencer.floor().get() - slot * 100);
    }
    assert_eq!(ahead, [0, 1, 3, 7, 15, 15, 15, 15]);
    sequencer.included();
    sequencer.recut(Tip::default(), at(900, 0));
    assert_eq!(sequencer.floor(), Slot::new(900));
}

#[test]
fn one_failure_seen_several_times_in_a_slot_is_backed_off_from_once() {
    let mut sequencer = new();
    for slot in 0..3 {
        sequencer.recut(Tip::default(), at(slot, 0));
    }
    assert_eq!(
        sequencer.floor(),
        Slot::new(5),
        "three failures: 3 slots ahead"
    );
    for ms in [100, 200, 300] {
        sequencer.recut(Tip::default(), at(2, ms));
        assert_eq!(sequencer.floor(), Slot::new(5));
    }
}

proptest! {
    /// Whatever the times, the demand and the stalls: no place is used twice, a slot's places have
    /// no gaps, and times stay inside their slots.
    #[test]
    fn no_place_is_ever_used_twice(
        steps in prop::collection::vec((0u64..900, 0usize..3, 0u8..20), 1..200),
    ) {
        let mut sequencer = new();
        let mut now = at(0, 0);
        let mut places = std::collections::BTreeSet::new();
        let mut final_tip = Tip::default();
        for (ms, transactions, event) in steps {
            now = now.plus(ms);
            for header in run(&mut sequencer, now, transactions) {
                prop_assert!(places.insert((header.slot, header.seq)), "{:?} twice", header);
                let clock = policy().clock;
                prop_assert!(header.timestamp >= clock.start(header.slot));
                prop_assert!(header.timestamp < clock.end(header.slot));
                if header.seq > Seq::ZERO {
                    let before = Seq::new(header.seq.get() - 1);
                    prop_assert!(places.contains(&(header.slot, before)));
                }
            }
            match event {
                0 => sequencer.recut(final_tip, now),
                1 if sequencer.open_slot().is_none() => {
                    final_tip = *sequencer.tip();
                    sequencer.included();
                }
                _ => {}
            }
        }
    }
}
