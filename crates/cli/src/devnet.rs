//! `cortado devnet`: an Ethereum, attesters, proposers and rollups on one machine.
//!
//! It composes the services that the other commands run, from the same files; with `--processes`
//! it starts those commands instead.

mod accounts;
mod byzantine;
mod layout;
mod outside;
mod plan;
mod ports;
mod print;
mod relay;
mod run;
mod stake;
mod status;
mod summary;
mod traffic;

use crate::{logs, service::runtime};
use anyhow::{Context, Result, bail};
use byzantine::Lie;
use clap::Args;
use cortado_node::home::Home;
pub use layout::Layout;
use plan::Shape;
use std::path::PathBuf;
pub use summary::Summary;
#[cfg(test)]
pub use traffic::transfer;

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
    /// Length of a term, ms: seats that changed on L1 sit from the next term on.
    #[arg(long, default_value_t = 64_000)]
    term_ms: u64,
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
    /// Key file of an account that has ether on the outside L1; the devnet's first account if absent.
    #[arg(long, value_name = "FILE")]
    l1_key: Option<PathBuf>,
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
        term_ms: args.term_ms,
        seed: args.seed,
        l1: args.l1,
        beacon: args.beacon,
        byzantine: args.byzantine,
    };
    shape.check()?;
    if args.l1_key.is_some() && shape.l1.is_none() {
        bail!("--l1-key is of an account on an outside L1 and needs --l1");
    }
    std::fs::create_dir_all(&args.data_dir)
        .with_context(|| format!("data directory {}", args.data_dir.display()))?;
    let dir = args.data_dir.canonicalize()?;
    let home = Home::open(&dir, "devnet")?;
    let layout = Layout { dir };
    logs::to_file(&layout.log("devnet"))?;
    let result = runtime()?.block_on(run::run(
        &layout,
        &shape,
        args.traffic,
        (args.processes, args.l1_key.as_deref()),
    ));
    drop(home);
    result
}
