//! One story: blocks of the finality chain, lane blocks and an L1 with forks, at random from a seed.

use crate::{
    l1::{ACCOUNTS, L1},
    lanes::Pending,
    report::Report,
    rollup::{Rollup, Tamper, lane},
    setup::{NAMESPACES, Setup, certificate},
};
use cortado_chain::{Draft, State, build};
use cortado_derive::{lanes_of, pointer_headers};
use cortado_types::{
    B256, Block, Header, L1Ref, LaneBody, Operation, PointerMove, TimestampMs, View,
    block::L1Finality, limits::L1_HEADERS_PER_MOVE_MAX,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

/// One story in how many has L1 blocks so old that a reference may not name them.
const LONG_EVERY: u32 = 50;

pub(crate) struct Case<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) rng: StdRng,
    /// Whether its view of L1 begins far below the anchor.
    pub(crate) is_long: bool,
    pub(crate) l1: L1,
    /// State and header after the last block, as its leader has them.
    pub(crate) leader: State,
    pub(crate) header: Header,
    pub(crate) blocks: Vec<Block>,
    pub(crate) rollups: Vec<Rollup>,
    pub(crate) pending: [Option<Pending>; NAMESPACES.len()],
    pub(crate) bodies: BTreeMap<B256, Arc<LaneBody>>,
    /// Ends of forks that the pointer was on, or that are tracked.
    ends: Vec<usize>,
    pub(crate) time: TimestampMs,
    tamper: Option<&'a Tamper>,
    is_ending: bool,
    pub(crate) report: Report,
    /// The story in words, if somebody will read it.
    pub(crate) told: Option<String>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(setup: &'a Setup, seed: u64, tamper: Option<&'a Tamper>, told: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let is_long = rng.random_ratio(1, LONG_EVERY);
        let fork = if is_long { &setup.long } else { &setup.short };
        let rollup = |(place, namespace): (usize, &_)| {
            Rollup::new(*namespace, place, fork.clone(), setup.anchor())
        };
        Self {
            setup,
            rng,
            is_long,
            l1: L1::new(setup.anchor(), setup.anchor_raw.clone()),
            leader: setup.state.clone(),
            header: setup.header.clone(),
            blocks: Vec::new(),
            rollups: NAMESPACES.iter().enumerate().map(rollup).collect(),
            pending: Default::default(),
            bodies: BTreeMap::new(),
            ends: Vec::new(),
            time: setup.header.timestamp,
            tamper,
            is_ending: false,
            report: Report::default(),
            told: told.then(String::new),
        }
    }

    pub(crate) fn head(&self) -> usize {
        self.l1
            .find(&self.leader.l1.head().hash)
            .expect("grown by the story")
    }

    pub(crate) fn fin(&self) -> usize {
        self.l1
            .find(&self.leader.l1.fin().hash)
            .expect("grown by the story")
    }

    /// Where derivation's fork ends: the pointer, or `L1fin` while the pointer is off it.
    pub(crate) fn tip(&self) -> usize {
        if self.l1.is_ancestor(self.fin(), self.head()) {
            self.head()
        } else {
            self.fin()
        }
    }

    /// Tells the whole story: one to three reorgs, the first of any depth up to `depth_max`.
    pub(crate) fn run(&mut self, depth_max: u64) -> Result<(), String> {
        let reorgs = self.rng.random_range(1..=3);
        for turn in 0..reorgs {
            let limit = if turn == 0 {
                depth_max
            } else {
                depth_max.min(8)
            };
            let depth = self.rng.random_range(0..=limit);
            self.prepare(depth)?;
            if turn > 0 && self.rng.random_bool(0.4) {
                self.go_back()?;
            } else {
                self.reorg(depth)?;
            }
            for _ in 0..self.rng.random_range(0..2) {
                self.extend(1)?;
            }
            if self.rng.random_bool(0.5) {
                self.finalize()?;
            }
        }
        if self.rng.random_bool(0.3) {
            self.finalize_another()?;
        }
        while self.pending.iter().any(Option::is_some) {
            self.step(&[], None)?;
        }
        self.is_ending = true;
        self.extend(1)
    }

    /// Blocks until the pointer is `depth` above the floor, and one or two more.
    fn prepare(&mut self, depth: u64) -> Result<(), String> {
        for _ in 0..self.rng.random_range(1..3) {
            let count = self.rng.random_range(0..3);
            self.extend(count)?;
        }
        loop {
            let above = self.l1.at(self.tip()).number - self.l1.at(self.fin()).number;
            if above >= depth {
                return Ok(());
            }
            let missing = depth - above;
            let count = self.rng.random_range(missing.div_ceil(2)..=missing);
            self.extend(count)?;
        }
    }

    fn extend(&mut self, count: u64) -> Result<(), String> {
        let tip = self.tip();
        let grown = self.l1.grow(&mut self.rng, tip, count);
        self.show(&grown)
    }

    /// L1 leaves its last `depth` blocks for a fork that is heavier; at depth 0 for none, or for a
    /// fork beside the pointer that is not heavier.
    fn reorg(&mut self, depth: u64) -> Result<(), String> {
        let head = self.tip();
        let number = self.l1.at(head).number;
        self.ends.push(head);
        if depth == 0 {
            if number > self.l1.at(self.fin()).number {
                let beside = self.l1.blocks[head].parent;
                let grown = self.l1.grow(&mut self.rng, beside, 1);
                self.ends.extend(&grown);
                self.show(&grown)?;
            }
            return self.extend(1);
        }
        let parting = self.l1.ancestor(head, number - depth);
        let count = depth + self.rng.random_range(1..4);
        let grown = self.l1.grow(&mut self.rng, parting, count);
        self.show(&grown)
    }

    /// L1 goes back to a fork that it left, which has grown meanwhile.
    fn go_back(&mut self) -> Result<(), String> {
        let (head, fin) = (self.tip(), self.fin());
        let is_open = |end: &&usize| {
            self.l1.is_ancestor(fin, **end) && self.leader.l1.get(&self.l1.at(**end).hash).is_some()
        };
        let open: Vec<usize> = self.ends.iter().filter(is_open).copied().collect();
        let Some(end) = open.choose(&mut self.rng).copied() else {
            return self.reorg(1.min(self.l1.at(head).number - self.l1.at(fin).number));
        };
        self.ends.push(head);
        let behind = (self.l1.at(head).number + 1).saturating_sub(self.l1.at(end).number);
        let grown = self.l1.grow(&mut self.rng, end, behind.max(1));
        self.show(&grown)
    }

    /// Headers reach the chain: in one move if they fit, or in several with blocks between.
    fn show(&mut self, grown: &[usize]) -> Result<(), String> {
        let mut rest = grown;
        let at_once = self.rng.random_bool(0.7);
        loop {
            let most = rest.len().min(L1_HEADERS_PER_MOVE_MAX);
            let count = if at_once || most == 0 {
                most
            } else {
                self.rng.random_range(most.div_ceil(2)..=most)
            };
            let (now, later) = rest.split_at(count);
            self.step(now, None)?;
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// `L1fin` rises on the pointer's chain.
    fn finalize(&mut self) -> Result<(), String> {
        let (head, fin) = (self.tip(), self.fin());
        let (low, high) = (self.l1.at(fin).number, self.l1.at(head).number);
        if low == high {
            return Ok(());
        }
        let to = self
            .l1
            .ancestor(head, self.rng.random_range(low + 1..=high));
        self.step(&[], Some(to))
    }

    /// `L1fin` rises on a fork that the pointer is not on, and the pointer goes under it, perhaps not
    /// at once.
    fn finalize_another(&mut self) -> Result<(), String> {
        let (head, fin) = (self.tip(), self.fin());
        let is_open = |end: &&usize| {
            self.l1.is_ancestor(fin, **end)
                && !self.l1.is_ancestor(**end, head)
                && self.leader.l1.get(&self.l1.at(**end).hash).is_some()
        };
        let open: Vec<usize> = self.ends.iter().filter(is_open).copied().collect();
        let Some(end) = open.choose(&mut self.rng).copied() else {
            return self.finalize();
        };
        let above = self.l1.between(self.l1.parting(head, end), end);
        let to = *above
            .choose(&mut self.rng)
            .expect("the end is off the pointer's chain");
        self.report.other_finalised += 1;
        self.step(&[], Some(to))?;
        for _ in 0..self.rng.random_range(0..2) {
            self.step(&[], None)?;
        }
        // Headers that are tracked already, or new ones.
        let under = self.l1.between(to, end);
        let moved = if under.is_empty() {
            self.l1.grow(&mut self.rng, to, 1)
        } else {
            under[..under.len().min(L1_HEADERS_PER_MOVE_MAX)].to_vec()
        };
        self.step(&moved, None)
    }

    /// One block: lane blocks that wait, then a move along `moved`, then the floor at `fin`.
    fn step(&mut self, moved: &[usize], fin: Option<usize>) -> Result<(), String> {
        self.time = self.time.plus(self.rng.random_range(100..=250));
        for place in 0..NAMESPACES.len() {
            let is_free = self.pending[place].is_none() && !self.rollups[place].is_behind();
            if is_free && self.rng.random_bool(0.6) {
                self.cut(place)?;
            }
        }
        let due = self.take_due();
        let mut operations = Vec::new();
        if !moved.is_empty() {
            operations.push(Operation::MovePointer(PointerMove {
                headers: moved
                    .iter()
                    .map(|i| self.l1.blocks[*i].raw.clone())
                    .collect(),
                sight: certificate(),
                mover: None,
            }));
        }
        operations.extend(fin.map(|block| {
            Operation::FinalizeL1(L1Finality {
                block: self.l1.at(block),
                certificate: certificate(),
            })
        }));
        let draft = Draft {
            view: View::new(self.header.view.get() + self.rng.random_range(1..3)),
            timestamp: self.time,
            runs: due.iter().map(|pending| pending.run.clone()).collect(),
            operations,
        };
        let (block, state) = build(&self.leader, &self.header, &draft);
        if block.operations != draft.operations {
            return Err("the leader left out an operation that applies".into());
        }
        self.follow(block, state)
    }

    /// The rollups follow a block.
    fn follow(&mut self, block: Block, state: State) -> Result<(), String> {
        let (old_head, old_tip) = (self.head(), self.tip());
        self.leader = state;
        let (head, tip) = (self.head(), self.tip());
        let headers = pointer_headers(&block).map_err(|error| error.to_string())?;
        let parting = self.l1.parting(old_tip, tip);
        let depth = self.l1.at(old_tip).number - self.l1.at(parting).number;
        self.tell_block(&block);
        let moved = block
            .operations
            .iter()
            .any(|o| matches!(o, Operation::MovePointer(_)));
        self.report.tracked += u64::from(moved && head == old_head);
        let (l1_head, l1_fin) = (self.leader.l1.head(), self.leader.l1.fin());
        let before = self.report.reorged;
        for rollup in &mut self.rollups {
            let mut lanes = Vec::new();
            for signed in lanes_of(&block, rollup.namespace) {
                let header = &signed.header;
                let body = self
                    .bodies
                    .get(&header.hash())
                    .ok_or("a lane block nobody cut")?;
                body.check(header).map_err(|error| error.to_string())?;
                lanes.push(lane(header, body));
            }
            self.report.lanes += lanes.len() as u64;
            let to = (l1_head, l1_fin);
            // Now and then a node learns late what L1 queued.
            let is_prompt = self.is_ending || self.tamper.is_some() || self.rng.random_bool(0.9);
            let how = (is_prompt, self.tamper);
            let report = &mut self.report;
            rollup.follow(&self.l1, lanes, &headers, to, how, report)?;
            if rollup.timeline.fork().tip() != self.l1.at(tip) {
                return Err("derivation's fork does not end where the chain's does".into());
            }
            if self.rng.random_bool(0.5) {
                rollup.settle(&l1_fin);
            }
        }
        if depth > 0 {
            self.report.reorg(depth, before);
        } else if moved && head == old_head {
            self.report.reorg(0, before);
        }
        self.header = block.header.clone();
        self.blocks.push(block);
        Ok(())
    }

    fn tell_block(&mut self, block: &Block) {
        let Some(told) = &mut self.told else {
            return;
        };
        let l1 = &self.l1;
        let name = |at: L1Ref| l1.name(&at.hash);
        let _ = write!(told, "block {}:", block.header.height);
        for entry in &block.lanes {
            let header = &entry.lane.header;
            let _ = write!(
                told,
                " {}.{} on {} [",
                header.namespace,
                header.height,
                name(header.context)
            );
            let body = self.bodies.get(&header.hash());
            for raw in body.iter().flat_map(|body| &body.transactions) {
                let Some(transfer) = crate::rollup::decode(raw) else {
                    let _ = write!(told, " garbage");
                    continue;
                };
                let _ = write!(told, " {}#{}", transfer.from, transfer.nonce);
                for hash in &transfer.references {
                    let _ = write!(told, "@{}", l1.name(hash));
                }
            }
            let _ = write!(told, " ]");
        }
        for operation in &block.operations {
            let _ = match operation {
                Operation::MovePointer(moved) => {
                    let hash =
                        |raw: Option<&_>| raw.map(cortado_types::keccak256).unwrap_or_default();
                    let (from, to) = (hash(moved.headers.first()), hash(moved.headers.last()));
                    write!(told, " headers {}…{}", l1.name(&from), l1.name(&to))
                }
                Operation::FinalizeL1(finality) => write!(told, " final {}", name(finality.block)),
                Operation::ReadSeats(_) => Ok(()),
            };
        }
        let head = name(self.leader.l1.head());
        let _ = writeln!(told, " → pointer {head}");
    }

    /// The story as a person reads it: L1, then the blocks.
    pub(crate) fn story(&self) -> String {
        let mut text =
            String::from("L1, each branch on its parent, with the deposits it queued:\n");
        for block in &self.l1.blocks[1..] {
            let parent = &self.l1.blocks[block.parent].at.hash;
            let _ = write!(
                text,
                "  {} on {}",
                self.l1.name(&block.at.hash),
                self.l1.name(parent)
            );
            for (place, calls) in block.calls.iter().enumerate() {
                for call in calls {
                    let _ = write!(
                        text,
                        " {}:#{}({} gas)",
                        NAMESPACES[place], call.id, call.gas
                    );
                }
            }
            text.push('\n');
        }
        text.push_str(self.told.as_deref().unwrap_or_default());
        text
    }

    pub(crate) fn any_account(&mut self) -> usize {
        self.rng.random_range(0..ACCOUNTS)
    }
}
