//! `cargo run --release -p cortado-sim --example reorg -- CASES SEED DEPTH`: tells stories and prints
//! what they add up to.

use cortado_sim::{Setup, Stories, run};
use std::{num::NonZeroUsize, time::Instant};

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().expect("a number"));
    let mut next = |default| args.next().unwrap_or(default);
    let stories = Stories {
        cases: next(1_000),
        seed: next(1),
        depth: next(64),
        threads: NonZeroUsize::new(2).expect("two"),
    };
    let start = Instant::now();
    match run(&Setup::new(), stories, || {}) {
        Ok(report) => println!("{report:#?}\n{:?}", start.elapsed()),
        Err(violation) => println!("{violation}"),
    }
}
