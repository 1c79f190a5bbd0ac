//! What proposers cut, and what they promise of it.

use crate::{
    case::Case,
    model::Transfer,
    rollup::{Ledger, Promised, encode},
    setup::{CHAIN, NAMESPACES, certificate},
};
use cortado_chain::is_slot_open;
use cortado_preconf::{Coverage, Outcome, Position, Promise, Terms};
use cortado_types::{
    B256, Bytes, Height, L1Ref, LaneBody, LaneEntry, LaneHeader, Seq, SignedLaneHeader, Slot,
    ecdsa::Signature,
    keccak256,
    limits::{CONTEXT_LAG, GRACE_MS, PROTOCOL_VERSION},
};
use rand::{Rng, seq::IndexedRandom};
use std::sync::Arc;

/// Gas of every transaction that was valid.
const GAS: u64 = 21_000;

/// Lane blocks on their way to the chain.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) run: Vec<LaneEntry>,
    /// Blocks that it still misses.
    delay: u32,
}

impl Case<'_> {
    /// Lane blocks that reach the next block's leader.
    pub(crate) fn take_due(&mut self) -> Vec<Pending> {
        let mut due = Vec::new();
        for pending in &mut self.pending {
            match pending {
                Some(waiting) if waiting.delay > 0 => waiting.delay -= 1,
                Some(_) => due.extend(pending.take()),
                None => {}
            }
        }
        due
    }

    /// The slot in which a lane block may be cut now.
    fn open_slot(&self, place: usize) -> Option<Slot> {
        let (state, clock) = (&self.leader, &self.leader.config.clock);
        let tip = state.namespaces.get(&NAMESPACES[place])?.tip;
        let now = clock.slot_at(self.time);
        // The one before while it is in its grace, and will be when the lane block arrives.
        let before = now.get().checked_sub(1).map(Slot::new);
        let late = self.time.plus(GRACE_MS - 1);
        before
            .filter(|slot| is_slot_open(clock, &tip, *slot, late))
            .or(Some(now))
            .filter(|slot| is_slot_open(clock, &tip, *slot, self.time))
    }

    /// One to three lane blocks of rollup `place`, with promises.
    pub(crate) fn cut(&mut self, place: usize) -> Result<(), String> {
        let Some(slot) = self.open_slot(place) else {
            return Ok(());
        };
        let mut tip = self.leader.namespaces[&NAMESPACES[place]].tip;
        let mut cursor = self.rollups[place].timeline.cursor().clone();
        let mut ledger = self.rollups[place].ledger();
        let mut run = Vec::new();
        let count = *[1, 1, 2, 3].choose(&mut self.rng).unwrap_or(&1);
        for nth in 0..count {
            let context = self.context(place);
            let body = self.body(context, ledger.clone());
            let same = tip.height > Height::ZERO && tip.slot == slot;
            let header = LaneHeader {
                version: PROTOCOL_VERSION,
                chain_id: CHAIN,
                namespace: NAMESPACES[place],
                slot,
                seq: if same {
                    Seq::new(tip.seq.get() + 1)
                } else {
                    Seq::ZERO
                },
                last: nth + 1 == count && self.rng.random_bool(0.02),
                height: Height::new(tip.height.get() + 1),
                parent: tip.hash,
                context,
                timestamp: self.leader.config.clock.start(slot).max(tip.timestamp),
                body_root: body.root(),
                size: body.size(),
                group: B256::ZERO,
            };
            let hash = header.hash();
            (tip.height, tip.hash, tip.slot, tip.seq) = (header.height, hash, slot, header.seq);
            tip.timestamp = header.timestamp;
            let rollup = &mut self.rollups[place];
            let (next, input) = rollup.preview(&self.l1, &cursor, &header, &body)?;
            cursor = next;
            let l2_parent = ledger.head;
            let executed = ledger.execute(&input);
            for index in executed {
                let terms = match self.rng.random_range(0..4) {
                    0 => Terms::Inclusion,
                    1 => continue,
                    _ => Terms::Execution {
                        l2_parent,
                        context,
                        outcome: Outcome::of(true, &[], GAS),
                    },
                };
                let promise = Promise {
                    chain_id: CHAIN,
                    position: Position {
                        namespace: header.namespace,
                        slot,
                        seq: header.seq,
                        index: index as u64,
                    },
                    transaction: keccak256(&body.transactions[index]),
                    terms,
                    coverage: Coverage::default(),
                    deadline: self.leader.config.clock.end(slot).plus(GRACE_MS),
                };
                rollup.promises.push(Promised {
                    promise,
                    index,
                    lane: hash,
                    tip: rollup.timeline.fork().tip(),
                });
            }
            self.bodies.insert(hash, Arc::new(body));
            // A child's certificate covers its parent (R6a).
            let certified = nth + 1 == count || self.rng.random_bool(0.5);
            run.push(LaneEntry {
                lane: SignedLaneHeader {
                    header,
                    signature: Signature([0; 65].into()),
                },
                certificate: certified.then(certificate),
            });
        }
        let delay = *[0, 0, 0, 1, 2].choose(&mut self.rng).unwrap_or(&0);
        self.pending[place] = Some(Pending { run, delay });
        Ok(())
    }

    /// The first rollup's proposer builds on the pointer, as an honest one does; the second's on
    /// anything that a context may be (R8a).
    fn context(&mut self, place: usize) -> L1Ref {
        let head = self.leader.anchor();
        if place == 0 || self.rng.random_bool(0.4) {
            return head;
        }
        let lowest = head.number.saturating_sub(CONTEXT_LAG);
        if self.rng.random_bool(0.5) {
            let lowest = lowest.max(self.l1.at(0).number);
            let number = self.rng.random_range(lowest..=head.number);
            let ancestor = self.l1.ancestor(self.head(), number);
            let at = self.l1.at(ancestor);
            return if self.leader.l1.get(&at.hash).is_some() {
                at
            } else {
                head
            };
        }
        let tracked = |block: &&crate::l1::L1Block| {
            block.at.number >= lowest && self.leader.l1.get(&block.at.hash).is_some()
        };
        let all: Vec<L1Ref> = self
            .l1
            .blocks
            .iter()
            .filter(tracked)
            .map(|block| block.at)
            .collect();
        all.choose(&mut self.rng).copied().unwrap_or(head)
    }

    fn body(&mut self, context: L1Ref, mut ledger: Ledger) -> LaneBody {
        let count = *[0, 1, 2, 2, 4].choose(&mut self.rng).unwrap_or(&0);
        let one = |_| {
            if self.rng.random_ratio(1, 40) {
                return Bytes::from_static(&[0x7f]);
            }
            let (from, to) = (self.any_account(), self.any_account());
            let (nonce, balance) = ledger.accounts[from];
            let mut transfer = Transfer {
                from,
                nonce: nonce + u64::from(self.rng.random_ratio(1, 12)),
                to,
                amount: self.rng.random_range(0..=balance / 3 + 1),
                references: Vec::new(),
            };
            transfer.references = self.references(context);
            let raw = encode(&transfer);
            ledger.transfer(&raw);
            raw
        };
        LaneBody {
            transactions: (0..count).map(one).collect(),
        }
    }

    /// Good references and all kinds of bad ones (R11).
    fn references(&mut self, context: L1Ref) -> Vec<B256> {
        let rng = &mut self.rng;
        let at = self.l1.find(&context.hash).expect("grown by the story");
        let any = |rng: &mut rand::rngs::StdRng| {
            let all = &self.l1.blocks;
            all.choose(rng).expect("the anchor is there").at.hash
        };
        let lowest = self.l1.at(0).number;
        match rng.random_range(0..20) {
            0..8 => Vec::new(),
            8..10 => vec![context.hash],
            10..15 => {
                let number = rng.random_range(lowest..=context.number);
                vec![self.l1.at(self.l1.ancestor(at, number)).hash]
            }
            15..17 => vec![any(rng)],
            17 => vec![B256::from(rng.random::<[u8; 32]>())],
            18 => vec![any(rng), any(rng)],
            // Below the anchor: too old, or just not, or not in the view.
            _ if rng.random_bool(0.5) => {
                let young = self.setup.old.len() - 1;
                vec![self.setup.old[rng.random_range(0..=young)].hash]
            }
            _ => vec![self.setup.old[rng.random_range(0..160)].hash],
        }
    }
}
