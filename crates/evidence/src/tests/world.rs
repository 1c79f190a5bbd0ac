//! Seats with keys, and blocks with histories.

use crate::{Crossing, Electorate, Path};
use cortado_types::{
    B256, ChainId, Header, Height, L1Head, L1Ref, Seat, SeatIndex, SeatSet, SignedVote, Slot, Term,
    TimestampMs, View, Vote, bls::SecretBls, mmr,
};
use std::sync::Arc;

pub const CHAIN: ChainId = ChainId::new(31);

pub fn secrets(seats: u8) -> Vec<SecretBls> {
    (0..seats)
        .map(|seat| SecretBls::derive(&[seat + 1; 32]).expect("32 bytes of material"))
        .collect()
}

pub fn electorate(secrets: &[SecretBls]) -> Electorate {
    let seats = secrets.iter().enumerate().map(|(i, secret)| Seat {
        identity: B256::repeat_byte(i as u8 + 1),
        bls: secret.public(),
        registry_index: 100 + i as u32,
    });
    let seats = SeatSet::new(seats.collect()).expect("ascending seats");
    Electorate {
        chain_id: CHAIN,
        seats: Arc::new(seats),
    }
}

pub fn sign(voters: &Electorate, secrets: &[SecretBls], seat: usize, vote: Vote) -> SignedVote {
    let message = vote.message(&voters.seats.base_namespace(CHAIN));
    SignedVote {
        vote,
        seat: SeatIndex::new(seat as u32),
        signature: secrets[seat].sign(&message),
    }
}

/// A block and all before it.
#[derive(Clone)]
pub struct Chain {
    pub header: Header,
    /// Hashes of all earlier blocks.
    earlier: Vec<B256>,
}

impl Chain {
    pub fn genesis() -> Self {
        Self {
            header: header(Height::ZERO, B256::ZERO, View::ZERO, View::ZERO, B256::ZERO),
            earlier: Vec::new(),
        }
    }

    /// A block of `view` on this one; `salt` tells apart blocks of one place.
    pub fn extend(&self, view: u64, salt: u8) -> Self {
        let mut earlier = self.earlier.clone();
        earlier.push(self.header.hash());
        let mut history = mmr::Peaks::default();
        for hash in &earlier {
            history.push(*hash);
        }
        let height = self.header.height.next().expect("a low height");
        let (parent, parent_view) = (self.header.hash(), self.header.view);
        let mut header = header(height, parent, View::new(view), parent_view, history.root());
        header.lanes_root = B256::repeat_byte(salt);
        Self { header, earlier }
    }

    /// Whether `other` is this block or an ancestor of it.
    pub fn has(&self, other: &Self) -> bool {
        let hash = other.header.hash();
        self.header.hash() == hash || self.earlier.contains(&hash)
    }

    /// The block at a height below this one's, and its path.
    fn at(&self, height: u64) -> Path {
        let mut range = mmr::Range::default();
        for hash in &self.earlier {
            range.push(*hash);
        }
        let proof = range.prove(height, range.leaves()).expect("a lower height");
        Path::new(self.earlier[height as usize], proof)
    }

    pub fn notarize(&self, view: u64) -> Vote {
        let header = &self.header;
        Vote::notarize(
            Term::ZERO,
            View::new(view),
            header.parent_view,
            header.hash(),
        )
    }

    pub fn finalize(&self, view: u64) -> Vote {
        let header = &self.header;
        Vote::finalize(
            Term::ZERO,
            View::new(view),
            header.parent_view,
            header.hash(),
        )
    }

    /// That `later` does not descend from this.
    pub fn crossing(&self, later: &Self) -> Crossing {
        let path =
            (later.header.height > self.header.height).then(|| later.at(self.header.height.get()));
        Crossing {
            first: self.header.clone(),
            second: later.header.clone(),
            path,
        }
    }
}

fn header(height: Height, parent: B256, view: View, parent_view: View, history: B256) -> Header {
    Header {
        version: 1,
        chain_id: CHAIN,
        term: Term::ZERO,
        view,
        parent_view,
        height,
        parent,
        slot: Slot::ZERO,
        timestamp: TimestampMs::new(view.get()),
        l1_head: L1Head::default(),
        l1_fin: L1Ref::default(),
        lanes_root: B256::ZERO,
        operations_root: B256::ZERO,
        state_root: B256::ZERO,
        history_root: history,
        seats_hash: B256::ZERO,
        next_seats_hash: B256::ZERO,
    }
}
