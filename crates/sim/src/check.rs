//! What must hold when a story is over.

use crate::{
    case::Case,
    l1::{IMPORT_GAS, credit},
    model::{self, Call, L1Facts},
    rollup::{BALANCE, Ledger, Line, PARAMS, Promised, Rollup, Transfers, decode},
    setup::Setup,
};
use cortado_chain::{Checks, apply};
use cortado_derive::{Cursor, Fork, derive_lane, pointer_headers};
use cortado_preconf::Terms;
use cortado_types::{B256, Block, L1Ref, decode_exact, keccak256, limits::REF_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// What the chain showed of L1, seen by rollup `place`.
struct Facts<'a> {
    case: &'a Case<'a>,
    shown: &'a BTreeMap<B256, (u64, B256)>,
    place: usize,
}

/// Number and parent of every L1 block that the chain was shown.
type Known = BTreeMap<B256, (u64, B256)>;

impl L1Facts for Facts<'_> {
    fn block(&self, hash: &B256) -> Option<(u64, B256)> {
        let old = || {
            let header = self.case.setup.prehistory.get(hash)?;
            self.case.is_long.then_some((header.number, header.parent))
        };
        self.shown.get(hash).copied().or_else(old)
    }

    fn calls(&self, hash: &B256) -> Vec<Call> {
        let block = self.case.l1.find(hash);
        block.map_or_else(Vec::new, |i| {
            self.case.l1.blocks[i].calls[self.place].clone()
        })
    }
}

impl Case<'_> {
    /// Everything that is promised of derivation under reorgs.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let mut report = std::mem::take(&mut self.report);
        let (fork, shown) = self.sync()?;
        let tip = self.l1.at(self.tip());
        report.cases = 1;
        report.blocks = self.blocks.len() as u64;
        report.l1_blocks = self.l1.blocks.len() as u64 - 1;
        for (place, rollup) in self.rollups.iter().enumerate() {
            let at = |error| format!("rollup {}: {error}", rollup.namespace);
            let facts = Facts {
                case: self,
                shown: &shown,
                place,
            };
            let cursor = self.pure(place, fork.clone(), rollup).map_err(at)?;
            naive(&facts, self.setup, tip, rollup).map_err(at)?;
            references(&facts, tip, rollup).map_err(at)?;
            let on_fork: BTreeSet<B256> = self
                .l1
                .between(0, self.tip())
                .into_iter()
                .map(|i| self.l1.at(i).hash)
                .collect();
            let deposits = self
                .deposits(place, &on_fork, rollup, &cursor)
                .map_err(at)?;
            report.deposits += deposits.len() as u64;
            let imports = rollup
                .lines
                .iter()
                .map(|line| line.input.imports.len() as u64);
            let credited = imports.sum::<u64>();
            report.credited += credited;
            report.waiting += deposits.len() as u64 - credited;
            let all = self
                .l1
                .blocks
                .iter()
                .map(|block| block.calls[place].len() as u64);
            report.lost += all.sum::<u64>() - deposits.len() as u64;
            for line in &rollup.lines {
                report.l2_blocks += u64::from(line.input.yields_block());
                let empty = line.input.yields_block() && line.input.transactions.is_empty();
                report.import_only += u64::from(empty);
                report.executed += line.executed.len() as u64;
                let taken = line.input.transactions.len();
                report.skipped += (taken - line.executed.len()) as u64;
                report.dropped += line.input.dropped.len() as u64;
            }
            for promised in &rollup.promises {
                let fate = self.promise(place, tip, promised, rollup).map_err(at)?;
                match fate {
                    Kept::Yes => report.promises.kept += 1,
                    Kept::Excused => report.promises.excused += 1,
                    Kept::Void => report.promises.void += 1,
                }
            }
        }
        self.report = report;
        Ok(())
    }

    /// A node that was not there applies all blocks that leaders built, as they come over the wire;
    /// the L1 that it is shown by them.
    fn sync(&self) -> Result<(Fork, Known), String> {
        let setup = self.setup;
        let mut state = setup.state.clone();
        let mut parent = setup.header.clone();
        let mut fork = if self.is_long {
            setup.long.clone()
        } else {
            setup.short.clone()
        };
        let anchor = fork.header(&setup.anchor().hash).ok_or("no anchor")?;
        let mut shown = BTreeMap::from([(anchor.hash, (anchor.number, anchor.parent))]);
        for block in &self.blocks {
            let bytes = alloy_rlp::encode(block);
            let block: Block =
                decode_exact("block", &bytes, bytes.len()).map_err(|e| e.to_string())?;
            if !block.is_whole() {
                return Err("a block is not what its header commits to".into());
            }
            // This compares the state root with the header's.
            state = apply(&state, &parent, &block, Checks::Replay).map_err(|error| {
                format!("a node that syncs refuses what a leader built: {error}")
            })?;
            for header in pointer_headers(&block).map_err(|error| error.to_string())? {
                fork.insert(header).map_err(|error| error.to_string())?;
                shown.insert(header.hash, (header.number, header.parent));
            }
            parent = block.header;
        }
        if state != self.leader {
            return Err("a node that syncs is in another state".into());
        }
        fork.set_tip(self.l1.at(self.tip()).hash)
            .map_err(|error| error.to_string())?;
        Ok((fork, shown))
    }

    /// Deriving all from the start gives what following step by step gave; the cursor at the end.
    fn pure(&self, place: usize, mut fork: Fork, rollup: &Rollup) -> Result<Cursor, String> {
        for (i, block) in self.l1.blocks.iter().enumerate() {
            fork.set_entries(block.at.hash, self.l1.entries(i, place));
        }
        let mut cursor = Cursor::new(self.setup.anchor());
        let mut ledger = Ledger::new();
        for (lane, line) in rollup.lanes.iter().zip(&rollup.lines) {
            let derived = derive_lane(
                &cursor,
                &lane.header,
                &lane.body,
                &fork,
                &Transfers,
                &PARAMS,
            );
            let (next, input) = derived.map_err(|error| error.to_string())?;
            let want = Line::new(&ledger, input);
            if want != *line {
                let height = lane.header.height;
                return Err(format!(
                    "lane block {height}, followed step by step: {:?}\nfrom the start: {:?}",
                    line.told(),
                    want.told()
                ));
            }
            (cursor, ledger) = (next, want.after);
        }
        if rollup.timeline.cursor() != &cursor {
            return Err("step by step derivation ends at another place than from the start".into());
        }
        Ok(cursor)
    }

    /// Σ deposits = Σ credits + queued, none twice, in order.
    fn deposits(
        &self,
        place: usize,
        on_fork: &BTreeSet<B256>,
        rollup: &Rollup,
        cursor: &Cursor,
    ) -> Result<Vec<u64>, String> {
        let mut want = Vec::new();
        let mut unread = Vec::new();
        for i in self.l1.between(0, self.tip()) {
            let block = &self.l1.blocks[i];
            let ids = block.calls[place].iter().map(|call| call.id);
            if block.at.number > cursor.scanned.number {
                unread.extend(ids.clone());
            }
            want.extend(ids);
        }
        let imported = rollup.lines.iter().flat_map(|line| &line.input.imports);
        let mut got = Vec::new();
        let mut sum = 0;
        for entry in imported {
            if !on_fork.contains(&entry.block.hash) {
                return Err(format!("deposit {} is of a lost fork", credit(entry).id));
            }
            sum += credit(entry).amount;
            got.push(credit(entry).id);
        }
        got.extend(cursor.queue.iter().map(|entry| credit(entry).id));
        got.extend(unread);
        if got != want {
            return Err(format!(
                "deposits credited, queued and not reached {got:?}, made {want:?}"
            ));
        }
        let ledger = rollup.ledger();
        let held: u64 = ledger.accounts.iter().map(|(_, balance)| balance).sum();
        let want_held = BALANCE * ledger.accounts.len() as u64 + sum;
        if held != want_held {
            return Err(format!("accounts hold {held}, {want_held} came in"));
        }
        Ok(want)
    }

    /// R19, R21: a promise came true, or L1 took away what it was built on.
    fn promise(
        &self,
        place: usize,
        tip: L1Ref,
        promised: &Promised,
        rollup: &Rollup,
    ) -> Result<Kept, String> {
        let Promised { promise, index, .. } = promised;
        let at = rollup
            .lanes
            .iter()
            .position(|lane| lane.header.hash() == promised.lane);
        let Some(at) = at else {
            return Ok(Kept::Void);
        };
        let (lane, line) = (&rollup.lanes[at], &rollup.lines[at]);
        if keccak256(&lane.body.transactions[*index]) != promise.transaction {
            return Err("another transaction stands where one was promised".into());
        }
        let Terms::Execution {
            l2_parent, context, ..
        } = promise.terms
        else {
            return Ok(Kept::Yes);
        };
        if line.executed.contains(index) && line.parent == l2_parent {
            return Ok(Kept::Yes);
        }
        let end = self.l1.find(&tip.hash).ok_or("the tip is not there")?;
        let find = |block: &L1Ref| self.l1.find(&block.hash).ok_or("a block nobody grew");
        let (context, then) = (find(&context)?, find(&promised.tip)?);
        let mut excused = !self.l1.is_ancestor(context, end);
        // A proposer that builds on the pointer is excused by its context alone. If it goes back to
        // older ones it must also speak for what its earlier lane blocks brought in: they may be
        // less, or more, on another fork.
        for earlier in rollup.lanes[..at].iter().filter(|_| place != 0) {
            let earlier = find(&earlier.header.context)?;
            excused |= self.l1.parting(earlier, then) != self.l1.parting(earlier, end);
        }
        if excused {
            Ok(Kept::Excused)
        } else {
            Err(format!(
                "the promise of {:?} is broken without excuse",
                promise.position
            ))
        }
    }
}

enum Kept {
    Yes,
    Excused,
    Void,
}

fn naive(facts: &Facts<'_>, setup: &Setup, tip: L1Ref, rollup: &Rollup) -> Result<(), String> {
    let lane = |lane: &cortado_derive::Lane| model::Lane {
        context: lane.header.context,
        transactions: lane
            .body
            .transactions
            .iter()
            .map(|raw| decode(raw))
            .collect(),
    };
    let lanes: Vec<_> = rollup.lanes.iter().map(lane).collect();
    let start = Ledger::new().accounts;
    let want = model::derive(facts, setup.anchor(), tip, IMPORT_GAS, &start, &lanes);
    for (line, want) in rollup.lines.iter().zip(want) {
        let got = line.told();
        if got != want {
            let height = line.input.lane.height;
            return Err(format!(
                "lane block {height}: derived {got:?}\nthe model says {want:?}"
            ));
        }
    }
    Ok(())
}

/// No transaction with a surviving reference dropped, none with a dropped reference executed: said
/// of each alone, by L1's own account of who descends from whom.
fn references(facts: &Facts<'_>, tip: L1Ref, rollup: &Rollup) -> Result<(), String> {
    let l1 = &facts.case.l1;
    let tip = l1.find(&tip.hash).ok_or("the tip is not there")?;
    for (lane, line) in rollup.lanes.iter().zip(&rollup.lines) {
        let context = lane.header.context;
        let at = l1.find(&context.hash).ok_or("a context that nobody grew")?;
        for (index, raw) in lane.body.transactions.iter().enumerate() {
            let references = decode(raw).map_or_else(Vec::new, |t| t.references);
            let survives = match references.as_slice() {
                [] => l1.is_ancestor(at, tip),
                [hash] => match (l1.find(hash), facts.case.setup.prehistory.get(hash)) {
                    (Some(block), _) => l1.is_ancestor(block, at) && l1.is_ancestor(block, tip),
                    (None, Some(old)) => {
                        facts.case.is_long && context.number - old.number <= REF_MAX
                    }
                    (None, None) => false,
                },
                _ => false,
            };
            let height = lane.header.height;
            match (survives, line.is_in(index)) {
                (true, false) => {
                    return Err(format!(
                        "transaction {index} of lane block {height} is dropped, its reference survives"
                    ));
                }
                (false, true) => {
                    return Err(format!(
                        "transaction {index} of lane block {height} is in, its reference does not survive"
                    ));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
