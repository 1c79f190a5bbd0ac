//! The choice of an endpoint, as stories and against a naive model.

use super::*;
use proptest::prelude::*;

const SLOT_MS: u64 = 12_000;

fn block(number: u64, fork: u8) -> L1Ref {
    let hash = B256::repeat_byte(fork) | B256::left_padding_from(&number.to_be_bytes());
    L1Ref { number, hash }
}

/// A head at this L1 slot, with nothing final.
fn at_slot(slot: u64) -> Report {
    Report {
        head: block(slot, 0),
        timestamp: slot * SLOT_MS / 1_000,
        finalized: None,
    }
}

fn with_final(slot: u64, finalized: L1Ref) -> Report {
    Report {
        finalized: Some(finalized),
        ..at_slot(slot)
    }
}

#[test]
fn the_first_that_answers_is_used_and_the_next_when_it_fails() {
    let mut endpoints = Endpoints::new(3, SLOT_MS);
    assert_eq!(endpoints.choose(), None);
    endpoints.saw(2, at_slot(10), 0).unwrap();
    assert_eq!(endpoints.choose(), Some(2));
    endpoints.saw(0, at_slot(10), 5).unwrap();
    assert_eq!(endpoints.choose(), Some(0));
    endpoints.leave(0, 10);
    assert_eq!(endpoints.choose(), Some(2));
    endpoints.leave(2, 11);
    assert_eq!(endpoints.choose(), None);
}

#[test]
fn one_that_recovers_is_tried_again_each_time_after_a_longer_pause() {
    let mut endpoints = Endpoints::new(2, SLOT_MS);
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        endpoints.saw(0, at_slot(1), now).unwrap();
        assert_eq!(
            endpoints.choose(),
            Some(0),
            "it is taken back when it answers"
        );
        endpoints.leave(0, now);
        pauses.push(endpoints.pause_ms(0, now));
        now += endpoints.pause_ms(0, now);
    }
    assert_eq!(
        pauses,
        [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]
    );
    endpoints.saw(0, at_slot(1), now).unwrap();
    endpoints.served(0);
    endpoints.leave(0, now);
    assert_eq!(endpoints.pause_ms(0, now), BACKOFF_MS_MIN, "it did well");
    // One that is not in use does well by answering for long.
    for _ in 0..6 {
        endpoints.leave(1, now);
    }
    endpoints.saw(1, at_slot(1), now).unwrap();
    now += BACKOFF_MS_MAX + 1;
    endpoints.saw(1, at_slot(1), now).unwrap();
    endpoints.leave(1, now);
    assert_eq!(endpoints.pause_ms(1, now), BACKOFF_MS_MIN);
}

#[test]
fn one_that_is_not_in_use_is_asked_less_often() {
    let mut endpoints = Endpoints::new(2, SLOT_MS);
    endpoints.saw(0, at_slot(1), 100).unwrap();
    endpoints.saw(1, at_slot(1), 100).unwrap();
    assert_eq!(endpoints.pause_ms(0, 100), POLL_MS);
    assert_eq!(endpoints.pause_ms(1, 100), STANDBY_MS);
    endpoints.leave(0, 150);
    assert_eq!(endpoints.pause_ms(1, 150), POLL_MS - 50, "now it is in use");
}

#[test]
fn endpoint_whose_head_is_far_behind_another_is_left_until_it_has_caught_up() {
    let mut endpoints = Endpoints::new(2, SLOT_MS);
    endpoints.saw(0, at_slot(10), 0).unwrap();
    endpoints.saw(1, at_slot(10 + LAG_SLOTS_MAX), 0).unwrap();
    assert_eq!((endpoints.choose(), endpoints.lags()), (Some(0), vec![]));
    endpoints.saw(1, at_slot(11 + LAG_SLOTS_MAX), 0).unwrap();
    assert_eq!(endpoints.choose(), Some(1));
    let lag = Lag {
        endpoint: 0,
        behind: 1,
        slots: LAG_SLOTS_MAX + 1,
    };
    assert_eq!(endpoints.lags(), [lag]);
    endpoints.saw(0, at_slot(12), 0).unwrap();
    assert_eq!(
        endpoints.choose(),
        Some(1),
        "two slots behind is not caught up"
    );
    endpoints.saw(0, at_slot(13), 0).unwrap();
    assert_eq!((endpoints.choose(), endpoints.lags()), (Some(0), vec![]));
}

#[test]
fn what_a_left_endpoint_said_makes_nobody_lag() {
    let mut endpoints = Endpoints::new(2, SLOT_MS);
    endpoints.saw(0, at_slot(10), 0).unwrap();
    endpoints.saw(1, at_slot(1_000), 0).unwrap();
    assert_eq!(endpoints.choose(), Some(1));
    endpoints.leave(1, 0);
    // It lagged behind one that turned out to be of no use.
    assert_eq!(endpoints.choose(), Some(0));
}

#[test]
fn other_block_for_a_number_that_was_final_is_a_lie() {
    let mut endpoints = Endpoints::new(1, SLOT_MS);
    endpoints.saw(0, with_final(40, block(32, 1)), 0).unwrap();
    endpoints.saw(0, with_final(70, block(64, 1)), 1).unwrap();
    let lie = endpoints
        .saw(0, with_final(70, block(32, 2)), 2)
        .unwrap_err();
    assert!(lie.is_lie());
    assert!(
        lie.to_string().contains("answers two different things"),
        "{lie}"
    );
    assert_eq!(endpoints.choose(), None);
    // What it said first is what it is held to.
    endpoints.saw(0, with_final(71, block(32, 1)), 3).unwrap();
    assert_eq!(endpoints.choose(), Some(0));
}

#[test]
fn head_at_or_below_its_own_final_block_has_to_be_that_block() {
    let mut endpoints = Endpoints::new(1, SLOT_MS);
    let below = endpoints
        .saw(0, with_final(31, block(32, 0)), 0)
        .unwrap_err();
    assert!(below.is_lie() && below.to_string().contains("its head is block 31"));
    let beside = endpoints
        .saw(0, with_final(32, block(32, 1)), 0)
        .unwrap_err();
    assert!(beside.is_lie());
    endpoints.saw(0, with_final(32, block(32, 0)), 0).unwrap();
}

#[test]
fn another_block_called_final_by_one_that_answers_is_a_contradiction() {
    let mut endpoints = Endpoints::new(3, SLOT_MS);
    endpoints.saw(0, with_final(40, block(32, 1)), 0).unwrap();
    endpoints.saw(1, with_final(40, block(32, 2)), 0).unwrap();
    assert_eq!(
        endpoints.other_final(0, block(32, 1)),
        Some((1, block(32, 2).hash))
    );
    assert_eq!(endpoints.other_final(0, block(33, 1)), None);
    assert_eq!(endpoints.others(0), [1]);
    endpoints.leave(1, 1);
    assert_eq!(
        endpoints.other_final(0, block(32, 1)),
        None,
        "it is not heard now"
    );
}

#[test]
fn head_from_the_future_is_refused() {
    let at = |timestamp| check_time(block(1, 0), timestamp, (100_500, 12_000));
    at(112).unwrap();
    let refused = at(113).unwrap_err();
    assert!(refused.is_lie() && refused.to_string().contains("time 113 s, it is 100500 ms"));
    at(u64::MAX).unwrap_err();
}

#[derive(Clone, Debug)]
enum Event {
    Saw { at: usize, slot: u64 },
    Leave { at: usize },
    Wait { ms: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0usize..4, 0u64..30).prop_map(|(at, slot)| Event::Saw { at, slot }),
        2 => (0usize..4).prop_map(|at| Event::Leave { at }),
        1 => (0u64..20_000).prop_map(|ms| Event::Wait { ms }),
    ]
}

/// What is known of an endpoint, without a state machine: its last answer if it was not left since,
/// and whether it lags.
#[derive(Clone, Copy, Default)]
struct Known {
    slot: Option<u64>,
    lags: bool,
}

proptest! {
    #[test]
    fn the_choice_is_the_naive_one(events in proptest::collection::vec(event(), 0..200)) {
        let mut endpoints = Endpoints::new(4, SLOT_MS);
        let mut model = [Known::default(); 4];
        let mut now = 0;
        for event in events {
            match event {
                Event::Saw { at, slot } => {
                    endpoints.saw(at, at_slot(slot), now).unwrap();
                    let fresh = model[at].slot.is_none();
                    model[at].slot = Some(slot);
                    model[at].lags &= !fresh;
                }
                Event::Leave { at } => {
                    endpoints.leave(at, now);
                    model[at].slot = None;
                }
                Event::Wait { ms } => now += ms,
            }
            let newest = model.iter().filter_map(|known| known.slot).max();
            for known in &mut model {
                if let (Some(slot), Some(newest)) = (known.slot, newest) {
                    let behind = newest - slot;
                    known.lags = behind > LAG_SLOTS_MAX || known.lags && behind > CAUGHT_UP_SLOTS;
                }
            }
            let naive = model.iter().position(|known| known.slot.is_some() && !known.lags);
            prop_assert_eq!(endpoints.choose(), naive);
            prop_assert_eq!(endpoints.choose().is_some(), newest.is_some(), "one that answers is used");
            for at in 0..4 {
                prop_assert!(endpoints.pause_ms(at, now) <= BACKOFF_MS_MAX, "nobody is left for ever");
            }
            for lag in endpoints.lags() {
                prop_assert!(model[lag.endpoint].lags && lag.slots == newest.unwrap() - model[lag.endpoint].slot.unwrap());
            }
        }
    }
}
