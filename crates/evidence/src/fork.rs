//! Who made a fork.

use crate::{
    Voters,
    evidence::{Crossing, Evidence, EvidenceError, Path, excuse},
    record::ViewRecord,
};
use cortado_types::{
    FinalityCertificate, Header, SeatIndex, SignedVote, View, Vote, VoteCertificate,
    bls::SignatureBytes,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A block and the certificate that finalised it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalBlock {
    /// The block's header.
    pub header: Header,
    /// A quorum's finalize for it.
    pub certificate: FinalityCertificate,
}

/// Two final blocks of one term that exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    first: FinalBlock,
    second: FinalBlock,
    path: Option<Path>,
}

impl Fork {
    /// Two final blocks, in any order, and what the one of the later view has in its history at
    /// the other's height; `path` may be missing if it is not higher.
    pub fn new(one: FinalBlock, other: FinalBlock, path: Option<Path>) -> Self {
        let (first, second) = if one.certificate.view <= other.certificate.view {
            (one, other)
        } else {
            (other, one)
        };
        Self {
            first,
            second,
            path,
        }
    }

    /// The final block of the lower view.
    pub fn first(&self) -> &FinalBlock {
        &self.first
    }

    /// The final block of the later view, or of the same.
    pub fn second(&self) -> &FinalBlock {
        &self.second
    }

    /// The two headers, if the views differ.
    fn crossing(&self) -> Option<Crossing> {
        (self.first.certificate.view < self.second.certificate.view).then(|| Crossing {
            first: self.first.header.clone(),
            second: self.second.header.clone(),
            path: self.path.clone(),
        })
    }

    /// Checks that both are final and that they exclude each other.
    ///
    /// # Errors
    /// [`EvidenceError`] if this is no fork.
    pub fn verify(&self, voters: &impl Voters) -> Result<(), EvidenceError> {
        for block in [&self.first, &self.second] {
            let (got, want) = (block.header.hash(), block.certificate.payload);
            if got != want {
                return Err(EvidenceError::Header { got, want });
            }
            if !voters.certified(&VoteCertificate::from(&block.certificate)) {
                return Err(EvidenceError::NotFinal { block: got });
            }
        }
        let votes = [&self.first, &self.second].map(|block| block.certificate.vote());
        match self.crossing() {
            None if votes[0].conflicts_with(&votes[1]) => Ok(()),
            Some(crossing) if votes[0].crosses(&votes[1]) => crossing.verify(),
            _ => Err(EvidenceError::NoConflict),
        }
    }
}

/// Who made a fork.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coalition {
    /// Seats that contradicted themselves in one view.
    pub guilty: BTreeMap<SeatIndex, Evidence>,
    /// Seats that finalised both blocks, in two views, and that nothing known excuses: guilty unless
    /// somebody has an excuse.
    pub accused: BTreeMap<SeatIndex, Evidence>,
    /// Seats whom quorums show guilty, but whose own signatures are in no archive.
    pub unproved: BTreeSet<SeatIndex>,
}

/// Names the seats that made a fork, by what several nodes archived of the first block's view (and
/// of any other views of the term).
///
/// Let F₁ = finalize(v, B) and F₂ at v′ ≥ v be the quorums, q of n seats each, and let fewer than q
/// seats be corrupt (else there is nobody to have an archive).
///
/// *Everybody named is guilty.* In one view: an honest seat signs one notarize, one finalize, and
/// no nullify beside a finalize. Across views: an honest seat that finalised (v, B) and later votes
/// for B′ beside B is excused. Let C be the lowest of B′ and its ancestors with a view above v, and
/// P its parent, of view p ≤ v. C was notarized by an honest seat: by this one if C is B′ and it
/// notarized it, else because a quorum did. That seat held a notarization of P and nullifications
/// of all views between p and C's. If p < v, v is one of them. If p = v, P is not B, since B′ does
/// not descend from B, so another block than B was notarized in v. Either is an excuse, and an
/// honest seat holds it.
///
/// *At least 2q − n are named.* That many signed F₁ and F₂. If v = v′, they contradicted themselves.
/// Else, if nobody has an excuse, all of them are convicted. If the excuse is a nullification of v,
/// it and F₁ share as many, who signed a nullify and a finalize in v. If it is a notarization of
/// another block in v, then it and the notarization of B, which an honest seat held when it
/// finalised B, share as many, who signed two notarizes in v. So the view of the first block is
/// all that has to be searched.
///
/// # Errors
/// [`EvidenceError`] if the blocks are no fork.
pub fn coalition(
    voters: &impl Voters,
    fork: &Fork,
    archives: &[ViewRecord],
) -> Result<Coalition, EvidenceError> {
    fork.verify(voters)?;
    let certificates = certificates(voters, fork, archives);
    let votes = Votes::new(fork, archives);
    let mut found = Coalition::default();

    for (seat, views) in &votes.0 {
        let mut conflicts = views.values().flat_map(pairs);
        let evidence = conflicts.find_map(|(first, second)| {
            let first = votes.signed(voters, *seat, first)?;
            let second = votes.signed(voters, *seat, second)?;
            Evidence::new(voters.seats(), first, second, None)
        });
        if let Some(evidence) = evidence {
            found.guilty.insert(*seat, evidence);
        }
    }

    // Quorums that contradict each other share seats that are guilty, whoever holds their votes.
    let mut shown = BTreeSet::new();
    for (i, one) in certificates.iter().enumerate() {
        for other in &certificates[i + 1..] {
            if one.vote.conflicts_with(&other.vote) {
                shown.extend(shared(voters, one, other));
            }
        }
    }

    let [first, second] =
        [&fork.first, &fork.second].map(|f| VoteCertificate::from(&f.certificate));
    if let Some(crossing) = fork.crossing()
        && excuse(&certificates, &first.vote).is_none()
    {
        for seat in shared(voters, &first, &second) {
            let signed = |vote: &Vote| votes.signed(voters, seat, vote);
            let pair = signed(&first.vote).zip(signed(&second.vote));
            let evidence = pair.and_then(|(first, second)| {
                Evidence::new(voters.seats(), first, second, Some(crossing.clone()))
            });
            match evidence {
                Some(evidence) if !found.guilty.contains_key(&seat) => {
                    found.accused.insert(seat, evidence);
                }
                _ => {
                    shown.insert(seat);
                }
            }
        }
    }
    let proved =
        |seat: &SeatIndex| found.guilty.contains_key(seat) || found.accused.contains_key(seat);
    found.unproved = shown.into_iter().filter(|seat| !proved(seat)).collect();
    Ok(found)
}

/// Every quorum that is known of the fork's term: the two that finalised, and what archives hold.
fn certificates(
    voters: &impl Voters,
    fork: &Fork,
    archives: &[ViewRecord],
) -> Vec<VoteCertificate> {
    let term = fork.first.certificate.term;
    let archived = archives.iter().filter(|record| record.term() == term);
    let mut known = BTreeMap::new();
    for certificate in archived.flat_map(ViewRecord::certificates) {
        // One that is known is not checked again.
        if !known.contains_key(&certificate.vote) && voters.certified(&certificate) {
            known.insert(certificate.vote, certificate);
        }
    }
    for block in [&fork.first, &fork.second] {
        let certificate = VoteCertificate::from(&block.certificate);
        known.insert(certificate.vote, certificate);
    }
    known.into_values().collect()
}

fn shared(
    voters: &impl Voters,
    one: &VoteCertificate,
    other: &VoteCertificate,
) -> BTreeSet<SeatIndex> {
    let seats = voters.seats().len();
    let signers = |certificate: &VoteCertificate| -> BTreeSet<_> {
        let signers = certificate.signers.signers(seats);
        signers.unwrap_or_default().into_iter().collect()
    };
    &signers(one) & &signers(other)
}

type Cast = BTreeMap<Vote, BTreeSet<SignatureBytes>>;

/// Votes of the fork's term by seat and view, with every signature that some archive has for them.
struct Votes(BTreeMap<SeatIndex, BTreeMap<View, Cast>>);

impl Votes {
    fn new(fork: &Fork, archives: &[ViewRecord]) -> Self {
        let term = fork.first.certificate.term;
        let mut all: BTreeMap<SeatIndex, BTreeMap<View, Cast>> = BTreeMap::new();
        for record in archives.iter().filter(|record| record.term() == term) {
            for vote in record.votes() {
                let views = all.entry(vote.seat).or_default();
                let cast = views.entry(record.view()).or_default();
                cast.entry(vote.vote).or_default().insert(vote.signature);
            }
        }
        Self(all)
    }

    /// The vote with a signature that is the seat's, if an archive has one.
    fn signed(&self, voters: &impl Voters, seat: SeatIndex, vote: &Vote) -> Option<SignedVote> {
        let signatures = self.0.get(&seat)?.get(&vote.view())?.get(vote)?;
        let signed = |signature: &SignatureBytes| SignedVote {
            vote: *vote,
            seat,
            signature: *signature,
        };
        signatures
            .iter()
            .map(signed)
            .find(|vote| voters.signed(vote))
    }
}

/// Votes of one seat in one view that conflict.
fn pairs(cast: &Cast) -> impl Iterator<Item = (&Vote, &Vote)> {
    let all = cast
        .keys()
        .enumerate()
        .flat_map(|(i, first)| cast.keys().skip(i + 1).map(move |second| (first, second)));
    all.filter(|(first, second)| first.conflicts_with(second))
}
