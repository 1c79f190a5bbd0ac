//! A chain with a proposer and a node, and their L1 that changes forks.

use crate::chain::{self, Chain, ROLLUP, Signed, at, follow_l1, promised, tick};
use cortado_rollup::{
    engine::{Engine, Included},
    gateway::Gateway,
    source::{Finalised, SealedLane},
};
use cortado_types::{Address, B256, L1Ref};

/// A proposer, a node that follows, and all blocks for those who come later.
pub struct Town {
    pub dir: tempfile::TempDir,
    pub chain: Chain,
    pub gateway: Gateway,
    pub node: Engine,
    pub blocks: Vec<Finalised>,
    pub lanes: Vec<SealedLane>,
    pub signed: Signed,
    /// Slot 0, ms.
    pub now: u64,
}

impl Town {
    pub fn new(chain: Chain) -> Self {
        let dir = tempfile::tempdir().expect("temp dir");
        let mut gateway = chain.gateway(&dir.path().join("proposer"), 1, None);
        gateway.resume(at(0, 0)).expect("resumes");
        let node = chain.engine(&dir.path().join("node"), ROLLUP);
        Self {
            dir,
            chain,
            gateway,
            node,
            blocks: Vec::new(),
            lanes: Vec::new(),
            signed: Signed::default(),
            now: 10,
        }
    }

    pub fn time(&self) -> cortado_types::TimestampMs {
        at(0, self.now)
    }

    pub fn engine(&self) -> &Engine {
        self.gateway.engine(ROLLUP).expect("served")
    }

    pub fn take(&mut self, block: Finalised) {
        self.now += 1;
        let now = self.time();
        follow_l1(&mut self.gateway, &self.chain, &block, now);
        self.signed.read(&self.gateway);
        self.node.apply(&block).expect("applies");
        self.chain.tell(&mut self.node);
        self.blocks.push(block);
    }

    pub fn promised(&mut self, included: &Included) {
        self.now += 1;
        promised(&mut self.gateway, included, at(0, self.now));
    }

    /// Lane blocks that are sealed by now, not final yet.
    pub fn seal(&mut self) {
        self.now += 45;
        self.lanes.extend(tick(&mut self.gateway, at(0, self.now)));
    }

    /// They become final.
    pub fn finalise(&mut self) {
        self.seal();
        let lanes = std::mem::take(&mut self.lanes);
        let block = self.chain.finalise(&lanes, self.time());
        self.take(block);
    }

    /// Goes to the end of `slot`, where the proposer closes it.
    pub fn close_slot(&mut self, slot: u64) {
        self.now = self.now.max((slot + 1) * chain::SLOT_MS - 200);
        self.finalise();
    }

    pub fn move_pointer(&mut self) -> L1Ref {
        let block = self.chain.move_pointer(self.time());
        self.take(block);
        self.chain.l1_tip()
    }

    pub fn fork(&mut self, depth: usize, deposits: &[(Address, u64)]) {
        let block = self.chain.fork_pointer(depth, deposits, self.time());
        self.take(block);
    }

    pub fn position(&self, included: &Included) -> Option<u64> {
        self.engine().publish().expect("publishes");
        let found = self.engine().store().transaction(&included.hash());
        found.expect("reads").map(|at| at.block.number())
    }

    /// Everybody has the same chain, whoever synced it when.
    pub fn agree(&self, name: &str) -> B256 {
        let head = self.engine().head().hash();
        assert_eq!(self.node.head().hash(), head, "the node");
        let mut fresh = self.chain.engine(&self.dir.path().join(name), ROLLUP);
        for block in &self.blocks {
            fresh.apply(block).expect("applies");
        }
        self.chain.tell(&mut fresh);
        assert_eq!(fresh.head().hash(), head, "one that synced from scratch");
        assert_eq!(fresh.finalized(), self.node.finalized());
        head
    }
}

pub fn balance(engine: &Engine, address: Address) -> u64 {
    let head = engine.head();
    let account = head.state.account(&address);
    account.map_or(0, |account| account.balance.to())
}
