//! A namespace on any fork of L1: along its own fork it is the engine's chain, bit for bit, and along a
//! fork that lost it is what the engine had before.

#[path = "support/chain.rs"]
mod chain;

use alloy_consensus::Header as L1Header;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Bloom, TxKind, U256};
use alloy_rlp::Decodable;
use chain::{Chain, GENESIS_MS, ROLLUP, at, custom, proposer, transfer, user};
use cortado_derive::{DropReason, Entry, ForkError};
use cortado_rollup::{
    engine::{Engine, Included, RollupSpec},
    fork::{AppendError, Fate, ForkBlock, ForkChain, L1Forks, Standing},
    source::{Finalised, SealedLane},
};
use cortado_types::{
    Address, B256, Height, L1Ref, LaneBody, LaneHeader, REFERENCE_ADDRESS, Seq, SignedLaneHeader,
    TimestampMs, keccak256,
    limits::{CONTEXT_LAG, PROTOCOL_VERSION},
};
use std::collections::BTreeMap;
use tempfile::TempDir;

const INBOX: Address = Address::repeat_byte(0x1b);
const TO: Address = Address::repeat_byte(9);

fn hash_of(header: &L1Header) -> B256 {
    keccak256(alloy_rlp::encode(header))
}

fn ref_of(header: &L1Header) -> L1Ref {
    L1Ref {
        number: header.number,
        hash: hash_of(header),
    }
}

/// A transfer that refers to an L1 block.
fn referring(from: u64, nonce: u64, block: B256) -> Included {
    custom(&user(from), |tx| {
        tx.nonce = nonce;
        tx.to = TxKind::Call(TO);
        tx.gas_limit = 40_000;
        tx.access_list = AccessList(vec![AccessListItem {
            address: REFERENCE_ADDRESS,
            storage_keys: vec![block],
        }]);
    })
}

/// A chain, the engine that follows it, and an L1 that forks.
struct World {
    chain: Chain,
    engine: Engine,
    blocks: Vec<Finalised>,
    lanes: Vec<SealedLane>,
    queued: BTreeMap<B256, Vec<Entry>>,
    /// L1, from the anchor to `L1*`.
    l1: Vec<L1Header>,
    ms: u64,
    _dir: TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let chain = Chain::new();
        let anchor = L1Header::decode(&mut &chain.genesis.l1.anchor[..]).expect("a header");
        let engine = Engine::open(
            dir.path(),
            Self::spec(&chain),
            &chain.genesis,
            chain.genesis_hash,
        );
        Self {
            engine: engine.expect("opens"),
            chain,
            blocks: Vec::new(),
            lanes: Vec::new(),
            queued: BTreeMap::new(),
            l1: vec![anchor],
            ms: 0,
            _dir: dir,
        }
    }

    fn spec(chain: &Chain) -> RollupSpec {
        RollupSpec {
            inbox: Some(INBOX),
            ..chain.rollup(ROLLUP)
        }
    }

    fn now(&mut self) -> TimestampMs {
        self.ms += 20;
        at(0, self.ms)
    }

    /// The `index`-th L1 block of the present fork above the anchor.
    fn l1(&self, index: usize) -> L1Ref {
        ref_of(&self.l1[index])
    }

    /// Replaces the last `depth` L1 blocks by `blocks`, of which each one queues these amounts for
    /// [`TO`], and points at the last.
    fn point(&mut self, depth: usize, blocks: &[&[u64]]) {
        self.l1.truncate(self.l1.len() - depth);
        let from = self.l1.len();
        for (salt, deposits) in blocks.iter().enumerate() {
            let parent = self.l1.last().expect("the anchor");
            let mut header = L1Header {
                number: parent.number + 1,
                parent_hash: hash_of(parent),
                timestamp: GENESIS_MS / 1_000 - 999 + parent.number,
                extra_data: vec![self.blocks.len() as u8, salt as u8].into(),
                ..L1Header::default()
            };
            if !deposits.is_empty() {
                // It rules nothing out.
                header.logs_bloom = Bloom::repeat_byte(0xff);
            }
            let block = ref_of(&header);
            let entry = |(log_index, wei): (u64, &u64)| Entry {
                block,
                log_index,
                gas: 50_000,
                payload: [&TO[..], &U256::from(*wei).to_be_bytes::<32>()]
                    .concat()
                    .into(),
            };
            let entries = (0..).zip(*deposits).map(entry).collect();
            self.queued.insert(block.hash, entries);
            self.l1.push(header);
        }
        let now = self.now();
        let headers = self.l1[from..].to_vec();
        let block = self.chain.point_along(&headers, now);
        self.apply(block);
    }

    /// Finalises a lane block with this context; whether it could enter.
    fn lane(&mut self, context: L1Ref, transactions: &[Included]) -> bool {
        let time = self.now();
        let transactions = transactions.iter().map(|tx| tx.raw.clone()).collect();
        let body = LaneBody { transactions };
        let parent = self.lanes.last().map(|sealed| sealed.lane.header.hash());
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.chain.genesis.chain_id,
            namespace: ROLLUP,
            slot: self.chain.clock().slot_at(time),
            seq: Seq::new(self.lanes.len() as u64),
            last: false,
            height: Height::new(self.lanes.len() as u64 + 1),
            parent: parent.unwrap_or_default(),
            context,
            timestamp: time,
            body_root: body.root(),
            size: body.size(),
            group: B256::ZERO,
        };
        let signature = proposer().sign(header.hash());
        let lane = SignedLaneHeader { header, signature };
        let sealed = SealedLane { lane, body };
        let block = self.chain.finalise(std::slice::from_ref(&sealed), time);
        let entered = !block.block().lanes.is_empty();
        if entered {
            self.lanes.push(sealed);
        }
        self.apply(block);
        entered
    }

    fn apply(&mut self, block: Finalised) {
        self.engine.apply(&block).expect("applies");
        let asked: Vec<B256> = self.engine.asked().map(|(hash, _)| *hash).collect();
        for hash in asked {
            let entries = self.queued[&hash].clone();
            self.engine.tell_queue(hash, entries).expect("takes");
        }
        self.blocks.push(block);
    }

    /// The engine's L2 blocks.
    fn executed(&self) -> Vec<B256> {
        self.engine.publish().expect("publishes");
        let store = self.engine.store();
        let hash = |number| store.hash_by_number(number).expect("reads").expect("held");
        (1..=self.engine.head().number()).map(hash).collect()
    }

    fn forks(&self) -> L1Forks {
        let anchor = &self.chain.genesis.l1.anchor;
        let mut forks = L1Forks::new(anchor, Some(INBOX)).expect("a header");
        for block in &self.blocks {
            forks.take(block.block()).expect("links");
        }
        forks
    }

    fn along(&self, tip: B256) -> ForkChain {
        let chain = self.forks().along(tip, Self::spec(&self.chain));
        chain.expect("tracked")
    }

    /// What the first `count` lane blocks are on the fork that ends in `tip`.
    fn on_fork(&self, tip: B256, count: usize) -> Vec<ForkBlock> {
        let mut chain = self.along(tip);
        let mut blocks = Vec::new();
        for sealed in &self.lanes[..count] {
            let block = loop {
                match chain.append(&sealed.lane, &sealed.body) {
                    Ok(block) => break block,
                    Err(AppendError::NotYet(missing)) => {
                        let hash = missing.0.hash;
                        assert!(chain.open(&hash).is_some(), "{missing}");
                        chain.tell_queue(hash, self.queued[&hash].clone());
                    }
                    Err(error) => panic!("{error}"),
                }
            };
            blocks.push(block);
        }
        blocks
    }
}

fn hashes(blocks: &[ForkBlock]) -> Vec<B256> {
    let blocks = blocks.iter().filter_map(|one| one.block.as_ref());
    blocks.map(|block| block.hash()).collect()
}

fn fates(block: &ForkBlock) -> Vec<Fate> {
    let fates = block.transactions.iter().map(|placed| placed.fate.clone());
    fates.collect()
}

const fn is_in(index: usize) -> Fate {
    Fate::In { index }
}

/// ```text
///   100 ── 101 ── 102          lane blocks 1 on 100, 2 on 102
///             └── 102' ── 103'  lane block 3 on 103'
/// ```
#[test]
fn a_fork_that_lost_is_what_the_engine_had_and_the_one_that_won_what_it_has() {
    let mut world = World::new();
    world.point(0, &[&[], &[5]]);
    let (anchor, old) = (world.l1(0), world.l1(2));
    let (shared, stays) = (world.l1(1), transfer(&user(0), 0, TO, 1));
    assert!(world.lane(anchor, std::slice::from_ref(&stays)));
    let falls = transfer(&user(1), 0, TO, 1);
    let survives = referring(2, 0, shared.hash);
    let refers = referring(3, 0, old.hash);
    let gap = referring(4, 7, shared.hash);
    assert!(world.lane(old, &[falls, survives, gap, refers]));
    let before = world.executed();
    let won = before.len();
    world.point(1, &[&[7, 8], &[]]);
    let new = world.l1(3);
    assert!(world.lane(new, &[transfer(&user(5), 0, TO, 1)]));

    let lost = world.on_fork(old.hash, 3);
    assert_eq!(hashes(&lost[..2]), before, "as before the reorg");
    assert_eq!(fates(&lost[0]), [is_in(0)]);
    let skipped = fates(&lost[1]).remove(2);
    assert_eq!(
        fates(&lost[1]),
        [is_in(0), is_in(1), skipped.clone(), is_in(2)]
    );
    assert!(
        matches!(&skipped, Fate::Skipped(reason) if reason.contains("nonce")),
        "{skipped:?}"
    );
    assert_eq!(
        lost[1].imports[0].credit.expect("a deposit").wei,
        U256::from(5)
    );
    assert_eq!(
        fates(&lost[2]),
        [Fate::Dropped(DropReason::ContextOffFork(new.hash))],
        "what came after the reorg does not exist there"
    );
    assert!(lost[2].block.is_none());
    assert_eq!(lost[2].context, old, "the context never moves down");

    let kept = world.on_fork(new.hash, 3);
    assert_eq!(hashes(&kept), world.executed());
    assert_ne!(hashes(&kept)[won - 1], before[won - 1]);
    assert_eq!(
        fates(&kept[1]),
        [
            Fate::Dropped(DropReason::ContextOffFork(old.hash)),
            is_in(0),
            skipped,
            Fate::Dropped(DropReason::OffFork(old.hash)),
        ]
    );
    let wei = kept.iter().flat_map(|block| &block.imports);
    let wei: Vec<_> = wei.map(|one| one.credit.expect("a deposit").wei).collect();
    assert_eq!(
        wei,
        [U256::from(7), U256::from(8)],
        "the other deposit is no more"
    );

    // A fork may end anywhere: what lies above is not on it.
    let short = world.on_fork(anchor.hash, 3);
    assert_eq!(hashes(&short).len(), 1);
    assert_eq!(hashes(&short)[0], before[0]);
}

#[test]
fn an_l1_block_that_the_pointer_never_tracked_ends_no_fork() {
    let mut world = World::new();
    world.point(0, &[&[], &[], &[]]);
    let lost = world.l1(3);
    world.point(2, &[&[], &[], &[]]);
    let forks = world.forks();
    let (tip, stranger) = (world.l1(4), B256::repeat_byte(0xee));
    assert_eq!((forks.tip(), forks.head()), (tip, tip));
    assert_eq!(forks.get(&lost.hash), Some(lost));
    assert_eq!(forks.get(&stranger), None);
    assert_eq!(forks.standing(tip), Standing::Pointer);
    assert_eq!(forks.standing(world.l1(1)), Standing::Below);
    assert_eq!(forks.standing(lost), Standing::Beside);
    let refused = forks.along(stranger, World::spec(&world.chain));
    assert_eq!(
        refused.expect_err("unknown"),
        ForkError::UnknownTip { hash: stranger }
    );
}

#[test]
fn a_queue_that_nobody_told_is_named_and_nothing_is_guessed() {
    let mut world = World::new();
    world.point(0, &[&[], &[5]]);
    let (anchor, tip) = (world.l1(0), world.l1(2));
    assert!(world.lane(anchor, &[]));
    assert!(world.lane(tip, &[transfer(&user(0), 0, TO, 1)]));
    let mut chain = world.along(tip.hash);
    let [first, second] = &world.lanes[..] else {
        panic!("two lane blocks");
    };
    let empty = chain.append(&first.lane, &first.body).expect("derives");
    assert!(empty.block.is_none() && empty.transactions.is_empty());
    for _ in 0..2 {
        let missing = chain.append(&second.lane, &second.body);
        assert!(
            matches!(missing, Err(AppendError::NotYet(missing)) if missing.0 == tip),
            "it stays unknown however often it is asked for"
        );
    }
    let (raw, inbox) = chain.open(&tip.hash).expect("to be asked for");
    assert_eq!((keccak256(raw), inbox), (tip.hash, INBOX));
    chain.tell_queue(tip.hash, world.queued[&tip.hash].clone());
    let block = chain.append(&second.lane, &second.body).expect("derives");
    assert_eq!(hashes(&[block]), world.executed());
    assert_eq!(chain.open(&tip.hash), None);
}

/// Splitmix64: the same story for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % limit as u64) as usize
    }
}

/// Random stories, and how many reorgs of them took L2 blocks.
fn story(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let mut seen = vec![world.l1(0)];
    let mut nonces = [0u64; 8];
    let (mut old, mut took) = (Vec::new(), 0);
    for _ in 0..24 {
        if dice.below(2) == 0 {
            let depth = dice.below(4).min(world.l1.len() - 1);
            let before = (world.engine.l1_tip(), world.lanes.len(), world.executed());
            let some: Vec<Vec<u64>> = (0..=depth)
                .map(|_| vec![1 + dice.below(9) as u64; dice.below(3)])
                .collect();
            let blocks: Vec<&[u64]> = some.iter().map(Vec::as_slice).collect();
            world.point(depth, &blocks);
            let from = world.l1.len() - blocks.len();
            seen.extend((from..world.l1.len()).map(|index| world.l1(index)));
            took += usize::from(!world.executed().starts_with(&before.2));
            old.push(before);
            continue;
        }
        let context = seen[dice.below(seen.len())];
        let transactions: Vec<Included> = (0..dice.below(5))
            .map(|_| {
                let from = dice.below(nonces.len());
                let nonce = nonces[from];
                // What falls leaves its sender behind: later ones are skipped, or came in its place.
                nonces[from] += dice.below(8).min(1) as u64;
                match dice.below(2) {
                    0 => transfer(&user(from as u64), nonce, TO, 1),
                    _ => referring(from as u64, nonce, seen[dice.below(seen.len())].hash),
                }
            })
            .collect();
        let anchor = world.l1.last().expect("the anchor").number;
        let allowed = context.number + CONTEXT_LAG >= anchor && context.number <= anchor;
        assert_eq!(world.lane(context, &transactions), allowed, "seed {seed}");
    }
    let own = world.on_fork(world.engine.l1_tip().hash, world.lanes.len());
    assert_eq!(hashes(&own), world.executed(), "seed {seed}, its own fork");
    for (tip, count, executed) in old {
        let then = world.on_fork(tip.hash, count);
        assert_eq!(hashes(&then), executed, "seed {seed}, fork of {tip:?}");
    }
    took
}

#[test]
fn in_random_stories_every_fork_is_what_the_engine_had_on_it() {
    let took: usize = (0..8).map(story).sum();
    assert!(took >= 8, "only {took} reorgs took anything");
}
