use super::*;
use crate::lanes::LaneBlock;
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use cortado_types::{
    ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot,
    ecdsa::SigningKey,
};

/// Sections of a second.
const RETENTION_MS: u64 = SECTIONS_PER_RETENTION * SECTION_MS_MIN;

fn lane(height: u64) -> SealedLane {
    let body = LaneBody {
        transactions: vec![height.to_be_bytes().to_vec().into()],
    };
    let header = LaneHeader {
        version: 1,
        chain_id: ChainId::new(1),
        namespace: Namespace::new(5),
        slot: Slot::new(height),
        seq: Seq::ZERO,
        last: true,
        height: Height::new(height),
        parent: B256::ZERO,
        context: L1Ref::default(),
        timestamp: TimestampMs::new(height),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let key = SigningKey::from_bytes([1; 32]).unwrap();
    let signature = key.sign(header.hash());
    let lane = SignedLaneHeader { header, signature };
    SealedLane::new(&LaneBlock { lane, body }).unwrap()
}

#[test]
fn what_is_past_its_retention_goes_and_what_is_not_stays() {
    deterministic::Runner::default().start(|context| async move {
        let cache = crate::engine::page_cache();
        let mut store = Store::open(context.child("store"), "p", cache, RETENTION_MS)
            .await
            .unwrap();
        // One lane block every 10 ms, a hundred to a section of a second.
        let lanes: Vec<_> = (0..600).map(|n| lane(10 * n)).collect();
        for lane in &lanes {
            store.append(lane, true).await.unwrap();
        }
        store.start_sync().await.unwrap().await.unwrap();
        store.prune(TimestampMs::new(2_999)).await.unwrap();
        // Whole sections go, and only those that are past it to the last lane block.
        assert!(store.get(lanes[0].hash).await.unwrap().is_none());
        assert!(store.get(lanes[199].hash).await.unwrap().is_none());
        for lane in &lanes[200..] {
            assert_eq!(
                store.get(lane.hash).await.unwrap(),
                Some(lane.bytes.clone())
            );
        }
        // Appending goes on behind what was pruned.
        let more = self::lane(7_000);
        store.append(&more, false).await.unwrap();
        assert!(store.has(more.hash).await.unwrap());
    });
}

#[test]
fn after_a_restart_the_newest_come_back_with_their_marks() {
    let runner = deterministic::Runner::default();
    let ((), checkpoint) = runner.start_and_recover(|context| async move {
        let cache = crate::engine::page_cache();
        let mut store = Store::open(context.child("store"), "p", cache, RETENTION_MS)
            .await
            .unwrap();
        for height in 0..5 {
            store.append(&lane(height), height != 3).await.unwrap();
        }
        store.start_sync().await.unwrap().await.unwrap();
        // Not synced: gone with the power.
        store.append(&lane(9), true).await.unwrap();
    });
    deterministic::Runner::from(checkpoint).start(|context| async move {
        let cache = crate::engine::page_cache();
        let store = Store::open(context.child("store"), "p", cache, RETENTION_MS)
            .await
            .unwrap();
        let recent = |lane: &SealedLane| lane.lane.header.slot >= Slot::new(2);
        let newest = store.newest(recent, |lane| !recent(lane)).await.unwrap();
        let marks: Vec<_> = newest
            .iter()
            .map(|(lane, acknowledged)| (lane.lane.header.slot.get(), *acknowledged))
            .collect();
        assert_eq!(marks, [(4, true), (3, false), (2, true)]);
    });
}

#[test]
fn what_was_fetched_hides_no_mark_that_stands_before_it() {
    deterministic::Runner::default().start(|context| async move {
        let cache = crate::engine::page_cache();
        let mut store = Store::open(context.child("store"), "p", cache, RETENTION_MS)
            .await
            .unwrap();
        store.append(&lane(5), true).await.unwrap();
        store.append(&lane(90), true).await.unwrap();
        // Old ones come from peers after the newest was acknowledged.
        store.append(&lane(7), false).await.unwrap();
        store.append(&lane(8), false).await.unwrap();
        let over = |lane: &SealedLane| lane.lane.header.slot < Slot::new(80);
        let newest = store.newest(|lane| !over(lane), over).await.unwrap();
        let marks: Vec<_> = newest
            .iter()
            .map(|(lane, acknowledged)| (lane.lane.header.slot.get(), *acknowledged))
            .collect();
        assert_eq!(marks, [(90, true)]);
    });
}

#[test]
fn a_busy_store_has_no_more_files_open_than_a_period_has_sections() {
    deterministic::Runner::default().start(|context| async move {
        let cache = crate::engine::page_cache();
        let mut store = Store::open(context.child("store"), "p", cache, RETENTION_MS)
            .await
            .unwrap();
        let mut most = 0;
        for n in 0..4 * SECTIONS_PER_RETENTION {
            for part in 0..8 {
                let time = n * SECTION_MS_MIN + part * SECTION_MS_MIN / 8;
                store.append(&lane(time), true).await.unwrap();
            }
            let oldest = (n * SECTION_MS_MIN).saturating_sub(RETENTION_MS);
            store.prune(TimestampMs::new(oldest)).await.unwrap();
            most = most.max(store.sections().unwrap().len() as u64);
        }
        assert!(most <= SECTIONS_PER_RETENTION + 2, "{most} sections");
        assert!(most >= SECTIONS_PER_RETENTION, "{most} sections");
    });
}
