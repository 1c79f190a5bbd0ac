use super::*;
use crate::{
    engine::Tuning,
    simulate::{FIRST_ROLLUP, Plan, genesis},
};
use bytes::Bytes;
use cortado_types::{
    ChainId, LaneEntry, LaneHeader, Seq, SignedLaneHeader, limits::PROTOCOL_VERSION,
};

const ROLLUP: Namespace = Namespace::new(FIRST_ROLLUP);

fn plan() -> Plan {
    Plan {
        seats: 4,
        proposers: 1,
        spares: 0,
        slot_ms: 2_000,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 1 << 20,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    }
}

fn state() -> State {
    State::genesis(&genesis(&plan()).1).unwrap()
}

fn lane(height: u64, slot: u64, parent: B256) -> SealedLane {
    let header = LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: ChainId::new(7_777),
        namespace: ROLLUP,
        slot: Slot::new(slot),
        seq: Seq::ZERO,
        last: false,
        height: Height::new(height),
        parent,
        context: state().anchor(),
        timestamp: TimestampMs::new(slot * 2_000),
        body_root: B256::ZERO,
        size: 0,
        group: B256::ZERO,
    };
    let hash = header.hash();
    let signature = genesis(&plan()).0[4].lane.sign(hash);
    let lane = SignedLaneHeader { header, signature };
    SealedLane {
        lane,
        hash,
        bytes: Bytes::from_static(b"body"),
    }
}

fn final_block(state: &State, time: u64, lanes: &[&SealedLane]) -> Block {
    let mut block = state.genesis_block();
    block.header.timestamp = TimestampMs::new(time);
    block.lanes = lanes
        .iter()
        .map(|sealed| LaneEntry {
            lane: sealed.lane.clone(),
            certificate: None,
        })
        .collect();
    block
}

#[test]
fn only_seats_that_stay_silent_get_it_again_and_not_before_time() {
    let mut outbox = Outbox::new(4);
    let sent = lane(1, 0, B256::ZERO);
    assert!(outbox.publish(sent.clone(), TimestampMs::new(100)));
    assert!(
        !outbox.publish(sent.clone(), TimestampMs::new(100)),
        "the same twice is once"
    );
    outbox.acknowledged(&sent.hash, SeatIndex::new(0));
    outbox.acknowledged(&sent.hash, SeatIndex::new(2));
    assert!(
        outbox
            .overdue(TimestampMs::new(100 + RESEND_AFTER_MS - 1))
            .is_empty()
    );
    let overdue = outbox.overdue(TimestampMs::new(100 + RESEND_AFTER_MS));
    assert_eq!(
        overdue,
        vec![(sent.clone(), vec![SeatIndex::new(1), SeatIndex::new(3)])]
    );
    assert!(
        outbox
            .overdue(TimestampMs::new(101 + RESEND_AFTER_MS))
            .is_empty()
    );
    outbox.acknowledged(&sent.hash, SeatIndex::new(1));
    outbox.acknowledged(&sent.hash, SeatIndex::new(3));
    assert!(
        outbox.overdue(TimestampMs::new(10_000)).is_empty(),
        "all have it"
    );
}

#[test]
fn every_lane_block_ends_once_included_or_void_with_all_that_stands_on_it() {
    let mut outbox = Outbox::new(4);
    let first = lane(1, 0, B256::ZERO);
    let second = lane(2, 0, first.hash);
    let third = lane(3, 1, second.hash);
    for sent in [&first, &second, &third] {
        outbox.publish(sent.clone(), TimestampMs::ZERO);
    }
    let mut state = state();
    let tip = &mut state.namespaces.get_mut(&ROLLUP).unwrap().tip;
    (tip.height, tip.hash) = (Height::new(1), first.hash);
    let included = Fate::Included {
        namespace: ROLLUP,
        hash: first.hash,
    };
    assert_eq!(
        outbox.finalize(&final_block(&state, 500, &[&first]), &state),
        vec![included]
    );
    assert_eq!(outbox.len(), 2);
    // Slot 0 closes without the second; the third is of an open slot but stands on it.
    let voided = |sealed: &SealedLane| Fate::Voided {
        namespace: ROLLUP,
        slot: sealed.lane.header.slot,
        hash: sealed.hash,
    };
    let fates = outbox.finalize(&final_block(&state, 2_000 + GRACE_MS, &[]), &state);
    assert_eq!(fates, vec![voided(&second), voided(&third)]);
    assert!(outbox.is_empty());
}

#[test]
fn a_lane_block_whose_place_another_took_is_void_at_once() {
    let mut outbox = Outbox::new(4);
    let sent = lane(1, 0, B256::ZERO);
    outbox.publish(sent.clone(), TimestampMs::ZERO);
    let mut state = state();
    let tip = &mut state.namespaces.get_mut(&ROLLUP).unwrap().tip;
    (tip.height, tip.hash) = (Height::new(1), B256::repeat_byte(1));
    let fates = outbox.finalize(&final_block(&state, 100, &[]), &state);
    assert_eq!(fates.len(), 1);
    assert!(matches!(fates[0], Fate::Voided { .. }));
}
