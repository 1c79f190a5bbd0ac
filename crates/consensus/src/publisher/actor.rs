//! Carries out what [`super::state`] decides.

use super::{
    ingress::{MAILBOX_SIZE, Mailbox, Message},
    state::{Fate, Outbox},
};
use crate::{
    events::{Event, Events},
    lanes::{self, Ack, SealedLane},
    ledger::Finalized,
    runtime::{Runtime, Transport},
    tally::{Counted, Tally},
};
use commonware_cryptography::ed25519;
use commonware_macros::select_loop;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_utils::channel::mpsc;
use cortado_types::{SeatIndex, Subject, SubjectKind};
use std::{sync::Arc, time::Duration};
use tracing::debug;

/// How often silent seats are looked for.
const TICK: Duration = Duration::from_millis(200);

/// One proposer's publisher.
pub struct Config {
    /// Peers of the seats, in bitmap order.
    pub seats: Vec<ed25519::PublicKey>,
    /// Keeps and serves what is sent.
    pub lanes: lanes::Mailbox,
    /// Who listens.
    pub events: Events,
}

/// Sends lane blocks and counts acknowledgements.
pub struct Actor<E: Runtime> {
    context: ContextCell<E>,
    config: Config,
    outbox: Outbox,
    tally: Tally,
    receiver: mpsc::Receiver<Message>,
}

impl<E: Runtime> Actor<E> {
    /// Nothing on its way yet.
    pub fn new(context: E, config: Config, finalized: &Arc<Finalized>) -> (Self, Mailbox) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let state = &finalized.state;
        let actor = Self {
            context: ContextCell::new(context),
            outbox: Outbox::new(config.seats.len()),
            tally: Tally::new(state.config.chain_id, state.term, state.seats.clone()),
            config,
            receiver,
        };
        (actor, Mailbox(sender))
    }

    /// Starts it; ends on shutdown.
    pub fn start<N: Transport>(mut self, lanes: N::Sender, acks: N::Receiver) -> Handle<()> {
        spawn_cell!(self.context, self.run::<N>(lanes, acks))
    }

    async fn run<N: Transport>(mut self, mut lanes: N::Sender, mut acks: N::Receiver) {
        let mut tick = self.context.current() + TICK;
        select_loop! {
            self.context,
            on_start => {
                let sleep = self.context.sleep_until(tick);
            },
            on_stopped => {},
            Some(message) = self.receiver.recv() else break => match message {
                Message::Publish(lane) => {
                    let lane = *lane;
                    if self.outbox.publish(lane.clone(), self.context.now_ms()) {
                        lanes.send(
                            Recipients::Some(self.config.seats.clone()),
                            lane.bytes.clone(),
                            false,
                        );
                        self.config.lanes.hold(lane).await;
                    }
                }
                Message::Finalized(finalized) => self.finalize(&finalized),
            },
            Ok((peer, bytes)) = acks.recv() else break => {
                self.count(&peer, bytes.as_ref());
            },
            _ = sleep => {
                tick = self.context.current() + TICK;
                for (lane, silent) in self.outbox.overdue(self.context.now_ms()) {
                    self.resend(&mut lanes, &lane, &silent);
                }
            },
        }
    }

    fn resend(
        &self,
        sender: &mut impl commonware_p2p::Sender<PublicKey = ed25519::PublicKey>,
        lane: &SealedLane,
        silent: &[SeatIndex],
    ) {
        let recipients: Vec<_> = silent
            .iter()
            .filter_map(|seat| self.config.seats.get(seat.get() as usize).cloned())
            .collect();
        debug!(hash = %lane.hash, seats = recipients.len(), "sending a lane block again");
        sender.send(Recipients::Some(recipients), lane.bytes.clone(), false);
    }

    fn count(&mut self, peer: &ed25519::PublicKey, bytes: &[u8]) {
        let Ok(seat) = self.config.seats.binary_search(peer) else {
            return;
        };
        let Ok(ack) = Ack::read(bytes) else { return };
        let seat = SeatIndex::new(seat as u32);
        self.outbox.acknowledged(&ack.hash, seat);
        let subject = Subject {
            kind: SubjectKind::Available,
            hash: ack.hash,
        };
        if let Counted::Certified(certificate) = self.tally.add(subject, seat, ack.signature) {
            self.config.events.emit(Event::LaneCertified {
                hash: ack.hash,
                certificate,
            });
        }
    }

    fn finalize(&mut self, finalized: &Finalized) {
        let block = finalized.block.hash();
        for fate in self
            .outbox
            .finalize(finalized.block.inner(), &finalized.state)
        {
            self.config.events.emit(match fate {
                Fate::Included { namespace, hash } => Event::LaneIncluded {
                    namespace,
                    hash,
                    block,
                },
                Fate::Voided {
                    namespace,
                    slot,
                    hash,
                } => Event::LaneVoided {
                    namespace,
                    slot,
                    hash,
                },
            });
        }
    }
}
