//! Carries out what [`super::state`] decides.

use super::{
    ingress::{MAILBOX_SIZE, Mailbox, Message},
    state::{Fate, Outbox},
};
use crate::{
    committee::Committee,
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
use std::time::Duration;
use tracing::{debug, warn};

/// How often silent seats are looked for.
const TICK: Duration = Duration::from_millis(200);

/// Acknowledgements of the next term that wait for it to begin here.
const EARLY_ACKS_MAX: usize = 4_096;

fn tally_of(committee: &Committee) -> Tally {
    Tally::new(committee.chain_id, committee.term, committee.seats.clone())
}

/// One proposer's publisher.
pub struct Config {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// The seats of the present term.
    pub committee: Committee,
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
    /// Acknowledgements of the next term, from seats that are in it already.
    early: Vec<(ed25519::PublicKey, Ack)>,
    receiver: mpsc::Receiver<Message>,
}

impl<E: Runtime> Actor<E> {
    /// Nothing on its way yet.
    pub fn new(context: E, config: Config) -> (Self, Mailbox) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let actor = Self {
            context: ContextCell::new(context),
            outbox: Outbox::new(config.committee.seats.len()),
            tally: tally_of(&config.committee),
            early: Vec::new(),
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
                            Recipients::Some(self.config.committee.peers.to_vec()),
                            lane.bytes.clone(),
                            false,
                        );
                        self.config.lanes.hold(lane).await;
                    }
                }
                Message::Finalized(finalized) => {
                    self.finalize(&finalized);
                    self.follow_term(&finalized, &mut lanes);
                }
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
            .filter_map(|seat| self.config.committee.peer(*seat).cloned())
            .collect();
        debug!(hash = %lane.hash, seats = recipients.len(), "sending a lane block again");
        sender.send(Recipients::Some(recipients), lane.bytes.clone(), false);
    }

    fn count(&mut self, peer: &ed25519::PublicKey, bytes: &[u8]) {
        let Ok(ack) = Ack::read(bytes) else { return };
        let present = self.config.committee.term;
        if ack.term == present {
            self.count_ack(peer, ack);
        } else if Some(ack.term) == present.next() && self.early.len() < EARLY_ACKS_MAX {
            self.early.push((peer.clone(), ack));
        }
    }

    fn count_ack(&mut self, peer: &ed25519::PublicKey, ack: Ack) {
        let committee = &self.config.committee;
        let Some(seat) = committee
            .seat_of(peer)
            .filter(|_| ack.term == committee.term)
        else {
            return;
        };
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

    /// New seats have nothing yet: they get what is on its way. The others hold it and acknowledge
    /// it anew (R6a).
    fn follow_term(
        &mut self,
        finalized: &Finalized,
        sender: &mut impl commonware_p2p::Sender<PublicKey = ed25519::PublicKey>,
    ) {
        let state = &finalized.state;
        if state.term == self.config.committee.term {
            return;
        }
        let next = match Committee::of(state, &self.config.me, None) {
            Ok(next) => next,
            Err(error) => {
                warn!(%error, "the seats of the term cannot be used; nothing is sent to them");
                return;
            }
        };
        let before = std::mem::replace(&mut self.config.committee, next);
        let committee = &self.config.committee;
        self.tally = tally_of(committee);
        let new: Vec<_> = committee
            .peers
            .iter()
            .filter(|peer| before.seat_of(peer).is_none())
            .cloned()
            .collect();
        let now = self.context.now_ms();
        for lane in self.outbox.change_term(committee.seats.len(), now) {
            if !new.is_empty() {
                let recipients = Recipients::Some(new.clone());
                sender.send(recipients, lane.bytes.clone(), false);
            }
        }
        for (peer, ack) in std::mem::take(&mut self.early) {
            self.count_ack(&peer, ack);
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
