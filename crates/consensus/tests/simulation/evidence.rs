//! Who made a fork is found from what nodes archived, and the honest are always excused (R2).

use crate::common::{check_agreement, link, plan, reach, run, wan};
use commonware_runtime::{Clock as _, Supervisor as _, deterministic};
use commonware_utils::probability;
use cortado_consensus::{
    engine::Tuning,
    node::Node,
    scheme::{BlsScheme, CheapScheme, Scheme},
    simulate::{Plan, SimulatedScheme, World},
};
use cortado_evidence::{Coalition, FinalBlock, Fork, Path, ViewRecord, coalition, excuses};
use cortado_types::{Height, SeatIndex, Term, View, Vote, VoteKind, mmr::Range};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Four honest seats on two sides that do not hear each other, and three that are on both.
///
/// ```text
///   a b │ x y z ┊ x y z │ c d       five of seven are a quorum: each side has one
/// ```
struct Split {
    left: [usize; 2],
    right: [usize; 2],
    both: [usize; 3],
}

impl Split {
    /// Who is who is a matter of the seed.
    fn new(seed: u64) -> Self {
        let at = |i: u64| ((seed * 3 + i * (1 + seed % 6)) % 7) as usize;
        let [a, b, c, d, x, y, z] = std::array::from_fn(|i| at(i as u64));
        Self {
            left: [a, b],
            right: [c, d],
            both: [x, y, z],
        }
    }
}

/// Seats that do not wait long, so that much happens in little time.
fn impatient(seats: usize) -> Plan {
    let mut plan = plan(seats, 0);
    plan.tuning = Tuning {
        idle: Duration::from_millis(50),
        leader_timeout: Duration::from_millis(180),
        certification_timeout: Duration::from_millis(260),
        timeout_retry: Duration::from_millis(200),
        ..plan.tuning
    };
    plan
}

/// The lowest final block of `node` at or above `height` that has a certificate.
async fn final_block<S: Scheme>(node: &Node<S>, height: u64) -> FinalBlock {
    let (height, certificate) = node.certificate(Height::new(height)).await.expect("final");
    let block = node.block(height).await.expect("final blocks are stored");
    FinalBlock {
        header: block.inner().header.clone(),
        certificate,
    }
}

/// What `block`, final on `node`, has in its history at `height`.
async fn path<S: Scheme>(node: &Node<S>, block: &FinalBlock, height: Height) -> Path {
    let mut range = Range::default();
    let mut hashes = Vec::new();
    for above in 1..=block.header.height.get() {
        let block = node.block(Height::new(above)).await.expect("final");
        range.push(block.inner().header.parent);
        hashes.push(block.inner().header.parent);
    }
    let proof = range
        .prove(height.get(), range.leaves())
        .expect("a lower height");
    Path::new(hashes[height.get() as usize], proof)
}

/// Two final blocks that exclude each other, of the first height at which the sides differ.
async fn fork<S: Scheme>(left: &Node<S>, right: &Node<S>) -> Fork {
    let common = left.finalized().height().min(right.finalized().height());
    let mut height = 1;
    loop {
        assert!(height <= common.get(), "the sides must differ somewhere");
        let at = Height::new(height);
        if left.block(at).await != right.block(at).await {
            break;
        }
        height += 1;
    }
    let (one, other) = (
        final_block(left, height).await,
        final_block(right, height).await,
    );
    let ((first, _), (second, node)) = if one.certificate.view <= other.certificate.view {
        ((&one, left), (&other, right))
    } else {
        ((&other, right), (&one, left))
    };
    let path = if second.header.height > first.header.height {
        Some(path(node, second, first.header.height).await)
    } else {
        None
    };
    Fork::new(one, other, path)
}

/// A coalition forks the chain; everybody of it is named, by evidence that verifies.
fn a_coalition_is_named<S: SimulatedScheme>(seed: u64) -> Coalition {
    run(seed, |context| async move {
        let split = Split::new(seed);
        let mut world: World<S> = World::new(context.child("world"), impatient(7)).await;
        world.mesh(&wan()).await;
        world.cut(&split.left, &split.right).await;
        for i in split.left.into_iter().chain(split.right) {
            world.start(i).await;
        }
        for i in split.both {
            // Half of the seeds: the left faces hear each other too.
            let mut left = split.left.to_vec();
            if seed.is_multiple_of(2) {
                left.extend(split.both.iter().filter(|other| **other != i));
            }
            world.start_two_faced(i, &left, &split.right).await;
        }
        let (left, right) = (world.node(split.left[0]), world.node(split.right[0]));
        reach(left, 3).await;
        reach(right, 3).await;
        context.sleep(Duration::from_secs(1)).await;

        let fork = fork(left, right).await;
        let term = Term::ZERO;
        let (first, second) = (
            fork.first().certificate.view,
            fork.second().certificate.view,
        );
        let mut archives = Vec::new();
        for node in [left, right] {
            for view in first.get()..=second.get() {
                archives.push(node.view(term, View::new(view)).await);
            }
        }
        let seats = Arc::new(world.genesis.validate().expect("a valid genesis"));
        let voters = S::voters(world.genesis.chain_id, seats);
        let found = coalition(&voters, &fork, &archives).expect("a fork");
        let named: BTreeSet<_> = found.guilty.keys().chain(found.accused.keys()).collect();
        let made = split.both.map(|i| SeatIndex::new(i as u32));
        assert_eq!(named, made.iter().collect(), "seed {seed}");
        assert!(found.unproved.is_empty(), "seed {seed}");
        for evidence in found.guilty.values().chain(found.accused.values()) {
            assert_eq!(evidence.verify(&voters), Ok(()), "seed {seed}");
        }
        // The first block's view is all that has to be searched.
        let archives: Vec<_> = archives.into_iter().filter(|a| a.view() == first).collect();
        let again = coalition(&voters, &fork, &archives).expect("a fork");
        let named: BTreeSet<_> = again.guilty.keys().collect();
        assert_eq!(named, made.iter().collect(), "seed {seed}");
        found
    })
}

#[test]
fn every_member_of_a_coalition_that_forks_the_chain_is_named() {
    for seed in 0..20 {
        a_coalition_is_named::<CheapScheme>(seed);
    }
}

#[test]
fn every_member_of_a_coalition_that_forks_the_chain_is_convicted_by_its_signatures() {
    for seed in 20..22 {
        a_coalition_is_named::<BlsScheme>(seed);
    }
}

/// Everything that the nodes which run have archived, by view.
async fn archives<S: SimulatedScheme>(
    world: &World<S>,
    newest: View,
) -> BTreeMap<View, ViewRecord> {
    let mut all = BTreeMap::new();
    for view in 1..=newest.get() {
        let (term, view) = (Term::ZERO, View::new(view));
        let mut merged = ViewRecord::new(term, view);
        for node in world.nodes() {
            merged.merge(&node.view(term, view).await);
        }
        all.insert(view, merged);
    }
    all
}

/// Whether the block of `later` descends from that of `first`: from parent to parent, through
/// the blocks that quorums notarized.
fn descends(archives: &BTreeMap<View, ViewRecord>, first: &Vote, later: &Vote) -> bool {
    let mut at = *later;
    while at.view() > first.view() {
        if at.payload() == first.payload() {
            return true;
        }
        let parent = archives.get(&at.parent_view()).and_then(|record| {
            let mut notarized = record.certificates().map(|certificate| certificate.vote);
            notarized.find(|vote| vote.kind() != VoteKind::Nullify)
        });
        let Some(parent) = parent else {
            return false;
        };
        at = parent;
    }
    at.view() == first.view() && at.payload() == first.payload()
}

/// What is sent to `early` and to the liar arrives soon, what is sent to the others late or never:
/// the one finalises what the others give up.
async fn one_hears_early(world: &World<CheapScheme>, early: usize) {
    for from in 0..4 {
        for to in (0..4).filter(|to| *to != from) {
            let late = link(100, 95, probability!(0.85));
            let link = if to == early || to == 3 {
                link(5, 1, probability!(1.0))
            } else {
                late
            };
            let [from, to] = [from, to].map(|i| world.keys[i].peer());
            let _ = world.oracle.remove_link(from.clone(), to.clone()).await;
            let added = world.oracle.add_link(from, to, link).await;
            added.expect("the simulated network must run");
        }
    }
}

/// Accuses the honest seats `0..3` of every pair of votes that accuses. Returns how many pairs had
/// to be answered.
fn accuse_the_honest(seed: u64) -> usize {
    run(seed, |context: deterministic::Context| async move {
        // Views are nullified while others finalise them.
        let plan = impatient(4);
        let mut world: World<CheapScheme> = World::new(context.child("world"), plan).await;
        one_hears_early(&world, (seed % 3) as usize).await;
        for i in 0..3 {
            world.start(i).await;
        }
        world.start_two_faced(3, &[0, 1], &[2]).await;
        context.sleep(Duration::from_secs(6)).await;
        check_agreement(&world).await;
        // Who had not heard of something asks; and archives are written.
        world.mesh(&wan()).await;
        context.sleep(Duration::from_secs(3)).await;

        let newest = world.node(0).finalized().block.inner().header.view;
        let archives = archives(&world, newest).await;
        let mut answered = 0;
        for seat in (0..3).map(SeatIndex::new) {
            let votes: Vec<_> = archives.values().flat_map(ViewRecord::votes).collect();
            let votes: Vec<_> = votes.iter().filter(|vote| vote.seat == seat).collect();
            for first in &votes {
                let conflict = votes
                    .iter()
                    .find(|other| first.vote.conflicts_with(&other.vote));
                assert!(conflict.is_none(), "{first:?} {conflict:?}");
                for later in votes.iter().filter(|later| first.vote.crosses(&later.vote)) {
                    if descends(&archives, &first.vote, &later.vote) {
                        continue;
                    }
                    let record = &archives[&first.vote.view()];
                    let answer = record
                        .certificates()
                        .find(|certificate| excuses(&certificate.vote, &first.vote));
                    assert!(answer.is_some(), "seed {seed}: {first:?} {later:?}");
                    answered += 1;
                }
            }
        }
        answered
    })
}

#[test]
fn an_honest_seat_that_is_accused_always_has_its_answer() {
    let answered: Vec<_> = (100..120).map(accuse_the_honest).collect();
    println!("accusations answered by seed: {answered:?}");
    let accused = answered.iter().filter(|answered| **answered > 0).count();
    assert!(
        accused >= 10,
        "of twenty runs only {accused} accuse anybody"
    );
}

#[test]
fn a_seat_that_contradicts_itself_is_told_again_after_a_power_cut() {
    run(300, |context| async move {
        let mut world: World<BlsScheme> = World::new(context.child("world"), plan(4, 0)).await;
        world.mesh(&wan()).await;
        for i in 0..3 {
            world.start(i).await;
        }
        world.start_two_faced(3, &[0, 1], &[1, 2]).await;
        let told = loop {
            if let Some(evidence) = world.node(1).faults().await.pop() {
                break evidence;
            }
            context.sleep(Duration::from_millis(500)).await;
        };
        let seats = Arc::new(world.genesis.validate().expect("a valid genesis"));
        let voters = BlsScheme::voters(world.genesis.chain_id, seats);
        assert_eq!(told.verify(&voters), Ok(()));
        assert_eq!(told.seat(), SeatIndex::new(3));
        context.sleep(Duration::from_secs(3)).await;
        world.kill(1).await;
        world.cut(&[1], &[0, 2, 3]).await;
        let node = world.start(1).await;
        // The engine of the term starts a moment after the node, and brings the seats.
        let again = loop {
            let again = node.faults().await;
            if !again.is_empty() {
                break again;
            }
            context.sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(again.len(), 1, "told again");
        assert_eq!(again[0].offence(), told.offence());
    });
}
