//! `cortado devnet`: an Ethereum, attesters, proposers and rollups on one machine.
//!
//! It composes the services that the other commands run, from the same files; with `--processes`
//! it starts those commands instead.

mod accounts;
mod byzantine;
mod plan;
mod ports;
mod print;
mod run;
mod status;
mod summary;
mod traffic;

use crate::{logs, service::runtime};
use anyhow::{Context, Result, bail};
use byzantine::Lie;
use clap::Args;
use cortado_node::home::Home;
use plan::{Layout, Shape};
use std::path::PathBuf;

/// Arguments of `cortado devnet`.
#[derive(Args)]
pub struct DevnetArgs {
    /// Attesters; with their seats at least four seats in all.
    #[arg(long, default_value_t = 4)]
    attesters: u32,
    /// Seats of each attester.
    #[arg(long, default_value_t = 1)]
    seats_per_operator: u32,
    /// Rollups.
    #[arg(long, default_value_t = 2)]
    rollups: u32,
    /// Length of an L1 slot, ms.
    #[arg(long, default_value_t = 2_000)]
    l1_slot_ms: u64,
    /// Where everything is kept; started again on it, the devnet goes on where it was.
    #[arg(long, default_value = ".cortado")]
    data_dir: PathBuf,
    /// Transactions a second that an agent sends, over all rollups.
    #[arg(long, default_value_t = 0.0)]
    traffic: f64,
    /// What all keys are derived from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// JSON-RPC of an outside L1 instead of the embedded one.
    #[arg(long, value_name = "URL")]
    l1: Option<String>,
    /// Beacon REST of the outside L1.
    #[arg(long, value_name = "URL")]
    beacon: Option<String>,
    /// Run every part as its own process.
    #[arg(long)]
    processes: bool,
    /// Let the last attester lie, in this process: what becomes of it can be seen.
    #[arg(long, value_enum, value_name = "HOW")]
    byzantine: Option<Lie>,
}

/// Most transactions a second that the agent sends.
const TRAFFIC_MAX: f64 = 20_000.0;

/// Runs `cortado devnet`.
pub fn run(args: DevnetArgs) -> Result<()> {
    if !(0.0..=TRAFFIC_MAX).contains(&args.traffic) {
        bail!(
            "--traffic is {}, it must be within 0 and {TRAFFIC_MAX}",
            args.traffic
        );
    }
    let shape = Shape {
        attesters: args.attesters,
        seats_per_operator: args.seats_per_operator,
        rollups: args.rollups,
        l1_slot_ms: args.l1_slot_ms,
        seed: args.seed,
        l1: args.l1,
        beacon: args.beacon,
        byzantine: args.byzantine,
    };
    shape.check()?;
    std::fs::create_dir_all(&args.data_dir)
        .with_context(|| format!("data directory {}", args.data_dir.display()))?;
    let dir = args.data_dir.canonicalize()?;
    let home = Home::open(&dir, "devnet")?;
    let layout = Layout { dir };
    logs::to_file(&layout.log("devnet"))?;
    let result = runtime()?.block_on(run::run(&layout, &shape, args.traffic, args.processes));
    drop(home);
    result
}
