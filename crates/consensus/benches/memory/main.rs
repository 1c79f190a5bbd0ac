//! Memory and disk of one attester over as much as an hour of 1,000 transactions a second brings.
//!
//! ```text
//! cargo bench -p cortado-consensus --bench memory [-- DIRECTORY]
//! ```
//!
//! Four seats run in a process each and the proposer in this one, so that what the system says
//! about a process is what one attester takes. One lane block of 1,000 transactions goes into each
//! final block, 3,600 of them, as fast as they become final. Seat 0 keeps everything; the others
//! keep lane blocks for a few seconds and few final blocks, so that they prune all the time.

mod process;

use cortado_consensus::{
    engine::Tuning,
    events::Event,
    host::{Host, HostConfig, identity_of},
    lanes::{Keep, LaneBlock, SealedLane},
    node::Role,
    simulate::{self, FIRST_ROLLUP, Keys, Plan},
};
use cortado_types::{
    B256, Genesis, Height, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, TimestampMs,
    limits::PROTOCOL_VERSION,
};
use futures::executor::block_on;
use process::{on_disk, open_files, resident};
use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener},
    num::NonZeroU64,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Seconds of load, each a lane block.
const LANES: u64 = 3_600;
/// Transactions in a lane block, and bytes in each.
const TRANSACTIONS: u64 = 1_000;
const TRANSACTION_BYTES: usize = 512;
const SLOT_MS: u64 = 2_000;
/// Lane blocks are kept this long by the seats that prune, ms.
const SHORT_RETENTION_MS: u64 = 20_000;
const TWO_WEEKS_MS: u64 = 14 * 24 * 3_600_000;

struct Town {
    genesis: Arc<Genesis>,
    keys: Vec<Keys>,
    addresses: Vec<SocketAddr>,
}

fn now() -> TimestampMs {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    TimestampMs::new(elapsed.as_millis() as u64)
}

impl Town {
    fn new(time: u64, addresses: Vec<SocketAddr>) -> Self {
        let plan = Plan {
            seats: 4,
            proposers: 1,
            spares: 0,
            slot_ms: SLOT_MS,
            term_ms: cortado_types::genesis::TERM_MS_MAX,
            slot_bytes_max: 1 << 30,
            anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
            tuning: Tuning::default(),
        };
        let (keys, mut genesis) = simulate::genesis(&plan);
        genesis.time = TimestampMs::new(time);
        Self {
            genesis: Arc::new(genesis),
            keys,
            addresses,
        }
    }

    fn secret(&self, i: usize) -> [u8; 32] {
        use commonware_codec::Encode as _;
        let encoded = self.keys[i].network.encode();
        encoded.as_ref().try_into().expect("32 bytes")
    }

    fn start(&self, i: usize, directory: &Path) -> Host {
        let seats = (0..4).map(|i| {
            let identity = identity_of(&self.secret(i)).expect("a key");
            (identity, self.addresses[i])
        });
        let prunes = i != 0;
        let config = HostConfig {
            genesis: self.genesis.clone(),
            identity: self.secret(i),
            role: if i < 4 {
                Role::Seat {
                    secret: self.keys[i].bls.clone(),
                }
            } else {
                Role::Proposer
            },
            keep: Keep::All,
            retention_ms: if prunes {
                SHORT_RETENTION_MS
            } else {
                TWO_WEEKS_MS
            },
            directory: directory.to_path_buf(),
            listen: self.addresses[i],
            peers: seats.collect(),
            allow_private: true,
            tuning: if prunes {
                Tuning {
                    block_retention: Some(256),
                    blocks_per_file: NonZeroU64::new(256).expect("not zero"),
                    ..Tuning::default()
                }
            } else {
                Tuning::default()
            },
            worker_threads: 2,
        };
        block_on(Host::start(config)).expect("the node must start")
    }

    /// A lane block on the tip that `host` has final. Its transactions do not compress.
    fn cut(&self, host: &Host) -> SealedLane {
        let namespace = Namespace::new(FIRST_ROLLUP);
        let state = host.node().finalized().state.clone();
        let tip = state.namespaces[&namespace].tip;
        let time = now();
        let slot = self.genesis.clock().slot_at(time);
        let height = tip.height.next().expect("few lane blocks");
        let mut random = height.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut transaction = || {
            let mut bytes = Vec::with_capacity(TRANSACTION_BYTES);
            bytes.push(2);
            while bytes.len() < TRANSACTION_BYTES {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let left = TRANSACTION_BYTES - bytes.len();
                bytes.extend(&random.to_be_bytes()[..left.min(8)]);
            }
            bytes.into()
        };
        let body = LaneBody {
            transactions: (0..TRANSACTIONS).map(|_| transaction()).collect(),
        };
        let same = tip.height > Height::ZERO && tip.slot == slot;
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.genesis.chain_id,
            namespace,
            slot,
            seq: if same {
                tip.seq.next().expect("few in a slot")
            } else {
                Seq::ZERO
            },
            last: false,
            height,
            parent: tip.hash,
            context: state.anchor(),
            timestamp: time,
            body_root: body.root(),
            size: body.size(),
            group: B256::ZERO,
        };
        let signature = self.keys[4].lane.sign(header.hash());
        let lane = SignedLaneHeader { header, signature };
        SealedLane::new(&LaneBlock { lane, body }).expect("the header is made from the body")
    }

    /// Publishes one lane block and waits until it is final; again if its slot ended under it.
    async fn include(&self, host: &Host) {
        loop {
            // R20: nothing new in the last eighth of a slot.
            let left = SLOT_MS - now().since(self.genesis.time) % SLOT_MS;
            if left <= SLOT_MS / 8 {
                std::thread::sleep(Duration::from_millis(left));
            }
            let mut events = host.node().events();
            let lane = self.cut(host);
            let published = lane.hash;
            host.node().publish(lane).await;
            loop {
                match events.recv().await.expect("the node must run") {
                    Event::LaneIncluded { hash, .. } if hash == published => return,
                    Event::LaneVoided { hash, .. } if hash == published => break,
                    _ => {}
                }
            }
        }
    }
}

/// A seat, until its standard input ends.
fn seat(arguments: &[String]) {
    let [index, time, directory, addresses @ ..] = arguments else {
        panic!("a seat is told its index, the genesis time, its directory and the addresses");
    };
    let addresses = addresses.iter().map(|a| a.parse().expect("an address"));
    let town = Town::new(time.parse().expect("a time"), addresses.collect());
    let host = town.start(index.parse().expect("an index"), Path::new(directory));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    block_on(host.stop());
}

fn spawn(town: &Town, i: usize, directory: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .arg("seat")
        .arg(i.to_string())
        .arg(town.genesis.time.get().to_string())
        .arg(directory)
        .args(town.addresses.iter().map(SocketAddr::to_string))
        .stdin(Stdio::piped())
        .spawn()
        .expect("a seat must start")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn measure(base: &Path) {
    let directory = tempfile::tempdir_in(base).expect("a directory to write in");
    let path = |i: usize| directory.path().join(format!("seat-{i}"));
    let sockets: Vec<_> = (0..5)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let addresses = sockets.iter().map(|s| s.local_addr().expect("bound"));
    let town = Town::new(now().get(), addresses.collect());
    drop(sockets);
    let mut seats: Vec<_> = (0..4).map(|i| spawn(&town, i, &path(i))).collect();
    let proposer = town.start(4, &directory.path().join("proposer"));
    let ids: Vec<_> = seats.iter().map(Child::id).collect();

    let begin = Instant::now();
    let (mut early, mut most) = ([0; 2], [0; 2]);
    let (mut largest, mut last) = (0, 0);
    println!(
        "lane blocks | final blocks | RSS MiB: keeps all, prunes | disk MiB: keeps all, prunes | open files"
    );
    for lanes in 1..=LANES {
        block_on(town.include(&proposer));
        if lanes % 60 != 0 {
            continue;
        }
        let rss = [resident(ids[0]), resident(ids[1])];
        most = [most[0].max(rss[0]), most[1].max(rss[1])];
        if lanes == LANES / 6 {
            early = rss;
        }
        last = on_disk(&path(1));
        largest = largest.max(last);
        if lanes % 300 == 0 {
            println!(
                "{lanes} | {} | {:.0}, {:.0} | {:.0}, {:.0} | {}, {}",
                proposer.node().finalized().height(),
                mib(rss[0]),
                mib(rss[1]),
                mib(on_disk(&path(0))),
                mib(last),
                open_files(ids[0]),
                open_files(ids[1]),
            );
        }
    }
    let data = LANES * TRANSACTIONS * TRANSACTION_BYTES as u64;
    println!(
        "{:.2} GB of lane data in {:.0} s",
        data as f64 / 1e9,
        begin.elapsed().as_secs_f64()
    );
    for (which, i) in [("keeps all", 0), ("prunes", 1)] {
        let end = resident(ids[i]);
        println!(
            "RSS, {which}: {:.0} MiB at a sixth, {:.0} at the end, {:.0} at most; ratio {:.2} (target 1.2)",
            mib(early[i]),
            mib(end),
            mib(most[i]),
            end as f64 / early[i] as f64
        );
    }
    println!(
        "disk: {:.2} bytes for a byte of lane data",
        on_disk(&path(0)) as f64 / data as f64
    );
    println!(
        "disk with {} s of retention: {:.0} MiB at most, {:.0} at the end, of {:.0} MiB of lane data",
        SHORT_RETENTION_MS / 1_000,
        mib(largest),
        mib(last),
        mib(data)
    );
    for seat in &mut seats {
        drop(seat.stdin.take());
    }
    block_on(proposer.stop());
    for mut seat in seats {
        let _ = seat.wait();
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "seat") {
        return seat(&arguments[1..]);
    }
    let base = arguments.into_iter().find(|a| !a.starts_with("--"));
    measure(&base.map_or_else(std::env::temp_dir, PathBuf::from));
}
