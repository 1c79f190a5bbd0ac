//! `cortado deposit`: queues ether on L1 for an account of a rollup.

use crate::{
    contracts::{Patience, open_sender},
    devnet::{Layout, Summary},
    logs,
    service::runtime,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use cortado_contracts::{
    abi::Inbox,
    inbox::{deposit, index_of},
    rpc::view,
    sender::Outcome,
};
use cortado_types::{Address, Namespace, U256};
use std::path::PathBuf;

/// Arguments of `cortado deposit`.
#[derive(Args)]
pub struct DepositArgs {
    /// The rollup's namespace.
    #[arg(long)]
    namespace: u64,
    /// Who gets it on the rollup.
    #[arg(long, value_name = "ADDRESS")]
    to: Address,
    /// Amount in wei.
    #[arg(long)]
    wei: U256,
    /// Directory of a running devnet; not read if --l1 is given.
    #[arg(long, default_value = ".cortado")]
    data_dir: PathBuf,
    /// Ethereum JSON-RPC of an L1 without a devnet.
    #[arg(long, value_name = "URL", requires = "inbox", requires = "key")]
    l1: Option<String>,
    /// The rollup's inbox there.
    #[arg(long, value_name = "ADDRESS", requires = "l1")]
    inbox: Option<Address>,
    /// Key file of the account that pays (`cortado keys account`).
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Which of the devnet's accounts pays, if no key file is given.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        conflicts_with = "key"
    )]
    account: u32,
    #[command(flatten)]
    patience: Patience,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Where the ether goes, and who pays.
struct Way {
    rpc: String,
    inbox: Address,
    key: PathBuf,
}

impl DepositArgs {
    fn way(&self) -> Result<Way> {
        if let (Some(rpc), Some(inbox), Some(key)) = (&self.l1, self.inbox, &self.key) {
            return Ok(Way {
                rpc: rpc.clone(),
                inbox,
                key: key.clone(),
            });
        }
        let layout = Layout {
            dir: self.data_dir.clone(),
        };
        let summary = Summary::read(&layout)?;
        let rollup = summary.rollups.iter();
        let rollup = rollup
            .clone()
            .find(|rollup| rollup.namespace == self.namespace)
            .with_context(|| {
                let known: Vec<u64> = rollup.map(|rollup| rollup.namespace).collect();
                let wanted = self.namespace;
                format!("the devnet has the rollups {known:?}, and none of namespace {wanted}")
            })?;
        let key = match &self.key {
            Some(key) => key.clone(),
            None => layout.account(&format!("account-{}", self.account)),
        };
        Ok(Way {
            inbox: rollup
                .inbox
                .with_context(|| format!("rollup {} has no inbox", self.namespace))?,
            rpc: summary.l1.rpc,
            key,
        })
    }
}

/// Runs `cortado deposit`.
pub fn run(args: DepositArgs) -> Result<()> {
    logs::to_stderr();
    if args.wei.is_zero() || args.to.is_zero() {
        bail!(
            "the inbox takes neither a deposit of nothing nor one to nobody: --wei is {}, --to is {}",
            args.wei,
            args.to
        );
    }
    let way = args.way()?;
    runtime()?.block_on(async {
        let sender = open_sender(&way.rpc, &way.key, None, args.patience.settings()).await?;
        let l1 = sender.l1().clone();
        // Ether that goes to the wrong inbox does not come back.
        let found = Namespace::new(view(&*l1, way.inbox, Inbox::NAMESPACECall {}).await?);
        if found.get() != args.namespace {
            bail!(
                "the inbox at {} is of rollup {found}, not of {}",
                way.inbox,
                args.namespace
            );
        }
        let intent = deposit(way.inbox, args.to, args.wei);
        let Outcome::Included { hash, receipt } = sender.submit(intent).await? else {
            bail!("the deposit was not sent");
        };
        let index = index_of(&*l1, way.inbox, hash, &receipt).await?;
        let (number, block) = (receipt.block_number, receipt.block_hash);
        if args.json {
            let made = serde_json::json!({
                "index": index,
                "block": { "number": number, "hash": block },
                "transaction": hash,
            });
            println!("{}", serde_json::to_string_pretty(&made)?);
        } else {
            println!(
                "Deposited {} wei for {}: place {index} in the queue of rollup {found}, since L1 block \
                 {number} ({block}).",
                args.wei, args.to
            );
        }
        Ok(())
    })
}
