//! Carries out what [`super::state`] decides.

use super::{
    ingress::{MAILBOX_SIZE, Mailbox, Message, Observation},
    state::Witness,
};
use crate::{
    committee::Committee,
    ledger::Finalized,
    network::Link,
    runtime::{Runtime, Transport},
    tally::{Counted, Tally},
};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use commonware_cryptography::ed25519;
use commonware_macros::select_loop;
use commonware_p2p::{Blocker as _, Receiver as _, Recipients, Sender as _};
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_utils::channel::{mpsc, watch};
use cortado_types::{
    B256, SeatIndex, Subject, SubjectKind, Term,
    bls::{SecretBls, SignatureBytes},
    decode_exact,
};
use std::{sync::Arc, time::Duration};
use tracing::warn;

/// How often what the chain has not used yet is said again: L1 moves once in seconds.
const TICK: Duration = Duration::from_millis(500);

/// A signature on the wire, bytes: term, kind, hash and signature with their framing are under 96.
const SIGHT_BYTES_MAX: usize = 128;

/// "My L1 node holds this." Who says so is known from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Sight {
    /// The term whose seats say so: the signature is of this term.
    term: Term,
    /// 0 valid, 1 finalised.
    kind: u8,
    hash: B256,
    signature: SignatureBytes,
}

fn tally_of(committee: &Committee) -> Tally {
    Tally::new(committee.chain_id, committee.term, committee.seats.clone())
}

/// One seat's witness.
pub struct Config<N: Transport> {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// What it signs with in the terms in which it has a seat. A follower observes nothing and offers
    /// nothing.
    pub secret: Option<SecretBls>,
    /// The seats of the present term.
    pub committee: Committee,
    /// The network's blocker.
    pub blocker: N::Blocker,
}

/// Signs what the L1 node says, gathers what others sign.
pub struct Actor<E: Runtime, N: Transport> {
    context: ContextCell<E>,
    config: Config<N>,
    witness: Witness,
    tally: Tally,
    finalized: Arc<Finalized>,
    receiver: mpsc::Receiver<Message>,
    wake: watch::Sender<u64>,
}

impl<E: Runtime, N: Transport> Actor<E, N> {
    /// Nothing seen yet; the L1 watcher tells anew what is above `L1fin`.
    pub fn new(context: E, config: Config<N>, finalized: Arc<Finalized>) -> (Self, Mailbox) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let (wake, woken) = watch::channel(0);
        let actor = Self {
            context: ContextCell::new(context),
            tally: tally_of(&config.committee),
            config,
            witness: Witness::default(),
            finalized,
            receiver,
            wake,
        };
        (
            actor,
            Mailbox {
                sender,
                wake: woken,
            },
        )
    }

    /// Starts it; ends on shutdown.
    pub fn start(mut self, link: Link<N>) -> Handle<()> {
        spawn_cell!(self.context, self.run(link))
    }

    async fn run(mut self, (mut sender, mut receiver): Link<N>) {
        let mut tick = self.context.current() + TICK;
        select_loop! {
            self.context,
            on_start => {
                let sleep = self.context.sleep_until(tick);
            },
            on_stopped => {},
            Some(message) = self.receiver.recv() else break => {
                self.handle(message, &mut sender);
            },
            Ok((peer, bytes)) = receiver.recv() else break => {
                self.count(peer, bytes.as_ref());
            },
            _ = sleep => {
                tick = self.context.current() + TICK;
                self.repeat(&mut sender);
            },
        }
    }

    fn handle(&mut self, message: Message, sender: &mut N::Sender) {
        match message {
            Message::Observed(Observation::Header(raw)) => match self.witness.header(raw) {
                Ok(Some(subject)) => self.say(subject, sender),
                Ok(None) => {}
                Err(error) => warn!(%error, "the L1 node gave a header that is none"),
            },
            Message::Observed(Observation::Finalized(hash)) => {
                if let Some(subject) = self.witness.l1_final(hash) {
                    self.say(subject, sender);
                }
            }
            Message::Observed(Observation::Seats(read)) => {
                let registry = self.finalized.state.config.registry;
                match self.witness.seats(registry, *read) {
                    Ok(()) => self.wake.send_modify(|version| *version += 1),
                    Err(error) => warn!(%error, "the L1 node gave seats that it does not show"),
                }
            }
            Message::Operations { state, reply } => {
                let _ = reply.send(self.witness.operations(&state));
            }
            Message::Finalized(finalized) => {
                self.witness.finalize(&finalized.state);
                self.finalized = finalized;
                self.follow_term(sender);
            }
        }
    }

    /// What seats signed in a term that is over convinces nobody: it is said and gathered again.
    fn follow_term(&mut self, sender: &mut N::Sender) {
        let state = self.finalized.state.clone();
        if state.term == self.config.committee.term {
            return;
        }
        let secret = self.config.secret.as_ref();
        match Committee::of(&state, &self.config.me, secret) {
            Ok(committee) => self.config.committee = committee,
            Err(error) => {
                warn!(%error, "the seats of the term cannot be used; nothing is signed");
                return;
            }
        }
        self.tally = tally_of(&self.config.committee);
        self.witness.change_term();
        self.repeat(sender);
    }

    fn repeat(&mut self, sender: &mut N::Sender) {
        for subject in self.witness.unused(&self.finalized.state) {
            self.say(subject, sender);
        }
    }

    fn say(&mut self, subject: Subject, sender: &mut N::Sender) {
        let committee = &self.config.committee;
        let Some(signer) = &committee.signer else {
            return;
        };
        let message = subject.message(&committee.base_namespace, committee.term);
        let signature = signer.secret.sign(&message);
        let index = signer.index;
        let kind = u8::from(subject.kind == SubjectKind::L1Final);
        let encoded = alloy_rlp::encode(Sight {
            term: committee.term,
            kind,
            hash: subject.hash,
            signature,
        });
        let others = committee.others(&self.config.me);
        sender.send(Recipients::Some(others.cloned().collect()), encoded, false);
        self.add(subject, index, signature);
    }

    fn count(&mut self, peer: ed25519::PublicKey, bytes: &[u8]) {
        let Some(seat) = self.config.committee.seat_of(&peer) else {
            return;
        };
        let sight: Sight = match decode_exact("sight", bytes, SIGHT_BYTES_MAX) {
            Ok(sight) => sight,
            Err(error) => {
                warn!(?peer, %error, "sight refused");
                self.config.blocker.block(peer);
                return;
            }
        };
        // At the end of a term seats are a moment ahead or behind; what is not used is said again.
        if sight.term != self.config.committee.term {
            return;
        }
        let kind = match sight.kind {
            0 => SubjectKind::Sight,
            1 => SubjectKind::L1Final,
            _ => return,
        };
        let subject = Subject {
            kind,
            hash: sight.hash,
        };
        self.add(subject, seat, sight.signature);
    }

    fn add(&mut self, subject: Subject, seat: SeatIndex, signature: SignatureBytes) {
        let counted = self.tally.add(subject, seat, signature);
        for seat in self.tally.take_faulty() {
            warn!(%seat, "seat sent a signature that is not its own");
            if let Some(peer) = self.config.committee.peer(seat) {
                self.config.blocker.block(peer.clone());
            }
        }
        if let Counted::Certified(certificate) = counted {
            self.witness.certify(subject, certificate);
            self.wake.send_modify(|version| *version += 1);
        }
    }
}
