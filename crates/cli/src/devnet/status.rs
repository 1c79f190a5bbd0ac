//! The live line under the banner.

use super::{
    layout::Layout,
    summary::Summary,
    traffic::{Counters, rpc},
};
use crate::{finality::Finality, rpc::Rpc, status::get};
use cortado_client::{Client, api::Status};
use cortado_node::{attester::load_genesis, clock};
use cortado_types::Height;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often the line is drawn anew.
const TICK: Duration = Duration::from_millis(500);
/// Lane blocks that the latency figures look back on.
const WINDOW: usize = 512;
/// Blocks of a rollup that are counted at once.
const BLOCKS_PER_COUNT: u64 = 100;

#[derive(Default)]
struct Seen {
    latencies: VecDeque<u64>,
    height: u64,
    slot: u64,
    l1_head: u64,
    l1_fin: u64,
    /// `L1*` under the tip, blocks, as an attester counts them.
    l1_depth: Option<u64>,
    /// What rollups say of their finality, by namespace.
    finality: BTreeMap<u64, Finality>,
}

/// Draws the line until the task is dropped. Without a terminal nothing is drawn.
pub async fn line(layout: &Layout, summary: &Summary, traffic: Arc<Counters>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let transactions = Arc::new(AtomicU64::new(0));
    let urls: Vec<String> = summary
        .attesters
        .iter()
        .map(|one| one.api.clone())
        .collect();
    let watcher = tokio::spawn(watch(
        urls.first().cloned(),
        summary
            .rollups
            .iter()
            .map(|one| (one.namespace, Rpc::new(&one.rpc)))
            .collect(),
        seen.clone(),
    ));
    let follower = tokio::spawn(follow(layout.genesis(), urls, seen.clone()));
    let rollups: Vec<String> = summary.rollups.iter().map(|one| one.rpc.clone()).collect();
    let counter = tokio::spawn(count(rollups, transactions.clone()));
    let _ended_with_the_line = [Abort(follower), Abort(counter), Abort(watcher)];
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    let (mut last, mut at) = (0, Instant::now());
    let mut tps = 0.0;
    loop {
        tokio::time::sleep(TICK).await;
        let now = transactions.load(Ordering::Relaxed);
        if at.elapsed() >= Duration::from_secs(2) {
            tps = (now - last) as f64 / at.elapsed().as_secs_f64();
            (last, at) = (now, Instant::now());
        }
        let message = {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let mut sorted: Vec<u64> = seen.latencies.iter().copied().collect();
            sorted.sort_unstable();
            let at = |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len() - 1));
            let latency = match sorted.is_empty() {
                true => "finality -".to_owned(),
                false => format!(
                    "finality p50 {} ms p99 {} ms",
                    at(50).copied().unwrap_or_default(),
                    at(99).copied().unwrap_or_default()
                ),
            };
            let depth = seen
                .l1_depth
                .map_or(String::new(), |depth| format!(" (tip −{depth})"));
            let rollups: String = seen.finality.iter().map(rollup).collect();
            format!(
                "slot {}  height {}  {latency}  {tps:.0} tx/s  L1* {}{depth}  L1fin {}{rollups}",
                seen.slot, seen.height, seen.l1_head, seen.l1_fin
            )
        };
        let refused = traffic.refused.load(Ordering::Relaxed);
        let promised = traffic.promised.load(Ordering::Relaxed);
        let sent = match promised + refused {
            0 => String::new(),
            _ => format!("  sent {promised} promised, {refused} refused"),
        };
        bar.set_message(message + &sent);
        bar.tick();
    }
}

/// One rollup on the line: conditional and unconditional blocks, and what reorgs of L1 took.
fn rollup((namespace, finality): (&u64, &Finality)) -> String {
    let Finality {
        latest, finalized, ..
    } = finality;
    let reorgs = match finality.reorgs {
        0 => String::new(),
        _ => format!(
            " {} dropped {} survived",
            finality.dropped, finality.survived
        ),
    };
    format!("  {namespace}: {latest} if L1 stays, {finalized} for good{reorgs}")
}

/// Asks an attester how deep the pointer is under the L1's tip, and the rollups for their finality.
async fn watch(attester: Option<String>, rollups: Vec<(u64, Rpc)>, seen: Arc<Mutex<Seen>>) {
    let http = reqwest::Client::new();
    loop {
        if let Some(url) = &attester {
            let status = get::<Status>(&http, &format!("{url}/v1/status")).await.ok();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.l1_depth = status.and_then(|status| status.l1_depth);
        }
        for (namespace, rpc) in &rollups {
            // A rollup node that does not say is not shown.
            let finality = Finality::of(rpc).await.ok().flatten();
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match finality {
                Some(finality) => seen.finality.insert(*namespace, finality),
                None => seen.finality.remove(namespace),
            };
        }
        tokio::time::sleep(TICK).await;
    }
}

struct Abort(tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Follows final blocks as any client would, and measures how long lane blocks took: from their
/// opening, which the first transaction in them waits for, to their block's certificate here.
async fn follow(genesis: std::path::PathBuf, urls: Vec<String>, seen: Arc<Mutex<Seen>>) {
    let Ok(genesis) = load_genesis(&genesis) else {
        return;
    };
    let Ok(client) = Client::new(&genesis, &urls) else {
        return;
    };
    let from = match client.head().await {
        Ok(head) => head.header().height,
        Err(_) => Height::ZERO,
    };
    let mut blocks = client.follow(from);
    while let Some(Ok(block)) = blocks.next().await {
        let now = clock::now();
        let header = &block.block().header;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.height = header.height.get();
        seen.slot = header.slot.get();
        seen.l1_head = header.l1_head.block.number;
        seen.l1_fin = header.l1_fin.number;
        for entry in &block.block().lanes {
            // Empty lane blocks close slots; nobody waits for them.
            if entry.lane.header.size > EMPTY_BODY_BYTES {
                seen.latencies
                    .push_back(now.since(entry.lane.header.timestamp));
            }
        }
        while seen.latencies.len() > WINDOW {
            seen.latencies.pop_front();
        }
    }
}

/// RLP of a body without transactions: a list in a list.
const EMPTY_BODY_BYTES: u64 = 2;

/// Counts the transactions of the rollups' attested blocks.
async fn count(rollups: Vec<String>, transactions: Arc<AtomicU64>) {
    let http = reqwest::Client::new();
    let mut heads: Vec<Option<u64>> = vec![None; rollups.len()];
    let number = |value: &Value| {
        let text = value["result"].as_str()?;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()
    };
    loop {
        for (url, head) in rollups.iter().zip(&mut heads) {
            let question =
                json!({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []});
            let Ok(answer) = rpc(&http, url, &question).await else {
                continue;
            };
            let Some(newest) = number(&answer) else {
                continue;
            };
            let from = head.map_or(newest, |head| head + 1);
            let to = newest.min(from + BLOCKS_PER_COUNT - 1);
            *head = Some(to.max(from.saturating_sub(1)));
            if from > to {
                continue;
            }
            let batch = (from..=to).map(|at| {
                json!({"jsonrpc": "2.0", "id": at, "params": [format!("{at:#x}")],
                    "method": "eth_getBlockTransactionCountByNumber"})
            });
            let Ok(answers) = rpc(&http, url, &batch.collect()).await else {
                continue;
            };
            let counted: u64 = answers
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(number)
                .sum();
            transactions.fetch_add(counted, Ordering::Relaxed);
        }
        tokio::time::sleep(TICK).await;
    }
}
