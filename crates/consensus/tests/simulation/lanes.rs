//! Lane blocks get in, whole, in order, and are kept.

use crate::common::{Pen, check_agreement, plan, reach, run, running, shift, wan};
use commonware_runtime::Clock as _;
use cortado_consensus::{runtime::Runtime as _, scheme::CheapScheme};
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
