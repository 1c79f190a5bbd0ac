//! Simplex as rules for honest seats, under a network and a coalition that do what they like.
//!
//! An honest seat is moved by what it was shown, and it is shown any quorum that exists, in any
//! order, late or never. The coalition votes for everything. So whatever a real network can bring
//! about, and much more, happens in some run.

use super::world::{Chain, electorate, secrets};
use crate::{
    Coalition, Electorate, Evidence, FinalBlock, Fork, ViewRecord, Voters, coalition, excuses,
};
use cortado_types::{
    B256, FinalityCertificate, SeatBitmap, SeatIndex, SeatSet, SignedVote, Term, View, Vote,
    VoteCertificate, VoteKind, bls::SignatureBytes,
};
use std::collections::{BTreeMap, BTreeSet};

/// Seats whose signatures say nothing: the model's seats do not forge.
struct Unsigned(Electorate);

impl Voters for Unsigned {
    fn seats(&self) -> &SeatSet {
        &self.0.seats
    }
    fn signed(&self, _: &SignedVote) -> bool {
        true
    }
    fn certified(&self, certificate: &VoteCertificate) -> bool {
        let seats = self.seats();
        let signers = certificate.signers.signers(seats.len());
        signers.is_ok_and(|signers| signers.len() >= seats.quorum())
    }
}

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }
}

#[derive(Default)]
struct Honest {
    /// Quorums it was shown.
    shown: BTreeSet<Vote>,
    notarized: BTreeSet<u64>,
    nullified: BTreeSet<u64>,
    finalized: BTreeSet<u64>,
}

impl Honest {
    /// The view it is in: the first that nothing ended.
    fn view(&self) -> u64 {
        let ended = self.shown.iter().map(|vote| vote.view().get());
        1 + ended.max().unwrap_or(0)
    }

    fn is_nullified(&self, view: u64) -> bool {
        self.shown
            .contains(&Vote::nullify(Term::ZERO, View::new(view)))
    }

    /// Whether it may notarize a block of `view` on `parent`: it was shown a notarization of the
    /// parent, and nullifications of all views between.
    fn accepts(&self, parent: &Chain, parent_view: u64, view: u64) -> bool {
        let known = parent_view == 0 || self.shown.contains(&parent.notarize(parent_view));
        known && (parent_view + 1..view).all(|between| self.is_nullified(between))
    }
}

struct Run {
    seats: usize,
    quorum: usize,
    honest: Vec<Honest>,
    /// Who cast what. Seats past the honest ones are the coalition.
    cast: BTreeMap<Vote, BTreeSet<usize>>,
    blocks: BTreeMap<B256, Chain>,
}

impl Run {
    fn vote(&mut self, seat: usize, vote: Vote) {
        let honest = self.honest.len();
        let voters = self.cast.entry(vote).or_default();
        voters.insert(seat);
        // The coalition joins whatever an honest seat says.
        voters.extend(honest..self.seats);
    }

    fn quorums(&self) -> Vec<Vote> {
        let all = self.cast.iter();
        let enough = all.filter(|(_, voters)| voters.len() >= self.quorum);
        enough.map(|(vote, _)| *vote).collect()
    }

    /// What an honest seat is proposed a block on: mostly the newest notarized one it was shown.
    fn parent(&self, rng: &mut Rng, seat: usize) -> Chain {
        let shown = &self.honest[seat].shown;
        let notarized = shown
            .iter()
            .filter(|vote| vote.kind() == VoteKind::Notarize);
        let newest = notarized.max_by_key(|vote| vote.view());
        if let Some(newest) = newest.filter(|_| rng.below(4) > 0) {
            return self.blocks[&newest.payload()].clone();
        }
        let all: Vec<_> = self.blocks.values().collect();
        all[rng.below(all.len())].clone()
    }

    fn step(&mut self, rng: &mut Rng, views: u64) {
        let seat = rng.below(self.honest.len());
        let quorums = self.quorums();
        let view = self.honest[seat].view();
        match rng.below(4) {
            // It is shown something of its view or of one before.
            0 if !quorums.is_empty() => {
                // What is newer is shown more often.
                let mut quorums = quorums;
                quorums.sort_by_key(Vote::view);
                let of_two = [(); 2].map(|()| rng.below(quorums.len()));
                let vote = quorums[of_two[0].max(of_two[1])];
                if vote.kind() != VoteKind::Finalize {
                    self.honest[seat].shown.insert(vote);
                }
            }
            // It is proposed a block, of one of two that the leader made on each parent for two
            // sides.
            1 if view <= views => {
                let parent = self.parent(rng, seat);
                let parent_view = parent.header.view.get();
                let state = &mut self.honest[seat];
                let free = !state.notarized.contains(&view) && !state.nullified.contains(&view);
                if parent_view < view && free && state.accepts(&parent, parent_view, view) {
                    state.notarized.insert(view);
                    let divided =
                        3 * (self.seats - self.honest.len()) >= self.seats || rng.below(3) == 0;
                    let side = if divided { seat % 2 } else { 0 };
                    let block = parent.extend(view, side as u8);
                    self.blocks.insert(block.header.hash(), block.clone());
                    self.vote(seat, block.notarize(view));
                }
            }
            // Its timer rings.
            2 if view <= views && !self.honest[seat].finalized.contains(&view) => {
                self.honest[seat].nullified.insert(view);
                self.vote(seat, Vote::nullify(Term::ZERO, View::new(view)));
            }
            // It finalises what it was shown notarized.
            _ => {
                let state = &mut self.honest[seat];
                let notarized = state.shown.iter().find(|vote| {
                    let view = vote.view().get();
                    vote.kind() == VoteKind::Notarize
                        && !state.nullified.contains(&view)
                        && !state.finalized.contains(&view)
                });
                if let Some(vote) = notarized.copied() {
                    state.finalized.insert(vote.view().get());
                    let view = vote.view().get();
                    let finalize = self.blocks[&vote.payload()].finalize(view);
                    self.vote(seat, finalize);
                }
            }
        }
    }

    fn certificate(&self, vote: &Vote) -> VoteCertificate {
        let signers = self.cast[vote]
            .iter()
            .map(|seat| SeatIndex::new(*seat as u32));
        VoteCertificate {
            vote: *vote,
            signers: SeatBitmap::from_signers(self.seats, signers),
            signature: SignatureBytes::ZERO,
        }
    }

    fn final_block(&self, vote: &Vote) -> FinalBlock {
        let certificate = self.certificate(vote);
        FinalBlock {
            header: self.blocks[&vote.payload()].header.clone(),
            certificate: FinalityCertificate {
                term: vote.term(),
                view: vote.view(),
                parent_view: vote.parent_view(),
                payload: vote.payload(),
                signers: certificate.signers,
                signature: certificate.signature,
            },
        }
    }

    fn archives(&self) -> Vec<ViewRecord> {
        let mut archives: BTreeMap<View, ViewRecord> = BTreeMap::new();
        let quorums: BTreeSet<_> = self.quorums().into_iter().collect();
        for (vote, voters) in &self.cast {
            let (term, view) = (vote.term(), vote.view());
            let new = || ViewRecord::new(term, view);
            let record = archives.entry(view).or_insert_with(new);
            for seat in voters {
                record.insert(SignedVote {
                    vote: *vote,
                    seat: SeatIndex::new(*seat as u32),
                    signature: SignatureBytes::ZERO,
                });
            }
            if quorums.contains(vote) {
                record.insert_certificate(self.certificate(vote));
            }
        }
        archives.into_values().collect()
    }
}

/// Every pair of votes of an honest seat that the accuser may pick has an excuse. Returns how many
/// there were.
fn honest_seats_are_excused(run: &Run) -> usize {
    let mut pairs = 0;
    let quorums = run.quorums();
    for seat in 0..run.honest.len() {
        let cast = run.cast.iter().filter(|(_, voters)| voters.contains(&seat));
        let votes: Vec<_> = cast.map(|(vote, _)| *vote).collect();
        for first in &votes {
            for second in votes.iter().filter(|second| first.crosses(second)) {
                assert!(!first.conflicts_with(second));
                let [one, other] = [first, second].map(|vote| &run.blocks[&vote.payload()]);
                if !other.has(one) {
                    pairs += 1;
                    let excuse = quorums.iter().find(|quorum| excuses(quorum, first));
                    assert!(excuse.is_some(), "seat {seat}: {first:?}, {second:?}");
                }
            }
            for second in &votes {
                assert!(
                    !first.conflicts_with(second),
                    "seat {seat}: {first:?}, {second:?}"
                );
            }
        }
    }
    pairs
}

/// Whoever is named is of the coalition, and everybody of it is. Returns how many forks there were:
/// in one view, and across views.
fn coalitions_are_named(run: &Run, voters: &Unsigned) -> [usize; 2] {
    let quorums = run.quorums();
    let finals: Vec<_> = quorums
        .iter()
        .filter(|vote| vote.kind() == VoteKind::Finalize)
        .collect();
    let guilty: BTreeSet<_> = (run.honest.len()..run.seats)
        .map(|seat| SeatIndex::new(seat as u32))
        .collect();
    let archives = run.archives();
    let mut forks = [0, 0];
    for (i, one) in finals.iter().enumerate() {
        for other in &finals[i + 1..] {
            // By view; the later may descend from the first.
            let (one, other) = if one.view() <= other.view() {
                (one, other)
            } else {
                (other, one)
            };
            let [first, second] = [one, other].map(|vote| &run.blocks[&vote.payload()]);
            let path = first.crossing(second).path;
            let fork = Fork::new(run.final_block(one), run.final_block(other), path);
            if second.has(first) {
                assert!(coalition(voters, &fork, &archives).is_err(), "no fork");
                continue;
            }
            let Coalition {
                guilty: convicted,
                accused,
                unproved,
            } = coalition(voters, &fork, &archives).expect("a fork");
            assert!(unproved.is_empty(), "all votes are archived");
            let named: BTreeSet<_> = convicted.keys().chain(accused.keys()).copied().collect();
            assert_eq!(named, guilty, "{one:?} {other:?}");
            let valid = |evidence: &Evidence| evidence.verify(voters) == Ok(());
            assert!(convicted.values().chain(accused.values()).all(valid));
            // Only quorums: nobody's own votes. They are shown guilty all the same.
            let quorums_only: Vec<_> = archives.iter().map(without_votes).collect();
            let shown = coalition(voters, &fork, &quorums_only).expect("a fork");
            assert!(shown.guilty.is_empty() && shown.accused.is_empty());
            assert_eq!(shown.unproved, guilty);
            assert!(
                accused.is_empty(),
                "an honest seat has an excuse, so the view convicts"
            );
            // Nobody shows more than the finalize votes: who signed both blocks is accused, and if
            // an honest seat is among them, somebody has its answer.
            let finalizes_only: Vec<_> = archives.iter().map(only_finalizes).collect();
            let found = coalition(voters, &fork, &finalizes_only).expect("a fork");
            if one.view() < other.view() {
                let held = found.accused.keys().chain(found.guilty.keys());
                let held: BTreeSet<_> = held.copied().collect();
                let suspects = &(&run.cast[one] & &run.cast[other]);
                let mut suspects = suspects.iter().map(|seat| SeatIndex::new(*seat as u32));
                assert!(suspects.all(|seat| held.contains(&seat)));
                assert!(found.guilty.keys().all(|seat| guilty.contains(seat)));
                assert!(quorums.iter().any(|quorum| excuses(quorum, one)));
                forks[1] += 1;
            } else {
                assert!(found.accused.is_empty());
                assert!(found.guilty.keys().all(|seat| guilty.contains(seat)));
                forks[0] += 1;
            }
        }
    }
    forks
}

fn only_finalizes(record: &ViewRecord) -> ViewRecord {
    let mut bare = ViewRecord::new(record.term(), record.view());
    for vote in record
        .votes()
        .filter(|vote| vote.vote.kind() == VoteKind::Finalize)
    {
        bare.insert(vote);
    }
    bare
}

fn without_votes(record: &ViewRecord) -> ViewRecord {
    let mut bare = ViewRecord::new(record.term(), record.view());
    for certificate in record.certificates() {
        bare.insert_certificate(certificate);
    }
    bare
}

/// Runs of `seats`, the last `corrupt` of them a coalition. Returns pairs that accuse honest seats,
/// and forks: in one view, and across views.
fn explore(
    seats: usize,
    corrupt: usize,
    runs: u64,
    steps: usize,
    views: u64,
) -> (usize, [usize; 2]) {
    let voters = Unsigned(electorate(&secrets(seats as u8)));
    let quorum = voters.seats().quorum();
    let (mut pairs, mut forks) = (0, [0, 0]);
    for seed in 0..runs {
        let mut rng = Rng(0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0x5851_f42d_4c95_7f2d));
        let genesis = Chain::genesis();
        let mut run = Run {
            seats,
            quorum,
            honest: (corrupt..seats).map(|_| Honest::default()).collect(),
            cast: BTreeMap::new(),
            blocks: BTreeMap::from([(genesis.header.hash(), genesis)]),
        };
        for _ in 0..steps {
            run.step(&mut rng, views);
        }
        pairs += honest_seats_are_excused(&run);
        let [in_view, across] = coalitions_are_named(&run, &voters);
        (forks[0], forks[1]) = (forks[0] + in_view, forks[1] + across);
    }
    (pairs, forks)
}

#[test]
fn with_less_than_a_third_corrupt_nothing_forks_and_the_honest_are_excused() {
    for (seats, corrupt, steps) in [(4, 1, 400), (7, 2, 900)] {
        let (pairs, forks) = explore(seats, corrupt, 250, steps, 6);
        println!("{seats} seats, {corrupt} corrupt: {pairs} pairs accuse an honest seat");
        assert!(pairs > 5, "{seats} seats: {pairs} pairs that accuse");
        assert_eq!(forks, [0, 0], "{seats} seats");
    }
}

#[test]
fn with_just_over_a_third_corrupt_every_one_of_them_is_named_and_nobody_else() {
    let mut in_one = 0;
    for (seats, corrupt, runs, steps) in [(4, 2, 400, 250), (7, 3, 150, 900)] {
        let (pairs, [in_view, across]) = explore(seats, corrupt, runs, steps, 5);
        println!(
            "{seats} seats, {corrupt} corrupt: {pairs} pairs accuse an honest seat, {in_view} forks \
             in one view, {across} across views"
        );
        assert!(across > 0, "{seats} seats: no fork across views");
        in_one += in_view;
    }
    assert!(in_one > 0, "no fork in one view");
}
