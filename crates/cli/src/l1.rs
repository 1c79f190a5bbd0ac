//! `cortado l1`: runs the embedded L1, and bends one that runs.

use crate::{
    parts,
    rpc::{Refusal, Rpc, TIMEOUT},
    running::{DATA_DIR, Running},
    service::{self, ServiceArgs, runtime},
    status,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use cortado_client::api::Status;
use cortado_types::{B256, L1Ref};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

/// Longest wait for the slot at which a reorg happens: minutes of missed slots may be ahead of it.
const REORG_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest wait for the pointer to be on the new fork: a quorum has to see it, and a block to carry
/// the move. Half a minute of L1 slots on the devnet.
const POINTER_TIMEOUT: Duration = Duration::from_secs(60);

/// Pause between two looks at the pointer.
const POINTER_POLL: Duration = Duration::from_millis(100);

/// Slots that can be missed by one command: nothing but time brings them back.
const MISSED_SLOTS_MAX: u64 = 1_024;

/// Arguments of `cortado l1`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct L1Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    service: Option<ServiceArgs>,
}

#[derive(Subcommand)]
enum Command {
    /// Replace the last blocks of the embedded L1 by a heavier fork, and see the pointer follow.
    Reorg {
        /// Blocks to replace.
        #[arg(long, value_name = "BLOCKS")]
        depth: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Let the next slots of the embedded L1 pass without a block.
    Missed {
        /// Slots to miss, besides those already to be missed.
        #[arg(long, value_name = "SLOTS")]
        slots: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Stop the finality of the embedded L1, or let it go on.
    StallFinality {
        /// Let it go on.
        #[arg(long)]
        off: bool,
        #[command(flatten)]
        target: Target,
    },
}

/// Which L1.
#[derive(Args)]
struct Target {
    /// Directory of the devnet whose L1 it is.
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data_dir: PathBuf,
    /// JSON-RPC of an embedded L1, if it is no devnet's.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    url: Option<String>,
}

/// The answer to `devl1_status`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct L1Status {
    head: u64,
    finalized: u64,
    finality_stalled: bool,
}

/// The answer to `devl1_reorg`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReorgDone {
    depth: u64,
    old_head: B256,
    new_head: B256,
}

impl Target {
    /// The L1, and the API of an attester that follows it.
    fn open(&self) -> Result<(Rpc, Option<String>)> {
        if let Some(url) = &self.url {
            return Ok((Rpc::new(url), None));
        }
        let devnet = Running::read(&self.data_dir)?;
        let api = devnet.attesters.into_iter().next().map(|one| one.api);
        Ok((Rpc::new(&devnet.l1.rpc), api))
    }
}

/// Runs `cortado l1`.
pub fn run(args: L1Args) -> Result<()> {
    match (args.command, args.service) {
        (Some(command), _) => runtime()?.block_on(bend(command)),
        (None, Some(service)) => service::run::<parts::L1>(service),
        (None, None) => {
            bail!("--config FILE runs an L1, and reorg, missed and stall-finality bend one")
        }
    }
}

async fn bend(command: Command) -> Result<()> {
    match command {
        Command::Reorg { depth, target } => reorg(depth, &target).await,
        Command::Missed { slots, target } => {
            if !(1..=MISSED_SLOTS_MAX).contains(&slots) {
                bail!("--slots is {slots}, it must be within 1 and {MISSED_SLOTS_MAX}");
            }
            let (l1, _) = target.open()?;
            let before = status_of(&l1).await?;
            let _: Value = l1.call("devl1_missNext", json!([slots])).await?;
            println!(
                "the next {slots} slots bring no block; the head is block {}",
                before.head
            );
            Ok(())
        }
        Command::StallFinality { off, target } => {
            let (l1, _) = target.open()?;
            status_of(&l1).await?;
            let _: Value = l1.call("devl1_stallFinality", json!([!off])).await?;
            let L1Status {
                head,
                finalized,
                finality_stalled,
            } = status_of(&l1).await?;
            let stands = if finality_stalled {
                "stands still"
            } else {
                "goes on"
            };
            println!("finality {stands} at block {finalized}; the head is block {head}");
            Ok(())
        }
    }
}

/// How the L1 stands; an error if it is none that can be bent.
async fn status_of(l1: &Rpc) -> Result<L1Status> {
    let status = l1.call_if_there("devl1_status", json!([])).await?;
    let url = l1.url();
    status.with_context(|| format!("{url} is no embedded L1: it does not know devl1_status"))
}

/// That a reorg of `depth` is possible now; the L1 checks again.
fn check_depth(depth: u64, status: &L1Status) -> Result<()> {
    let L1Status {
        head, finalized, ..
    } = status;
    let limit = head.saturating_sub(*finalized);
    if depth > limit {
        bail!(
            "--depth is {depth}, the limit is {limit}: the head is block {head}, and block {finalized} is final"
        );
    }
    Ok(())
}

async fn reorg(depth: u64, target: &Target) -> Result<()> {
    if depth == 0 {
        bail!("--depth is 0: a reorg of no block changes nothing, the least is 1");
    }
    let (l1, api) = target.open()?;
    check_depth(depth, &status_of(&l1).await?)?;
    let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
    let before = match &api {
        Some(api) => Some(pointer(&http, api).await?),
        None => None,
    };
    let spinner = spinner(&format!(
        "waiting for the slot at which {depth} blocks are replaced"
    ));
    let done = l1
        .call_for(REORG_TIMEOUT, "devl1_reorg", json!([depth]))
        .await;
    let done: ReorgDone = match done {
        Ok(done) => done,
        Err(error) => {
            spinner.finish_and_clear();
            // It says which depth was possible when it looked.
            return Err(match error.downcast_ref::<Refusal>() {
                Some(refusal) => anyhow::anyhow!("--depth is {depth}: {refusal}"),
                None => error,
            });
        }
    };
    let old_head = block(&l1, done.old_head).await?;
    let new_head = block(&l1, done.new_head).await?;
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    let words = |block: L1Ref| format!("{} {}", block.number, block.hash);
    table.add_row(["old head", &words(old_head)]);
    table.add_row(["new head", &words(new_head)]);
    table.add_row(["depth", &done.depth.to_string()]);
    if let (Some(api), Some(before)) = (&api, before) {
        let stayed = canonical(&l1, before).await?;
        let stayed = if stayed { "" } else { " (dropped)" };
        table.add_row(["L1* before", &format!("{}{stayed}", words(before))]);
        spinner.set_message("waiting for the pointer to be on the new fork");
        let fork = old_head.number.saturating_sub(done.depth);
        let followed = follow(&http, api, &l1, fork);
        match tokio::time::timeout(POINTER_TIMEOUT, followed).await {
            Ok(after) => table.add_row(["L1* after", &words(after?)]),
            Err(_) => {
                let stands = pointer(&http, api).await?;
                let late = format!(
                    "{} (not on the new fork after {POINTER_TIMEOUT:?})",
                    words(stands)
                );
                table.add_row(["L1* after", &late])
            }
        };
    }
    spinner.finish_and_clear();
    println!("{table}");
    Ok(())
}

/// Waits until the pointer is on the L1's chain above `fork`.
async fn follow(http: &reqwest::Client, api: &str, l1: &Rpc, fork: u64) -> Result<L1Ref> {
    loop {
        let at = pointer(http, api).await?;
        if at.number > fork && canonical(l1, at).await? {
            return Ok(at);
        }
        tokio::time::sleep(POINTER_POLL).await;
    }
}

async fn pointer(http: &reqwest::Client, api: &str) -> Result<L1Ref> {
    let status: Status = status::get(http, &format!("{api}/v1/status")).await?;
    Ok(status.l1_head)
}

/// Whether a block is on the L1's present chain.
async fn canonical(l1: &Rpc, block: L1Ref) -> Result<bool> {
    let found = header(l1, &format!("{:#x}", block.number)).await?;
    Ok(found.is_some_and(|found| found == block))
}

async fn block(l1: &Rpc, hash: B256) -> Result<L1Ref> {
    let found: Option<Head> = l1.call("eth_getBlockByHash", json!([hash, false])).await?;
    let found = found.with_context(|| format!("{} does not have its block {hash}", l1.url()))?;
    found.to_ref()
}

/// The block of a number or tag, as an L1 gives it.
pub async fn header(l1: &Rpc, which: &str) -> Result<Option<L1Ref>> {
    let found: Option<Head> = l1
        .call("eth_getBlockByNumber", json!([which, false]))
        .await?;
    found.map(|found| found.to_ref()).transpose()
}

#[derive(Deserialize)]
struct Head {
    number: String,
    hash: B256,
}

impl Head {
    fn to_ref(&self) -> Result<L1Ref> {
        let digits = self.number.trim_start_matches("0x");
        let number = u64::from_str_radix(digits, 16)
            .with_context(|| format!("{} is no block number", self.number))?;
        Ok(L1Ref {
            number,
            hash: self.hash,
        })
    }
}

fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}  {elapsed}") {
        spinner.set_style(style);
    }
    spinner.set_message(message.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_that_is_not_possible_is_refused_with_both_numbers() {
        let status = L1Status {
            head: 12,
            finalized: 4,
            finality_stalled: false,
        };
        check_depth(1, &status).unwrap();
        check_depth(8, &status).unwrap();
        let deep = check_depth(9, &status).unwrap_err().to_string();
        assert!(deep.contains("--depth is 9, the limit is 8"), "{deep}");
    }
}
