//! Seat sets, ids and slots.

use super::*;
use crate::{bls::KeyBytes, limits::SEATS_MAX};

#[test]
fn three_seats_tolerate_nothing_and_are_no_set() {
    let (set, _) = seats(4);
    let three = set.seats()[..3].to_vec();
    assert_eq!(SeatSet::new(three), Err(SeatSetError::Size { seats: 3 }));
    assert_eq!(SeatSet::new(vec![]), Err(SeatSetError::Size { seats: 0 }));
}

#[test]
fn too_many_seats_are_refused_before_any_key_is_read() {
    let seat = Seat {
        identity: B256::ZERO,
        bls: KeyBytes::ZERO,
        registry_index: 0,
    };
    let seats = SEATS_MAX + 1;
    assert_eq!(
        SeatSet::new(vec![seat; seats]),
        Err(SeatSetError::Size { seats })
    );
}

#[test]
fn seats_out_of_order_or_twice_are_named() {
    let (set, _) = seats(5);
    let mut swapped = set.seats().to_vec();
    swapped.swap(2, 3);
    let identity = swapped[3].identity;
    assert_eq!(
        SeatSet::new(swapped.clone()),
        Err(SeatSetError::Order { index: 3, identity })
    );
    assert_eq!(SeatSet::sorted(swapped).expect("sorted").hash(), set.hash());

    let mut twice = set.seats().to_vec();
    twice[1].identity = twice[0].identity;
    let identity = twice[0].identity;
    assert_eq!(
        SeatSet::sorted(twice),
        Err(SeatSetError::Order { index: 1, identity })
    );
}

#[test]
fn two_seats_cannot_share_a_key() {
    let (set, _) = seats(4);
    let mut shared = set.seats().to_vec();
    shared[3].bls = shared[0].bls;
    let bls = shared[0].bls;
    assert_eq!(
        SeatSet::new(shared),
        Err(SeatSetError::DuplicateKey { index: 3, bls })
    );
}

#[test]
fn infinity_and_points_of_no_group_are_no_keys() {
    let (set, _) = seats(4);
    let mut infinity = KeyBytes::ZERO;
    infinity[0] = 0xc0;
    let mut flipped = set.seats()[0].bls;
    flipped[95] ^= 1;
    for bad in [
        infinity,
        flipped,
        KeyBytes::ZERO,
        KeyBytes::repeat_byte(0xff),
    ] {
        let mut seats = set.seats().to_vec();
        seats[2].bls = bad;
        let error = SeatSet::new(seats).expect_err("no key");
        assert!(
            matches!(error, SeatSetError::Key { index: 2, .. }),
            "{error}"
        );
    }
}

#[test]
fn less_than_a_third_may_fail_and_two_quorums_share_an_honest_seat() {
    let mut all = seats(64).0.seats().to_vec();
    while all.len() >= 4 {
        let set = SeatSet::new(all.clone()).expect("a set");
        let (n, f, q) = (set.len(), set.faults(), set.quorum());
        assert!(3 * f < n && 3 * (f + 1) >= n, "{n} seats");
        assert!(
            2 * q > n + f,
            "two quorums of {n} seats meet in more than the faulty ones"
        );
        assert!(q <= n - f, "the honest alone are a quorum of {n}");
        all.pop();
    }
}

#[test]
fn seats_are_found_by_identity_at_their_bit() {
    let (set, _) = seats(7);
    for (i, seat) in set.seats().iter().enumerate() {
        assert_eq!(set.index_of(&seat.identity), Some(SeatIndex::new(i as u32)));
    }
    assert_eq!(set.index_of(&B256::ZERO), None);
    let bits = SeatBitmap::from_signers(7, [0, 6].map(SeatIndex::new));
    assert_eq!(bits.as_bytes().as_ref(), &[0b0100_0001]);
    let nine = SeatBitmap::from_signers(9, [8, 9].map(SeatIndex::new));
    assert_eq!(
        nine.as_bytes().as_ref(),
        &[0, 1],
        "a signer past the end is left out"
    );
}

#[test]
fn the_seats_hash_commits_to_identity_key_and_registry_index() {
    let (set, _) = seats(4);
    assert_eq!(
        set.hash(),
        keccak256(alloy_rlp::encode(set.seats().to_vec()))
    );
    let (more, _) = seats(5);
    assert_ne!(set.hash(), more.hash());
    let mut moved = set.seats().to_vec();
    moved[0].registry_index = 9;
    assert_ne!(SeatSet::new(moved).expect("a set").hash(), set.hash());
}

#[test]
fn slots_are_half_open_spans_of_time() {
    let clock = SlotClock {
        genesis: TimestampMs::new(10_000),
        slot_ms: 2_000,
    };
    let slot = |time| clock.slot_at(TimestampMs::new(time)).get();
    assert_eq!(
        [0, 9_999, 10_000, 11_999].map(slot),
        [0; 4],
        "also before genesis"
    );
    assert_eq!([12_000, 13_999, 14_000].map(slot), [1, 1, 2]);
    for s in [0, 1, 7, 1_000_000].map(Slot::new) {
        assert_eq!(clock.slot_at(clock.start(s)), s);
        assert_eq!(clock.slot_at(TimestampMs::new(clock.end(s).get() - 1)), s);
        assert_eq!(Some(clock.slot_at(clock.end(s))), s.next());
    }
}

#[test]
fn the_end_of_time_saturates() {
    let clock = SlotClock {
        genesis: TimestampMs::new(10_000),
        slot_ms: 2_000,
    };
    let last = Slot::new(u64::MAX);
    assert_eq!(clock.start(last), TimestampMs::new(u64::MAX));
    assert_eq!(clock.end(last), TimestampMs::new(u64::MAX));
    assert_eq!(last.next(), None);
    assert_eq!(
        TimestampMs::new(u64::MAX).plus(1),
        TimestampMs::new(u64::MAX)
    );
    assert_eq!(TimestampMs::new(1).since(TimestampMs::new(2)), 0);
}
