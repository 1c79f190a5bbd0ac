//! `cortado reference`: an access list that makes a transaction depend on one L1 block (R11).

use crate::{
    finality::Finality,
    l1::header,
    rpc::Rpc,
    running::{DATA_DIR, Running},
    service::runtime,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use cortado_types::{B256, L1Ref, limits::REF_MAX};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `cortado reference`.
#[derive(Args)]
pub struct ReferenceArgs {
    /// JSON-RPC of a rollup node, which says what its L1 pointer is.
    #[arg(long, value_name = "URL", conflicts_with_all = ["l1", "hash"])]
    rollup: Option<String>,
    /// JSON-RPC of the L1, if it is no devnet's.
    #[arg(long, value_name = "URL")]
    l1: Option<String>,
    /// Hash of the L1 block.
    #[arg(long, conflicts_with = "depth")]
    hash: Option<B256>,
    /// The block so far below the L1's head, instead of the finalised one.
    #[arg(long, value_name = "BLOCKS")]
    depth: Option<u64>,
    /// Directory of the devnet whose L1 it is.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
}

/// What a transaction is conditioned on by referring to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Finalized,
    Safe,
    Proposed,
    /// Not on the L1's chain.
    Dropped,
    /// Nobody was asked.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Finalized => "finalized",
            Self::Safe => "safe",
            Self::Proposed => "proposed",
            Self::Dropped => "not on the L1's chain",
            Self::Unknown => "unknown: no L1 was asked",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Finalized => "no reorg of L1 drops the transaction",
            Self::Safe | Self::Proposed => {
                "a reorg of L1 that drops the block drops the transaction"
            }
            Self::Dropped => "the transaction does nothing unless the block comes back",
            Self::Unknown => "the transaction is in where the block is, and does nothing elsewhere",
        }
    }
}

/// Runs `cortado reference`.
pub fn run(args: &ReferenceArgs) -> Result<()> {
    runtime()?.block_on(async {
        let devnet = Running::read(&args.data_dir).ok();
        let (block, hash, state) = choose(args, devnet.as_ref()).await?;
        let list = serde_json::to_string(&cortado_client::reference_to(hash))?;
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        let number = block.map_or("?".to_owned(), |block| block.number.to_string());
        table.add_row(["L1 block", &format!("{number} {hash}")]);
        table.add_row(["state", state.word()]);
        table.add_row(["so", state.meaning()]);
        // Only the list goes to where a script reads.
        eprintln!("{table}");
        eprintln!(
            "cast send {} --access-list '{list}'",
            target(devnet.as_ref())
        );
        println!("{list}");
        Ok(())
    })
}

/// What `cast send` needs besides: a transfer on the devnet's first rollup, or placeholders.
fn target(devnet: Option<&Running>) -> String {
    let known = devnet.and_then(|devnet| {
        let rollup = &devnet.rollups.first()?.rpc;
        let (from, to) = (devnet.accounts.first()?, devnet.accounts.get(1)?);
        let (key, to) = (&from.private_key, to.address);
        Some(format!(
            "--rpc-url {rollup} --private-key {key} {to} --value 1ether"
        ))
    });
    known.unwrap_or_else(|| "--rpc-url ROLLUP --private-key KEY TO --value 1ether".to_owned())
}

async fn choose(
    args: &ReferenceArgs,
    devnet: Option<&Running>,
) -> Result<(Option<L1Ref>, B256, State)> {
    if let Some(url) = &args.rollup {
        let says = Finality::of(&Rpc::new(url)).await?;
        let Finality {
            l1_head, l1_fin, ..
        } = says.with_context(|| format!("{url} does not know cortado_finality: give --l1"))?;
        return match args.depth {
            None => Ok((Some(l1_fin), l1_fin.hash, State::Finalized)),
            Some(0) => Ok((Some(l1_head), l1_head.hash, State::Proposed)),
            Some(depth) => {
                bail!("--depth is {depth}: a rollup node names the block at 0 only, give --l1")
            }
        };
    }
    let url = args
        .l1
        .as_deref()
        .or(devnet.map(|devnet| devnet.l1.rpc.as_str()));
    if let Some(hash) = args.hash {
        let Some(url) = url else {
            return Ok((None, hash, State::Unknown));
        };
        let l1 = Rpc::new(url);
        let found: Option<serde_json::Value> =
            l1.call("eth_getBlockByHash", json!([hash, false])).await?;
        let number = found.as_ref().and_then(|block| block["number"].as_str());
        let number =
            number.and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
        let Some(number) = number else {
            bail!("--hash is {hash}: {url} has no such block");
        };
        let block = L1Ref { number, hash };
        return Ok((Some(block), hash, state_of(&l1, block).await?));
    }
    let Some(url) = url else {
        bail!(
            "no L1 to ask: --rollup, --l1 or --hash is missing, and no devnet runs in {}",
            args.data_dir.display()
        );
    };
    let l1 = Rpc::new(url);
    let block = match args.depth {
        None => header(&l1, "finalized")
            .await?
            .with_context(|| format!("{url} has no finalised block yet"))?,
        Some(depth) => below_head(&l1, depth).await?,
    };
    let state = state_of(&l1, block).await?;
    Ok((Some(block), block.hash, state))
}

async fn below_head(l1: &Rpc, depth: u64) -> Result<L1Ref> {
    let url = l1.url();
    let head = header(l1, "latest")
        .await?
        .with_context(|| format!("{url} has no block"))?;
    let limit = head.number.min(REF_MAX);
    if depth > limit {
        bail!(
            "--depth is {depth}, the limit is {limit}: the head is block {}, and a reference is at most {REF_MAX} blocks old",
            head.number
        );
    }
    let number = head.number - depth;
    let block = header(l1, &format!("{number:#x}")).await?;
    block.with_context(|| format!("{url} does not have its block {number}"))
}

/// Where a block stands on an L1.
async fn state_of(l1: &Rpc, block: L1Ref) -> Result<State> {
    let canonical = header(l1, &format!("{:#x}", block.number)).await?;
    if canonical != Some(block) {
        return Ok(State::Dropped);
    }
    let reaches = |tag: Option<L1Ref>| tag.is_some_and(|tag| tag.number >= block.number);
    if reaches(header(l1, "finalized").await?) {
        return Ok(State::Finalized);
    }
    // Not every node has the tag.
    let safe = header(l1, "safe").await.unwrap_or_default();
    Ok(if reaches(safe) {
        State::Safe
    } else {
        State::Proposed
    })
}
