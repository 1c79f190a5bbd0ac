//! Four seats and a proposer on real sockets, disks and clocks.

use cortado_consensus::{
    engine::Tuning,
    events::Event,
    host::{Host, HostConfig, identity_of},
    lanes::{Keep, LaneBlock, SealedLane},
    node::Role,
};
use cortado_types::{
    B256, ChainId, Genesis, Height, Identity, L1Config, LaneBody, LaneHeader, Namespace,
    NamespaceConfig, Seat, SeatsRead, Seq, SignedLaneHeader, TimestampMs, bls::SecretBls,
    ecdsa::SigningKey, genesis::TERM_MS_MAX, limits::PROTOCOL_VERSION,
};
use futures::executor::block_on;
use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

pub const ROLLUP: Namespace = Namespace::new(4_242);
pub const SLOT_MS: u64 = 2_000;

pub fn now() -> TimestampMs {
    TimestampMs::new(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64,
    )
}

/// Four seats and a proposer with their keys and addresses; each story has its own.
pub struct Town {
    pub genesis: Arc<Genesis>,
    pub secrets: Vec<([u8; 32], SecretBls)>,
    pub addresses: Vec<SocketAddr>,
    pub lane_key: SigningKey,
}

impl Town {
    pub fn new(seed: u8) -> Self {
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
        let mut genesis = Genesis {
            chain_id: ChainId::new(7_000 + u64::from(seed)),
            time: TimestampMs::new(now().get() / SLOT_MS * SLOT_MS),
            slot_ms: SLOT_MS,
            term_ms: TERM_MS_MAX,
            l1: L1Config {
                chain_id: 1_337,
                slot_ms: SLOT_MS,
                slots_per_epoch: 8,
                anchor: anchor.into(),
                registry: Default::default(),
            },
            namespaces: vec![NamespaceConfig {
                namespace: ROLLUP,
                reserve_holder: Some(lane_key.address()),
                slot_bytes_max: 64 << 20,
            }],
            seats: SeatsRead::unproved(seats.collect()),
            proposers: vec![identity_of(&secrets[4].0).unwrap()],
        };
        cortado_l1::testing::settle(&mut genesis);
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

    pub fn config(&self, i: usize, directory: &Path) -> HostConfig {
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
            peers: seats,
            allow_private: true,
            tuning: Tuning {
                snapshot_interval: 4,
                ..Tuning::default()
            },
            worker_threads: 1,
        }
    }

    pub fn start(&self, i: usize, directory: &Path) -> Host {
        block_on(Host::start(self.config(i, directory))).unwrap()
    }

    /// A lane block on the tip that `host` has final, with one transaction of `bytes` bytes.
    pub fn lane(&self, host: &Host, bytes: usize) -> SealedLane {
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

pub fn reach(host: &Host, height: u64) {
    block_on(async {
        let mut watch = host.node().watch();
        while watch.borrow_and_update().height().get() < height {
            watch.changed().await.expect("node must run");
        }
    });
}

/// Publishes lane blocks until one is included: a slot may end under the first.
pub fn include(town: &Town, proposer: &Host, bytes: usize) -> B256 {
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
