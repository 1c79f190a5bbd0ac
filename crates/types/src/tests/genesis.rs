//! A genesis is refused by the name of what is wrong with it.

use super::*;
use crate::{
    genesis::{L1_SLOT_MS_MAX, SLOT_MS_MIN, TERM_MS_MAX, TERM_MS_MIN},
    limits::NAMESPACES_MAX,
};

fn genesis() -> Genesis {
    let rollup = |id| NamespaceConfig {
        namespace: Namespace::new(id),
        reserve_holder: Some(proposer().address()),
        slot_bytes_max: 1 << 24,
    };
    let pointer = NamespaceConfig {
        reserve_holder: None,
        ..rollup(0)
    };
    Genesis {
        chain_id: CHAIN,
        time: TimestampMs::new(1_700_000_000_000),
        slot_ms: 2_000,
        term_ms: 384_000,
        l1: L1Config {
            chain_id: 1,
            slot_ms: 12_000,
            slots_per_epoch: 32,
            anchor: Bytes::from_static(b"read by the l1 crate"),
            registry: Address::repeat_byte(9),
        },
        namespaces: vec![pointer, rollup(8_001), rollup(8_002)],
        seats: SeatsRead::unproved(seats(4).0.seats().to_vec()),
        proposers: vec![B256::repeat_byte(1)],
    }
}

fn error(change: impl Fn(&mut Genesis)) -> GenesisError {
    let mut genesis = genesis();
    change(&mut genesis);
    genesis.validate().expect_err("changed for the worse")
}

#[test]
fn a_genesis_comes_back_from_json_and_makes_a_seat_set() {
    let genesis = genesis();
    let text = serde_json::to_string_pretty(&genesis).expect("serialises");
    assert_eq!(
        serde_json::from_str::<Genesis>(&text).expect("our own text"),
        genesis
    );
    assert_eq!(
        genesis.validate().expect("proper").hash(),
        seats(4).0.hash()
    );
    let clock = genesis.clock();
    assert_eq!(clock.start(Slot::ZERO), genesis.time);
    assert_eq!(
        genesis.anchor_ref(7).hash,
        keccak256(b"read by the l1 crate")
    );
}

#[test]
fn an_unknown_field_in_json_is_refused_by_name() {
    let mut value = serde_json::to_value(genesis()).expect("serialises");
    value["slot_seconds"] = 2.into();
    let error = serde_json::from_value::<Genesis>(value).expect_err("unknown field");
    assert!(error.to_string().contains("slot_seconds"), "{error}");
}

#[test]
fn a_slot_that_does_not_divide_the_l1_slot_is_refused() {
    let bad = [
        (0, 12_000),
        (SLOT_MS_MIN - 1, 12_000),
        (5_000, 12_000),
        (24_000, 12_000),
        (2_000, 0),
        (2_000, L1_SLOT_MS_MAX + 2_000),
    ];
    for (slot_ms, l1_slot_ms) in bad {
        let got = error(|genesis| {
            genesis.slot_ms = slot_ms;
            genesis.l1.slot_ms = l1_slot_ms;
        });
        assert_eq!(
            got,
            GenesisError::SlotLength {
                slot_ms,
                min: SLOT_MS_MIN,
                l1_slot_ms
            }
        );
    }
    for (slot_ms, l1_slot_ms) in [(1_000, 1_000), (12_000, 12_000), (3_000, L1_SLOT_MS_MAX)] {
        let mut good = genesis();
        good.slot_ms = slot_ms;
        good.l1.slot_ms = l1_slot_ms;
        assert!(good.validate().is_ok(), "{slot_ms} in {l1_slot_ms}");
    }
}

#[test]
fn a_term_too_short_to_hand_over_in_or_longer_than_stake_may_wait_is_refused() {
    for term_ms in [0, TERM_MS_MIN - 1, TERM_MS_MAX + 1] {
        let got = error(|genesis| genesis.term_ms = term_ms);
        assert_eq!(got, GenesisError::TermLength { term_ms });
    }
    for term_ms in [TERM_MS_MIN, TERM_MS_MAX] {
        let mut good = genesis();
        good.term_ms = term_ms;
        assert!(good.validate().is_ok(), "{term_ms}");
    }
}

#[test]
fn an_epoch_without_slots_is_refused() {
    assert_eq!(
        error(|genesis| genesis.l1.slots_per_epoch = 0),
        GenesisError::EmptyEpoch
    );
}

#[test]
fn namespaces_out_of_order_or_twice_are_refused() {
    let namespace = Namespace::new(8_001);
    let swap = |genesis: &mut Genesis| genesis.namespaces.swap(1, 2);
    assert_eq!(error(swap), GenesisError::NamespaceOrder { namespace });
    let twice = |genesis: &mut Genesis| genesis.namespaces[2].namespace = namespace;
    assert_eq!(error(twice), GenesisError::NamespaceOrder { namespace });
}

#[test]
fn a_rollup_needs_a_reserve_holder_that_can_sign() {
    let namespace = Namespace::new(8_002);
    let nobody = |genesis: &mut Genesis| genesis.namespaces[2].reserve_holder = None;
    assert_eq!(error(nobody), GenesisError::NoReserveHolder { namespace });
    let zero = |genesis: &mut Genesis| genesis.namespaces[2].reserve_holder = Some(Address::ZERO);
    assert_eq!(error(zero), GenesisError::ZeroReserveHolder { namespace });
    let namespace = Namespace::L1_POINTER;
    let zero = |genesis: &mut Genesis| genesis.namespaces[0].reserve_holder = Some(Address::ZERO);
    assert_eq!(error(zero), GenesisError::ZeroReserveHolder { namespace });
    assert!(!Namespace::ROFR.is_rollup() && !Namespace::L1_POINTER.is_rollup());
    assert!(Namespace::new(2).is_rollup());
}

#[test]
fn too_many_namespaces_are_refused() {
    let got = error(|genesis| {
        let one = genesis.namespaces[1].clone();
        genesis.namespaces = vec![one; NAMESPACES_MAX + 1];
    });
    assert_eq!(
        got,
        GenesisError::TooManyNamespaces {
            count: NAMESPACES_MAX + 1
        }
    );
}

#[test]
fn seats_that_make_no_set_are_refused() {
    let got = error(|genesis| genesis.seats.seats.truncate(3));
    assert_eq!(got, GenesisError::Seats(SeatSetError::Size { seats: 3 }));
}
