//! The one binary: devnet, node, proposer, rollup, l1, lottery, tools.

mod lottery;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A shared-sequencing marketplace for Ethereum rollups.
#[derive(Parser)]
#[command(name = "cortado", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Draw, check and explain the lottery that assigns bundles of namespaces.
    Lottery(lottery::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Lottery(args) => lottery::run(args),
    }
}
