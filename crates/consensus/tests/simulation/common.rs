//! What all stories need: a world, a proposer's pen, an L1, and what must hold at the end.

use alloy_primitives::Bytes;
use commonware_p2p::simulated::Link;
use commonware_runtime::{Clock as _, Runner as _, deterministic};
use commonware_utils::{Probability, channel::mpsc, probability};
use cortado_consensus::{
    engine::Tuning,
    events::Event,
    lanes::{LaneBlock, SealedLane},
    node::Node,
    runtime::Runtime as _,
    scheme::Scheme,
    simulate::{FIRST_ROLLUP, Plan, SimulatedScheme, World},
};
use cortado_types::{
    B256, ChainId, Height, L1Ref, LaneBody, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot,
    TimestampMs, ecdsa::SigningKey, limits::PROTOCOL_VERSION,
};
use std::{collections::BTreeMap, time::Duration};

/// RLP of the L1 header `number` on `parent`, at `timestamp` seconds.
pub fn l1_header(number: u64, parent: B256, timestamp: u64) -> Bytes {
    let header = alloy_consensus::Header {
        number,
        parent_hash: parent,
        timestamp,
        ..Default::default()
    };
    alloy_rlp::encode(header).into()
}

pub fn plan(seats: usize, proposers: usize) -> Plan {
    Plan {
        seats,
        proposers,
        spares: 0,
        slot_ms: 2_000,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 64 << 20,
        anchor: l1_header(0, B256::ZERO, 0).to_vec(),
        tuning: Tuning {
            snapshot_interval: 8,
            ..Tuning::default()
        },
    }
}

/// A link of a wide area network inside one continent.
pub fn wan() -> Link {
    link(40, 5, probability!(1.0))
}

pub fn link(latency: u64, jitter: u64, success_rate: Probability) -> Link {
    Link {
        latency: Duration::from_millis(latency),
        jitter: Duration::from_millis(jitter),
        success_rate,
    }
}

pub fn run<F, T>(seed: u64, story: impl FnOnce(deterministic::Context) -> F) -> T
where
    F: Future<Output = T>,
{
    // RUST_LOG=cortado_consensus=debug shows what the nodes say.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
    let config = deterministic::Config::new()
        .with_seed(seed)
        .with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(story)
}

/// A world of `seats` and `proposers`, all linked and started.
pub async fn running<S: SimulatedScheme>(
    context: &deterministic::Context,
    plan: Plan,
    link: Link,
) -> World<S> {
    use commonware_runtime::Supervisor as _;
    let all = plan.seats + plan.proposers + plan.spares;
    let mut world = World::new(context.child("world"), plan).await;
    world.mesh(&link).await;
    for i in 0..all {
        world.start(i).await;
    }
    world
}

/// Waits until `node` has the block `height` final.
pub async fn reach<S: Scheme>(node: &Node<S>, height: u64) {
    let mut watch = node.watch();
    while watch.borrow_and_update().height().get() < height {
        watch.changed().await.expect("node must run");
    }
}

/// Cuts lane blocks of one namespace, one after another, as a gateway does.
pub struct Pen {
    key: SigningKey,
    chain_id: ChainId,
    namespace: Namespace,
    height: Height,
    parent: B256,
    slot: Slot,
    seq: Seq,
}

impl Pen {
    pub fn new<S: SimulatedScheme>(world: &World<S>, seats: usize, proposer: usize) -> Self {
        Self {
            key: world.keys[seats + proposer].lane.clone(),
            chain_id: world.genesis.chain_id,
            namespace: Namespace::new(FIRST_ROLLUP + proposer as u64),
            height: Height::ZERO,
            parent: B256::ZERO,
            slot: Slot::ZERO,
            seq: Seq::ZERO,
        }
    }

    /// Goes back to what `node` has final: what was cut since is void. Only at the beginning of a
    /// slot: in a slot that has been written in, the same places would be written twice.
    pub fn rewind<S: Scheme>(&mut self, node: &Node<S>) {
        let tip = node.finalized().state.namespaces[&self.namespace].tip;
        (self.height, self.parent) = (tip.height, tip.hash);
        (self.slot, self.seq) = (tip.slot, tip.seq);
    }

    /// A lane block of `now`'s slot with these transactions.
    pub fn cut(
        &mut self,
        now: TimestampMs,
        slot_ms: u64,
        context: L1Ref,
        last: bool,
        transactions: Vec<Bytes>,
    ) -> SealedLane {
        let slot = Slot::new(now.get() / slot_ms);
        let seq = if self.height > Height::ZERO && slot == self.slot {
            self.seq.next().unwrap()
        } else {
            Seq::ZERO
        };
        let body = LaneBody { transactions };
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.chain_id,
            namespace: self.namespace,
            slot,
            seq,
            last,
            height: self.height.next().unwrap(),
            parent: self.parent,
            context,
            timestamp: now,
            body_root: body.root(),
            size: body.size(),
            group: B256::ZERO,
        };
        let signature = self.key.sign(header.hash());
        (self.height, self.parent, self.slot, self.seq) = (header.height, header.hash(), slot, seq);
        let lane = SignedLaneHeader { header, signature };
        SealedLane::new(&LaneBlock { lane, body }).unwrap()
    }
}

/// A transaction that is different for every `n`.
pub fn transaction(n: u64) -> Bytes {
    Bytes::copy_from_slice(&[&[2u8; 100][..], &n.to_be_bytes()].concat())
}

/// What must hold after every story: one chain, and equal state roots. Returns the hashes by
/// height of the longest, for comparing runs.
pub async fn check_agreement<S: SimulatedScheme>(world: &World<S>) -> BTreeMap<u64, B256> {
    let mut chain: BTreeMap<u64, B256> = BTreeMap::new();
    for node in world.nodes() {
        let newest = node.finalized();
        assert_eq!(newest.state.root(), newest.block.inner().header.state_root);
        for height in 1..=newest.height().get() {
            let Some(block) = node.block(Height::new(height)).await else {
                panic!("final block {height} is not stored");
            };
            let first = *chain.entry(height).or_insert(block.hash());
            assert_eq!(first, block.hash(), "two final blocks at height {height}");
        }
    }
    chain
}

/// A proposer's whole shift: cuts a lane block of `n` transactions every `every` until `until`,
/// with the last one of each slot saying so. Returns the names of what it published.
pub async fn shift<S: Scheme>(
    context: &deterministic::Context,
    node: &Node<S>,
    pen: &mut Pen,
    slot_ms: u64,
    every: Duration,
    until: TimestampMs,
) -> Vec<B256> {
    let mut published = Vec::new();
    let mut events = node.events();
    while context.now_ms() < until {
        while let Ok(event) = events.try_recv() {
            if matches!(event, Event::LaneVoided { .. }) {
                // What stands on it is void too; a place is never written twice, so the next
                // slot is where it goes on.
                let left = slot_ms - context.now_ms().get() % slot_ms;
                context.sleep(Duration::from_millis(left)).await;
                while events.try_recv().is_ok() {}
                pen.rewind(node);
            }
        }
        let now = context.now_ms();
        let left = slot_ms - now.get() % slot_ms;
        // R20: none in the last eighth of a slot.
        if left > slot_ms / 8 {
            let last = left <= slot_ms / 8 + every.as_millis() as u64;
            let anchor = node.finalized().state.anchor();
            let txs = vec![transaction(now.get())];
            let lane = pen.cut(now, slot_ms, anchor, last, txs);
            published.push(lane.hash);
            assert!(node.publish(lane).await);
            if last {
                context.sleep(Duration::from_millis(left)).await;
                continue;
            }
        }
        context.sleep(every).await;
    }
    published
}

/// What became of lane blocks: whether included, by name.
pub async fn fates(mut events: mpsc::Receiver<Event>) -> BTreeMap<B256, bool> {
    let mut fates = BTreeMap::new();
    while let Ok(event) = events.try_recv() {
        let (hash, included) = match event {
            Event::LaneIncluded { hash, .. } => (hash, true),
            Event::LaneVoided { hash, .. } => (hash, false),
            _ => continue,
        };
        assert!(fates.insert(hash, included).is_none(), "{hash} ended twice");
    }
    fates
}
