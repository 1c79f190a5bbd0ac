use super::*;
use crate::lanes::LaneBlock;
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use cortado_types::{
    ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot,
    ecdsa::SigningKey,
};

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
        let mut store = Store::open(context.child("store"), "p", cache)
            .await
            .unwrap();
        let lanes: Vec<_> = (0..600).map(lane).collect();
        for lane in &lanes {
            store.append(lane, true).await.unwrap();
        }
        store.start_sync().await.unwrap().await.unwrap();
        store.prune(TimestampMs::new(300)).await.unwrap();
        // Whole sections of 128 go: two of them are older than 300.
        assert!(store.get(lanes[0].hash).await.unwrap().is_none());
        assert!(store.get(lanes[255].hash).await.unwrap().is_none());
        for lane in &lanes[256..] {
            assert_eq!(
                store.get(lane.hash).await.unwrap(),
                Some(lane.bytes.clone())
            );
        }
        // Appending goes on behind what was pruned.
        let more = self::lane(700);
        store.append(&more, false).await.unwrap();
        assert!(store.has(more.hash).await.unwrap());
    });
}

#[test]
fn after_a_restart_the_newest_come_back_with_their_marks() {
    let runner = deterministic::Runner::default();
    let ((), checkpoint) = runner.start_and_recover(|context| async move {
        let cache = crate::engine::page_cache();
        let mut store = Store::open(context.child("store"), "p", cache)
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
        let store = Store::open(context.child("store"), "p", cache)
            .await
            .unwrap();
        let recent = |lane: &SealedLane| lane.lane.header.slot >= Slot::new(2);
        let newest = store.newest(recent).await.unwrap();
        let marks: Vec<_> = newest
            .iter()
            .map(|(lane, acknowledged)| (lane.lane.header.slot.get(), *acknowledged))
            .collect();
        assert_eq!(marks, [(4, true), (3, false), (2, true)]);
    });
}
