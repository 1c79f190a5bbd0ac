//! Finality throughput on loopback sockets and a disk, against the bare engine in the same run.
//!
//! ```text
//! cargo bench -p cortado-consensus --bench throughput [-- DIRECTORY]
//! ```

mod bare;
mod payload;

use cortado_consensus::{
    engine::Tuning,
    events::Event,
    host::{Host, HostConfig, identity_of},
    lanes::{Keep, LaneBlock, SealedLane},
    network::tcp::TcpConfig,
    node::Role,
    simulate::{self, FIRST_ROLLUP, Keys, Plan},
};
use cortado_types::{
    B256, Genesis, Height, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot,
    TimestampMs, limits::PROTOCOL_VERSION,
};
use futures::executor::block_on;
use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Bytes of transactions in one body and of one bare block: just below the limit of a body.
const BODY_BYTES: usize = 512 * 8_000;
/// Blocks before the clock starts.
const WARM_UP: u64 = 5;
/// Blocks, and bodies, measured.
const MEASURED: u64 = 40;
/// Bodies on their way at a time.
const WINDOW: usize = 6;
/// One long slot, the longest there is, so that none ends in the middle.
const SLOT_MS: u64 = 60_000;

struct Town {
    genesis: Arc<Genesis>,
    keys: Vec<Keys>,
    addresses: Vec<SocketAddr>,
}

impl Town {
    /// The network of seat `i`, when there are only seats.
    fn network(&self, i: usize) -> TcpConfig {
        let seats = self.keys[..4].iter().map(Keys::peer);
        TcpConfig {
            namespace: b"bare".to_vec(),
            listen: self.addresses[i],
            addresses: seats.clone().zip(self.addresses.iter().copied()).collect(),
            seats: seats.collect(),
            others: Default::default(),
            allow_private: true,
        }
    }
}

fn now() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    elapsed.as_millis() as u64
}

fn town() -> Town {
    let plan = Plan {
        seats: 4,
        proposers: 1,
        spares: 0,
        slot_ms: SLOT_MS,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 64 << 30,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    };
    let (keys, mut genesis) = simulate::genesis(&plan);
    genesis.time = TimestampMs::new(now() - 1_000);
    let sockets: Vec<_> = (0..5)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let addresses = sockets
        .iter()
        .map(|s| s.local_addr().expect("bound"))
        .collect();
    Town {
        genesis: Arc::new(genesis),
        keys,
        addresses,
    }
}

fn start(town: &Town, i: usize, directory: &Path) -> Host {
    use commonware_codec::Encode as _;
    let secret = |i: usize| -> [u8; 32] {
        town.keys[i]
            .network
            .encode()
            .as_ref()
            .try_into()
            .expect("32 bytes")
    };
    let seats = (0..4).map(|i| (identity_of(&secret(i)).expect("a key"), town.addresses[i]));
    let config = HostConfig {
        genesis: town.genesis.clone(),
        identity: secret(i),
        role: if i < 4 {
            Role::Seat {
                secret: town.keys[i].bls.clone(),
            }
        } else {
            Role::Proposer
        },
        keep: Keep::All,
        retention_ms: u64::MAX,
        directory: directory.join(format!("node-{i}")),
        listen: town.addresses[i],
        peers: seats.collect(),
        allow_private: true,
        tuning: Tuning::default(),
        worker_threads: 1,
    };
    block_on(Host::start(config)).expect("the node must start")
}

/// Lane blocks of 512-byte transactions, one on the other.
fn cut(town: &Town, host: &Host, height: u64, parent: B256) -> SealedLane {
    let transactions = (0..BODY_BYTES as u64 / 512)
        .map(|i| {
            let mut bytes = vec![2u8; 512];
            bytes[..8].copy_from_slice(&i.to_be_bytes());
            bytes[8..16].copy_from_slice(&height.to_be_bytes());
            bytes.into()
        })
        .collect();
    let body = LaneBody { transactions };
    let header = LaneHeader {
        version: PROTOCOL_VERSION,
        chain_id: town.genesis.chain_id,
        namespace: Namespace::new(FIRST_ROLLUP),
        slot: Slot::ZERO,
        seq: Seq::new(height - 1),
        last: false,
        height: Height::new(height),
        parent,
        context: host.node().finalized().state.anchor(),
        timestamp: TimestampMs::new(now()),
        body_root: body.root(),
        size: body.size(),
        group: B256::ZERO,
    };
    let signature = town.keys[4].lane.sign(header.hash());
    let lane = SignedLaneHeader { header, signature };
    SealedLane::new(&LaneBlock { lane, body }).expect("the header is made from the body")
}

/// Megabytes of transactions final per second.
fn whole(town: &Town, directory: &Path) -> f64 {
    let hosts: Vec<_> = (0..5).map(|i| start(town, i, directory)).collect();
    // Cutting is the gateway's work and not measured.
    let mut parent = B256::ZERO;
    let lanes: Vec<_> = (1..=WARM_UP + MEASURED)
        .map(|height| {
            let lane = cut(town, &hosts[4], height, parent);
            parent = lane.hash;
            lane
        })
        .collect();
    let proposer = hosts[4].node().clone();
    let rate = block_on(async {
        let mut watch = proposer.watch();
        while watch.borrow_and_update().height() < Height::new(3) {
            watch.changed().await.expect("node must run");
        }
        let mut events = proposer.events();
        let mut lanes = lanes.into_iter();
        for lane in lanes.by_ref().take(WINDOW) {
            proposer.publish(lane).await;
        }
        let (mut included, mut begin) = (0, Instant::now());
        while included < WARM_UP + MEASURED {
            match events.recv().await.expect("node must run") {
                Event::LaneIncluded { .. } => included += 1,
                Event::LaneVoided { .. } => panic!("a lane block was voided"),
                _ => continue,
            }
            if included == WARM_UP {
                begin = Instant::now();
            }
            if let Some(lane) = lanes.next() {
                proposer.publish(lane).await;
            }
        }
        (MEASURED as usize * BODY_BYTES) as f64 / 1e6 / begin.elapsed().as_secs_f64()
    });
    drop(proposer);
    for host in hosts {
        block_on(host.stop());
    }
    rate
}

fn main() {
    let directory = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let base = directory.map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(base).expect("a directory to write in");
    let bare = bare::run(&town(), &directory.path().join("bare"), MEASURED);
    println!("bare engine, 4 participants, {BODY_BYTES}-byte blocks: {bare:.1} MB/s");
    let ours = whole(&town(), &directory.path().join("whole"));
    println!("lane bodies of 512 B transactions, 4 attesters: {ours:.1} MB/s");
    println!("ratio {:.2} (target 0.8)", ours / bare);
}
