//! What Rust calls evidence, the contract confiscates for, and what Rust refuses, it refuses.

use super::support::*;
use crate::{
    abi::{Registry, Slasher},
    evidence::{answer_call, convict_call, evidence_call},
    genesis::{GenesisTransaction, places},
    seats::{Place, Places},
    slashing::accusation_id,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use cortado_evidence::{Crossing, Electorate, Evidence, Path, excuses};
use cortado_types::{
    ChainId, Header, Height, L1Head, L1Ref, QuorumCertificate, SeatIndex, SeatSet, SignedVote,
    Slot, Term, TimestampMs, View, Vote, VoteCertificate, bls::SecretBls, mmr,
};
use std::sync::Arc;

const CHAIN: u64 = 9_009;
const TERM: Term = Term::new(3);
const REPORTER: Address = Address::repeat_byte(0x77);
const OTHER: Address = Address::repeat_byte(0x88);

struct Court {
    world: World,
    voters: Electorate,
    /// By seat.
    secrets: Vec<SecretBls>,
    places: Places,
}

impl Court {
    /// Seven seats of seven operators.
    fn new() -> Self {
        let world = World::new(&config(CHAIN), &operators(&[(5, 1); 7]));
        let seats = SeatSet::new(world.plan.seats.clone()).unwrap();
        let of = |identity| {
            let all = (1..=7).map(|operator| secret(operator, 0));
            all.into_iter().find(|secret| secret.identity == identity)
        };
        let secrets = seats
            .seats()
            .iter()
            .map(|seat| of(seat.identity).unwrap().bls);
        let places = places(world.plan.addresses.registry, &world.plan.alloc().unwrap()).unwrap();
        Self {
            secrets: secrets.collect(),
            voters: Electorate {
                chain_id: ChainId::new(CHAIN),
                seats: Arc::new(seats),
            },
            world,
            places,
        }
    }

    fn sign(&self, seat: usize, vote: Vote) -> SignedVote {
        sign(
            &self.voters.seats,
            self.voters.chain_id,
            &self.secrets,
            seat,
            vote,
        )
    }

    fn evidence(&self, seat: usize, votes: [Vote; 2], crossing: Option<Crossing>) -> Evidence {
        let [first, second] = votes.map(|vote| self.sign(seat, vote));
        Evidence::new(&self.voters.seats, first, second, crossing).unwrap()
    }

    fn quorum(&self, vote: Vote) -> VoteCertificate {
        certificate(
            &self.voters.seats,
            self.voters.chain_id,
            &self.secrets,
            vote,
        )
    }

    fn place(&self, registry_index: u32) -> Place {
        let mut keys = self.places.keys();
        let found = keys.find(|(seat, _)| seat.registry_index == registry_index);
        found.unwrap().1
    }

    /// Brings evidence to the contract.
    fn bring(&mut self, evidence: &Evidence) -> Result<(), String> {
        let place = self.place(evidence.registry_index);
        let call = evidence_call(evidence, place).map_err(|error| error.to_string())?;
        let bond = if evidence.is_accusation() { ETHER } else { 0 };
        let slasher = self.world.plan.addresses.slasher;
        self.world
            .call_raw(REPORTER, slasher, bond, call)
            .map(|_| ())
    }

    fn slasher(&mut self, from: Address, after: u64, input: Bytes) -> Result<(), String> {
        let tx = GenesisTransaction {
            from,
            to: Some(self.world.plan.addresses.slasher),
            value: U256::ZERO,
            input,
            timestamp: 0,
        };
        self.world.send(after, tx).map(|_| ())
    }

    /// Gwei confiscated for a key.
    fn taken(&self, registry_index: u32) -> u64 {
        let place = self.place(registry_index);
        let query = Registry::keyAtCall {
            page: U256::from(place.page),
            place: U256::from(place.entry),
        };
        self.world
            .view(self.world.plan.addresses.registry, &query)
            .taken
    }

    fn owed(&self, who: Address) -> U256 {
        self.world.view(
            self.world.plan.addresses.slasher,
            &Slasher::owedCall { who },
        )
    }
}

pub(crate) fn sign(
    seats: &SeatSet,
    chain: ChainId,
    secrets: &[SecretBls],
    seat: usize,
    vote: Vote,
) -> SignedVote {
    SignedVote {
        vote,
        seat: SeatIndex::new(seat as u32),
        signature: secrets[seat].sign(&vote.message(&seats.base_namespace(chain))),
    }
}

/// What the first seats, as many as a quorum needs, say together.
pub(crate) fn certificate(
    seats: &SeatSet,
    chain: ChainId,
    secrets: &[SecretBls],
    vote: Vote,
) -> VoteCertificate {
    let one = |seat| sign(seats, chain, secrets, seat, vote).signature;
    let parts: Vec<_> = (0..seats.quorum())
        .map(|seat| (SeatIndex::new(seat as u32), one(seat)))
        .collect();
    let sum = QuorumCertificate::aggregate(secrets.len(), &parts).unwrap();
    VoteCertificate {
        vote,
        signers: sum.signers,
        signature: sum.signature,
    }
}

/// Two finalizes in one view.
pub(crate) fn contradiction() -> [Vote; 2] {
    [vote(Vote::finalize, 5, 1), vote(Vote::finalize, 5, 2)]
}

fn vote(make: fn(Term, View, View, B256) -> Vote, view: u64, payload: u8) -> Vote {
    make(
        TERM,
        View::new(view),
        View::new(view - 1),
        B256::repeat_byte(payload),
    )
}

fn header(height: u64, history: B256, salt: u8) -> Header {
    Header {
        version: 1,
        chain_id: ChainId::new(CHAIN),
        term: TERM,
        view: View::new(height + 10),
        parent_view: View::new(height + 9),
        height: Height::new(height),
        parent: B256::repeat_byte(salt),
        slot: Slot::new(3),
        timestamp: TimestampMs::new(1_700_000_000_000),
        l1_head: L1Head::default(),
        l1_fin: L1Ref::default(),
        lanes_root: B256::repeat_byte(2),
        operations_root: B256::repeat_byte(3),
        state_root: B256::repeat_byte(4),
        history_root: history,
        seats_hash: B256::repeat_byte(6),
        next_seats_hash: B256::repeat_byte(6),
    }
}

/// A final block of height 20, and one of height `later` in whose history another stands there.
pub(crate) fn beside(later: u64) -> (Crossing, [Vote; 2]) {
    let first = header(20, B256::repeat_byte(9), 1);
    let mut range = mmr::Range::default();
    let mut peaks = mmr::Peaks::default();
    for leaf in 0..later {
        let hash = alloy_primitives::keccak256(leaf.to_be_bytes());
        range.push(hash);
        peaks.push(hash);
    }
    let second = header(later, peaks.root(), 2);
    let path = (later > 20).then(|| {
        let other = alloy_primitives::keccak256(20u64.to_be_bytes());
        Path::new(other, range.prove(20, later).unwrap())
    });
    let finalize = |header: &Header, view| {
        Vote::finalize(TERM, View::new(view), header.parent_view, header.hash())
    };
    let votes = [finalize(&first, 30), finalize(&second, 40)];
    (
        Crossing {
            first,
            second,
            path,
        },
        votes,
    )
}

#[test]
fn each_conflict_in_one_view_takes_the_seats_stake_once() {
    let mut court = Court::new();
    let nullify = Vote::nullify(TERM, View::new(5));
    let price = court.world.plan.price_gwei;
    let conflicts = [
        [vote(Vote::notarize, 5, 1), vote(Vote::notarize, 5, 2)],
        [vote(Vote::finalize, 5, 1), vote(Vote::finalize, 5, 2)],
        [nullify, vote(Vote::finalize, 5, 1)],
        [
            vote(Vote::finalize, 300, 1),
            Vote::nullify(TERM, View::new(300)),
        ],
    ];
    for (seat, votes) in conflicts.into_iter().enumerate() {
        let evidence = court.evidence(seat, votes, None);
        assert_eq!(evidence.verify(&court.voters), Ok(()));
        court.bring(&evidence).expect("confiscated");
        assert_eq!(court.taken(evidence.registry_index), price);
        let again = court.bring(&evidence).expect_err("nothing is left");
        assert!(again.contains("AlreadySlashed"), "{again}");
    }
    assert!(court.owed(REPORTER) > U256::ZERO);
}

/// Evidence that is altered in one place, and what the alteration is called.
fn altered(court: &Court, good: &Evidence) -> Vec<(&'static str, Evidence)> {
    let stranger = court.sign(6, good.second.vote);
    let mut all: Vec<(&'static str, Evidence)> = Vec::new();
    let mut add = |what, change: &dyn Fn(&mut Evidence)| {
        let mut bad = good.clone();
        change(&mut bad);
        all.push((what, bad));
    };
    let swap = |vote: &mut SignedVote, with: Vote| vote.vote = with;
    let (first, second) = (good.first.vote, good.second.vote);
    let make = |vote: &Vote| match vote.kind() {
        cortado_types::VoteKind::Finalize => Vote::finalize,
        _ => Vote::notarize,
    };
    add("one vote twice", &|bad| bad.second = bad.first);
    add("another's signature", &|bad| {
        bad.second.signature = stranger.signature
    });
    add("another seats hash", &|bad| {
        bad.seats_hash = B256::repeat_byte(1)
    });
    add("another view", &|bad| {
        let view = View::new(second.view().get() + 1);
        swap(
            &mut bad.second,
            make(&second)(TERM, view, second.parent_view(), second.payload()),
        );
    });
    add("another payload", &|bad| {
        let payload = B256::repeat_byte(0x55);
        swap(
            &mut bad.second,
            make(&second)(TERM, second.view(), second.parent_view(), payload),
        );
    });
    add("another parent view", &|bad| {
        let parent = View::new(second.parent_view().get() + 1);
        swap(
            &mut bad.second,
            make(&second)(TERM, second.view(), parent, second.payload()),
        );
    });
    add("another term", &|bad| {
        let term = Term::new(TERM.get() + 1);
        swap(
            &mut bad.first,
            make(&first)(term, first.view(), first.parent_view(), first.payload()),
        );
        swap(
            &mut bad.second,
            make(&second)(term, second.view(), second.parent_view(), second.payload()),
        );
    });
    add("another kind", &|bad| {
        swap(
            &mut bad.first,
            Vote::notarize(TERM, first.view(), first.parent_view(), first.payload()),
        );
    });
    if good.crossing.is_some() {
        add("votes the other way round", &|bad| {
            std::mem::swap(&mut bad.first, &mut bad.second)
        });
        add("another header", &|bad| {
            bad.crossing.as_mut().unwrap().second.state_root = B256::ZERO;
        });
        add("headers the other way round", &|bad| {
            let crossing = bad.crossing.as_mut().unwrap();
            std::mem::swap(&mut crossing.first, &mut crossing.second);
        });
    }
    if good
        .crossing
        .as_ref()
        .is_some_and(|crossing| crossing.path.is_some())
    {
        let path = |bad: &mut Evidence| bad.crossing.as_mut().unwrap().path.take().unwrap();
        let put = |bad: &mut Evidence, path| bad.crossing.as_mut().unwrap().path = Some(path);
        add("another block in the history", &|bad| {
            let mut path = path(bad);
            path.other = B256::repeat_byte(3);
            put(bad, path);
        });
        add("the block itself in the history", &|bad| {
            let mut path = path(bad);
            path.other = first.payload();
            put(bad, path);
        });
        add("another sibling, or one too many", &|bad| {
            let mut path = path(bad);
            match path.siblings.first_mut() {
                Some(sibling) => *sibling = B256::ZERO,
                None => path.siblings.push(B256::ZERO),
            }
            put(bad, path);
        });
        add("a peak too many", &|bad| {
            let mut path = path(bad);
            path.peaks.push(B256::ZERO);
            put(bad, path);
        });
        add("no path", &|bad| {
            path(bad);
        });
    }
    all
}

#[test]
fn evidence_altered_anywhere_is_refused_by_both() {
    let mut court = Court::new();
    let mut good = vec![court.evidence(2, contradiction(), None)];
    for later in [20, 21, 37] {
        let (crossing, votes) = beside(later);
        good.push(court.evidence(3, votes, Some(crossing)));
    }
    let mut refused = 0;
    for good in good {
        assert_eq!(good.verify(&court.voters), Ok(()));
        for (what, bad) in altered(&court, &good) {
            let by_rust = bad.verify(&court.voters);
            let by_contract = court.bring(&bad);
            assert!(by_rust.is_err(), "{what} is taken by Rust");
            assert!(
                by_contract.is_err(),
                "{what} is taken by the contract: {by_rust:?}"
            );
            refused += 1;
        }
        assert_eq!(court.taken(good.registry_index), 0);
        court.bring(&good).expect("the true one");
    }
    println!("{refused} altered pieces of evidence refused by both");
}

#[test]
fn an_accusation_that_nobody_answers_convicts_after_its_time() {
    let mut court = Court::new();
    for (seat, later) in [(1, 20), (2, 12), (3, 37)] {
        let (crossing, votes) = beside(later);
        let evidence = court.evidence(seat, votes, Some(crossing));
        assert_eq!(evidence.verify(&court.voters), Ok(()));
        court.bring(&evidence).expect("accused");
        let id = accusation_id(&evidence);
        let early = court
            .slasher(OTHER, 1, convict_call(id))
            .expect_err("too early");
        assert!(early.contains("TooEarly"), "{early}");
        court
            .slasher(OTHER, 3_601, convict_call(id))
            .expect("convicted");
        assert_eq!(
            court.taken(evidence.registry_index),
            court.world.plan.price_gwei
        );
    }
}

#[test]
fn an_answer_by_a_quorum_of_the_seats_frees_the_accused_and_takes_the_bond() {
    let mut court = Court::new();
    let (crossing, votes) = beside(37);
    let other_block = Vote::notarize(TERM, votes[0].view(), View::new(1), B256::repeat_byte(7));
    let same_block = Vote::notarize(TERM, votes[0].view(), View::new(1), votes[0].payload());
    let nullified = Vote::nullify(TERM, votes[0].view());
    let elsewhere = Vote::nullify(TERM, View::new(31));
    for (seat, excuse) in [(1, other_block), (2, nullified)] {
        let evidence = court.evidence(seat, votes, Some(crossing.clone()));
        court.bring(&evidence).expect("accused");
        let id = accusation_id(&evidence);
        let list = court.world.plan.list.clone();
        for no_excuse in [same_block, elsewhere, votes[1]] {
            assert!(!excuses(&no_excuse, &votes[0]));
            let call = answer_call(id, list.clone(), &court.quorum(no_excuse)).unwrap();
            assert!(court.slasher(OTHER, 1, call).is_err(), "{no_excuse:?}");
        }
        assert!(excuses(&excuse, &votes[0]));
        let mut few = court.quorum(excuse);
        few.signers = cortado_types::SeatBitmap::from_signers(7, (0..4).map(SeatIndex::new));
        let call = answer_call(id, list.clone(), &few).unwrap();
        assert!(court.slasher(OTHER, 1, call).is_err(), "below quorum");

        let before = court.owed(OTHER);
        let call = answer_call(id, list, &court.quorum(excuse)).unwrap();
        court.slasher(OTHER, 1, call).expect("answered");
        assert!(court.owed(OTHER) > before, "the bond");
        assert!(court.slasher(OTHER, 4_000, convict_call(id)).is_err());
        assert_eq!(court.taken(evidence.registry_index), 0);
    }
    // The view was nullified, and everybody knows now.
    let evidence = court.evidence(3, votes, Some(crossing));
    let error = court
        .bring(&evidence)
        .expect_err("excused before it is accused");
    assert!(error.contains("ViewNullified"), "{error}");
}
