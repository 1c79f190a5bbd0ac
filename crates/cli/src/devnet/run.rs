//! Start every part in order, wait until all answer, run until told to stop.

use super::{
    byzantine,
    layout::{Layout, Part, read_toml, write_toml},
    outside,
    plan::{self, Beginning, Shape},
    ports::Ports,
    print, relay, stake, status,
    summary::{self, Summary},
    traffic::{self, Counters},
};
use crate::{
    genesis,
    parts::L1,
    service::{STOP_TIMEOUT, Service},
    shutdown::Shutdown,
};
use anyhow::{Context, Result, bail};
use cortado_node::{
    attester::Attester,
    l1::{Beacon, L1NodeConfig, L1Rpc},
    proposer::Proposer,
    rollup::RollupNode,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};
use tracing::{error, info};

/// Slots in an epoch of Ethereum, for an L1 without a beacon that could say so.
const ETHEREUM_SLOTS_PER_EPOCH: u64 = 32;

/// How long the whole devnet may take to answer before the start is given up.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// What is written beside the shape: the parts in the order in which they start.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// What cannot change.
    pub shape: Shape,
    /// EIP-155 id of the L1.
    pub l1_chain_id: u64,
    /// All parts.
    pub parts: Vec<Part>,
}

/// A part that runs: in this process, or as a child.
enum Running {
    Here(Box<dyn Stop>),
    Child(Child),
}

/// A service whose type does not matter any more.
pub trait Stop: Send + Sync {
    /// Stops it and lets go of what it holds.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
    /// Resolves with the reason when it can no longer go on.
    fn failed(&mut self) -> BoxFuture<'_, String>;
}

impl<S: Service + Send + Sync + 'static> Stop for S {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(Service::stop(*self))
    }

    fn failed(&mut self) -> BoxFuture<'_, String> {
        Box::pin(Service::failed(self))
    }
}

/// A part with its name.
struct Started {
    part: Part,
    running: Running,
}

impl Started {
    fn pid(&self) -> Option<u32> {
        match &self.running {
            Running::Here(_) => None,
            Running::Child(child) => child.id(),
        }
    }
}

async fn start_here(layout: &Layout, shape: &Shape, part: &Part) -> Result<Box<dyn Stop>> {
    async fn start<S: Service + Send + Sync + 'static>(part: &Part) -> Result<Box<dyn Stop>> {
        Ok(Box::new(S::start(read_toml(&part.config)?).await?))
    }
    match part.command.as_str() {
        "l1" => start::<L1>(part).await,
        "node" => start::<Attester>(part).await,
        "proposer" => start::<Proposer>(part).await,
        "rollup" => start::<RollupNode>(part).await,
        plan::LIAR => byzantine::start(&part.config),
        plan::RELAY => Ok(relay::start(layout, shape, part)),
        other => bail!("{} names the unknown command {other}", part.name),
    }
}

/// The command that runs a part alone.
pub fn command_of(part: &Part) -> Result<Vec<String>> {
    let binary = std::env::current_exe().context("finding this binary")?;
    Ok(vec![
        binary.display().to_string(),
        part.command.clone(),
        "--config".into(),
        part.config.display().to_string(),
    ])
}

fn start_child(layout: &Layout, part: &Part) -> Result<Child> {
    let command = command_of(part)?;
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(layout.log(&part.name))
        .with_context(|| layout.log(&part.name).display().to_string())?;
    Command::new(&command[0])
        .args(&command[1..])
        .arg("--stop-with-parent")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // The terminal's SIGINT is for us: we stop the children in order.
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {}", part.name))
}

async fn start(layout: &Layout, shape: &Shape, part: &Part, processes: bool) -> Result<Started> {
    let here = [plan::LIAR, plan::RELAY].contains(&part.command.as_str());
    let running = if processes && !here {
        Running::Child(start_child(layout, part)?)
    } else {
        Running::Here(
            start_here(layout, shape, part)
                .await
                .with_context(|| format!("{} does not start", part.name))?,
        )
    };
    info!(name = part.name, "started");
    Ok(Started {
        part: part.clone(),
        running,
    })
}

/// Starts the L1 first, since the rest is made from what it answers, then everything else.
async fn start_all(
    layout: &Layout,
    shape: &Shape,
    (processes, payer): (bool, Option<&Path>),
    started: &mut Vec<Started>,
) -> Result<Made> {
    let mut ports = Ports::default();
    let path = layout.shape();
    let made: Option<Made> = path.exists().then(|| read_toml(&path)).transpose()?;
    if let Some(made) = &made {
        shape.must_equal(&made.shape, &layout.dir)?;
    }
    let l1_part = match (&made, &shape.l1) {
        (Some(made), _) => made.parts.iter().find(|part| part.command == "l1").cloned(),
        (None, Some(_)) => {
            stake::write_keys(layout, shape)?;
            None
        }
        (None, None) => Some(plan::make_l1(layout, shape, &mut ports)?),
    };
    if let Some(part) = &l1_part {
        started.push(start(layout, shape, part, processes).await?);
    }
    let made = match made {
        Some(made) => made,
        None => {
            let l1 = l1_node(shape, l1_part.as_ref())?;
            let rpc = L1Rpc::new(l1.rpc.first())?;
            let l1_chain_id = first_answer(&rpc).await?;
            shape.check_l1(l1_chain_id)?;
            let slots_per_epoch = slots_per_epoch(shape, &l1).await?;
            let beginning = match &l1_part {
                Some(_) => beginning(layout, shape, &rpc).await?,
                None => {
                    let at = (l1.rpc.first(), l1_chain_id, slots_per_epoch);
                    let first = layout.account("account-0");
                    outside::begin(layout, shape, at, payer.unwrap_or(&first)).await?
                }
            };
            let mut parts: Vec<Part> = l1_part.into_iter().collect();
            parts.extend(plan::make_chain(
                layout,
                shape,
                &mut ports,
                &l1,
                (l1_chain_id, slots_per_epoch),
                &beginning,
            )?);
            let made = Made {
                shape: shape.clone(),
                l1_chain_id,
                parts,
            };
            // Last: a directory with this file is complete.
            write_toml(&path, &made)?;
            made
        }
    };
    for part in made.parts.iter().filter(|part| part.command != "l1") {
        started.push(start(layout, shape, part, processes).await?);
    }
    Ok(made)
}

/// What stands in the embedded L1's first block.
async fn beginning(layout: &Layout, shape: &Shape, rpc: &L1Rpc) -> Result<Beginning> {
    let plan = stake::planned(layout, shape)?;
    let anchor = genesis::anchor(rpc).await?;
    let registry = plan.addresses.registry;
    let seats = rpc.prove_seats(registry, plan.seats, &anchor).await?;
    Ok(Beginning {
        anchor,
        contracts: plan.addresses,
        since: 0,
        seats,
    })
}

fn l1_node(shape: &Shape, part: Option<&Part>) -> Result<L1NodeConfig> {
    match part {
        Some(part) => {
            let config: cortado_devl1::Config = read_toml(&part.config)?;
            Ok(L1NodeConfig {
                rpc: format!("http://{}", config.rpc_addr).into(),
                beacon: Some(format!("http://{}", config.beacon_addr)),
            })
        }
        None => Ok(L1NodeConfig {
            rpc: shape
                .l1
                .clone()
                .context("neither an embedded nor an outside L1")?
                .into(),
            beacon: shape.beacon.clone(),
        }),
    }
}

/// Slots in an epoch of the L1: what its beacon says, else Ethereum's or the embedded one's number.
async fn slots_per_epoch(shape: &Shape, l1: &L1NodeConfig) -> Result<u64> {
    let beacon = match (&shape.l1, &l1.beacon) {
        (None, _) => return Ok(plan::SLOTS_PER_EPOCH),
        (Some(_), None) => return Ok(ETHEREUM_SLOTS_PER_EPOCH),
        (Some(_), Some(url)) => Beacon::new(url)?,
    };
    let time = beacon.time().await?;
    if time.slot_ms != shape.l1_slot_ms {
        bail!(
            "--l1-slot-ms is {}, the beacon node has slots of {} ms",
            shape.l1_slot_ms,
            time.slot_ms
        );
    }
    Ok(time.slots_per_epoch)
}

/// The L1's chain id; a child needs a moment until it answers.
async fn first_answer(rpc: &L1Rpc) -> Result<u64> {
    let begin = Instant::now();
    loop {
        match rpc.chain_id().await {
            Ok(id) => return Ok(id),
            Err(error) if begin.elapsed() > START_TIMEOUT => {
                return Err(error).context("the L1 does not answer");
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Runs a devnet until SIGINT or SIGTERM. `how`: whether every part is its own process, and the key
/// file of an account that has ether on an outside L1, if it is not the devnet's first.
///
/// # Errors
/// If a part does not start, or everything but the L1 has failed.
pub async fn run(
    layout: &Layout,
    shape: &Shape,
    tps: f64,
    how: (bool, Option<&Path>),
) -> Result<()> {
    let mut shutdown = Shutdown::listen()?;
    let mut started = Vec::new();
    // An old summary speaks of a devnet that is gone.
    summary::remove(layout)?;
    let outcome = tokio::select! {
        outcome = serve(layout, shape, tps, how, &mut started) => outcome,
        () = shutdown.requested() => Ok(()),
    };
    stop_all(started).await;
    summary::remove(layout)?;
    outcome
}

async fn serve(
    layout: &Layout,
    shape: &Shape,
    tps: f64,
    how: (bool, Option<&Path>),
    started: &mut Vec<Started>,
) -> Result<()> {
    let made = start_all(layout, shape, how, started).await?;
    let pids = started
        .iter()
        .map(|one| (one.part.name.clone(), one.pid()))
        .collect();
    let summary = Summary::new(layout, &made, &pids)?;
    tokio::time::timeout(START_TIMEOUT, summary.answers())
        .await
        .ok()
        .context("not every URL answers; the log files in the data directory say why")?;
    summary.write(layout)?;
    print::banner(&summary, layout);
    let counters = Arc::new(Counters::default());
    if tps > 0.0 {
        let each = tps / summary.rollups.len() as f64;
        for rollup in &summary.rollups {
            let (url, id, counters) = (rollup.rpc.clone(), rollup.namespace, counters.clone());
            let seed = shape.seed;
            tokio::spawn(async move {
                if let Err(error) = traffic::run(url, id, seed, each, counters).await {
                    error!(%error, "the traffic agent stopped");
                }
            });
        }
    }
    tokio::select! {
        () = status::line(layout, &summary, counters) => Ok(()),
        failure = first_failure(started) => bail!("{failure}"),
    }
}

/// Resolves when a part in this process fails. A child that ends is somebody's test, or is seen in
/// the status line.
async fn first_failure(started: &mut [Started]) -> String {
    let failures: Vec<_> = started
        .iter_mut()
        .filter_map(|one| match &mut one.running {
            Running::Here(service) => Some(Box::pin(async {
                format!("{} failed: {}", one.part.name, service.failed().await)
            })),
            Running::Child(_) => None,
        })
        .collect();
    if failures.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(failures).await.0
}

/// How long the whole devnet may take to stop.
const STOP_ALL_TIMEOUT: Duration = Duration::from_secs(18);

/// Stops in the opposite order, so that nobody misses whom it depends on.
async fn stop_all(started: Vec<Started>) {
    if tokio::time::timeout(STOP_ALL_TIMEOUT, stop_each(started))
        .await
        .is_err()
    {
        error!(
            "the devnet did not stop within {STOP_ALL_TIMEOUT:?}; what it acknowledged is on disk"
        );
    }
}

async fn stop_each(started: Vec<Started>) {
    for one in started.into_iter().rev() {
        let name = one.part.name;
        let stopped = match one.running {
            Running::Here(service) => tokio::time::timeout(STOP_TIMEOUT, service.stop())
                .await
                .is_ok(),
            Running::Child(child) => stop_child(child).await,
        };
        if stopped {
            info!(name, "stopped");
        } else {
            error!(name, "did not stop in time");
        }
    }
}

async fn stop_child(mut child: Child) -> bool {
    let Some(pid) = child.id() else { return true };
    // The `kill` of the system: sending a signal needs no unsafe code of ours.
    let _ = Command::new("kill")
        .arg("-TERM")
        .arg(pid.to_string())
        .status()
        .await;
    if tokio::time::timeout(STOP_TIMEOUT, child.wait())
        .await
        .is_ok()
    {
        return true;
    }
    let _ = child.kill().await;
    false
}
