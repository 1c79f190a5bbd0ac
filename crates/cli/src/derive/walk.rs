//! Fetching and deriving.

use super::report::Report;
use anyhow::{Context, Result, bail};
use cortado_client::Client;
use cortado_node::l1::L1Rpc;
use cortado_rollup::fork::{AppendError, ForkBlock, ForkChain, L1Forks};
use cortado_types::{Height, L1Ref, LaneBody, Namespace, SignedLaneHeader};
use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;

/// Bodies fetched ahead of execution: enough to hide a round trip, and some tens of MiB at most.
const BODIES_AHEAD: usize = 8;

/// What the finality chain says.
pub struct Found {
    /// Its last block.
    pub height: Height,
    /// L1, all forks.
    pub forks: L1Forks,
    /// The namespace's lane blocks in order, each with the block that carries it.
    pub lanes: Vec<(SignedLaneHeader, Height)>,
}

/// A bar on standard error; silent where nobody looks.
fn progress(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    match ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Follows the finality chain from block 1 to its present end.
///
/// # Errors
/// If no node has it whole.
pub async fn follow(client: &Client, forks: L1Forks, namespace: Namespace) -> Result<Found> {
    let head = client.head().await.context("the finality chain's head")?;
    let height = head.header().height;
    let mut found = Found {
        height,
        forks,
        lanes: Vec::new(),
    };
    let bar = progress(height.get(), "finality chain");
    let first = Height::ZERO.next().unwrap_or_default();
    let count = usize::try_from(height.get()).unwrap_or(usize::MAX);
    let mut blocks = client.follow(first).take(count);
    while let Some(block) = blocks.next().await {
        let next = bar.position() + 1;
        let block = block.with_context(|| format!("block {next} of the finality chain"))?;
        let (at, block) = (block.height(), block.block());
        found.forks.take(block)?;
        let lanes = block.lanes.iter().map(|entry| &entry.lane);
        let own = lanes.filter(|lane| lane.header.namespace == namespace);
        found.lanes.extend(own.map(|lane| (lane.clone(), at)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if bar.position() < height.get() {
        bail!("the stream of blocks ended after {}", bar.position());
    }
    Ok(found)
}

/// Derives `lanes` along `chain` and reports each.
///
/// # Errors
/// Why it cannot go on; what was derived before is reported.
pub async fn walk<W: Write>(
    client: &Client,
    l1: &[L1Rpc],
    (lanes, mut chain): (Vec<(SignedLaneHeader, Height)>, ForkChain),
    report: &mut Report<W>,
) -> Result<()> {
    let bar = progress(lanes.len() as u64, "lane blocks");
    let fetched = stream::iter(lanes).map(|(lane, at)| async move {
        let body = client.lane_body(&lane.header).await;
        (lane, at, body)
    });
    let mut fetched = std::pin::pin!(fetched.buffered(BODIES_AHEAD));
    while let Some((lane, at, body)) = fetched.next().await {
        let height = lane.header.height;
        let stops = || format!("derivation on this fork stops before lane block {height}");
        let body = body.with_context(stops)?;
        let derived = append(&mut chain, l1, &lane, &body).await;
        let derived = derived.with_context(stops)?;
        bar.inc(1);
        bar.suspend(|| report.lane(&lane, at, &derived))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Appends a lane block; what L1 blocks queued is read when it is needed, as far as L1 remembers it.
async fn append(
    chain: &mut ForkChain,
    l1: &[L1Rpc],
    lane: &SignedLaneHeader,
    body: &LaneBody,
) -> Result<ForkBlock> {
    loop {
        let block = match chain.append(lane, body) {
            Err(AppendError::NotYet(missing)) => missing.0,
            other => return Ok(other?),
        };
        tell(chain, l1, block).await.with_context(|| {
            let L1Ref { number, hash } = block;
            format!("what L1 block {number} ({hash}) queued cannot be told")
        })?;
    }
}

async fn tell(chain: &mut ForkChain, l1: &[L1Rpc], block: L1Ref) -> Result<()> {
    let (raw, inbox) = chain.open(&block.hash).context("its header is not known")?;
    let (raw, mut errors) = (raw.clone(), Vec::new());
    for rpc in l1 {
        match rpc.read_queue(&raw, inbox).await {
            Ok(entries) => {
                chain.tell_queue(block.hash, entries);
                return Ok(());
            }
            Err(error) => errors.push(format!("{}: {error}", rpc.shown())),
        }
    }
    if errors.is_empty() {
        bail!("the rollup has the inbox {inbox}, and no L1 node is named");
    }
    bail!("{}", errors.join("; "))
}
