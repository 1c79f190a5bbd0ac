//! One story for each way in which a change of fork could do harm.

use crate::{
    TO,
    chain::{self, Chain, ROLLUP, at, custom, follow, promised, referring, submit, transfer, user},
    town::{Town, balance},
};
use cortado_ethrpc::SubmitError;
use cortado_rollup::engine::{Engine, Included};
use cortado_types::{Address, B256};

#[test]
fn what_was_built_on_lost_blocks_falls_what_refers_to_earlier_ones_stands() {
    let mut town = Town::new(Chain::new());
    let anchor = town.chain.l1_tip();
    town.move_pointer();
    let plain = transfer(&user(0), 0, TO, 7);
    let early = referring(&user(1), 0, TO, anchor.hash);
    let late = referring(&user(2), 0, TO, town.chain.l1_tip().hash);
    for included in [&plain, &early, &late] {
        town.promised(included);
    }
    town.finalise();
    assert_eq!(town.position(&plain), Some(1));
    let before = town.agree("before");
    town.fork(1, &[]);
    assert_eq!(town.position(&early), Some(1), "in its place");
    assert_eq!(town.position(&plain), None, "out, and placed again");
    assert_eq!(town.position(&late), None);
    assert_eq!(
        town.engine()
            .pending()
            .map(|lane| lane.transactions.len())
            .sum::<usize>(),
        1,
        "what refers to the lost block itself has no place on this fork"
    );
    assert!(
        town.signed.dropped.contains(&late.hash()),
        "and its sender is told"
    );
    town.finalise();
    assert_eq!(
        town.position(&plain),
        Some(2),
        "it is final again, one lane block later"
    );
    assert_ne!(town.agree("after"), before);
}

#[test]
fn the_same_fork_again_is_the_same_chain_bit_for_bit() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    town.promised(&transfer(&user(0), 0, TO, 7));
    town.finalise();
    let before = town.node.head().hash();
    // By hand, so that nobody places anything again in between.
    let mut engine = town.chain.engine(&town.dir.path().join("alone"), ROLLUP);
    for block in &town.blocks {
        engine.apply(block).expect("applies");
    }
    let tip = town.chain.l1_tip();
    let away = town.chain.fork_pointer(1, &[], town.time());
    let applied = engine.apply(&away).expect("applies");
    let reorg = applied.derivation.reorg.expect("one block is no more");
    assert_eq!(
        (reorg.removed.len(), reorg.added.len(), reorg.lost.len()),
        (1, 0, 1)
    );
    assert_eq!(engine.head().number(), 0);
    assert_eq!(applied.left, Some(tip));
    let back = town.chain.back_to(tip, 2, town.time());
    let applied = engine.apply(&back).expect("applies");
    let reorg = applied.derivation.reorg.expect("it is back");
    assert_eq!((reorg.removed.len(), reorg.added.len()), (0, 1));
    assert_eq!(engine.head().hash(), before);
}

#[test]
fn promises_in_flight_are_kept_where_they_stand_and_given_anew_where_they_fell() {
    let mut town = Town::new(Chain::new());
    let anchor = town.chain.l1_tip();
    town.move_pointer();
    let (sealed, open) = (transfer(&user(0), 0, TO, 7), transfer(&user(1), 0, TO, 7));
    let early = referring(&user(2), 0, TO, anchor.hash);
    town.promised(&sealed);
    town.promised(&early);
    town.seal();
    town.promised(&open);
    let first = town
        .gateway
        .book()
        .get(&open.hash())
        .expect("reads")
        .expect("promised");
    // L1 changes forks under one sealed lane block and one that is still open.
    town.fork(1, &[]);
    let second = town
        .gateway
        .book()
        .get(&open.hash())
        .expect("reads")
        .expect("promised");
    assert_ne!(
        first.inclusion.promise.position, second.inclusion.promise.position,
        "promised anew at another position"
    );
    for _ in 0..3 {
        town.finalise();
    }
    for included in [&sealed, &open, &early] {
        assert!(town.position(included).is_some(), "{}", included.hash());
    }
    assert_eq!(balance(&town.node, TO), 7 + 7 + 1, "each once");
    town.agree("after");
}

#[test]
fn what_waits_behind_a_dropped_transaction_of_its_sender_says_so_and_goes_on_when_the_gap_is_filled()
 {
    let mut town = Town::new(Chain::new());
    let lost = town.move_pointer();
    let first = referring(&user(0), 0, TO, lost.hash);
    let second = transfer(&user(0), 1, TO, 7);
    town.promised(&first);
    town.promised(&second);
    town.finalise();
    town.fork(1, &[]);
    for included in [&first, &second] {
        assert!(town.position(included).is_none());
        assert!(town.signed.dropped.contains(&included.hash()), "it is said");
    }
    town.promised(&transfer(&user(0), 0, TO, 7));
    for _ in 0..2 {
        town.finalise();
    }
    assert!(town.position(&first).is_none() && town.position(&second).is_some());
    assert_eq!(balance(&town.node, TO), 14);
    town.agree("after");
}

#[test]
fn a_lane_block_that_is_final_together_with_the_change_of_fork_loses_nothing() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let (first, second) = (transfer(&user(0), 0, TO, 7), transfer(&user(0), 1, TO, 7));
    town.promised(&first);
    town.seal();
    // It never had an effect, so there is nothing that the change takes away.
    let lanes = std::mem::take(&mut town.lanes);
    let block = town.chain.fork_with(&lanes, 1, &[], town.time());
    town.take(block);
    town.promised(&second);
    for _ in 0..3 {
        town.finalise();
    }
    assert!(town.position(&first).is_some() && town.position(&second).is_some());
    assert_eq!(balance(&town.node, TO), 14, "each once");
    town.agree("after");
}

#[test]
fn a_proposer_that_was_away_when_its_lane_block_was_final_without_effect_places_it_again() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let sent = transfer(&user(0), 0, TO, 7);
    town.promised(&sent);
    town.seal();
    town.gateway.persist().expect("persists");
    let other = town.dir.path().join("other");
    drop(std::mem::replace(
        &mut town.gateway,
        town.chain.gateway(&other, 1, None),
    ));
    let lanes = std::mem::take(&mut town.lanes);
    let block = town.chain.fork_with(&lanes, 1, &[], town.time());
    town.node.apply(&block).expect("applies");
    town.blocks.push(block.clone());
    let home = town.dir.path().join("proposer");
    let mut gateway = town.chain.gateway(&home, 2, None);
    follow(&mut gateway, &block, town.time());
    gateway.resume(town.time()).expect("resumes");
    gateway.commit().expect("commits");
    town.gateway = gateway;
    town.signed.read(&town.gateway);
    for _ in 0..3 {
        town.finalise();
    }
    assert!(town.position(&sent).is_some());
    assert_eq!(balance(&town.node, TO), 7, "once");
    town.agree("after");
}

#[test]
fn what_follows_a_lost_transaction_of_the_same_sender_is_placed_again_after_it() {
    let mut town = Town::new(Chain::new());
    let anchor = town.chain.l1_tip();
    town.move_pointer();
    // The second stands on any fork, and cannot execute without the first.
    let first = transfer(&user(0), 0, TO, 7);
    let second = referring(&user(0), 1, TO, anchor.hash);
    town.promised(&first);
    town.promised(&second);
    town.finalise();
    town.fork(1, &[]);
    town.finalise();
    assert_eq!(town.position(&first), town.position(&second));
    assert!(town.position(&first).is_some());
    town.agree("after");
}

#[test]
fn deposits_of_a_lost_fork_are_gone_and_those_of_the_new_one_are_there_once() {
    let mut town = Town::new(Chain::with_inbox());
    let (old, new) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    town.fork(0, &[(old, 50), (old, 25)]);
    town.promised(&transfer(&user(0), 0, TO, 1));
    town.finalise();
    assert_eq!(balance(&town.node, old), 75);
    town.fork(1, &[(new, 40)]);
    assert_eq!(balance(&town.node, old), 0);
    // The lane block that closes a slot imports, if no other does.
    for slot in 0..3 {
        town.close_slot(slot);
    }
    assert_eq!(
        (balance(&town.node, old), balance(&town.node, new)),
        (0, 40)
    );
    town.agree("after");
}

#[test]
fn a_node_that_does_not_know_what_l1_queued_waits_and_guesses_nothing() {
    let mut town = Town::new(Chain::with_inbox());
    town.fork(0, &[(Address::repeat_byte(0xaa), 50)]);
    town.promised(&transfer(&user(0), 0, TO, 1));
    town.finalise();
    town.promised(&transfer(&user(0), 1, TO, 1));
    town.finalise();
    let mut late = town.chain.engine(&town.dir.path().join("late"), ROLLUP);
    for block in &town.blocks {
        late.apply(block).expect("applies");
    }
    assert_eq!((late.head().number(), late.is_ready()), (0, false));
    late.persist().expect("persists");
    drop(late);
    // What it has to ask survives a restart, and so does what waits.
    let mut late = town.chain.engine(&town.dir.path().join("late"), ROLLUP);
    assert_eq!((late.head().number(), late.asked().count()), (0, 1));
    town.chain.tell(&mut late);
    assert_eq!(late.head().hash(), town.node.head().hash());
    // Nobody remembers a fork that lost; nobody has to.
    town.fork(1, &[]);
    town.finalise();
    let mut later = town.chain.engine(&town.dir.path().join("later"), ROLLUP);
    for block in &town.blocks {
        later.apply(block).expect("applies");
    }
    assert_eq!(later.head().hash(), town.node.head().hash());
}

#[test]
fn nobody_is_asked_what_lost_forks_queued_once_l1_finalised_another() {
    let mut town = Town::new(Chain::with_inbox());
    let deposit = [(Address::repeat_byte(0xaa), 50)];
    let mut untold = town.chain.engine(&town.dir.path().join("untold"), ROLLUP);
    town.fork(0, &deposit);
    town.fork(1, &deposit);
    let ours = town.chain.l1_tip().hash;
    let finality = town.chain.finalise_l1(town.time());
    for block in &town.blocks {
        untold.apply(block).expect("applies");
    }
    assert_eq!(
        untold.asked().count(),
        2,
        "either fork can still be the one"
    );
    untold.apply(&finality).expect("applies");
    let asked = |engine: &Engine| engine.asked().map(|(block, _)| *block).collect::<Vec<_>>();
    assert_eq!(asked(&untold), [ours]);
    untold.persist().expect("persists");
    drop(untold);
    let untold = town.chain.engine(&town.dir.path().join("untold"), ROLLUP);
    assert_eq!(asked(&untold), [ours], "nor after a restart");
}

#[test]
fn a_reference_to_the_newest_l1_block_opens_a_lane_block_on_it() {
    for speaks_of_it in [false, true] {
        let mut town = Town::new(Chain::new());
        town.move_pointer();
        // A lane block is open on the L1 block of now, empty or not, when L1 goes on.
        town.promised(&transfer(&user(0), 0, TO, 1));
        if !speaks_of_it {
            town.seal();
            let refused = custom(&user(1), |tx| tx.gas_limit = 20_000);
            submit(&mut town.gateway, &refused, at(0, town.now)).expect_err("too little gas");
        }
        let block = town.chain.move_pointer(town.time());
        town.gateway
            .apply(&block, at(0, town.now))
            .expect("applies");
        town.node.apply(&block).expect("applies");
        town.blocks.push(block);
        let newest = town.chain.l1_tip();
        let late = referring(&user(2), 0, TO, newest.hash);
        let promises = promised(&mut town.gateway, &late, at(0, town.now));
        assert_eq!(promises.inclusion.promise.position.seq.get(), 1);
        let context = |lane: cortado_rollup::engine::PendingLane<'_>| lane.header.context;
        assert_eq!(
            town.engine().pending().next_back().map(context),
            Some(newest)
        );
        // Once: neither what refers to nothing nor what comes next has another opened.
        let unknown = referring(&user(3), 0, TO, B256::repeat_byte(7));
        submit(&mut town.gateway, &unknown, at(0, town.now)).expect_err("refused");
        let next = referring(&user(3), 0, TO, newest.hash);
        let promises = promised(&mut town.gateway, &next, at(0, town.now));
        assert_eq!(promises.inclusion.promise.position.seq.get(), 1);
        town.finalise();
        town.finalise();
        assert!(town.position(&late).is_some());
        town.agree("after");
    }
}

#[test]
fn what_has_its_first_place_again_is_not_called_dropped() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let branch = town.chain.l1_tip();
    let plain = transfer(&user(0), 0, TO, 7);
    town.promised(&plain);
    town.finalise();
    town.fork(1, &[]);
    assert_eq!(
        town.position(&plain),
        None,
        "it waits in another lane block"
    );
    let back = town.chain.back_to(branch, 2, town.time());
    town.take(back);
    assert_eq!(town.position(&plain), Some(1), "where it was");
    assert!(!town.signed.dropped.contains(&plain.hash()));
    town.agree("after");
}

#[test]
fn what_waits_for_the_new_forks_queue_is_not_called_lost() {
    let mut town = Town::new(Chain::with_inbox());
    let anchor = town.chain.l1_tip();
    town.fork(0, &[(Address::repeat_byte(0xaa), 50)]);
    let branch = town.chain.l1_tip();
    let early = referring(&user(0), 0, TO, anchor.hash);
    town.promised(&early);
    town.seal();
    // The lane block was built on a branch that the pointer leaves before it is final.
    town.fork(1, &[]);
    town.finalise();
    let mut engine = town.chain.engine(&town.dir.path().join("untold"), ROLLUP);
    for block in &town.blocks {
        engine.apply(block).expect("applies");
    }
    assert_eq!(
        engine.head().number(),
        1,
        "what refers to the anchor stands here too"
    );
    // Back on the branch, and nobody has said what it queued.
    let back = town.chain.back_to(branch, 2, town.time());
    let applied = engine.apply(&back).expect("applies");
    let reorg = applied.derivation.reorg.expect("its block is no more");
    assert!(reorg.lost.is_empty(), "nothing is said of it yet");
    assert!(
        reorg
            .undecided
            .iter()
            .any(|(_, hashes)| hashes.contains(&early.hash()))
    );
    assert_eq!((engine.head().number(), engine.is_ready()), (0, false));
    town.chain.tell(&mut engine);
    assert_eq!(engine.head().number(), 1);
    assert_eq!(balance(&engine, Address::repeat_byte(0xaa)), 50);
    assert_eq!(balance(&engine, TO), 1);
}

#[test]
fn a_proposer_that_was_away_during_the_change_places_again_what_fell() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    let (sealed, open) = (transfer(&user(0), 0, TO, 7), transfer(&user(1), 0, TO, 7));
    town.promised(&sealed);
    town.seal();
    town.promised(&open);
    town.gateway.persist().expect("persists");
    let gateway = std::mem::replace(
        &mut town.gateway,
        town.chain.gateway(&town.dir.path().join("other"), 1, None),
    );
    drop(gateway);
    let block = town.chain.fork_pointer(1, &[], town.time());
    town.node.apply(&block).expect("applies");
    town.blocks.push(block.clone());
    let mut gateway = town
        .chain
        .gateway(&town.dir.path().join("proposer"), 2, None);
    follow(&mut gateway, &block, town.time());
    gateway.resume(town.time()).expect("resumes");
    gateway.commit().expect("commits");
    town.gateway = gateway;
    town.signed.read(&town.gateway);
    town.lanes.clear();
    for _ in 0..3 {
        town.finalise();
    }
    assert!(town.position(&sealed).is_some() && town.position(&open).is_some());
    assert_eq!(balance(&town.node, TO), 14, "each once");
    town.agree("after");
}

#[test]
fn what_l1_finalised_is_final_here_and_no_fork_takes_it_back() {
    let mut town = Town::new(Chain::new());
    town.move_pointer();
    town.promised(&transfer(&user(0), 0, TO, 7));
    town.finalise();
    assert_eq!(town.node.finalized().0, 0);
    let block = town.chain.finalise_l1(town.time());
    town.take(block);
    assert_eq!(town.node.finalized().0, 1);
    town.move_pointer();
    town.promised(&transfer(&user(0), 1, TO, 7));
    town.finalise();
    town.fork(1, &[]);
    assert_eq!((town.node.finalized().0, town.node.head().number()), (1, 1));
    town.finalise();
    town.agree("after");
}

#[test]
fn submissions_with_early_references_are_served_first() {
    let mut town = Town::new(Chain::new());
    let anchor = town.chain.l1_tip();
    let moved = town.move_pointer();
    let batch = [
        transfer(&user(0), 0, TO, 1),
        referring(&user(1), 0, TO, moved.hash),
        referring(&user(2), 0, TO, anchor.hash),
        // Of one sender the order stands, though the second refers to the earliest block.
        transfer(&user(3), 0, TO, 1),
        referring(&user(3), 1, TO, anchor.hash),
    ];
    let mut order: Vec<_> = batch.iter().collect();
    town.gateway
        .early_references_first(&mut order, |one| (ROLLUP, *one));
    let order: Vec<_> = order.into_iter().map(Included::hash).collect();
    let want = [2, 3, 4, 1, 0].map(|index: usize| batch[index].hash());
    assert_eq!(order, want);
}

#[test]
fn the_stronger_finality_has_its_price() {
    let mut town = Town::new(Chain::new());
    let anchor = town.chain.l1_tip();
    let moved = town.move_pointer();
    let referring = |from: u64, reference: B256, tip: u128| {
        let Included { transaction, .. } = referring(&user(from), 0, TO, reference);
        chain::custom(&user(from), |tx| {
            *tx = transaction.as_eip1559().expect("made so").tx().clone();
            tx.max_priority_fee_per_gas = tip;
        })
    };
    let now = town.time();
    let refused = submit(&mut town.gateway, &referring(1, anchor.hash, 0), now);
    let want = SubmitError::Underpriced { have: 0, want: 1 };
    assert_eq!(
        refused.expect_err("final, for nothing").to_string(),
        want.to_string()
    );
    for paid in [referring(1, anchor.hash, 1), referring(2, moved.hash, 0)] {
        town.promised(&paid);
    }
}
