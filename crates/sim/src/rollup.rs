//! A rollup that follows the chain step by step: a timeline, and an executor of accounts with nonces
//! and balances.

use crate::{
    l1::{ACCOUNTS, IMPORT_GAS, L1, credit},
    model::{Fate, Told, Transfer},
    report::Report,
};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_derive::{
    Advance, Cursor, DropReason, Fork, L2Input, Lane, NotYet, Params, References, Timeline,
    derive_lane,
};
use cortado_l1::TrackedHeader;
use cortado_preconf::Promise;
use cortado_types::{B256, Bytes, L1Ref, LaneBody, LaneHeader, Namespace, keccak256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub(crate) const PARAMS: Params = Params {
    import_gas: IMPORT_GAS,
};

/// What each account has at the start.
pub(crate) const BALANCE: u64 = 1_000;

/// A broken derivation for the tests of the checker: what the step gave, and how many lane blocks it
/// brought.
pub type Tamper = dyn Fn(&mut Advance, usize) + Sync;

#[derive(RlpEncodable, RlpDecodable)]
struct Encoded {
    from: u64,
    nonce: u64,
    to: u64,
    amount: u64,
    references: Vec<B256>,
}

pub(crate) fn encode(transfer: &Transfer) -> Bytes {
    alloy_rlp::encode(Encoded {
        from: transfer.from as u64,
        nonce: transfer.nonce,
        to: transfer.to as u64,
        amount: transfer.amount,
        references: transfer.references.clone(),
    })
    .into()
}

pub(crate) fn decode(mut raw: &[u8]) -> Option<Transfer> {
    let encoded = Encoded::decode(&mut raw).ok()?;
    Some(Transfer {
        from: encoded.from as usize,
        nonce: encoded.nonce,
        to: encoded.to as usize,
        amount: encoded.amount,
        references: encoded.references,
    })
}

/// Reads the references of the stories' transactions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfers;

impl References for Transfers {
    fn references(&self, transaction: &Bytes) -> Vec<B256> {
        decode(transaction).map_or_else(Vec::new, |transfer| transfer.references)
    }
}

/// State of a rollup after some L2 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Nonce and balance.
    pub(crate) accounts: [(u64, u64); ACCOUNTS],
    /// Name of the last L2 block.
    pub(crate) head: B256,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            accounts: [(0, BALANCE); ACCOUNTS],
            head: B256::ZERO,
        }
    }

    /// Whether the transaction was valid; if so it is done.
    pub(crate) fn transfer(&mut self, raw: &[u8]) -> bool {
        let Some(transfer) = decode(raw) else {
            return false;
        };
        let (nonce, balance) = self.accounts[transfer.from];
        if nonce != transfer.nonce || balance < transfer.amount {
            return false;
        }
        self.accounts[transfer.from] = (nonce + 1, balance - transfer.amount);
        self.accounts[transfer.to].1 += transfer.amount;
        true
    }

    /// Executes one input; the positions of the transactions that were valid.
    pub(crate) fn execute(&mut self, input: &L2Input) -> Vec<usize> {
        let mut name = [self.head, input.context.hash].concat();
        for entry in &input.imports {
            let call = credit(entry);
            self.accounts[call.to].1 += call.amount;
            name.extend(call.id.to_be_bytes());
        }
        let mut executed = Vec::new();
        for derived in &input.transactions {
            if self.transfer(&derived.raw) {
                executed.push(derived.index);
                name.extend(&derived.raw);
            }
        }
        if input.yields_block() {
            name.extend(input.lane.timestamp.get().to_be_bytes());
            self.head = keccak256(name);
        }
        executed
    }
}

/// A lane block as it is derived and executed on the present fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) input: L2Input,
    pub(crate) executed: Vec<usize>,
    /// The L2 block before it.
    pub(crate) parent: B256,
    pub(crate) after: Ledger,
}

impl Line {
    pub(crate) fn new(before: &Ledger, input: L2Input) -> Self {
        let mut after = before.clone();
        let executed = after.execute(&input);
        Self {
            input,
            executed,
            parent: before.head,
            after,
        }
    }

    pub(crate) fn is_in(&self, index: usize) -> bool {
        let transactions = &self.input.transactions;
        transactions.iter().any(|derived| derived.index == index)
    }

    /// In the model's words.
    pub(crate) fn told(&self) -> Told {
        let Self { input, .. } = self;
        let taken = input
            .transactions
            .iter()
            .map(|derived| (derived.index, Fate::In));
        let dropped = input.dropped.iter().map(|dropped| {
            let fate = match dropped.reason {
                DropReason::ContextOffFork(_) => Fate::ContextOffFork,
                DropReason::OffFork(_) => Fate::OffFork,
                DropReason::NotAncestor(_) => Fate::NotAncestor,
                DropReason::TooOld(_) => Fate::TooOld,
                DropReason::Several(_) => Fate::Several,
            };
            (dropped.index, fate)
        });
        Told {
            yields: input.yields_block(),
            context: input.context,
            imports: input.imports.iter().map(|entry| credit(entry).id).collect(),
            fates: taken.chain(dropped).collect(),
            executed: self.executed.clone(),
            accounts: self.after.accounts.to_vec(),
        }
    }
}

/// A promise and the lane block it was made for.
pub(crate) struct Promised {
    pub(crate) promise: Promise,
    /// Its place in the lane block.
    pub(crate) index: usize,
    pub(crate) lane: B256,
    /// Where derivation's fork ended when it was made.
    pub(crate) tip: L1Ref,
}

pub(crate) struct Rollup {
    pub(crate) namespace: Namespace,
    place: usize,
    pub(crate) timeline: Timeline<Transfers>,
    /// All finalised lane blocks.
    pub(crate) lanes: Vec<Lane>,
    /// What they are on the present fork.
    pub(crate) lines: Vec<Line>,
    settled: usize,
    /// What lane blocks were that are to be derived anew.
    before: BTreeMap<usize, Line>,
    /// L1 blocks of which it was told what they queued; it asks once.
    asked: BTreeSet<B256>,
    pub(crate) promises: Vec<Promised>,
}

impl Rollup {
    pub(crate) fn new(namespace: Namespace, place: usize, fork: Fork, anchor: L1Ref) -> Self {
        Self {
            namespace,
            place,
            timeline: Timeline::new(Transfers, PARAMS, fork, Cursor::new(anchor)),
            lanes: Vec::new(),
            lines: Vec::new(),
            settled: 0,
            before: BTreeMap::new(),
            asked: BTreeSet::new(),
            promises: Vec::new(),
        }
    }

    /// State after the last finalised lane block.
    pub(crate) fn ledger(&self) -> Ledger {
        self.lines
            .last()
            .map_or_else(Ledger::new, |line| line.after.clone())
    }

    fn tell(&mut self, l1: &L1, NotYet(missing): NotYet) -> Result<(), String> {
        let block = l1.find(&missing.hash).ok_or_else(|| {
            format!(
                "derivation waits for L1 block {} of which nobody spoke",
                missing.number
            )
        })?;
        let entries = l1.entries(block, self.place);
        if !self.asked.insert(missing.hash) {
            return Err(format!(
                "derivation waits for L1 block {} again",
                missing.number
            ));
        }
        self.timeline.fork_mut().set_entries(missing.hash, entries);
        Ok(())
    }

    /// What a lane block would be on the present fork, as its proposer computes it.
    pub(crate) fn preview(
        &mut self,
        l1: &L1,
        cursor: &Cursor,
        header: &LaneHeader,
        body: &LaneBody,
    ) -> Result<(Cursor, L2Input), String> {
        loop {
            let fork = self.timeline.fork();
            match derive_lane(cursor, header, body, fork, &Transfers, &PARAMS) {
                Ok(derived) => return Ok(derived),
                Err(missing) => self.tell(l1, missing)?,
            }
        }
    }

    /// One block of the finality chain. Unless `is_prompt`, what L1 blocks queued is not told now, and
    /// lane blocks may wait for it.
    pub(crate) fn follow(
        &mut self,
        l1: &L1,
        lanes: Vec<Lane>,
        headers: &[TrackedHeader],
        to: (L1Ref, L1Ref),
        (is_prompt, tamper): (bool, Option<&Tamper>),
        report: &mut Report,
    ) -> Result<(), String> {
        let new = lanes.len();
        self.lanes.extend_from_slice(&lanes);
        let mut advance = self
            .timeline
            .advance(lanes, headers, to)
            .map_err(|error| format!("a finalised block cannot be followed: {error}"))?;
        while is_prompt && let Some(missing) = self.timeline.missing() {
            self.tell(l1, missing)?;
            advance.inputs.extend(self.timeline.catch_up().inputs);
        }
        if let Some(tamper) = tamper {
            tamper(&mut advance, new);
        }
        if advance.derived != self.lines.len() - self.settled {
            let (got, want) = (advance.derived, self.lines.len() - self.settled);
            return Err(format!("{got} lane blocks were derived, not {want}"));
        }
        let from = self.settled + advance.kept;
        for (nth, line) in self.lines.split_off(from).into_iter().enumerate() {
            self.before.insert(from + nth, line);
        }
        for input in advance.inputs {
            let line = Line::new(&self.ledger(), input);
            if let Some(before) = self.before.remove(&self.lines.len()) {
                compare(&before, &line, report)?;
            }
            self.lines.push(line);
        }
        let (got, want) = (self.lines.len(), self.lanes.len());
        if got + self.timeline.waiting().len() != want {
            return Err(format!("{got} inputs come of {want} lane blocks"));
        }
        Ok(())
    }

    /// Whether lane blocks wait to be derived.
    pub(crate) fn is_behind(&self) -> bool {
        self.timeline.waiting().len() > 0
    }

    pub(crate) fn settle(&mut self, fin: &L1Ref) {
        self.settled += self.timeline.settle(fin);
        self.timeline.prune();
    }
}

/// What stays stands where it stood.
fn compare(before: &Line, now: &Line, report: &mut Report) -> Result<(), String> {
    if before.input.lane != now.input.lane {
        return Err("a lane block changed its place".into());
    }
    let transactions = &now.input.transactions;
    let ordered = transactions.is_sorted_by(|a, b| a.index < b.index);
    for derived in &before.input.transactions {
        if !now.is_in(derived.index) {
            report.reorged.dropped += 1;
        } else if ordered && transactions.contains(derived) {
            report.reorged.survived += 1;
        } else {
            let index = derived.index;
            return Err(format!("transaction {index} moved in its lane block"));
        }
    }
    let back = |derived: &&_| !before.input.transactions.contains(derived);
    report.reorged.returned += transactions.iter().filter(back).count() as u64;
    Ok(())
}

pub(crate) fn lane(header: &LaneHeader, body: &Arc<LaneBody>) -> Lane {
    Lane {
        header: header.clone(),
        body: body.clone(),
    }
}
