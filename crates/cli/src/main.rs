//! The one binary: devnet, node, proposer, rollup, l1, lottery, tools.

mod config;
mod contracts;
mod deposit;
mod derive;
mod devnet;
mod finality;
mod genesis;
mod keys;
mod l1;
mod logs;
mod lottery;
mod parts;
mod reference;
mod relay;
mod rpc;
mod running;
mod service;
mod shutdown;
mod sim;
mod stake;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cortado_node::{attester::Attester, proposer::Proposer, rollup::RollupNode};
use service::ServiceArgs;

/// A shared-sequencing marketplace for Ethereum rollups.
#[derive(Parser)]
#[command(name = "cortado", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an L1, attesters, proposers and rollups on this machine, and print every URL and key.
    Devnet(devnet::DevnetArgs),
    /// Run an attester.
    Node(ServiceArgs),
    /// Run a proposer.
    Proposer(ServiceArgs),
    /// Run a rollup node.
    Rollup(ServiceArgs),
    /// Run the embedded L1, or bend one that runs.
    L1(l1::L1Args),
    /// Make and show key files.
    Keys(keys::KeysArgs),
    /// Make and check genesis files.
    Genesis(genesis::GenesisArgs),
    /// Deploy the contracts on L1.
    Contracts(contracts::ContractsArgs),
    /// Deposit ether from L1 into a rollup.
    Deposit(deposit::DepositArgs),
    /// Hold seats by stake on L1.
    Stake(stake::StakeArgs),
    /// Keep the light client on L1 up to date.
    Relay(ServiceArgs),
    /// Show where a node and its rollups stand.
    Status(status::StatusArgs),
    /// Print the access list that makes a transaction depend on one L1 block.
    Reference(reference::ReferenceArgs),
    /// Print the L2 blocks of a rollup on any fork of L1, and why each transaction is in or out.
    Derive(derive::DeriveArgs),
    /// Draw, check and explain the lottery that assigns bundles of namespaces.
    Lottery(lottery::Args),
    /// Tell random stories of the protocol and check each.
    Sim(sim::SimArgs),
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        // One line for people: what failed, then why, down to the value and its limit.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Devnet(args) => devnet::run(args)?,
        Command::Node(args) => service::run::<Attester>(args)?,
        Command::Proposer(args) => service::run::<Proposer>(args)?,
        Command::Rollup(args) => service::run::<RollupNode>(args)?,
        Command::L1(args) => l1::run(args)?,
        Command::Keys(args) => keys::run(args)?,
        Command::Genesis(args) => genesis::run(args)?,
        Command::Contracts(args) => contracts::run(args)?,
        Command::Deposit(args) => deposit::run(args)?,
        Command::Stake(args) => stake::run(args)?,
        Command::Relay(args) => service::run::<relay::RelayService>(args)?,
        Command::Sim(args) => return Ok(sim::run(&args)),
        Command::Status(args) => status::run(&args)?,
        Command::Reference(args) => reference::run(&args)?,
        Command::Derive(args) => derive::run(&args)?,
        Command::Lottery(args) => return lottery::run(args),
    }
    Ok(ExitCode::SUCCESS)
}
