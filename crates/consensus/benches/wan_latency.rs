//! Finality latency of 50 seats in ten regions, simulated, against what the design needs.
//!
//! What the design needs is five one-way quorum delays (body, acknowledgement, proposal, notarize,
//! finalize), computed from the same latency table without any processing, and the wait for the
//! next proposal, which is measured: from the certificate at the leader that included the lane
//! block to the time in its block.
//!
//! ```text
//! cargo bench -p cortado-consensus --bench wan_latency
//! ```

use commonware_p2p::simulated::Link;
use commonware_runtime::{Clock as _, Runner as _, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{channel::mpsc, probability};
use cortado_consensus::{
    engine::Tuning,
    events::Event,
    lanes::{LaneBlock, SealedLane},
    runtime::Runtime as _,
    scheme::CheapScheme,
    simulate::{FIRST_ROLLUP, Plan, World},
};
use cortado_types::{
    B256, Height, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot, TimestampMs,
    limits::PROTOCOL_VERSION,
};
use std::{collections::BTreeMap, time::Duration};

const SEATS: usize = 50;
const SLOT_MS: u64 = 4_000;
const SAMPLES: u64 = 16;

/// One-way delays between ten regions of a public cloud, ms: Virginia, Oregon, São Paulo, Ireland,
/// Frankfurt, Bahrain, Mumbai, Singapore, Tokyo, Sydney.
const ONE_WAY_MS: [[u64; 10]; 10] = [
    [1, 33, 57, 34, 45, 90, 93, 110, 73, 99],
    [33, 1, 88, 60, 70, 120, 110, 81, 49, 70],
    [57, 88, 1, 89, 101, 145, 150, 164, 128, 157],
    [34, 60, 89, 1, 13, 47, 61, 88, 101, 128],
    [45, 70, 101, 13, 1, 43, 55, 79, 113, 144],
    [90, 120, 145, 47, 43, 1, 20, 48, 84, 93],
    [93, 110, 150, 61, 55, 20, 1, 30, 63, 76],
    [110, 81, 164, 88, 79, 48, 30, 1, 35, 46],
    [73, 49, 128, 101, 113, 84, 63, 35, 1, 52],
    [99, 70, 157, 128, 144, 93, 76, 46, 52, 1],
];

fn delay(from: usize, to: usize) -> u64 {
    ONE_WAY_MS[from % 10][to % 10]
}

/// When the `quorum`-th of `arrivals` is there.
fn quorum_th(mut arrivals: Vec<u64>) -> u64 {
    arrivals.sort_unstable();
    arrivals[SEATS - (SEATS - 1) / 3 - 1]
}

/// The five hops from `proposer` with `leader`, until the median seat has a finalisation.
fn five_hops(proposer: usize, leader: usize) -> u64 {
    let seats = 0..SEATS;
    let acknowledged = quorum_th(
        seats
            .clone()
            .map(|i| delay(proposer, i) + delay(i, leader))
            .collect(),
    );
    let proposed: Vec<u64> = seats
        .clone()
        .map(|i| acknowledged + delay(leader, i))
        .collect();
    let hop = |sent: &[u64]| -> Vec<u64> {
        (0..SEATS)
            .map(|to| quorum_th((0..SEATS).map(|i| sent[i] + delay(i, to)).collect()))
            .collect()
    };
    let notarized = hop(&proposed);
    let mut finalized = hop(&notarized);
    finalized.sort_unstable();
    finalized[SEATS / 2]
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

async fn measure(context: deterministic::Context) {
    let plan = Plan {
        seats: SEATS,
        proposers: 1,
        spares: 0,
        slot_ms: SLOT_MS,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 64 << 20,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    };
    let mut world: World<CheapScheme> = World::new(context.child("world"), plan).await;
    for from in 0..=SEATS {
        for to in from + 1..=SEATS {
            let link = Link {
                latency: Duration::from_millis(delay(from, to)),
                jitter: Duration::from_millis(1),
                success_rate: probability!(1.0),
            };
            world.link(&[from], &[to], &link).await;
        }
    }
    for i in 0..=SEATS {
        world.start(i).await;
    }
    let mut watch = world.node(SEATS).watch();
    while watch.borrow_and_update().height() < Height::new(4) {
        watch.changed().await.expect("node must run");
    }

    // Every seat's events with the time at which they happened.
    let (heard, mut hears) = mpsc::unbounded_channel();
    for seat in 0..SEATS {
        let (mut events, heard) = (world.node(seat).events(), heard.clone());
        context.child("listener").spawn(move |context| async move {
            while let Some(event) = events.recv().await {
                if heard.send((seat, context.now_ms(), event)).is_err() {
                    return;
                }
            }
        });
    }

    let (mut latencies, mut waits, mut ideals) = (vec![], vec![], vec![]);
    for sample in 0..SAMPLES {
        // One in each slot, at another moment of the idle chain's beat each time.
        let next = SLOT_MS - context.now_ms().get() % SLOT_MS + 700 + (sample * 137) % 1_200;
        context.sleep(Duration::from_millis(next)).await;
        let sent = context.now_ms();
        let lane = cut(&world, sent);
        let hash = lane.hash;
        world.node(SEATS).publish(lane).await;
        context.sleep(Duration::from_millis(2_000)).await;
        let mut finals = vec![];
        let mut certified = BTreeMap::new();
        let mut block = None;
        while let Ok((seat, at, event)) = hears.try_recv() {
            match event {
                Event::LaneCertified { hash: found, .. } if found == hash => {
                    certified.insert(seat, at);
                }
                Event::Finalized(finalized) => {
                    let inner = finalized.block.inner();
                    if inner
                        .lanes
                        .iter()
                        .any(|entry| entry.lane.header.hash() == hash)
                    {
                        finals.push(at.since(sent));
                        block = Some(inner.header.clone());
                    }
                }
                _ => {}
            }
        }
        let Some(header) = block else {
            println!("sample {sample}: not included, its view was skipped");
            continue;
        };
        // Rotating leaders: the engine's round robin over views.
        let leader = (header.view.get() % SEATS as u64) as usize;
        finals.sort_unstable();
        latencies.push(percentile(&finals, 50));
        ideals.push(five_hops(SEATS, leader));
        if let Some(at) = certified.get(&leader) {
            waits.push(header.timestamp.since(*at));
        }
    }
    latencies.sort_unstable();
    let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len().max(1) as f64;
    let needed = mean(&ideals) + mean(&waits);
    let p50 = percentile(&latencies, 50);
    println!("seats {SEATS}, regions 10, samples {}", latencies.len());
    println!(
        "proposer sends body -> attested at the median seat: p50 {p50} ms, p99 {} ms",
        percentile(&latencies, 99)
    );
    println!(
        "five one-way quorum delays: {:.0} ms; mean wait for the next proposal: {:.0} ms",
        mean(&ideals),
        mean(&waits)
    );
    println!("ratio {:.3} (target 1.25)", p50 as f64 / needed);
}

fn cut(world: &World<CheapScheme>, time: TimestampMs) -> SealedLane {
    let namespace = Namespace::new(FIRST_ROLLUP);
    let state = world.node(SEATS).finalized().state.clone();
    let tip = state.namespaces[&namespace].tip;
    let body = LaneBody {
        transactions: (0..64u8).map(|i| vec![i; 512].into()).collect(),
    };
    let header = LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: world.genesis.chain_id,
        namespace,
        slot: Slot::new(time.get() / SLOT_MS),
        seq: Seq::ZERO,
        last: true,
        height: tip.height.next().expect("few lane blocks"),
        parent: tip.hash,
        context: state.anchor(),
        timestamp: time,
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let signature = world.keys[SEATS].lane.sign(header.hash());
    let lane = SignedLaneHeader { header, signature };
    SealedLane::new(&LaneBlock { lane, body }).expect("the header is made from the body")
}

fn main() {
    deterministic::Runner::seeded(1).start(measure);
}
