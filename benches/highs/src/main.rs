//! Auction mode against HiGHS, and the lottery's draw against both, on the same instances.
//!
//! `cargo run --release --manifest-path benches/highs/Cargo.toml [-- NAMESPACES BUNDLES SECONDS SEED]`
//!
//! HiGHS solves the integer program with a time limit and one thread. Gaps are relative to the
//! best packing anyone found; the certificate is the search's own integer bound. What the prices
//! can never certify is the relaxation's part of it: with HiGHS's bound at hand, at least
//! `search bound / HiGHS bound − 1`.

use std::env::args;
use std::time::Instant;

use cortado_lottery::auction::{Auction, Packing, solve};
use cortado_lottery::lab::families::{Family, Size, instance};
use cortado_lottery::{Index, Lottery};
use highs::{HighsModelStatus, RowProblem, Sense};

/// Steps of the local search.
const STEPS: u64 = 40_000;
/// Tickets per bundle; the auction only sees the best one.
const TICKETS_PER_BUNDLE: usize = 3;
/// Slots drawn for the lottery's time.
const SLOTS: u64 = 50;

fn argument(at: usize, default: usize) -> usize {
    args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What HiGHS found within its time.
struct Found {
    value: u128,
    /// No packing exceeds this, by its own cuts and branching.
    bound: f64,
    seconds: f64,
    optimal: bool,
}

fn with_highs(auction: &Auction, seconds: f64) -> Found {
    let mut problem = RowProblem::default();
    let columns: Vec<_> = auction
        .bids()
        .iter()
        .map(|bid| problem.add_integer_column(bid.amount.get() as f64, 0.0..=1.0))
        .collect();
    let mut rows = vec![Vec::new(); auction.namespaces()];
    for (bid, column) in auction.bids().iter().zip(&columns) {
        for member in &bid.members {
            rows[member.get() as usize].push((*column, 1.0));
        }
    }
    for row in rows.into_iter().filter(|row| row.len() > 1) {
        problem.add_row(..=1.0, row);
    }
    let mut model = problem.optimise(Sense::Maximise);
    model.set_option("time_limit", seconds);
    model.set_option("threads", 1);
    model.set_option("mip_rel_gap", 0.0);
    model.make_quiet();
    let start = Instant::now();
    let solved = model.solve();
    let seconds = start.elapsed().as_secs_f64();
    let solution = solved.get_solution();
    let chosen = (0u32..).zip(solution.columns()).filter(|(_, part)| **part > 0.5);
    let packing = Packing { bids: chosen.map(|(bid, _)| bid).collect() };
    Found {
        // What is no packing counts as nothing.
        value: auction.value(&packing).map_or(0, |value| value.get()),
        bound: solved.double_info_value(c"mip_dual_bound").unwrap_or(f64::INFINITY),
        seconds,
        optimal: solved.status() == HighsModelStatus::Optimal,
    }
}

fn main() {
    let (namespaces, bundles) = (argument(1, 1_000), argument(2, 10_000));
    let (limit, seed) = (argument(3, 60) as f64, argument(4, 1) as u64);
    println!("{namespaces} namespaces × {bundles} bundles, seed {seed}, HiGHS limited to {limit} s");
    println!("family      search s  HiGHS s  ratio  search gap  HiGHS gap  certificate  relaxation  draw ms");
    for family in Family::ALL {
        let tickets = bundles * TICKETS_PER_BUNDLE;
        let size = Size { namespaces, bundles, tickets, slots: 1 };
        let instance = instance(family, size, seed).expect("the size is within every limit");
        let index = Index::new(&instance.batch);
        let auction = Auction::new(&index);

        let start = Instant::now();
        let solution = solve(&auction, STEPS, 1);
        let search_seconds = start.elapsed().as_secs_f64();
        let highs = with_highs(&auction, limit);

        let mut lottery = Lottery::new(&index);
        let start = Instant::now();
        for slot in 0..SLOTS {
            lottery.draw(instance.beacon, slot);
        }
        let draw_ms = start.elapsed().as_secs_f64() * 1e3 / SLOTS as f64;

        let best = solution.value.get().max(highs.value) as f64;
        let gap = |value: u128| 100.0 * (1.0 - value as f64 / best);
        let certificate = 100.0 * (solution.bound.get() as f64 / solution.value.get() as f64 - 1.0);
        println!(
            "{:<11} {:>8.2} {:>8.2} {:>6.1} {:>9.3} % {:>8.3} % {:>10.3} % {:>9.3} % {:>8.3}{}",
            family.name(),
            search_seconds,
            highs.seconds,
            highs.seconds / search_seconds,
            gap(solution.value.get()),
            gap(highs.value),
            certificate,
            100.0 * (solution.bound.get() as f64 / highs.bound - 1.0).max(0.0),
            draw_ms,
            if highs.optimal { "" } else { "  (HiGHS out of time)" }
        );
    }
}
