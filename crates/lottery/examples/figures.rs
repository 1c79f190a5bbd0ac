//! Prints the figures of `docs/performance/lottery.md`: least and median time of repeated runs at
//! market size, and the memory of all of it. On a busy machine the least is what one core needs.
//!
//! `cargo run --release -p cortado-lottery --features lab --example figures`

use std::time::Instant;

use cortado_lottery::lab::families::{Family, Size, instance};
use cortado_lottery::{Batch, Index, Lottery, Opening, Pools, Tickets};

const SIZE: Size = Size {
    namespaces: 1_000,
    bundles: 10_000,
    tickets: 1_000_000,
    slots: 1,
};
const INDEX_RUNS: usize = 7;
const SLOTS: u64 = 400;

/// Least and median of some times, in milliseconds.
struct Times(Vec<f64>);

impl Times {
    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0.push(start.elapsed().as_secs_f64() * 1e3);
        result
    }

    fn show(&mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        format!("{:.3} / {:.3}", self.0[0], self.0[self.0.len() / 2])
    }
}

fn times() -> Times {
    Times(Vec::new())
}

/// Most memory this process ever had resident, in MB, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kb| kb / 1_000)
}

fn main() {
    println!("least / median in ms; {SIZE:?}");
    for family in Family::ALL {
        let instance = instance(family, SIZE, 1).expect("the size is within every limit");
        let mut index_times = times();
        for _ in 0..INDEX_RUNS {
            let batch = &instance.batch;
            let (reserves, bundles, tickets) = (
                batch.reserves().to_vec(),
                batch.bundles().clone(),
                batch.tickets().to_vec(),
            );
            index_times.add(|| Index::new(&Batch::new(reserves, bundles, tickets).expect("valid")));
        }
        let index = Index::new(&instance.batch);
        let mut lottery = Lottery::new(&index);
        let tickets = Tickets::new(&instance.batch);
        let pools = Pools::new(&instance.batch);
        let (mut draw, mut verify, mut whole) = (times(), times(), times());
        let (mut assigned, mut bytes, mut longest) = (0, 0, 0);
        for slot in 0..SLOTS {
            let result = draw.add(|| lottery.draw(instance.beacon, slot));
            assigned += result.draws.len();
            verify
                .add(|| pools.verify(instance.beacon, &result))
                .expect("true");
            whole
                .add(|| tickets.verify(&pools, instance.beacon, &result))
                .expect("true");
            let first = index.members(result.draws[0].pool)[0];
            let proof = Opening::prove(&index, instance.beacon, &result, first).expect("assigned");
            proof.check().expect("true");
            bytes += proof.encode().len();
            longest = longest.max(proof.encode().len());
        }
        println!(
            "{:<10}  index {}  draw {}  verify without tickets {}, with {}  {} draws per slot  \
             proof {} bytes, longest {}",
            family.name(),
            index_times.show(),
            draw.show(),
            verify.show(),
            whole.show(),
            assigned / SLOTS as usize,
            bytes / SLOTS as usize,
            longest
        );
    }
    if let Some(peak) = peak_memory() {
        println!("peak memory, generator, two indexes and verifier included: {peak} MB");
    }
}
