//! Finding a place for every transaction, and opening and closing the lane blocks around them.

use super::{
    Decision, Effect, Gateway, GatewayConfig, GatewayError, LIVE_BYTES_MAX, LIVE_TRANSACTIONS_MAX,
    Lane, Live, Place, QUEUED_MS_MAX, QueueError, Record, Ticket, holder,
    record::{Dropped, Opened, Pushed, Sealed, Waiting},
};
use crate::{
    engine::{Included, PushError, outcome_of},
    source::Submitted,
};
use cortado_derive::{Ethereum, References};
use cortado_ethrpc::SubmitError;
use cortado_evm::TxRejection;
use cortado_preconf::{Coverage, Outcome, Position, Promise, Terms};
use cortado_types::{
    Address, B256, L1Ref, LaneHeader, Namespace, TimestampMs,
    limits::{GRACE_MS, PROTOCOL_VERSION},
};

/// Places looked for: behind a lane block that is too old, one that is full, and a slot that is.
const PLACES_TRIED_MAX: usize = 4;

/// RLP length of a transaction's own length, at most.
const LENGTH_BYTES: u64 = 4;

impl Gateway {
    /// Executes a transaction on the pending state and records the promise for it. The answer comes
    /// with the next [`Gateway::commit`].
    ///
    /// # Errors
    /// If a rollup fails; a refused transaction is an answer.
    pub fn submit(
        &mut self,
        namespace: Namespace,
        included: Included,
        ticket: Ticket,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        let Some(lane) = self.lanes.get_mut(&namespace) else {
            self.refuse(
                ticket,
                SubmitError::Other(format!("namespace {namespace} is not served")),
            );
            return Ok(());
        };
        if lane.restored.is_some() {
            let height = lane.engine.next_height();
            let message = format!("the proposer is catching up and is before block {height}");
            self.refuse(ticket, SubmitError::Other(message));
            return Ok(());
        }
        let hash = included.hash();
        if lane.known.contains_key(&hash) {
            let answer = match self.book.live(&hash) {
                Some(promises) => Ok(Submitted::Promised {
                    hash,
                    promises: Box::new(promises),
                }),
                None => Err(SubmitError::AlreadyKnown),
            };
            self.effects.push(Effect::Answer(ticket, answer));
            return Ok(());
        }
        let (size, limit) = (included.raw.len(), lane.sequencer.transaction_bytes_max());
        if size > limit {
            self.refuse(ticket, SubmitError::Oversized { size, limit });
            return Ok(());
        }
        if let Some((have, want)) = lane.underpriced(&included) {
            self.refuse(ticket, SubmitError::Underpriced { have, want });
            return Ok(());
        }
        if lane.known.len() >= LIVE_TRANSACTIONS_MAX || lane.bytes >= LIVE_BYTES_MAX {
            self.refuse(ticket, SubmitError::PoolFull);
            return Ok(());
        }
        let sender = included.transaction.signer();
        match self.place(namespace, included.clone(), Some(ticket), now)? {
            Ok(()) => {}
            Err(PushError::Rejected(TxRejection::NonceTooHigh { expected, .. })) => {
                let lane = self.lanes.get_mut(&namespace).expect("looked up above");
                let raw = included.raw.clone();
                let answer = match lane.queue.insert(included, now) {
                    Ok(replaced) => {
                        if let Some(replaced) = replaced {
                            let reason =
                                format!("replaced by {hash}, which offers more for its nonce");
                            self.give_up(namespace, replaced.hash(), reason);
                        }
                        let waiting = Waiting { namespace, raw };
                        super::record(&mut self.records, Record::Waiting(waiting));
                        Ok(Submitted::Queued { hash, expected })
                    }
                    Err(QueueError::Taken) => Err(SubmitError::ReplacementUnderpriced),
                    Err(QueueError::NoRoom) => Err(SubmitError::PoolFull),
                };
                self.effects.push(Effect::Answer(ticket, answer));
                return Ok(());
            }
            Err(error) => {
                self.refuse(ticket, submit_error(error));
                return Ok(());
            }
        }
        self.drain_queue(namespace, sender, now)
    }

    /// Places what waited for the sender's nonce.
    pub(super) fn drain_queue(
        &mut self,
        namespace: Namespace,
        sender: Address,
        now: TimestampMs,
    ) -> Result<(), GatewayError> {
        loop {
            let Some(lane) = self.lanes.get_mut(&namespace) else {
                return Ok(());
            };
            let nonce = lane.engine.pending_nonce(&sender);
            let Some(included) = lane.queue.take(sender, nonce) else {
                return Ok(());
            };
            let hash = included.hash();
            match self.place(namespace, included.clone(), None, now)? {
                Ok(()) => {}
                Err(PushError::NotOpen) => {
                    let lane = self.lanes.get_mut(&namespace).expect("as above");
                    lane.put_again([included]);
                    return Ok(());
                }
                Err(error) => {
                    self.give_up(namespace, hash, error.to_string());
                    return Ok(());
                }
            }
        }
    }

    /// Says that a transaction that waited gets no place.
    pub(super) fn give_up(&mut self, namespace: Namespace, hash: B256, reason: String) {
        let dropped = Dropped {
            namespace,
            transaction: hash,
        };
        super::record(&mut self.records, Record::Dropped(dropped));
        self.effects.push(Effect::Dropped {
            namespace,
            hash,
            reason,
        });
    }

    fn refuse(&mut self, ticket: Ticket, error: SubmitError) {
        self.effects.push(Effect::Answer(ticket, Err(error)));
    }

    /// Executes at the next free index, opening and closing lane blocks as needed.
    pub(super) fn place(
        &mut self,
        namespace: Namespace,
        included: Included,
        ticket: Option<Ticket>,
        now: TimestampMs,
    ) -> Result<Result<(), PushError>, GatewayError> {
        // A lane block that is full or on too old an L1 block is closed, then a full slot; an empty one
        // takes any transaction.
        for _ in 0..PLACES_TRIED_MAX {
            self.advance(namespace, now, true)?;
            let lane = self
                .lanes
                .get_mut(&namespace)
                .expect("checked by the callers");
            let Some(slot) = lane.sequencer.open_slot() else {
                return Ok(Err(PushError::NotOpen));
            };
            let open = lane.engine.pending().next_back();
            let (bytes, count) = open.map_or((0, 0), |open| (open.bytes, open.transactions.len()));
            let room = lane.sequencer.slot_room(slot).saturating_sub(bytes as u64);
            if included.raw.len() as u64 + LENGTH_BYTES > room {
                // The slot's quota is used up: what follows is the next slot's.
                self.seal(namespace, true)?;
                continue;
            }
            match lane.engine.push(included.clone()) {
                Ok(outcome) => {
                    self.promise(namespace, included, outcome_of(&outcome), ticket);
                    return Ok(Ok(()));
                }
                Err(
                    PushError::Full { .. }
                    | PushError::Rejected(TxRejection::BlockGasExhausted { .. }),
                ) if count > 0 => self.seal(namespace, false)?,
                Err(PushError::Reference(_)) if lane.newer_context_serves(&included) => {
                    if !lane.withdraw_empty() {
                        self.seal(namespace, false)?;
                    }
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Err(PushError::NotOpen))
    }

    /// Records a promise for what was just executed.
    fn promise(
        &mut self,
        namespace: Namespace,
        included: Included,
        outcome: Outcome,
        ticket: Option<Ticket>,
    ) {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let hash = included.hash();
        let live = lane.live.back_mut().expect("a lane block is open");
        let index = live.outcomes.len() as u64;
        live.outcomes.push((hash, outcome));
        lane.known.insert(hash, live.header.height.get());
        lane.bytes += included.raw.len();
        lane.sequencer.pushed(1);
        let promises = promises(&self.config, live, index);
        let raw = included.raw;
        super::record(
            &mut self.records,
            Record::Pushed(Pushed {
                namespace,
                raw: raw.clone(),
                outcome,
            }),
        );
        self.effects.push(Effect::Promise {
            namespace,
            raw,
            promises,
            ticket,
        });
    }

    /// Does what is due at `now` in every namespace; returns when something is due next.
    ///
    /// # Errors
    /// If the executor fails.
    pub fn tick(&mut self, now: TimestampMs) -> Result<TimestampMs, GatewayError> {
        let mut next = now.plus(self.config.clock.slot_ms);
        for namespace in self.lanes.keys().copied().collect::<Vec<_>>() {
            let lane = self.lanes.get_mut(&namespace).expect("from the map");
            let (expired, is_behind) = (lane.queue.expire(now), lane.restored.is_some());
            for expired in expired {
                let minutes = QUEUED_MS_MAX / 60_000;
                let reason = format!("none with the nonce before it came for {minutes} minutes");
                self.give_up(namespace, expired.hash(), reason);
            }
            if is_behind {
                continue;
            }
            next = next.min(self.advance(namespace, now, false)?);
            if self.place_again(namespace, now)? {
                next = now;
            }
        }
        Ok(next)
    }

    /// Opens and closes lane blocks until there is nothing to do but wait.
    fn advance(
        &mut self,
        namespace: Namespace,
        now: TimestampMs,
        demand: bool,
    ) -> Result<TimestampMs, GatewayError> {
        loop {
            let lane = self
                .lanes
                .get_mut(&namespace)
                .expect("checked by the callers");
            let oldest = lane.live.front().map(|live| live.header.slot);
            match lane.sequencer.decide(now, demand, oldest) {
                Decision::Wait(until) => return Ok(until),
                Decision::Seal { last } => self.seal(namespace, last)?,
                Decision::Open(place) => {
                    if holder(&self.config, namespace, place.slot) != Some(self.signer.address()) {
                        return Ok(self.config.clock.end(place.slot));
                    }
                    self.open_lane(namespace, &place, now);
                    // A transaction waits and has its place now.
                    if demand {
                        let lane = self.lanes.get(&namespace).expect("as above");
                        if !matches!(
                            lane.sequencer.decide(now, false, oldest),
                            Decision::Seal { .. }
                        ) {
                            return Ok(now);
                        }
                    }
                }
            }
        }
    }

    fn open_lane(&mut self, namespace: Namespace, place: &Place, now: TimestampMs) {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        lane.withdraw_empty();
        let header = LaneHeader {
            version: PROTOCOL_VERSION,
            chain_id: self.config.chain_id,
            namespace,
            slot: place.slot,
            seq: place.seq,
            last: false,
            height: place.height,
            parent: place.parent,
            context: lane.engine.context(),
            timestamp: place.timestamp,
            body_root: B256::ZERO,
            size: 0,
            group: B256::ZERO,
        };
        lane.engine.open_lane(header.clone(), self.signer.address());
        lane.sequencer.opened(place, now);
        let l2_parent = lane
            .engine
            .l2_parent()
            .map(|parent| parent.hash())
            .unwrap_or_default();
        lane.live.push_back(Live::opened(header.clone(), l2_parent));
        super::record(
            &mut self.records,
            Record::Opened(Opened {
                header: header.clone(),
                l2_parent,
            }),
        );
        self.effects.push(Effect::Opened(header));
    }

    pub(super) fn seal(&mut self, namespace: Namespace, last: bool) -> Result<(), GatewayError> {
        let lane = self
            .lanes
            .get_mut(&namespace)
            .expect("checked by the callers");
        let Some(header) = lane.engine.sealed_header(last) else {
            return Ok(());
        };
        lane.engine.seal_lane(header.clone())?;
        lane.sequencer.sealed(&header);
        if let Some(live) = lane.live.back_mut() {
            live.header = header.clone();
        }
        super::record(
            &mut self.records,
            Record::Sealed(Sealed {
                header: header.clone(),
            }),
        );
        self.effects.push(Effect::Sealed(header));
        Ok(())
    }
}

impl Lane {
    /// Takes the open lane block back if it is empty: nothing was said of it. Its place is free then.
    pub(super) fn withdraw_empty(&mut self) -> bool {
        let was_empty = self.engine.discard_empty_lane();
        if was_empty {
            self.live.pop_back();
            self.sequencer.discarded();
        }
        was_empty
    }

    /// Whether a lane block that is opened now would build on an L1 block to which the transaction can
    /// refer, as the open one does not: L1 went on since it was opened. True at most once for each move
    /// of the pointer, so nobody can have lane blocks closed at will.
    fn newer_context_serves(&self, included: &Included) -> bool {
        let Some(open) = self.engine.pending().next_back() else {
            return false;
        };
        let newest = self.engine.context();
        let serves = |hash: B256| {
            let number = self.engine.l1_number(&hash)?;
            let on_fork = self.engine.is_on_fork(&L1Ref { number, hash });
            Some(on_fork && number <= newest.number)
        };
        let mut references = Ethereum.references(&included.raw).into_iter();
        newest.number > open.header.context.number
            && references.all(|hash| serves(hash) == Some(true))
    }
}

/// Both promises for the transaction at `index` of a lane block.
pub(super) fn promises(config: &GatewayConfig, live: &Live, index: u64) -> Box<[Promise; 2]> {
    let header = &live.header;
    let (hash, outcome) = live.outcomes[index as usize];
    let position = Position {
        namespace: header.namespace,
        slot: header.slot,
        seq: header.seq,
        index,
    };
    let terms = [
        Terms::Inclusion,
        Terms::Execution {
            l2_parent: live.l2_parent,
            context: header.context,
            outcome,
        },
    ];
    Box::new(terms.map(|terms| Promise {
        chain_id: config.chain_id,
        position,
        transaction: hash,
        terms,
        coverage: Coverage::default(),
        deadline: config.clock.end(header.slot).plus(GRACE_MS),
    }))
}

fn submit_error(error: PushError) -> SubmitError {
    match error {
        PushError::Rejected(rejection) => rejection.into(),
        PushError::NotOpen | PushError::Full { .. } => SubmitError::PoolFull,
        other => SubmitError::Other(other.to_string()),
    }
}
