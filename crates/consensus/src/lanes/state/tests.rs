use super::*;
use crate::{
    engine::Tuning,
    simulate::{FIRST_ROLLUP, Keys, Plan, genesis},
};
use cortado_chain::LaneRejection;
use cortado_types::{
    ChainId, LaneHeader, SeatBitmap, bls::SignatureBytes, ecdsa::SigningKey,
    limits::PROTOCOL_VERSION,
};

const ROLLUP: Namespace = Namespace::new(FIRST_ROLLUP);
const SLOT_MS: u64 = 2_000;
const SLOT_BYTES: u64 = 10_000;

fn plan() -> Plan {
    Plan {
        seats: 4,
        proposers: 1,
        spares: 0,
        slot_ms: SLOT_MS,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: SLOT_BYTES,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    }
}

fn genesis_state() -> Arc<State> {
    Arc::new(State::genesis(&genesis(&plan()).1).unwrap())
}

fn proposer() -> SigningKey {
    genesis(&plan()).0[4].lane.clone()
}

/// A signed header on `parent`, in the slot of `time`.
fn lane(parent: Option<&SignedLaneHeader>, time: u64, body: u8) -> SignedLaneHeader {
    lane_with(parent, time, body, |_| {})
}

fn lane_with(
    parent: Option<&SignedLaneHeader>,
    time: u64,
    body: u8,
    change: impl FnOnce(&mut LaneHeader),
) -> SignedLaneHeader {
    let slot = Slot::new(time / SLOT_MS);
    let parent = parent.map(|parent| &parent.header);
    let seq = match parent {
        Some(parent) if parent.slot == slot => parent.seq.next().unwrap(),
        _ => Seq::ZERO,
    };
    let mut header = LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: ChainId::new(7_777),
        namespace: ROLLUP,
        slot,
        seq,
        last: false,
        height: parent.map_or(Height::new(1), |parent| parent.height.next().unwrap()),
        parent: parent.map_or(B256::ZERO, LaneHeader::hash),
        context: genesis_state().anchor(),
        timestamp: TimestampMs::new(time),
        body_root: B256::repeat_byte(body),
        size: 1_000,
        group: B256::ZERO,
    };
    change(&mut header);
    let signature = proposer().sign(header.hash());
    SignedLaneHeader { header, signature }
}

fn certificate() -> QuorumCertificate {
    QuorumCertificate {
        signers: SeatBitmap::from_signers(4, []),
        signature: SignatureBytes::ZERO,
    }
}

/// Judges, takes and acknowledges.
fn accept(lanes: &mut Lanes, lane: &SignedLaneHeader, now: u64) {
    let hash = lane.header.hash();
    match lanes.judge(lane, hash, TimestampMs::new(now)).unwrap() {
        Verdict::New { signer } => lanes.reserve(lane, hash, signer),
        other => panic!("{other:?}"),
    }
    lanes.acknowledge(&hash);
}

fn judge(lanes: &Lanes, lane: &SignedLaneHeader, now: u64) -> Result<Verdict, Refusal> {
    lanes.judge(lane, lane.header.hash(), TimestampMs::new(now))
}

#[test]
fn a_chain_of_lane_blocks_is_taken_in_order_and_known_afterwards() {
    let mut lanes = Lanes::new(genesis_state());
    let first = lane(None, 100, 1);
    let second = lane(Some(&first), 200, 2);
    assert!(matches!(
        judge(&lanes, &second, 250),
        Err(Refusal::UnknownParent { .. })
    ));
    accept(&mut lanes, &first, 250);
    accept(&mut lanes, &second, 250);
    assert_eq!(
        judge(&lanes, &second, 300),
        Ok(Verdict::Known { acknowledged: true })
    );
    assert_eq!(lanes.acknowledged().count(), 2);
}

#[test]
fn a_second_header_for_a_place_is_evidence_and_not_taken() {
    let mut lanes = Lanes::new(genesis_state());
    let (first, second) = (lane(None, 100, 1), lane(None, 100, 2));
    accept(&mut lanes, &first, 150);
    let Ok(Verdict::Equivocation(evidence)) = judge(&lanes, &second, 200) else {
        panic!("two headers for one place")
    };
    assert_eq!(evidence.culprit(), Ok(proposer().address()));
}

#[test]
fn a_place_stays_taken_when_its_lane_block_is_final_until_its_slot_is_over() {
    let state = genesis_state();
    let mut lanes = Lanes::new(state.clone());
    let (first, second) = (lane(None, 100, 1), lane(None, 100, 2));
    accept(&mut lanes, &first, 150);
    let mut block = state.genesis_block();
    block.header.timestamp = TimestampMs::new(300);
    let mut after = (*state).clone();
    after.namespaces.get_mut(&ROLLUP).unwrap().tip =
        cortado_chain::check_place(&state, &first, block.header.timestamp).unwrap();
    lanes.finalize(&block, Arc::new(after), TimestampMs::new(300));
    assert!(
        lanes.get(&first.header.hash()).is_none(),
        "what is final waits no more"
    );
    assert!(matches!(
        judge(&lanes, &second, 400),
        Ok(Verdict::Equivocation(_))
    ));
}

#[test]
fn nothing_is_taken_before_its_slot_or_after_its_end_by_this_clock() {
    let lanes = Lanes::new(genesis_state());
    let early = lane(None, 2_100, 1);
    assert!(matches!(
        judge(&lanes, &early, 1_700),
        Err(Refusal::SlotAhead { .. })
    ));
    assert!(judge(&lanes, &early, 1_800).is_ok(), "within DRIFT_MS");
    assert!(judge(&lanes, &early, 3_999).is_ok());
    assert!(matches!(
        judge(&lanes, &early, 4_000),
        Err(Refusal::SlotOver { .. })
    ));
}

#[test]
fn a_slots_quota_of_bytes_is_not_passed() {
    let mut lanes = Lanes::new(genesis_state());
    let mut parent: Option<SignedLaneHeader> = None;
    for i in 0..10 {
        let next = lane(parent.as_ref(), 100 + i, i as u8);
        accept(&mut lanes, &next, 500);
        parent = Some(next);
    }
    let over = lane(parent.as_ref(), 200, 99);
    let refusal = judge(&lanes, &over, 500).unwrap_err();
    assert!(matches!(
        refusal,
        Refusal::Quota {
            used: 10_000,
            size: 1_000,
            limit: SLOT_BYTES,
            ..
        }
    ));
    // The next slot has its own.
    assert!(judge(&lanes, &lane(parent.as_ref(), 2_100, 1), 2_200).is_ok());
}

#[test]
fn a_stranger_and_a_misplaced_header_are_refused() {
    let mut lanes = Lanes::new(genesis_state());
    let mut foreign = lane(None, 100, 1);
    foreign.signature = Keys::derive(8).lane.sign(foreign.header.hash());
    let refused = judge(&lanes, &foreign, 150);
    assert!(matches!(
        refused,
        Err(Refusal::Lane(LaneRejection::NotProposer { .. }))
    ));
    let first = lane(None, 100, 1);
    accept(&mut lanes, &first, 150);
    let gap = lane_with(Some(&first), 200, 2, |header| header.seq = Seq::new(2));
    assert!(matches!(
        judge(&lanes, &gap, 250),
        Err(Refusal::Misplaced { .. })
    ));
    let back = lane_with(Some(&first), 200, 2, |header| {
        header.timestamp = TimestampMs::new(50)
    });
    assert!(matches!(
        judge(&lanes, &back, 250),
        Err(Refusal::Misplaced { .. })
    ));
    let tall = lane_with(Some(&first), 200, 2, |header| {
        header.height = Height::new(3)
    });
    assert!(matches!(
        judge(&lanes, &tall, 250),
        Err(Refusal::Misplaced { .. })
    ));
}

#[test]
fn after_the_last_of_a_slot_nothing_more_of_it_is_taken() {
    let mut lanes = Lanes::new(genesis_state());
    let closing = lane_with(None, 100, 1, |header| header.last = true);
    accept(&mut lanes, &closing, 150);
    assert!(matches!(
        judge(&lanes, &lane(Some(&closing), 200, 2), 250),
        Err(Refusal::Misplaced { .. })
    ));
    assert!(judge(&lanes, &lane(Some(&closing), 2_100, 2), 2_150).is_ok());
}

#[test]
fn a_run_ends_with_the_highest_certificate_whose_slots_are_open() {
    let state = genesis_state();
    let mut lanes = Lanes::new(state.clone());
    // ```
    //  a ── b* ── c ── d* ── e*      * certified; e is of the next slot, which opens later
    // ```
    let a = lane(None, 100, 1);
    let b = lane(Some(&a), 200, 2);
    let c = lane(Some(&b), 300, 3);
    let d = lane(Some(&c), 400, 4);
    let e = lane(Some(&d), 2_010, 5);
    for next in [&a, &b, &c, &d] {
        accept(&mut lanes, next, 500);
    }
    accept(&mut lanes, &e, 2_020);
    assert_eq!(lanes.offer(&state, TimestampMs::new(500)), Offer::default());
    for next in [&b, &d, &e] {
        assert!(lanes.certify(next.header.hash(), certificate()));
    }
    let offer = lanes.offer(&state, TimestampMs::new(2_100));
    let hashes: Vec<_> = offer.runs[0]
        .iter()
        .map(|entry| entry.lane.header.hash())
        .collect();
    assert_eq!(hashes, [&a, &b, &c, &d].map(|lane| lane.header.hash()));
    // One certificate covers all before it.
    let certified: Vec<_> = offer.runs[0]
        .iter()
        .map(|entry| entry.certificate.is_some())
        .collect();
    assert_eq!(certified, [false, false, false, true]);
    assert!(offer.waiting, "e waits for its slot");
    let later = lanes.offer(&state, TimestampMs::new(2_600));
    assert!(
        later.runs.is_empty(),
        "slot 0 is closed, and e stands on it"
    );
}

#[test]
fn a_certificate_that_comes_before_its_lane_block_is_not_lost() {
    let state = genesis_state();
    let mut lanes = Lanes::new(state.clone());
    let first = lane(None, 100, 1);
    let hash = first.header.hash();
    assert!(!lanes.certify(hash, certificate()), "it has to be fetched");
    lanes.hold(&first, hash);
    assert_eq!(lanes.offer(&state, TimestampMs::new(200)).runs.len(), 1);
    // Held, not acknowledged: the proposer may still send it.
    assert_eq!(
        judge(&lanes, &first, 200),
        Ok(Verdict::Known {
            acknowledged: false
        })
    );
}

#[test]
fn what_a_slot_left_behind_is_dropped_when_it_is_closed() {
    let state = genesis_state();
    let mut lanes = Lanes::new(state.clone());
    accept(&mut lanes, &lane(None, 100, 1), 150);
    let mut block = state.genesis_block();
    block.header.timestamp = TimestampMs::new(SLOT_MS + GRACE_MS);
    lanes.finalize(&block, state.clone(), TimestampMs::new(SLOT_MS + GRACE_MS));
    assert_eq!(lanes.acknowledged().count(), 0);
    assert!(lanes.places.is_empty() && lanes.spent.is_empty() && lanes.by_height.is_empty());
}
