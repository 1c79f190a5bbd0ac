//! Carries out what [`super::state`] decides.

use super::{
    ingress::{MAILBOX_SIZE, Mailbox, Message, Observation},
    state::Witness,
};
use crate::{
    lanes::SeatSigner,
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
use cortado_types::{B256, SeatIndex, Subject, SubjectKind, bls::SignatureBytes, decode_exact};
use std::{sync::Arc, time::Duration};
use tracing::warn;

/// How often what the chain has not used yet is said again: L1 moves once in seconds.
const TICK: Duration = Duration::from_millis(500);

/// A signature on the wire, bytes: kind, hash and signature with their framing are 86.
const SIGHT_BYTES_MAX: usize = 128;

/// "My L1 node holds this." Who says so is known from the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Sight {
    /// 0 valid, 1 finalised.
    kind: u8,
    hash: B256,
    signature: SignatureBytes,
}

/// One seat's witness.
pub struct Config<N: Transport> {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// Its seat. A follower has none, observes nothing and offers nothing.
    pub signer: Option<SeatSigner>,
    /// Peers of the seats, in bitmap order.
    pub seats: Vec<ed25519::PublicKey>,
    /// The network's blocker.
    pub blocker: N::Blocker,
}

/// Signs what the L1 node says, gathers what others sign.
pub struct Actor<E: Runtime, N: Transport> {
    context: ContextCell<E>,
    config: Config<N>,
    witness: Witness,
    tally: Tally,
    base_namespace: Vec<u8>,
    finalized: Arc<Finalized>,
    receiver: mpsc::Receiver<Message>,
    wake: watch::Sender<u64>,
}

impl<E: Runtime, N: Transport> Actor<E, N> {
    /// Nothing seen yet; the L1 watcher tells anew what is above `L1fin`.
    pub fn new(context: E, config: Config<N>, finalized: Arc<Finalized>) -> (Self, Mailbox) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let (wake, woken) = watch::channel(0);
        let state = &finalized.state;
        let chain_id = state.config.chain_id;
        let actor = Self {
            context: ContextCell::new(context),
            config,
            witness: Witness::default(),
            tally: Tally::new(chain_id, state.term, state.seats.clone()),
            base_namespace: state.seats.base_namespace(chain_id),
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
                for subject in self.witness.unused(&self.finalized.state) {
                    self.say(subject, &mut sender);
                }
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
            Message::Operations { state, reply } => {
                let _ = reply.send(self.witness.operations(&state));
            }
            Message::Finalized(finalized) => {
                self.witness.finalize(&finalized.state);
                self.finalized = finalized;
            }
        }
    }

    fn say(&mut self, subject: Subject, sender: &mut N::Sender) {
        let Some(signer) = &self.config.signer else {
            return;
        };
        let message = subject.message(&self.base_namespace, self.finalized.state.term);
        let signature = signer.secret.sign(&message);
        let index = signer.index;
        let kind = u8::from(subject.kind == SubjectKind::L1Final);
        let encoded = alloy_rlp::encode(Sight {
            kind,
            hash: subject.hash,
            signature,
        });
        let others = self
            .config
            .seats
            .iter()
            .filter(|seat| **seat != self.config.me);
        sender.send(Recipients::Some(others.cloned().collect()), encoded, false);
        self.add(subject, index, signature);
    }

    fn count(&mut self, peer: ed25519::PublicKey, bytes: &[u8]) {
        let Ok(seat) = self.config.seats.binary_search(&peer) else {
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
        let kind = match sight.kind {
            0 => SubjectKind::Sight,
            1 => SubjectKind::L1Final,
            _ => return,
        };
        let subject = Subject {
            kind,
            hash: sight.hash,
        };
        self.add(subject, SeatIndex::new(seat as u32), sight.signature);
    }

    fn add(&mut self, subject: Subject, seat: SeatIndex, signature: SignatureBytes) {
        let counted = self.tally.add(subject, seat, signature);
        for seat in self.tally.take_faulty() {
            warn!(%seat, "seat sent a signature that is not its own");
            if let Some(peer) = self.config.seats.get(seat.get() as usize) {
                self.config.blocker.block(peer.clone());
            }
        }
        if let Counted::Certified(certificate) = counted {
            self.witness.certify(subject, certificate);
            self.wake.send_modify(|version| *version += 1);
        }
    }
}
