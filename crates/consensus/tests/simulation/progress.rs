//! The chain goes on.

use crate::common::{check_agreement, l1_header, plan, reach, run, running, wan};
use commonware_runtime::{Clock as _, deterministic};
use cortado_consensus::{
    runtime::Runtime as _,
    scheme::{BlsScheme, CheapScheme},
    simulate::SimulatedScheme,
    witness::Observation,
};
use cortado_types::{Height, keccak256};
use std::time::Duration;

async fn idle<S: SimulatedScheme>(context: deterministic::Context) -> Vec<cortado_types::B256> {
    let world = running::<S>(&context, plan(4, 1), wan()).await;
    for node in world.nodes() {
        reach(node, 6).await;
    }
    let newest = world.node(0).finalized();
    // An idle chain has a block at least once a second.
    let age = context
        .now_ms()
        .since(newest.block.inner().header.timestamp);
    assert!(age < 1_000, "newest block is {age} ms old");
    let blocks = newest.height().get();
    assert!(
        context.now_ms().get() <= (blocks + 2) * 1_000,
        "{blocks} blocks"
    );
    check_agreement(&world).await.into_values().collect()
}

#[test]
fn four_seats_finalise_empty_blocks_at_least_once_a_second() {
    run(1, idle::<CheapScheme>);
}

#[test]
fn with_bls_any_certificate_verifies_under_the_seats_of_genesis() {
    run(2, |context| async move {
        let world = running::<BlsScheme>(&context, plan(4, 1), wan()).await;
        for node in world.nodes() {
            reach(node, 3).await;
        }
        let node = world.node(4);
        let (height, certificate) = node.certificate(Height::new(2)).await.unwrap();
        let block = node.block(height).await.unwrap();
        let seats = world.genesis.validate().unwrap();
        let (chain_id, term) = (world.genesis.chain_id, block.inner().header.term);
        certificate
            .verify(block.hash(), chain_id, term, &seats)
            .unwrap();
    });
}

#[test]
fn the_same_seed_makes_the_same_world() {
    let digest = |seed| {
        run(seed, |context| async move {
            let auditor = context.auditor();
            idle::<CheapScheme>(context).await;
            auditor.state()
        })
    };
    assert_eq!(digest(7), digest(7));
    assert_ne!(digest(7), digest(8));
}

#[test]
fn the_pointer_follows_what_a_quorum_of_l1_nodes_saw() {
    run(3, |context| async move {
        let world = running::<CheapScheme>(&context, plan(4, 0), wan()).await;
        let mut parent = keccak256(world.genesis.l1.anchor.clone());
        for number in 1..=3 {
            context.sleep(Duration::from_secs(2)).await;
            let raw = l1_header(number, parent, number * 2);
            parent = keccak256(&raw);
            // One of four L1 nodes is down.
            for i in 0..3 {
                world
                    .node(i)
                    .observe(Observation::Header(raw.clone()))
                    .await;
            }
            for i in 0..3 {
                if number == 3 {
                    let older = world.node(i).finalized().state.anchor().hash;
                    world.node(i).observe(Observation::Finalized(older)).await;
                }
            }
        }
        context.sleep(Duration::from_secs(3)).await;
        for node in world.nodes() {
            let state = node.finalized().state.clone();
            assert_eq!(state.anchor().hash, parent);
            assert!(
                state.l1.fin().number >= 1,
                "L1fin stands at {}",
                state.l1.fin().number
            );
        }
        check_agreement(&world).await;
    });
}
