//! Seats change, and the chain goes on (R5a).
//!
//! Terms last seven seconds here, so that they end at different places in slots of two. Who sits next is settled in a registry on a simulated L1 and reaches
//! the chain as on Ethereum: a header, its finality, and a proof from its state root.

use crate::common::{
    Pen, check_agreement, fates, link, plan, reach, run, running, shift, transaction, wan,
};
use commonware_macros::select;
use commonware_runtime::{Clock as _, Supervisor as _, deterministic};
use commonware_utils::probability;
use cortado_consensus::{
    events::Event,
    node::Node,
    runtime::Runtime as _,
    scheme::{BlsScheme, CheapScheme, Scheme},
    simulate::{Plan, SimulatedScheme, World, seat},
    witness::Observation,
};
use cortado_l1::testing::{PRICE, REGISTRY, SettledRegistry};
use cortado_types::{B256, Bytes, Height, ReadSeats, Term, keccak256};
use rand_core::Rng as _;
use std::{collections::BTreeSet, time::Duration};

const TERM_MS: u64 = 7_000;

/// Four seats, one proposer (identity 4), `spares` identities from 5 on.
fn terms(spares: usize) -> Plan {
    Plan {
        spares,
        term_ms: TERM_MS,
        ..plan(4, 1)
    }
}

/// An Ethereum that consists of one registry.
struct L1 {
    number: u64,
    parent: B256,
    /// The newest block, and what stands in its state.
    newest: Option<(Bytes, ReadSeats)>,
}

impl L1 {
    fn new<S: SimulatedScheme>(world: &World<S>) -> Self {
        Self {
            number: 0,
            parent: keccak256(&world.genesis.l1.anchor),
            newest: None,
        }
    }

    /// A block in which these identities have the seats.
    fn settle<S: SimulatedScheme>(&mut self, world: &World<S>, now_ms: u64, who: &[usize]) {
        let mut seats: Vec<_> = who.iter().map(|i| seat(&world.keys, *i)).collect();
        seats.sort_by_key(|seat| seat.identity);
        let registry = SettledRegistry::new(REGISTRY, &seats, PRICE);
        self.number += 1;
        let header = alloy_consensus::Header {
            number: self.number,
            parent_hash: self.parent,
            timestamp: (now_ms / 1_000).max(self.number),
            state_root: registry.state_root(),
            ..Default::default()
        };
        let raw = Bytes::from(alloy_rlp::encode(header));
        self.parent = keccak256(&raw);
        let read = ReadSeats {
            header: raw.clone(),
            read: registry.read(),
        };
        self.newest = Some((raw, read));
    }

    /// Every node's L1 node says what it has: again after a restart.
    async fn tell<S: SimulatedScheme>(&self, world: &World<S>) {
        let Some((raw, read)) = &self.newest else {
            return;
        };
        for node in world.nodes() {
            node.observe(Observation::Header(raw.clone())).await;
            node.observe(Observation::Finalized(self.parent)).await;
            node.observe(Observation::Seats(Box::new(read.clone())))
                .await;
        }
    }
}

/// Waits until `node` is in `term`.
async fn enter<S: Scheme>(node: &Node<S>, term: u64) {
    let mut watch = node.watch();
    while watch.borrow_and_update().state.term < Term::new(term) {
        watch.changed().await.expect("node must run");
    }
}

/// What `node` has final is a chain of terms, each with the seats that the last block of the one
/// before names. Returns the number of terms that ended.
async fn check_terms<S: Scheme>(node: &Node<S>) -> u64 {
    let newest = node.finalized().height().get();
    let mut last = node.block(Height::ZERO).await.unwrap();
    let mut ended = 0;
    for height in 1..=newest {
        let block = node.block(Height::new(height)).await.unwrap();
        let (header, before) = (&block.inner().header, &last.inner().header);
        let seats = node.seats(header.term).await.unwrap();
        assert_eq!(header.seats_hash, seats.hash());
        if header.term == before.term {
            assert!(header.view > before.view);
            assert_eq!(before.next_seats_hash, before.seats_hash);
        } else {
            assert_eq!(Some(header.term), before.term.next());
            assert_eq!(header.parent_view.get(), 0);
            assert_eq!(before.next_seats_hash, header.seats_hash);
            let (boundary, certificate) = node.boundary(before.term).await.unwrap();
            assert_eq!(&boundary, before);
            assert_eq!(certificate.payload, last.hash());
            assert_eq!(certificate.term, before.term);
            ended += 1;
        }
        last = block;
    }
    ended
}

async fn check_all<S: SimulatedScheme>(world: &World<S>) -> u64 {
    check_agreement(world).await;
    let mut ended = 0;
    for node in world.nodes() {
        ended = ended.max(check_terms(node).await);
    }
    ended
}

/// Who sits in the terms after the first: one joins, one is replaced, one leaves.
const SETS: [&[usize]; 3] = [&[0, 1, 2, 3, 5], &[0, 1, 2, 5, 6], &[1, 2, 5, 6]];

/// Settles the sets one after the other, each in its term, then waits for one more term.
async fn take_turns<S: SimulatedScheme>(context: &deterministic::Context, world: &World<S>) {
    let mut l1 = L1::new(world);
    let node = world.node(1);
    for (term, set) in SETS.iter().enumerate() {
        enter(node, term as u64).await;
        context.sleep(Duration::from_secs(1)).await;
        l1.settle(world, context.now_ms().get(), set);
        l1.tell(world).await;
    }
    enter(node, 4).await;
    let at = node.finalized().height().get();
    reach(node, at + 2).await;
}

#[test]
fn a_seat_joins_one_is_replaced_one_leaves_and_no_promised_lane_block_is_lost() {
    run(1, |context| async move {
        let world = running::<CheapScheme>(&context, terms(2), wan()).await;
        reach(world.node(4), 2).await;
        let events = world.node(4).events();
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(4 * TERM_MS);
        let every = Duration::from_millis(120);
        let (published, ()) = futures::join!(
            shift(&context, world.node(4), &mut pen, 2_000, every, until),
            take_turns(&context, &world),
        );
        context.sleep(Duration::from_secs(2)).await;
        let fates = fates(events).await;
        assert!(published.len() > 100);
        for hash in published {
            assert_eq!(fates.get(&hash), Some(&true), "{hash}");
        }
        assert!(check_all(&world).await >= 4);
        for (term, set) in SETS.iter().enumerate() {
            let seats = world
                .node(1)
                .seats(Term::new(term as u64 + 1))
                .await
                .unwrap();
            let mut want: Vec<_> = set.iter().map(|i| seat(&world.keys, *i).identity).collect();
            want.sort();
            let got: Vec<_> = seats.seats().iter().map(|seat| seat.identity).collect();
            assert_eq!(got, want, "seats of term {}", term + 1);
        }
    });
}

#[test]
fn with_bls_the_certificates_of_every_term_verify_under_its_seats() {
    run(2, |context| async move {
        let world = running::<BlsScheme>(&context, terms(2), wan()).await;
        take_turns(&context, &world).await;
        let node = world.node(1);
        for term in 0..4 {
            let term = Term::new(term);
            let seats = node.seats(term).await.unwrap();
            let (header, certificate) = node.boundary(term).await.unwrap();
            let chain_id = world.genesis.chain_id;
            certificate
                .verify(header.hash(), chain_id, term, &seats)
                .unwrap();
            if header.next_seats_hash != header.seats_hash {
                let next = node.seats(term.next().unwrap()).await.unwrap();
                assert!(
                    certificate
                        .verify(header.hash(), chain_id, term, &next)
                        .is_err(),
                    "seats signed for a term that was not theirs"
                );
            }
        }
        check_all(&world).await;
    });
}

#[test]
fn a_term_change_costs_users_less_than_a_second() {
    run(3, |context| async move {
        let world =
            running::<CheapScheme>(&context, terms(0), link(50, 0, probability!(1.0))).await;
        reach(world.node(4), 2).await;
        let mut events = world.node(4).events();
        let mut pen = Pen::new(&world, 4, 0);
        let until = context.now_ms().plus(3 * TERM_MS);
        let every = Duration::from_millis(50);
        // When each block was final, seen by one who keeps the chain busy.
        let watching = async {
            let mut seen = Vec::new();
            while context.now_ms() < until {
                select! {
                    event = events.recv() => match event {
                        Some(Event::Finalized(at)) => {
                            seen.push((at.block.inner().header.term, context.now_ms()));
                        }
                        Some(_) => {}
                        None => break,
                    },
                    _ = context.sleep(Duration::from_secs(1)) => {},
                }
            }
            seen
        };
        let (_, seen) = futures::join!(
            shift(&context, world.node(4), &mut pen, 2_000, every, until),
            watching,
        );
        let (mut inside, mut across) = (Vec::new(), Vec::new());
        for pair in seen.windows(2) {
            let gap = pair[1].1.since(pair[0].1);
            if pair[0].0 == pair[1].0 {
                inside.push(gap);
            } else {
                across.push(gap);
            }
        }
        inside.sort_unstable();
        let median = inside[inside.len() / 2];
        println!("ms between final blocks: {median} inside a term, {across:?} across");
        assert!(across.len() >= 2);
        assert!(across.iter().all(|gap| *gap < 1_000), "{across:?}");
    });
}

#[test]
fn a_node_that_was_off_for_three_terms_and_one_that_is_new_walk_to_the_present() {
    run(4, |context| async move {
        let mut world: World<CheapScheme> = World::new(context.child("world"), terms(2)).await;
        world.mesh(&wan()).await;
        for i in 0..5 {
            world.start(i).await;
        }
        reach(world.node(0), 2).await;
        // Three of four go on. A proposer is away too.
        world.kill(3).await;
        world.kill(4).await;
        enter(world.node(0), 3).await;
        let mut l1 = L1::new(&world);
        l1.settle(&world, context.now_ms().get(), &[0, 1, 2, 3, 5]);
        l1.tell(&world).await;
        enter(world.node(0), 4).await;
        context.sleep(Duration::from_secs(1)).await;
        // The joiner comes when it sits already, and the others come back.
        for i in [3, 4, 5, 6] {
            let node = world.start(i).await;
            let at = world.node(0).finalized().height().get();
            select! {
                () = reach(&node, at) => {},
                _ = context.sleep(Duration::from_secs(20)) => {
                    panic!("identity {i} stands at {}, the others at {at}",
                        node.finalized().height());
                },
            }
        }
        // All five sit now: with one gone, the two that came late are needed.
        world.kill(1).await;
        let at = world.node(0).finalized().height().get();
        reach(world.node(0), at + 4).await;
        let term = world.node(0).finalized().state.term.get();
        enter(world.node(0), term + 1).await;
        assert!(check_all(&world).await >= 5);
    });
}

#[test]
fn after_a_stall_of_several_terms_the_old_seats_finish_theirs_first() {
    run(5, |context| async move {
        let world = running::<CheapScheme>(&context, terms(1), wan()).await;
        reach(world.node(0), 2).await;
        let mut l1 = L1::new(&world);
        l1.settle(&world, 1_000, &[0, 1, 2, 5]);
        l1.tell(&world).await;
        context.sleep(Duration::from_secs(2)).await;
        world.cut(&[0, 1], &[2, 3, 4, 5]).await;
        context.sleep(Duration::from_millis(3 * TERM_MS)).await;
        assert_eq!(world.node(0).finalized().state.term, Term::ZERO);
        world.link(&[0, 1], &[2, 3, 4, 5], &wan()).await;
        for node in world.nodes() {
            enter(node, 1).await;
        }
        let state = world.node(0).finalized().state.clone();
        assert_eq!(state.term, Term::new(1), "the terms between never were");
        enter(world.node(0), 2).await;
        let at = world.node(0).finalized().height().get();
        reach(world.node(0), at + 2).await;
        assert!(check_all(&world).await >= 2);
    });
}

#[test]
fn a_seat_that_is_cut_off_across_the_end_of_a_term_comes_after() {
    for seed in 6..10 {
        run(seed, |context| async move {
            let world = running::<CheapScheme>(&context, terms(1), wan()).await;
            reach(world.node(0), 2).await;
            let mut l1 = L1::new(&world);
            l1.settle(&world, 1_000, &[0, 1, 2, 3, 5]);
            l1.tell(&world).await;
            let cut = 5_500 + (seed - 6) * 600;
            context
                .sleep(Duration::from_millis(cut - context.now_ms().get()))
                .await;
            world.cut(&[3], &[0, 1, 2, 4, 5]).await;
            enter(world.node(0), 1).await;
            context.sleep(Duration::from_secs(2)).await;
            world.link(&[3], &[0, 1, 2, 4, 5], &wan()).await;
            let at = world.node(0).finalized().height().get();
            select! {
                () = reach(world.node(3), at + 1) => {},
                _ = context.sleep(Duration::from_secs(8)) => panic!("seat 3 does not come after"),
            }
            check_all(&world).await;
        });
    }
}

/// Seats change, power is cut at any instant, links are bad, one of the seats is two-faced or late.
async fn hard_times(context: deterministic::Context, seed: u64) {
    let mut context = context;
    let mut world: World<CheapScheme> = World::new(context.child("world"), terms(2)).await;
    world.mesh(&link(40, 25, probability!(0.97))).await;
    let two_faced = seed.is_multiple_of(3);
    let first = usize::from(two_faced);
    if two_faced {
        world.start_two_faced(0, &[1, 2], &[3, 4, 5, 6]).await;
    }
    for i in first..7 {
        // One of those that join is late.
        if i != 6 || seed.is_multiple_of(2) {
            world.start(i).await;
        }
    }
    let mut l1 = L1::new(&world);
    let sets: [&[usize]; 3] = [&[0, 1, 2, 3, 5], &[0, 1, 2, 5, 6], &[1, 2, 3, 5, 6]];
    let mut down: Option<usize> = None;
    for set in sets {
        let term = world.node(2).finalized().state.term.get();
        let mut settled = false;
        while world.node(2).finalized().state.term.get() == term {
            let pause = 100 + context.next_u64() % 900;
            context.sleep(Duration::from_millis(pause)).await;
            assert!(context.now_ms().get() < 120_000, "the chain stands still");
            if !settled {
                l1.settle(&world, context.now_ms().get(), set);
                settled = true;
            }
            match down.take() {
                Some(i) => {
                    world.start(i).await;
                }
                // Not with a liar about: one of four or five may be missing.
                None if !two_faced => {
                    let who = [1, 3, 5][(context.next_u64() % 3) as usize];
                    world.kill(who).await;
                    down = Some(who);
                }
                None => {}
            }
            l1.tell(&world).await;
        }
    }
    if let Some(i) = down {
        world.start(i).await;
    }
    if seed % 2 == 1 {
        world.start(6).await;
    }
    // The storm is over.
    world.mesh(&wan()).await;
    l1.tell(&world).await;
    let term = world.node(2).finalized().state.term.get();
    let who: Vec<_> = (first..7).collect();
    for i in who {
        select! {
            () = enter(world.node(i), term + 1) => {},
            _ = context.sleep(Duration::from_secs(30)) => {
                let at = world.node(i).finalized();
                panic!("identity {i} stands at block {} of term {}", at.height(), at.state.term);
            },
        }
    }
    let at = world.node(2).finalized().height().get();
    for i in first..7 {
        reach(world.node(i), at).await;
    }
    assert!(check_all(&world).await >= 3);
}

#[test]
fn seats_change_through_crashes_liars_and_bad_links() {
    for seed in 100..112 {
        println!("seed {seed}");
        run(seed, |context| hard_times(context, seed));
    }
}

#[test]
fn what_was_acknowledged_before_the_end_of_a_term_comes_in_after_it() {
    run(11, |context| async move {
        let world = running::<CheapScheme>(&context, terms(1), wan()).await;
        reach(world.node(4), 2).await;
        let mut l1 = L1::new(&world);
        // Half of the seats change at once.
        l1.settle(&world, 1_000, &[0, 1, 3, 5]);
        l1.tell(&world).await;
        let mut events = world.node(4).events();
        let mut pen = Pen::new(&world, 4, 0);
        // Cut right before the term's planned end, acknowledged around it.
        let cut = TERM_MS - 50;
        context
            .sleep(Duration::from_millis(cut - context.now_ms().get()))
            .await;
        let anchor = world.node(4).finalized().state.anchor();
        let mut waiting = BTreeSet::new();
        for n in 0..3 {
            let now = context.now_ms();
            let lane = pen.cut(now, 2_000, anchor, n == 2, vec![transaction(n)]);
            waiting.insert(lane.hash);
            assert!(world.node(4).publish(lane).await);
            context.sleep(Duration::from_millis(15)).await;
        }
        while !waiting.is_empty() {
            match events.recv().await.expect("node must run") {
                Event::LaneIncluded { hash, .. } => {
                    waiting.remove(&hash);
                }
                Event::LaneVoided { hash, .. } => panic!("{hash} is void"),
                _ => {}
            }
        }
        enter(world.node(4), 1).await;
        check_all(&world).await;
    });
}
