//! Say what is held, and count who else says so (R6a).

use super::{Actor, Batch, FETCHES_MAX, tally_of};
use crate::{
    block::digest,
    committee::Committee,
    events::Event,
    lanes::wire::Ack,
    runtime::{Runtime, Transport},
    tally::Counted,
};
use commonware_cryptography::ed25519;
use commonware_p2p::{Blocker as _, Recipients, Sender as _};
use commonware_resolver::Resolver as _;
use cortado_types::{B256, SeatIndex, Subject, SubjectKind, bls::SignatureBytes};
use tracing::{debug, warn};

/// Acknowledgements repeated at a tick, so that a backlog does not become a flood.
const REPEATED_ACKS_MAX: usize = 64;

/// Acknowledgements of the next term that wait for it to begin here. They are repeated anyway.
const EARLY_ACKS_MAX: usize = 4_096;

impl<E: Runtime, N: Transport> Actor<E, N> {
    /// The batch is on disk: say so (R6a).
    pub(super) fn acknowledge(&mut self, batch: Batch) {
        for (hash, peer) in batch {
            self.lanes.acknowledge(&hash);
            debug!(%hash, "lane block on disk");
            if let Some(lane) = self.lanes.get(&hash) {
                self.config
                    .events
                    .emit(Event::LaneAcknowledged(lane.clone()));
            }
            self.send_ack(hash, Some(peer));
        }
    }

    pub(super) fn send_ack(&mut self, hash: B256, proposer: Option<ed25519::PublicKey>) {
        let others = self.config.committee.others(&self.config.me);
        let recipients = others.cloned().chain(proposer).collect();
        self.say_ack(hash, Recipients::Some(recipients));
    }

    fn say_ack(&mut self, hash: B256, recipients: Recipients<ed25519::PublicKey>) {
        let committee = &self.config.committee;
        let Some(signer) = &committee.signer else {
            return;
        };
        let subject = Subject {
            kind: SubjectKind::Available,
            hash,
        };
        let message = subject.message(&committee.base_namespace, committee.term);
        let signature = signer.secret.sign(&message);
        let index = signer.index;
        let encoded = alloy_rlp::encode(Ack {
            term: committee.term,
            hash,
            signature,
        });
        self.acks.send(recipients, encoded, true);
        self.add(subject, index, signature);
    }

    /// R6a: in a new term, what is not in a block yet is acknowledged anew.
    pub(super) fn follow_term(&mut self) {
        let state = self.finalized.state.clone();
        if state.term == self.config.committee.term {
            return;
        }
        let secret = self.config.secret.as_ref();
        match Committee::of(&state, &self.config.me, secret) {
            Ok(committee) => self.config.committee = committee,
            Err(error) => {
                warn!(%error, "the seats of the term cannot be used; nothing is acknowledged");
                return;
            }
        }
        self.tally = tally_of(&self.config.committee);
        self.lanes.change_term();
        let pending: Vec<_> = self.lanes.acknowledged().collect();
        for hash in pending {
            // To all, because nobody remembers which proposer sent it.
            self.say_ack(hash, Recipients::All);
        }
        for (peer, ack) in std::mem::take(&mut self.early) {
            self.count_ack(&peer, ack);
        }
        self.wake.send_modify(|version| *version += 1);
    }

    /// An acknowledgement from another seat.
    pub(super) fn count(&mut self, peer: ed25519::PublicKey, bytes: &[u8]) {
        let ack = match Ack::read(bytes) {
            Ok(ack) => ack,
            Err(error) => {
                warn!(?peer, %error, "acknowledgement refused");
                self.config.blocker.block(peer);
                return;
            }
        };
        let present = self.config.committee.term;
        if ack.term == present {
            self.count_ack(&peer, ack);
        } else if Some(ack.term) == present.next() && self.early.len() < EARLY_ACKS_MAX {
            self.early.push((peer, ack));
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
        let subject = Subject {
            kind: SubjectKind::Available,
            hash: ack.hash,
        };
        self.add(subject, seat, ack.signature);
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
            debug!(hash = %subject.hash, "lane block certified");
            if !self.lanes.certify(subject.hash, certificate.clone()) {
                // A quorum holds what we do not: get it, a leader could include it.
                self.want(subject.hash);
            }
            let hash = subject.hash;
            self.config
                .events
                .emit(Event::LaneCertified { hash, certificate });
            self.wake.send_modify(|version| *version += 1);
        }
    }

    /// What was said may have been lost.
    pub(super) fn repeat(&mut self) {
        let pending: Vec<_> = self.lanes.acknowledged().take(REPEATED_ACKS_MAX).collect();
        for hash in pending {
            self.send_ack(hash, None);
        }
        let missing: Vec<_> = self
            .missing
            .iter()
            .take(FETCHES_MAX)
            .map(|hash| digest(*hash))
            .collect();
        self.fetcher.fetch_all(missing);
        self.waiters.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }
}
