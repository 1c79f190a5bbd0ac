//! Seats crash, lie and lose each other; links lose messages.

use crate::common::{Pen, check_agreement, fates, link, plan, reach, run, running, shift, wan};
use commonware_runtime::{Clock as _, Supervisor as _};
use commonware_utils::probability;
use cortado_consensus::{
    events::Event,
    runtime::Runtime as _,
    scheme::{BlsScheme, CheapScheme},
    simulate::{SimulatedScheme, World},
};
use std::time::Duration;

/// `faulty` of `seats` crash one after another, the chain goes on, and they come back.
fn crash_and_come_back<S: SimulatedScheme>(seed: u64, seats: usize, faulty: usize) {
    run(seed, |context| async move {
        let mut world = running::<S>(&context, plan(seats, 1), wan()).await;
        reach(world.node(0), 4).await;
        for i in 0..faulty {
            world.kill(seats - 1 - i).await;
        }
        let at = world.node(0).finalized().height().get();
        reach(world.node(0), at + 8).await;
        for i in 0..faulty {
            world.start(seats - 1 - i).await;
        }
        let at = world.node(0).finalized().height().get();
        for node in world.nodes() {
            reach(node, at + 4).await;
        }
        check_agreement(&world).await;
    });
}

#[test]
fn four_seats_lose_one_and_take_it_back() {
    crash_and_come_back::<CheapScheme>(1, 4, 1);
}

#[test]
fn four_seats_with_bls_lose_one_and_take_it_back() {
    crash_and_come_back::<BlsScheme>(2, 4, 1);
}

#[test]
fn seven_seats_lose_two_and_take_them_back() {
    crash_and_come_back::<CheapScheme>(3, 7, 2);
}

#[test]
fn ten_seats_lose_three_and_take_them_back() {
    crash_and_come_back::<CheapScheme>(4, 10, 3);
}

#[test]
fn without_a_quorum_nothing_becomes_final_and_with_one_again_everything_does() {
    run(5, |context| async move {
        let mut world = running::<CheapScheme>(&context, plan(4, 0), wan()).await;
        reach(world.node(0), 3).await;
        world.kill(2).await;
        world.kill(3).await;
        // What was on its way may still become final.
        context.sleep(Duration::from_secs(2)).await;
        let stood = world.node(0).finalized().height();
        context.sleep(Duration::from_secs(20)).await;
        assert_eq!(world.node(0).finalized().height(), stood);
        world.start(2).await;
        for node in world.nodes() {
            reach(node, stood.get() + 3).await;
        }
        check_agreement(&world).await;
    });
}

#[test]
fn a_partition_heals_into_one_chain() {
    run(6, |context| async move {
        let world = running::<CheapScheme>(&context, plan(7, 1), wan()).await;
        reach(world.node(0), 3).await;
        // ```
        //  0 1 2 | 3 4 5 6 + proposer    five of seven are a quorum: neither side has one
        // ```
        let (small, large) = (vec![0, 1, 2], vec![3, 4, 5, 6, 7]);
        world.cut(&small, &large).await;
        context.sleep(Duration::from_secs(2)).await;
        let stood = world.node(3).finalized().height();
        context.sleep(Duration::from_secs(15)).await;
        assert_eq!(world.node(3).finalized().height(), stood);
        world.link(&small, &large, &wan()).await;
        for node in world.nodes() {
            reach(node, stood.get() + 4).await;
        }
        check_agreement(&world).await;
    });
}

#[test]
fn a_minority_that_was_cut_off_catches_up() {
    run(7, |context| async move {
        let world = running::<CheapScheme>(&context, plan(7, 0), wan()).await;
        reach(world.node(0), 3).await;
        let (minority, majority) = (vec![0, 1], vec![2, 3, 4, 5, 6]);
        world.cut(&minority, &majority).await;
        let at = world.node(2).finalized().height().get();
        reach(world.node(2), at + 12).await;
        assert!(world.node(0).finalized().height().get() < at + 12);
        world.link(&minority, &majority, &wan()).await;
        let at = world.node(2).finalized().height().get();
        for node in world.nodes() {
            reach(node, at + 2).await;
        }
        check_agreement(&world).await;
    });
}

#[test]
fn links_that_lose_messages_lose_no_lane_block_without_saying_so() {
    run(8, |context| async move {
        let lossy = link(30, 10, probability!(0.97));
        let world = running::<CheapScheme>(&context, plan(4, 1), lossy).await;
        let node = world.node(4);
        reach(node, 3).await;
        let events = node.events();
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(8_000);
        let sent = shift(
            &context,
            node,
            &mut pen,
            2_000,
            Duration::from_millis(200),
            until,
        )
        .await;
        context.sleep(Duration::from_secs(12)).await;
        let fates = fates(events).await;
        for hash in &sent {
            assert!(
                fates.contains_key(hash),
                "{hash} was neither included nor voided"
            );
        }
        // A proposer sends again until it is in; what is void is what stood on a closed slot.
        let included = fates.values().filter(|included| **included).count();
        assert!(included * 3 > sent.len(), "{included} of {}", sent.len());
        check_agreement(&world).await;
    });
}

#[test]
fn a_seat_with_two_faces_forks_nothing_and_is_named_by_the_honest() {
    run(9, |context| async move {
        let mut world: World<CheapScheme> = World::new(context.child("world"), plan(4, 0)).await;
        world.mesh(&wan()).await;
        for i in 0..3 {
            world.start(i).await;
        }
        let mut events = world.node(1).events();
        // Seat 1 sees both faces; a contradiction that nobody sees harms nobody.
        world.start_two_faced(3, &[0, 1], &[1, 2]).await;
        reach(world.node(0), 30).await;
        for node in world.nodes() {
            reach(node, 30).await;
        }
        check_agreement(&world).await;
        let mut named = false;
        while let Ok(event) = events.try_recv() {
            if let Event::SeatFault(evidence) = event {
                assert_eq!(evidence.seat().get(), 3, "only the liar is named");
                named = true;
            }
        }
        assert!(named, "two faces vote twice in one view");
    });
}

#[test]
fn seven_seats_bear_two_with_two_faces() {
    run(10, |context| async move {
        let mut world: World<CheapScheme> = World::new(context.child("world"), plan(7, 1)).await;
        world.mesh(&wan()).await;
        for i in [0, 1, 2, 3, 4, 7] {
            world.start(i).await;
        }
        world.start_two_faced(5, &[0, 1, 7], &[2, 3, 4, 6]).await;
        world.start_two_faced(6, &[2, 3], &[0, 1, 4, 5, 7]).await;
        let node = world.node(7);
        reach(node, 5).await;
        let mut pen = Pen::new(&world, 7, 0);
        let until = context.now_ms().plus(6_000);
        shift(
            &context,
            node,
            &mut pen,
            2_000,
            Duration::from_millis(250),
            until,
        )
        .await;
        let at = world.node(0).finalized().height().get();
        for node in world.nodes() {
            reach(node, at + 5).await;
        }
        check_agreement(&world).await;
    });
}
