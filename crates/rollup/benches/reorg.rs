//! A reorg of L1 of depth 8 under 1,000 transactions a second: how long users wait, and how fast what
//! survives is executed again.
//!
//! `cargo bench -p cortado-rollup --bench reorg` prints the stall over the length of an L1 slot, and the
//! speed of replay over that of life. Every other transaction refers to a final L1 block and survives;
//! the others fall and are promised anew. `L1_SLOT_S` (default 12) is the length of an L1 slot.

#[path = "../tests/support/chain.rs"]
mod chain;

use chain::{Chain, ROLLUP, at, follow, promised, referring, tick, transfer, user};
use cortado_rollup::{engine::Engine, source::Finalised};
use cortado_types::Address;
use std::time::{Duration, Instant};

const DEPTH: usize = 8;
const PER_SECOND: u64 = 1_000;
/// Transactions come, and lane blocks leave, this often, ms.
const STEP_MS: u64 = 100;
const SENDERS: u64 = 50;
const TO: Address = Address::repeat_byte(9);

fn seconds(one: Duration) -> String {
    format!("{:.3} s", one.as_secs_f64())
}

fn apply(engine: &mut Engine, block: &Finalised) -> Duration {
    let start = Instant::now();
    engine.apply(block).expect("applies");
    engine.publish().expect("publishes");
    start.elapsed()
}

fn main() {
    let slot_s = std::env::var("L1_SLOT_S").map_or(12, |text| text.parse().expect("seconds"));
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.resumed(&dir.path().join("proposer"));
    let mut node = chain.engine(&dir.path().join("node"), ROLLUP);
    let anchor = chain.l1_tip();
    let mut nonces = vec![0; SENDERS as usize];
    let (mut now, mut sent, mut live) = (1_000, 0, Duration::ZERO);
    for _ in 0..DEPTH {
        let block = chain.move_pointer(at(0, now));
        follow(&mut gateway, &block, at(0, now));
        apply(&mut node, &block);
        for _ in 0..slot_s * 1_000 / STEP_MS {
            for _ in 0..PER_SECOND * STEP_MS / 1_000 {
                let from = sent % SENDERS;
                let nonce = &mut nonces[from as usize];
                let included = match from % 2 {
                    0 => transfer(&user(from), *nonce, TO, 1),
                    _ => referring(&user(from), *nonce, TO, anchor.hash),
                };
                promised(&mut gateway, &included, at(0, now));
                *nonce += 1;
                sent += 1;
            }
            now += STEP_MS;
            let lanes = tick(&mut gateway, at(0, now));
            let block = chain.finalise(&lanes, at(0, now));
            follow(&mut gateway, &block, at(0, now));
            live += apply(&mut node, &block);
        }
    }
    let before = node.head().number();
    let reorg = chain.fork_pointer(DEPTH, &[], at(0, now));
    // A node: until its readers see the other chain.
    let replay = apply(&mut node, &reorg);
    let kept = (1..=node.head().number())
        .filter_map(|number| node.store().block_by_number(number).expect("reads"))
        .map(|block| block.transactions.len() as u64)
        .sum::<u64>();
    // The proposer: until somebody who comes now has a promise, and until all that fell has one again.
    let start = Instant::now();
    follow(&mut gateway, &reorg, at(0, now));
    promised(&mut gateway, &transfer(&user(60), 0, TO, 1), at(0, now));
    let stall = start.elapsed();
    let engine = |gateway: &cortado_rollup::gateway::Gateway| {
        let engine = gateway.engine(ROLLUP).expect("served");
        engine
            .pending()
            .map(|lane| lane.transactions.len() as u64)
            .sum::<u64>()
    };
    let fell = sent - kept;
    while engine(&gateway) < fell + 1 {
        gateway.tick(at(0, now)).expect("runs");
        gateway.commit().expect("commits");
    }
    let again = start.elapsed();
    let slot = slot_s as f64;
    let rate = |count: u64, time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "depth {DEPTH}, L1 slots of {slot_s} s: {sent} transactions in {before} L2 blocks, {kept} survive, {fell} fall"
    );
    println!(
        "node: the other chain is shown after {} = {:.3} L1 slots (target at most 0.5)",
        seconds(replay),
        replay.as_secs_f64() / slot
    );
    println!(
        "node: replay {:.0} tx/s over live load {PER_SECOND} tx/s = {:.1} (target at least 3); live execution {:.0} tx/s",
        rate(kept, replay),
        rate(kept, replay) / PER_SECOND as f64,
        rate(sent, live)
    );
    println!(
        "proposer: a new transaction is promised after {} = {:.3} L1 slots (target at most 0.5)",
        seconds(stall),
        stall.as_secs_f64() / slot
    );
    println!(
        "proposer: all {fell} that fell are promised anew after {} = {:.3} L1 slots, {:.0} a second",
        seconds(again),
        again.as_secs_f64() / slot,
        rate(fell, again)
    );
}
