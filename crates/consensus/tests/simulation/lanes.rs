//! Lane blocks get in, whole, in order, and are kept.

use crate::common::{Pen, check_agreement, plan, reach, run, running, shift, transaction, wan};
use commonware_runtime::{Clock as _, Supervisor as _};
use cortado_consensus::{
    events::Event, runtime::Runtime as _, scheme::CheapScheme, simulate::World,
};
use cortado_types::{B256, Height};
use std::{collections::BTreeSet, time::Duration};

/// Lane headers in final blocks as `node` knows them, in order.
async fn included<S: cortado_consensus::scheme::Scheme>(
    node: &cortado_consensus::node::Node<S>,
) -> Vec<B256> {
    let mut hashes = vec![];
    for height in 1..=node.finalized().height().get() {
        let block = node.block(Height::new(height)).await.unwrap();
        hashes.extend(
            block
                .inner()
                .lanes
                .iter()
                .map(|entry| entry.lane.header.hash()),
        );
    }
    hashes
}

#[test]
fn two_proposers_at_once_lose_nothing_and_every_seat_holds_every_body() {
    run(1, |context| async move {
        let world = running::<CheapScheme>(&context, plan(4, 2), wan()).await;
        reach(world.node(0), 4).await;
        let until = context.now_ms().plus(7_000);
        let mut pens = [Pen::new(&world, 4, 0), Pen::new(&world, 4, 1)];
        let [first, second] = &mut pens;
        let every = Duration::from_millis(150);
        let (a, b) = futures::join!(
            shift(&context, world.node(4), first, 2_000, every, until),
            shift(&context, world.node(5), second, 2_000, every, until),
        );
        context.sleep(Duration::from_secs(3)).await;
        for i in 0..4 {
            let node = world.node(i);
            let got = included(node).await;
            let want: BTreeSet<_> = a.iter().chain(&b).copied().collect();
            assert_eq!(got.iter().copied().collect::<BTreeSet<_>>(), want);
            assert_eq!(got.len(), want.len(), "none twice");
            for hash in got {
                assert!(
                    node.lane_block(hash).await.unwrap().is_some(),
                    "body of {hash}"
                );
            }
        }
        assert!(a.len() > 20 && b.len() > 20);
        check_agreement(&world).await;
    });
}

#[test]
fn a_proposer_with_two_pens_gets_one_of_its_headers_in_and_is_named() {
    run(2, |context| async move {
        let mut world: World<CheapScheme> = World::new(context.child("world"), plan(4, 1)).await;
        world.mesh(&wan()).await;
        for i in 0..4 {
            world.start(i).await;
        }
        // One face tells seats 0 and 1, the other seats 1, 2 and 3: seat 1 hears both.
        let faces = world.start_two_faced(4, &[0, 1], &[1, 2, 3]).await;
        reach(world.node(0), 4).await;
        let mut heard: Vec<_> = (0..4).map(|i| world.node(i).events()).collect();
        context
            .sleep(Duration::from_millis(
                2_000 - context.now_ms().get() % 2_000,
            ))
            .await;
        let now = context.now_ms();
        let anchor = world.node(0).finalized().state.anchor();
        let mut hashes = BTreeSet::new();
        for (face, n) in faces.iter().zip([1, 2]) {
            let mut pen = Pen::new(&world, 4, 0);
            let lane = pen.cut(now, 2_000, anchor, true, vec![transaction(n)]);
            hashes.insert(lane.hash);
            assert!(face.publish(lane).await);
        }
        context.sleep(Duration::from_secs(6)).await;
        let got = included(world.node(0)).await;
        assert!(got.len() <= 1, "a quorum acknowledges one header a place");
        assert!(got.iter().all(|hash| hashes.contains(hash)));
        let mut named = 0;
        for events in &mut heard {
            let mut acknowledged = 0;
            while let Ok(event) = events.try_recv() {
                match event {
                    Event::LaneAcknowledged(_) => acknowledged += 1,
                    Event::Equivocation(evidence) => {
                        assert_eq!(evidence.culprit().unwrap(), world.keys[4].lane.address());
                        named += 1;
                    }
                    _ => {}
                }
            }
            assert!(acknowledged <= 1, "a seat acknowledges one header a place");
        }
        assert!(named > 0);
        check_agreement(&world).await;
    });
}

#[test]
fn a_body_that_a_seat_never_got_is_fetched_from_the_others() {
    run(3, |context| async move {
        let world = running::<CheapScheme>(&context, plan(4, 1), wan()).await;
        reach(world.node(4), 4).await;
        // Seat 3 never hears the proposer.
        world.cut(&[4], &[3]).await;
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(3_000);
        let every = Duration::from_millis(200);
        let sent = shift(&context, world.node(4), &mut pen, 2_000, every, until).await;
        context.sleep(Duration::from_secs(3)).await;
        let got = included(world.node(3)).await;
        assert_eq!(
            got.iter().copied().collect::<BTreeSet<_>>(),
            sent.into_iter().collect()
        );
        for hash in got {
            assert!(world.node(3).lane_block(hash).await.unwrap().is_some());
        }
    });
}

#[test]
fn a_proposer_that_was_away_learns_what_became_of_the_chain() {
    run(4, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 1), wan()).await;
        reach(world.node(4), 4).await;
        world.kill(4).await;
        let at = world.node(0).finalized().height().get();
        reach(world.node(0), at + 12).await;
        let node = world.start(4).await;
        reach(&node, at + 12).await;
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(2_500);
        let sent = shift(
            &context,
            &node,
            &mut pen,
            2_000,
            Duration::from_millis(300),
            until,
        )
        .await;
        context.sleep(Duration::from_secs(2)).await;
        let got: BTreeSet<_> = included(world.node(1)).await.into_iter().collect();
        assert!(sent.iter().all(|hash| got.contains(hash)));
        check_agreement(&world).await;
    });
}
