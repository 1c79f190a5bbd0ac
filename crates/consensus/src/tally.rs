//! Collect seats' signatures over one subject until a quorum stands behind it.
//!
//! Availability of bodies (R6a), sight of L1 blocks (R9) and their finality (R10) differ in what
//! is signed and in nothing else. Signatures are not verified one by one: when a quorum has
//! arrived, their sum is, once. Only if that fails is each one checked, and the bad are dropped
//! and their senders named.

use cortado_types::{
    ChainId, QuorumCertificate, SeatIndex, SeatSet, Subject, Term, bls::SignatureBytes,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Subjects that one seat may have open. A hostile seat can fill its own share and no other's.
pub const OPEN_SUBJECTS_PER_SEAT_MAX: usize = 2_048;

/// Certified subjects remembered, so that late signatures do not open them again.
const CERTIFIED_REMEMBERED_MAX: usize = 8_192;

/// What a signature brought about.
#[derive(Debug, PartialEq, Eq)]
pub enum Counted {
    /// Not enough yet, or nothing new.
    Pending,
    /// A quorum stands behind the subject; said once per subject.
    Certified(QuorumCertificate),
}

/// Signatures over open subjects.
///
/// - Every seat has at most [`OPEN_SUBJECTS_PER_SEAT_MAX`] signatures in `open`, listed oldest
///   first in `by_seat`.
pub struct Tally {
    chain_id: ChainId,
    term: Term,
    seats: Arc<SeatSet>,
    open: BTreeMap<Subject, BTreeMap<SeatIndex, SignatureBytes>>,
    by_seat: Vec<VecDeque<Subject>>,
    certified: BTreeSet<Subject>,
    certified_order: VecDeque<Subject>,
    faulty: BTreeSet<SeatIndex>,
}

impl Tally {
    /// An empty tally for the seats of one term.
    pub fn new(chain_id: ChainId, term: Term, seats: Arc<SeatSet>) -> Self {
        Self {
            chain_id,
            term,
            by_seat: vec![VecDeque::new(); seats.len()],
            seats,
            open: BTreeMap::new(),
            certified: BTreeSet::new(),
            certified_order: VecDeque::new(),
            faulty: BTreeSet::new(),
        }
    }

    /// Counts the signature of `seat`.
    pub fn add(&mut self, subject: Subject, seat: SeatIndex, signature: SignatureBytes) -> Counted {
        let index = seat.get() as usize;
        let known = self.certified.contains(&subject)
            || self
                .open
                .get(&subject)
                .is_some_and(|votes| votes.contains_key(&seat));
        if index >= self.seats.len() || known {
            return Counted::Pending;
        }
        if self.by_seat[index].len() >= OPEN_SUBJECTS_PER_SEAT_MAX
            && let Some(oldest) = self.by_seat[index].pop_front()
        {
            self.forget(&oldest, seat);
        }
        self.by_seat[index].push_back(subject);
        let votes = self.open.entry(subject).or_default();
        votes.insert(seat, signature);
        if votes.len() < self.seats.quorum() {
            return Counted::Pending;
        }
        self.certify(subject)
    }

    /// Seats that sent a signature which is not theirs. Their peers may be cut off.
    pub fn take_faulty(&mut self) -> BTreeSet<SeatIndex> {
        std::mem::take(&mut self.faulty)
    }

    /// Subjects that wait for a quorum.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn certify(&mut self, subject: Subject) -> Counted {
        let Some(votes) = self.open.get(&subject) else {
            return Counted::Pending;
        };
        if let Some(certificate) = self.aggregate(&subject, votes) {
            return self.close(subject, certificate);
        }
        // Somebody lied: find out who.
        let message = subject.message(&self.seats.base_namespace(self.chain_id), self.term);
        let bad: Vec<SeatIndex> = votes
            .iter()
            .filter(|(seat, signature)| {
                self.seats.keys()[seat.get() as usize]
                    .verify(&message, **signature)
                    .is_err()
            })
            .map(|(seat, _)| *seat)
            .collect();
        for seat in bad {
            self.faulty.insert(seat);
            self.by_seat[seat.get() as usize].retain(|open| *open != subject);
            self.forget(&subject, seat);
        }
        let certificate = self
            .open
            .get(&subject)
            .filter(|votes| votes.len() >= self.seats.quorum())
            .and_then(|votes| self.aggregate(&subject, votes));
        match certificate {
            Some(certificate) => self.close(subject, certificate),
            None => Counted::Pending,
        }
    }

    fn aggregate(
        &self,
        subject: &Subject,
        votes: &BTreeMap<SeatIndex, SignatureBytes>,
    ) -> Option<QuorumCertificate> {
        let signatures: Vec<_> = votes.iter().map(|(seat, s)| (*seat, *s)).collect();
        let certificate = QuorumCertificate::aggregate(self.seats.len(), &signatures).ok()?;
        certificate
            .verify(subject, self.chain_id, self.term, &self.seats)
            .ok()?;
        Some(certificate)
    }

    fn close(&mut self, subject: Subject, certificate: QuorumCertificate) -> Counted {
        for seat in self.open.remove(&subject).unwrap_or_default().into_keys() {
            self.by_seat[seat.get() as usize].retain(|open| *open != subject);
        }
        self.certified.insert(subject);
        self.certified_order.push_back(subject);
        if self.certified_order.len() > CERTIFIED_REMEMBERED_MAX
            && let Some(oldest) = self.certified_order.pop_front()
        {
            self.certified.remove(&oldest);
        }
        Counted::Certified(certificate)
    }

    fn forget(&mut self, subject: &Subject, seat: SeatIndex) {
        if let Some(votes) = self.open.get_mut(subject) {
            votes.remove(&seat);
            if votes.is_empty() {
                self.open.remove(subject);
            }
        }
    }
}

#[cfg(test)]
mod tests;
