//! Power is cut: what a disk has not synced is gone, or torn.

use crate::common::{Pen, check_agreement, plan, reach, run, running, shift, transaction, wan};
use commonware_macros::select;
use commonware_runtime::{
    Clock as _, Supervisor as _,
    deterministic::{self, FaultConfig, PartialWriteMode, WriteConfig},
};
use commonware_utils::{NZU64, probability};
use cortado_consensus::{
    events::Event, runtime::Runtime as _, scheme::CheapScheme, simulate::World,
};
use cortado_types::{B256, Height, Term, TimestampMs, View};
use std::{collections::BTreeMap, time::Duration};

#[test]
fn a_seat_that_acknowledged_still_holds_the_body_after_a_power_cut() {
    run(1, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 1), wan()).await;
        reach(world.node(4), 4).await;
        let mut pen = Pen::new(&world, 4, 0);
        for round in 0..4 {
            let seat = round % 4;
            let mut events = world.node(seat).events();
            // Early in a slot, so that it is still open afterwards.
            context
                .sleep(Duration::from_millis(
                    2_000 - context.now_ms().get() % 2_000,
                ))
                .await;
            context.sleep(Duration::from_millis(700)).await;
            let node = world.node(4);
            pen.rewind(node);
            let anchor = node.finalized().state.anchor();
            let txs = vec![transaction(round as u64)];
            let lane = pen.cut(context.now_ms(), 2_000, anchor, true, txs);
            let hash = lane.hash;
            assert!(node.publish(lane).await);
            loop {
                match events.recv().await.expect("seat must run") {
                    Event::LaneAcknowledged(lane) if lane.header.hash() == hash => break,
                    _ => {}
                }
            }
            // The acknowledgement has just been said. Its author loses power, and everybody it
            // could have the body from is out of reach.
            world.kill(seat).await;
            let others: Vec<_> = (0..5).filter(|i| *i != seat).collect();
            world.cut(&[seat], &others).await;
            let again = world.start(seat).await;
            assert!(
                again.lane_block(hash).await.unwrap().is_some(),
                "round {round}: body is lost"
            );
            world.link(&[seat], &others, &wan()).await;
            let at = world.node(4).finalized().height().get();
            reach(world.node(4), at + 3).await;
        }
        check_agreement(&world).await;
    });
}

#[test]
fn a_body_that_a_seat_fetched_is_still_there_after_a_power_cut() {
    run(8, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 1), wan()).await;
        reach(world.node(4), 4).await;
        world.cut(&[3], &[4]).await;
        context
            .sleep(Duration::from_millis(
                2_000 - context.now_ms().get() % 2_000,
            ))
            .await;
        let mut pen = Pen::new(&world, 4, 0);
        let anchor = world.node(4).finalized().state.anchor();
        let lane = pen.cut(context.now_ms(), 2_000, anchor, true, vec![transaction(1)]);
        let hash = lane.hash;
        assert!(world.node(4).publish(lane).await);
        while world.node(3).lane_block(hash).await.unwrap().is_none() {
            context.sleep(Duration::from_millis(50)).await;
        }
        // It is nobody's turn to wait for this write, so it gets a moment.
        context.sleep(Duration::from_secs(1)).await;
        world.kill(3).await;
        world.cut(&[3], &[0, 1, 2, 4]).await;
        let again = world.start(3).await;
        let found = select! {
            found = again.lane_block(hash) => found.unwrap(),
            _ = context.sleep(Duration::from_secs(5)) => None,
        };
        assert!(found.is_some(), "a final body is lost");
    });
}

#[test]
fn after_a_power_cut_no_second_header_is_acknowledged_for_a_place() {
    run(2, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 1), wan()).await;
        reach(world.node(4), 4).await;
        // Only seat 0 hears the proposer, so nothing is certified and the place stays open.
        world.cut(&[4], &[1, 2, 3]).await;
        context
            .sleep(Duration::from_millis(
                2_000 - context.now_ms().get() % 2_000,
            ))
            .await;
        let (mut pen, mut other) = (Pen::new(&world, 4, 0), Pen::new(&world, 4, 0));
        let anchor = world.node(4).finalized().state.anchor();
        let now = context.now_ms();
        let first = pen.cut(now, 2_000, anchor, true, vec![transaction(1)]);
        let second = other.cut(now, 2_000, anchor, true, vec![transaction(2)]);
        let mut events = world.node(0).events();
        assert!(world.node(4).publish(first.clone()).await);
        loop {
            match events.recv().await.expect("seat must run") {
                Event::LaneAcknowledged(lane) if lane.header.hash() == first.hash => break,
                _ => {}
            }
        }
        world.kill(0).await;
        let mut events = world.start(0).await.events();
        assert!(world.node(4).publish(second.clone()).await);
        loop {
            match events.recv().await.expect("seat must run") {
                Event::Equivocation(evidence) => {
                    assert_eq!(evidence.first, first.lane);
                    assert_eq!(evidence.second, second.lane);
                    break;
                }
                Event::LaneAcknowledged(lane) => {
                    assert_ne!(
                        lane.header.hash(),
                        second.hash,
                        "a seat contradicted itself"
                    );
                }
                _ => {}
            }
        }
    });
}

#[test]
fn a_snapshot_carries_a_seat_over_blocks_that_were_pruned() {
    run(3, |context| async move {
        let mut plan = plan(4, 1);
        plan.tuning.snapshot_interval = 4;
        plan.tuning.block_retention = Some(2);
        plan.tuning.blocks_per_file = NZU64!(4);
        let mut world = running::<CheapScheme>(&context, plan, wan()).await;
        reach(world.node(0), 4).await;
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(5_000);
        shift(
            &context,
            world.node(4),
            &mut pen,
            2_000,
            Duration::from_millis(100),
            until,
        )
        .await;
        let at = world.node(0).finalized().height().get();
        let first = Height::new(1);
        assert!(
            world.node(0).block(first).await.is_none(),
            "nothing was pruned"
        );
        world.kill(0).await;
        let node = world.start(0).await;
        // Not from genesis: the snapshot is what it begins with.
        assert!(
            node.finalized().height().get() + 8 > at,
            "snapshot is at {}",
            node.finalized().height()
        );
        reach(&node, at + 4).await;
        let (a, b) = (node.finalized(), world.node(1).finalized());
        if a.height() == b.height() {
            assert_eq!(a.state.root(), b.state.root());
        }
    });
}

#[test]
fn a_node_that_loses_power_long_after_its_snapshot_takes_all_its_engine_has_and_goes_on() {
    run(9, |context| async move {
        let mut plan = plan(4, 1);
        // A snapshot is further away than blocks fit into any mailbox.
        plan.tuning.snapshot_interval = 1_024;
        plan.tuning.idle = Duration::from_millis(50);
        let mut world = running::<CheapScheme>(&context, plan, wan()).await;
        for (i, at) in [(4, 220), (0, 280)] {
            reach(world.node(i), at).await;
            world.kill(i).await;
            let again = world.start(i).await;
            select! {
                () = reach(&again, at + 20) => {},
                () = context.sleep(Duration::from_secs(60)) => {
                    panic!("node {i} stands at {}: {:?}", again.finalized().height(), again.failure());
                },
            }
        }
        check_agreement(&world).await;
    });
}

#[test]
fn what_excuses_a_seat_is_still_there_after_a_power_cut() {
    run(6, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 0), wan()).await;
        reach(world.node(0), 4).await;
        // A leader that is gone: its views are nullified.
        world.kill(3).await;
        let at = world.node(0).finalized();
        reach(world.node(0), at.height().get() + 4).await;
        let newest = world.node(0).finalized().block.inner().header.view;
        let mut kept = BTreeMap::new();
        for view in 1..=newest.get() {
            let record = world.node(0).view(Term::ZERO, View::new(view)).await;
            let certified = record.certificates().next().is_some();
            assert!(certified, "view {view} was certified or nullified");
            assert!(record.votes().count() >= 3, "a quorum voted in view {view}");
            kept.insert(view, record);
        }
        // Longer than what is archived may wait for its sync.
        context.sleep(Duration::from_secs(3)).await;
        world.kill(0).await;
        world.cut(&[0], &[1, 2]).await;
        let again = world.start(0).await;
        for (view, record) in kept {
            let mut found = again.view(Term::ZERO, View::new(view)).await;
            let before = found.clone();
            found.merge(&record);
            assert_eq!(found, before, "view {view} lost something");
        }
    });
}

/// What must survive every cut: final blocks by height, and bodies that a seat said it holds.
#[derive(Default)]
struct Memory {
    chain: BTreeMap<u64, B256>,
    held: BTreeMap<usize, Vec<B256>>,
}

async fn episode(context: deterministic::Context, memory: &mut Memory, length: Duration) {
    let mut world: World<CheapScheme> = World::new(context.child("world"), plan(4, 1)).await;
    world.mesh(&wan()).await;
    for i in 0..5 {
        world.start(i).await;
    }
    // What was known before the cut is known after it, and is the same.
    for (i, hashes) in &memory.held {
        for hash in hashes {
            let found = world.node(*i).lane_block(*hash).await.unwrap();
            assert!(
                found.is_some(),
                "seat {i} lost the body of {hash} that it acknowledged"
            );
        }
    }
    let mut events: Vec<_> = (0..4).map(|i| world.node(i).events()).collect();
    let newest = memory.chain.keys().next_back().copied().unwrap_or(0);
    reach(world.node(4), newest + 2).await;
    for (height, hash) in &memory.chain {
        let again = world.node(4).block(Height::new(*height)).await.unwrap();
        assert_eq!(again.hash(), *hash, "final block {height} changed");
    }
    let mut pen = Pen::new(&world, 4, 0);
    pen.rewind(world.node(4));
    // A new slot, so that no place of before the cut is taken twice by an honest pen.
    context
        .sleep(Duration::from_millis(
            2_000 - context.now_ms().get() % 2_000,
        ))
        .await;
    let until = TimestampMs::new(context.now_ms().get() + length.as_millis() as u64);
    shift(
        &context,
        world.node(4),
        &mut pen,
        2_000,
        Duration::from_millis(90),
        until,
    )
    .await;
    memory.chain.extend(check_agreement(&world).await);
    for (i, events) in events.iter_mut().enumerate() {
        while let Ok(event) = events.try_recv() {
            if let Event::LaneAcknowledged(lane) = event {
                memory.held.entry(i).or_default().push(lane.header.hash());
            }
        }
    }
    // Power is cut here, in the middle of whatever was being written.
}

/// The whole town loses power again and again; unsynced writes are dropped or torn.
fn town_without_power(seed: u64, mode: PartialWriteMode) {
    let mut memory = Memory::default();
    let config = deterministic::Config::new().with_seed(seed);
    let faults = FaultConfig {
        write_rate: Some(WriteConfig {
            failure_rate: probability!(0.0),
            retention_rate: probability!(0.5),
            mode,
        }),
        ..FaultConfig::default()
    };
    let mut runner = deterministic::Runner::new(config.with_storage_fault_config(faults));
    for cut in 0..4u64 {
        let length = Duration::from_millis(1_500 + 337 * cut);
        let ((), checkpoint) =
            runner.start_and_recover(|context| episode(context, &mut memory, length));
        runner = deterministic::Runner::from(checkpoint);
    }
    assert!(memory.chain.len() > 20, "{} blocks", memory.chain.len());
    assert!(memory.held.values().all(|held| held.len() > 20));
}

#[test]
fn a_town_that_loses_power_with_torn_tails_loses_nothing_it_said() {
    town_without_power(4, PartialWriteMode::Prefix);
}

#[test]
fn a_town_that_loses_power_with_bytes_missing_anywhere_loses_nothing_it_said() {
    town_without_power(5, PartialWriteMode::Subset);
}
