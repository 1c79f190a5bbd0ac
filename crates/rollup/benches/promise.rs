//! What a promise costs beside what it must cost: ecrecover, execution, two signatures, an fsync.
//!
//! `cargo bench -p cortado-rollup --bench promise` prints the p50 of `submit` over that sum, and how
//! many promises a second two cores sustain.

#[path = "../tests/support/chain.rs"]
mod chain;

use chain::{Chain, ROLLUP, proposer, transfer, user};
use cortado_evm::{BlockBuilder, BlockInputs, recover_signer};
use cortado_rollup::{
    engine::Included,
    gateway::actor,
    source::{Finalised, FinalisedSource, LaneSink, NoQueue, SealedLane, SourceError},
};
use cortado_types::{Address, B256, Height, Namespace};
use std::{
    fs::File,
    io::Write,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Requests measured one after another.
const SERIAL: u64 = 400;
/// Requests under way at once in the sustained part: 64 users, each waiting for its promise.
const USERS: u64 = 64;
/// Promises each of them asks for.
const EACH: u64 = 400;

/// A chain that makes no blocks: promises do not wait for finality.
struct Silent;

impl FinalisedSource for Silent {
    async fn head(&self) -> Result<Height, SourceError> {
        Ok(Height::ZERO)
    }

    async fn finalised(&self, _: Height, _: &[Namespace]) -> Result<Finalised, SourceError> {
        std::future::pending().await
    }
}

impl LaneSink for Silent {
    async fn offer(&self, _: SealedLane) -> Result<(), SourceError> {
        Ok(())
    }
}

fn p50(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

/// The least that one promise can cost, p50 of each part.
fn floor(chain: &Chain, dir: &Path, transactions: &[Included]) -> Duration {
    let engine = chain.engine(&dir.join("floor"), ROLLUP);
    let spec = engine.spec().chain.clone();
    let inputs = BlockInputs {
        timestamp: u64::MAX / 2,
        ..BlockInputs::default()
    };
    let mut builder = BlockBuilder::new(&spec, &engine.head(), inputs).expect("a block");
    let mut file = File::create(dir.join("floor.log")).expect("a file");
    let key = proposer();
    let mut parts: [Vec<Duration>; 4] = Default::default();
    for included in transactions {
        parts[0].push(timed(|| recover_signer(included.transaction.inner()).expect("signed")).0);
        parts[1].push(timed(|| builder.push(&included.transaction).expect("valid")).0);
        parts[2].push(timed(|| [1u8, 2].map(|n| key.sign(B256::repeat_byte(n)))).0);
        let write = || {
            file.write_all(&included.raw).expect("writes");
            file.sync_data().expect("syncs");
        };
        parts[3].push(timed(write).0);
    }
    let parts = parts.map(p50);
    println!(
        "floor: ecrecover {:?}, execute {:?}, two signatures {:?}, fsync {:?}",
        parts[0], parts[1], parts[2], parts[3]
    );
    parts.iter().sum()
}

fn main() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as u64;
    let chain = Chain::starting(now / 1_000 * 1_000 - 2_000, 1 << 30);
    let dir = tempfile::tempdir().expect("temp dir");
    let to = Address::repeat_byte(9);
    let serial: Vec<_> = (0..SERIAL)
        .map(|nonce| transfer(&user(0), nonce, to, 1))
        .collect();
    let floor = floor(&chain, dir.path(), &serial);

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let gateway = chain.gateway(&dir.path().join("gateway"), 1, None);
        let (handle, running) = actor::start(gateway, Silent, NoQueue, Silent);
        let mut times = Vec::new();
        for included in &serial {
            loop {
                let start = Instant::now();
                match handle.submit(ROLLUP, included.raw.clone()).await {
                    Ok(_) => {
                        times.push(start.elapsed());
                        break;
                    }
                    // Not caught up with the empty chain yet.
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        }
        let p50 = p50(times);
        println!(
            "promise: p50 {p50:?} over the floor {floor:?} = {:.2} (target at most 2)",
            p50.as_secs_f64() / floor.as_secs_f64()
        );

        let batches: Vec<Vec<_>> = (1..=USERS)
            .map(|n| {
                let key = user(n % 64);
                let first = if n % 64 == 0 { SERIAL } else { 0 };
                (first..first + EACH).map(|nonce| transfer(&key, nonce, to, 1).raw).collect()
            })
            .collect();
        let start = Instant::now();
        let users: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    for raw in batch {
                        handle.submit(ROLLUP, raw).await.expect("promised");
                    }
                })
            })
            .collect();
        for user in users {
            user.await.expect("no panic");
        }
        let rate = (USERS * EACH) as f64 / start.elapsed().as_secs_f64();
        println!(
            "promise: {rate:.0} a second sustained by {USERS} users at once, {} commits (target at least 5000)",
            handle.counters().commits.get()
        );
        running.stop().await.expect("stops");
    });
}
