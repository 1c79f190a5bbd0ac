//! `cortado genesis`: puts a genesis file together and checks it.

use crate::{config, service::runtime};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use cortado_chain::State;
use cortado_contracts::{registry::Registry, rpc::Rpc};
use cortado_node::{
    attester::load_genesis,
    home::write_atomically,
    l1::{L1Rpc, VerifiedHeader},
};
use cortado_types::{
    Address, ChainId, Genesis, Identity, L1Config, NamespaceConfig, SeatsRead, TimestampMs,
};
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc};

/// Arguments of `cortado genesis`.
#[derive(Args)]
pub struct GenesisArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a genesis file from a TOML file and an L1 node, which gives the anchor and the seats that
    /// the registry has settled there.
    Make {
        /// Chain id, slots, term, registry, namespaces, proposers.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Ethereum JSON-RPC of the L1.
        #[arg(long, value_name = "URL")]
        l1: String,
        /// Where to write it; must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a genesis file and print the hash of block 0.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// What a genesis is made from, beside what the L1 says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    chain_id: ChainId,
    slot_ms: u64,
    term_ms: u64,
    l1_slot_ms: u64,
    slots_per_epoch: u64,
    registry: Address,
    namespaces: Vec<NamespaceConfig>,
    #[serde(default)]
    proposers: Vec<Identity>,
}

/// Runs `cortado genesis`.
pub fn run(args: GenesisArgs) -> Result<()> {
    match args.command {
        Command::Make { config, l1, out } => {
            if out.exists() {
                bail!("{} exists and is not overwritten", out.display());
            }
            let plan: Plan = config::load(&config)?;
            let genesis = runtime()?.block_on(make(plan, &l1))?;
            let text = serde_json::to_string_pretty(&genesis)?;
            write_atomically(&out, text.as_bytes(), 0o644)
                .with_context(|| format!("writing {}", out.display()))?;
            println!("{}", State::genesis(&genesis)?.genesis_block().hash());
        }
        Command::Check { file } => {
            let genesis = load_genesis(&file)?;
            println!("{}", State::genesis(&genesis)?.genesis_block().hash());
        }
    }
    Ok(())
}

async fn make(mut plan: Plan, l1: &str) -> Result<Genesis> {
    let rpc = L1Rpc::new(l1)?;
    let chain_id = rpc.chain_id().await?;
    let anchor = anchor(&rpc).await?;
    let seats = seats(&rpc, l1, plan.registry, &anchor).await?;
    plan.namespaces.sort_by_key(|namespace| namespace.namespace);
    let genesis = Genesis {
        chain_id: plan.chain_id,
        time: TimestampMs::new(anchor.timestamp * 1_000),
        slot_ms: plan.slot_ms,
        term_ms: plan.term_ms,
        l1: L1Config {
            chain_id,
            slot_ms: plan.l1_slot_ms,
            slots_per_epoch: plan.slots_per_epoch,
            anchor: anchor.raw,
            registry: plan.registry,
        },
        namespaces: plan.namespaces,
        seats,
        proposers: plan.proposers,
    };
    genesis.validate()?;
    Ok(genesis)
}

/// The seats that the registry has settled at `anchor`.
async fn seats(
    rpc: &L1Rpc,
    l1: &str,
    registry: Address,
    anchor: &VerifiedHeader,
) -> Result<SeatsRead> {
    let at = anchor.block;
    let settled = rpc.settled(registry, at.hash).await?;
    let (hash, _) = settled.with_context(|| {
        let number = at.number;
        format!("no seats are settled in {registry} at L1 block {number}, the last final one")
    })?;
    let seats = match rpc.seats_of(registry, hash, (0, at.number)).await? {
        Some(seats) => seats,
        // Settled before the first block; if nothing has changed since, stake and keys say it.
        None => {
            let registry = Registry::new(Arc::new(Rpc::new(l1)?), registry);
            registry.allocation().await?.seats.seats().to_vec()
        }
    };
    Ok(rpc.prove_seats(registry, seats, anchor).await?)
}

/// The L1 block a new chain begins at: the last finalised one, so that no reorg can take it; the
/// first one on a young chain. An L1 slot starts at its time.
///
/// # Errors
/// If the node does not answer.
pub async fn anchor(rpc: &L1Rpc) -> Result<VerifiedHeader> {
    match rpc.tagged("finalized").await? {
        Some(header) => Ok(header),
        None => rpc
            .by_number(0)
            .await?
            .context("the L1 node has no block 0"),
    }
}
