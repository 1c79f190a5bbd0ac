//! Say what is held, and count who else says so (R6a).

use super::{Actor, Batch, FETCHES_MAX};
use crate::{
    block::digest,
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
        let Some(signer) = &self.config.signer else {
            return;
        };
        let subject = Subject {
            kind: SubjectKind::Available,
            hash,
        };
        let message = subject.message(&self.base_namespace, self.finalized.state.term);
        let signature = signer.secret.sign(&message);
        let index = signer.index;
        let mut recipients: Vec<_> = self
            .config
            .seats
            .iter()
            .filter(|seat| **seat != self.config.me)
            .cloned()
            .collect();
        recipients.extend(proposer);
        let encoded = alloy_rlp::encode(Ack { hash, signature });
        self.acks.send(Recipients::Some(recipients), encoded, true);
        self.add(subject, index, signature);
    }

    /// An acknowledgement from another seat.
    pub(super) fn count(&mut self, peer: ed25519::PublicKey, bytes: &[u8]) {
        let Ok(seat) = self.config.seats.binary_search(&peer) else {
            return;
        };
        let ack = match Ack::read(bytes) {
            Ok(ack) => ack,
            Err(error) => {
                warn!(?peer, %error, "acknowledgement refused");
                self.config.blocker.block(peer);
                return;
            }
        };
        let subject = Subject {
            kind: SubjectKind::Available,
            hash: ack.hash,
        };
        self.add(subject, SeatIndex::new(seat as u32), ack.signature);
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
