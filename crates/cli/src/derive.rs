//! `cortado derive`: the L2 blocks of a rollup on any fork of L1, and what became of every transaction
//! there (R11, R12).
//!
//! No node is trusted: blocks come with certificates, bodies with roots, and what L1 blocks queued with
//! receipts. Everything is derived and executed here, from block 1 on.

mod report;
#[cfg(test)]
mod tests;
mod walk;

use crate::{
    config,
    devnet::{Layout, Summary},
    logs,
    running::DATA_DIR,
    service::runtime,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use cortado_client::Client;
use cortado_node::{
    attester::load_genesis,
    l1::{L1Rpc, RpcUrls},
    rollup::RollupNodeConfig,
};
use cortado_rollup::{
    engine::{RollupSpec, Tips},
    fork::L1Forks,
    service::rollup_spec,
};
use cortado_types::{Address, B256, Genesis, Height, L1Ref, Namespace};
use report::{Head, Report};
use std::{io, path::PathBuf, sync::Arc};
use walk::{Found, follow, walk};

/// Arguments of `cortado derive`.
#[derive(Args)]
pub struct DeriveArgs {
    /// The rollup's namespace.
    #[arg(long)]
    namespace: u64,
    /// Hash of the L1 block that the fork ends in; absent, the fork that the rollup's nodes are on.
    #[arg(long, value_name = "HASH")]
    fork: Option<B256>,
    /// Directory of a running devnet; not read if --genesis is given.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// The finality chain's genesis file.
    #[arg(
        long,
        value_name = "FILE",
        requires = "rollup_genesis",
        requires = "node",
        conflicts_with = "data_dir"
    )]
    genesis: Option<PathBuf>,
    /// The rollup's genesis file, as geth writes it.
    #[arg(long, value_name = "FILE", requires = "genesis")]
    rollup_genesis: Option<PathBuf>,
    /// API of an attester, any of which will do; may be given several times.
    #[arg(long, value_name = "URL", requires = "genesis")]
    node: Vec<String>,
    /// Ethereum JSON-RPC of an L1 node, for what was queued in the inbox; may be given several times.
    #[arg(long, value_name = "URL", requires = "inbox")]
    l1: Vec<String>,
    /// The rollup's inbox on L1.
    #[arg(long, value_name = "ADDRESS", requires = "genesis", requires = "l1")]
    inbox: Option<Address>,
    /// Print from this lane block on. L2 blocks have other numbers on other forks, lane blocks the same.
    #[arg(long, value_name = "HEIGHT", default_value_t = 1)]
    from: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// The rollup, and whom to ask.
struct Sources {
    genesis: Arc<Genesis>,
    rollup: RollupSpec,
    client: Client,
    l1: Vec<L1Rpc>,
}

impl DeriveArgs {
    fn sources(&self) -> Result<Sources> {
        let namespace = Namespace::new(self.namespace);
        let (genesis, rollup, nodes, l1) = match (&self.genesis, &self.rollup_genesis) {
            (Some(genesis), Some(rollup)) => (
                genesis.clone(),
                (rollup.clone(), self.inbox),
                self.node.clone(),
                self.l1.clone(),
            ),
            _ => {
                let node = self.devnet()?;
                let l1 = node.l1.iter().flat_map(|l1| RpcUrls::all(&l1.rpc));
                let l1 = l1.cloned().collect();
                let rollup = (node.rollup.genesis, node.rollup.inbox);
                (node.genesis, rollup, node.attesters, l1)
            }
        };
        let genesis = load_genesis(&genesis)?;
        let known: Vec<u64> = (genesis.namespaces.iter())
            .map(|config| config.namespace.get())
            .collect();
        if !known.contains(&self.namespace) {
            bail!("--namespace is {namespace}, the finality chain has {known:?}");
        }
        let (path, inbox) = rollup;
        Ok(Sources {
            rollup: rollup_spec(namespace, &path, (inbox, Tips::default()))?,
            client: Client::new(&genesis, &nodes)?,
            l1: l1
                .iter()
                .map(|url| L1Rpc::new(url))
                .collect::<Result<_, _>>()?,
            genesis,
        })
    }

    /// The file of the devnet's node for the rollup.
    fn devnet(&self) -> Result<RollupNodeConfig> {
        let layout = Layout {
            dir: self.data_dir.clone(),
        };
        let summary = Summary::read(&layout)?;
        let known: Vec<u64> = summary.rollups.iter().map(|one| one.namespace).collect();
        let wanted = self.namespace;
        if !known.contains(&wanted) {
            bail!("--namespace is {wanted}, the devnet has the rollups {known:?}");
        }
        config::load(&layout.config(&format!("rollup-{wanted}")))
    }

    /// The end of the fork.
    fn tip(&self, found: &Found) -> Result<L1Ref> {
        let forks = &found.forks;
        let Some(hash) = self.fork else {
            return Ok(forks.tip());
        };
        forks.get(&hash).with_context(|| {
            let (from, height) = (forks.anchor().number, found.height);
            format!(
                "--fork is {hash}: up to block {height} of the finality chain its L1 pointer, which \
                 began at L1 block {from}, never tracked such a block"
            )
        })
    }
}

/// Runs `cortado derive`.
pub fn run(args: &DeriveArgs) -> Result<()> {
    logs::to_stderr();
    let sources = args.sources()?;
    runtime()?.block_on(derive(args, sources))
}

async fn derive(args: &DeriveArgs, sources: Sources) -> Result<()> {
    let namespace = sources.rollup.namespace;
    let forks = L1Forks::new(&sources.genesis.l1.anchor, sources.rollup.inbox)?;
    let found = follow(&sources.client, forks, namespace).await?;
    let (from, last) = (args.from, found.lanes.len());
    if from > 1 && from > last as u64 {
        bail!("--from is {from}, the last lane block of rollup {namespace} is {last}");
    }
    let fork = args.tip(&found)?;
    let head = Head {
        namespace,
        height: found.height,
        fork,
        standing: found.forks.standing(fork),
        l1_head: found.forks.head(),
    };
    let chain = found.forks.along(fork.hash, sources.rollup)?;
    let mut report = Report::begin(io::stdout(), args.json, Height::new(from), head)?;
    let lanes = (found.lanes, chain);
    let walked = walk(&sources.client, &sources.l1, lanes, &mut report).await;
    report.finish(walked.as_ref().err())?;
    walked
}
