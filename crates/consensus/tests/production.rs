//! The same nodes on real sockets, disks and clocks. No story here measures time.

use cortado_consensus::{
    engine::Tuning,
    events::Event,
    host::{Host, HostConfig, HostError, identity_of},
    lanes::{Keep, LaneBlock, SealedLane},
    node::Role,
};
use cortado_types::{
    B256, ChainId, Genesis, Height, Identity, L1Config, LaneBody, LaneHeader, Namespace,
    NamespaceConfig, Seat, Seq, SignedLaneHeader, TimestampMs, bls::SecretBls, ecdsa::SigningKey,
    limits::PROTOCOL_VERSION,
};
use futures::executor::block_on;
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

const ROLLUP: Namespace = Namespace::new(4_242);
const SLOT_MS: u64 = 2_000;

fn now() -> TimestampMs {
    TimestampMs::new(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64,
    )
}

/// Four seats and a proposer with their keys and addresses; each story has its own.
struct Town {
    genesis: Arc<Genesis>,
    secrets: Vec<([u8; 32], SecretBls)>,
    addresses: Vec<SocketAddr>,
    lane_key: SigningKey,
}

impl Town {
    fn new(seed: u8) -> Self {
        let mut secrets: Vec<_> = (0..5u8)
            .map(|i| {
                (
                    [seed + i + 1; 32],
                    SecretBls::derive(&[seed + i + 1; 32]).unwrap(),
                )
            })
            .collect();
        secrets[..4].sort_by_key(|(network, _)| identity_of(network).unwrap());
        let seats = secrets[..4].iter().map(|(network, bls)| Seat {
            identity: identity_of(network).unwrap(),
            bls: bls.public(),
            registry_index: 0,
        });
        let lane_key = SigningKey::from_bytes([seed + 9; 32]).unwrap();
        let anchor = alloy_rlp::encode(alloy_consensus::Header::default());
        let genesis = Genesis {
            chain_id: ChainId::new(7_000 + u64::from(seed)),
            time: TimestampMs::new(now().get() / SLOT_MS * SLOT_MS),
            slot_ms: SLOT_MS,
            l1: L1Config {
                chain_id: 1_337,
                slot_ms: SLOT_MS,
                slots_per_epoch: 8,
                anchor: anchor.into(),
            },
            namespaces: vec![NamespaceConfig {
                namespace: ROLLUP,
                reserve_holder: Some(lane_key.address()),
                slot_bytes_max: 64 << 20,
            }],
            seats: seats.collect(),
            proposers: vec![identity_of(&secrets[4].0).unwrap()],
        };
        // Ports are taken one after another and let go; nobody else on this machine is asked to
        // bind just these.
        let sockets: Vec<_> = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        Self {
            genesis: Arc::new(genesis),
            secrets,
            addresses,
            lane_key,
        }
    }

    fn config(&self, i: usize, directory: &Path) -> HostConfig {
        let (identity, bls) = self.secrets[i].clone();
        let seats: BTreeMap<Identity, SocketAddr> = (0..4)
            .map(|seat| {
                (
                    identity_of(&self.secrets[seat].0).unwrap(),
                    self.addresses[seat],
                )
            })
            .collect();
        HostConfig {
            genesis: self.genesis.clone(),
            identity,
            role: if i < 4 {
                Role::Seat { secret: bls }
            } else {
                Role::Proposer
            },
            keep: Keep::All,
            retention_ms: u64::MAX,
            directory: directory.join(format!("node-{i}")),
            listen: self.addresses[i],
            seats,
            allow_private: true,
            tuning: Tuning {
                snapshot_interval: 4,
                ..Tuning::default()
            },
            worker_threads: 1,
        }
    }

    fn start(&self, i: usize, directory: &Path) -> Host {
        block_on(Host::start(self.config(i, directory))).unwrap()
    }

    /// A lane block on the tip that `host` has final, with one transaction of `bytes` bytes.
    fn lane(&self, host: &Host, bytes: usize) -> SealedLane {
        let state = host.node().finalized().state.clone();
        let tip = state.namespaces[&ROLLUP].tip;
        let time = now();
        let slot = self.genesis.clock().slot_at(time);
        let transactions = vec![vec![2u8; 64 << 10].into(); bytes.div_ceil(64 << 10)];
        let body = LaneBody { transactions };
        let same = tip.height > Height::ZERO && tip.slot == slot;
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.genesis.chain_id,
            namespace: ROLLUP,
            slot,
            seq: if same {
                tip.seq.next().unwrap()
            } else {
                Seq::ZERO
            },
            last: false,
            height: tip.height.next().unwrap(),
            parent: tip.hash,
            context: state.anchor(),
            timestamp: time,
            body_root: body.root(),
            size: body.size(),
            group: B256::ZERO,
        };
        let signature = self.lane_key.sign(header.hash());
        let lane = SignedLaneHeader { header, signature };
        SealedLane::new(&LaneBlock { lane, body }).unwrap()
    }
}

fn reach(host: &Host, height: u64) {
    block_on(async {
        let mut watch = host.node().watch();
        while watch.borrow_and_update().height().get() < height {
            watch.changed().await.expect("node must run");
        }
    });
}

/// Publishes lane blocks until one is included: a slot may end under the first.
fn include(town: &Town, proposer: &Host, bytes: usize) -> B256 {
    block_on(async {
        loop {
            let mut events = proposer.node().events();
            let lane = town.lane(proposer, bytes);
            let published = lane.hash;
            assert!(proposer.node().publish(lane).await);
            while let Some(event) = events.recv().await {
                match event {
                    Event::LaneIncluded { hash, .. } if hash == published => return hash,
                    Event::LaneVoided { hash, .. } if hash == published => break,
                    _ => {}
                }
            }
        }
    })
}

#[test]
fn real_sockets_carry_bodies_of_megabytes_into_final_blocks() {
    let (town, directory) = (Town::new(10), tempfile::tempdir().unwrap());
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    let proposer = &hosts[4];
    reach(proposer, 2);
    let hash = include(&town, proposer, 3 << 20);
    for host in &hosts {
        let at = proposer.node().finalized().height();
        reach(host, at.get());
        let found = block_on(host.node().lane_block(hash)).unwrap().unwrap();
        assert_eq!(found.lane.header.hash(), hash);
        assert!(found.body.size() >= 3 << 20);
    }
    let newest = proposer.node().finalized();
    let (height, certificate) = block_on(proposer.node().certificate(newest.height()))
        .or_else(|| block_on(proposer.node().certificate(Height::new(1))))
        .unwrap();
    let block = block_on(proposer.node().block(height)).unwrap();
    let seats = town.genesis.validate().unwrap();
    certificate
        .verify(
            block.hash(),
            town.genesis.chain_id,
            block.inner().header.term,
            &seats,
        )
        .unwrap();
    for host in hosts {
        block_on(host.stop());
    }
}

#[test]
fn a_town_that_stops_goes_on_where_it_was() {
    let (town, directory) = (Town::new(30), tempfile::tempdir().unwrap());
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    reach(&hosts[4], 2);
    let hash = include(&town, &hosts[4], 1_000);
    let before: Vec<_> = hosts.iter().map(|host| host.node().finalized()).collect();
    for host in hosts {
        block_on(host.stop());
    }
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    for (host, before) in hosts.iter().zip(&before) {
        reach(host, before.height().get() + 1);
        let again = block_on(host.node().block(before.height())).unwrap();
        assert_eq!(again.hash(), before.block.hash());
        assert!(block_on(host.node().lane_block(hash)).unwrap().is_some());
    }
    let more = include(&town, &hosts[4], 1_000);
    assert_ne!(more, hash);
    for host in hosts {
        block_on(host.stop());
    }
}

#[test]
fn a_taken_port_and_a_foreign_directory_are_errors_with_names() {
    let (town, directory) = (Town::new(50), tempfile::tempdir().unwrap());
    let taken = TcpListener::bind(town.addresses[0]).unwrap();
    let refused = block_on(Host::start(town.config(0, directory.path())));
    assert!(matches!(refused, Err(HostError::Listen { .. })));
    drop(taken);
    let host = town.start(0, directory.path());
    block_on(host.stop());
    // The same directory under another genesis.
    let mut config = town.config(0, directory.path());
    let mut other = (*town.genesis).clone();
    other.chain_id = ChainId::new(1);
    config.genesis = Arc::new(other);
    let error = block_on(Host::start(config)).err().unwrap().to_string();
    assert!(
        error.contains("data directory belongs to the chain with genesis"),
        "{error}"
    );
}

#[test]
fn a_node_without_peers_starts_answers_and_stops() {
    let (town, directory) = (Town::new(70), tempfile::tempdir().unwrap());
    let host = town.start(0, directory.path());
    assert_eq!(host.node().finalized().height(), Height::ZERO);
    assert!(block_on(host.node().block(Height::new(1))).is_none());
    assert!(
        block_on(host.node().lane_block(B256::ZERO))
            .unwrap()
            .is_none()
    );
    assert!(
        host.metrics()().contains("node_"),
        "metrics have the node's label"
    );
    block_on(host.stop());
}
