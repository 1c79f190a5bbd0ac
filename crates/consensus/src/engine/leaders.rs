//! Who leads: everybody in turn.
//!
//! The first leader of a term leads its first two views. The engine skips a leader of whom it has
//! heard nothing while it has heard a quorum, and at the beginning of a term a vote may simply still
//! be on its way: some seats would skip the second view's leader and others vote for its block, so
//! that the view would last until its timeout. The first leader has been heard, by its block.

use commonware_consensus::{
    simplex::elector::{Config, Elector, RoundRobin, RoundRobinElector, Scheduled, Terms},
    types::{Participant, Round, View},
};
use commonware_cryptography::certificate;
use commonware_utils::ordered::Set;

/// Every seat in turn, in the order of the set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Leaders;

impl<S: certificate::Scheme> Config<S> for Leaders {
    type Elector = LeadersOf<S>;

    fn build(self, participants: &Set<S::PublicKey>) -> LeadersOf<S> {
        LeadersOf(<RoundRobin>::default().build(participants))
    }
}

/// The leaders of one term.
#[derive(Clone, Debug)]
pub(super) struct LeadersOf<S: certificate::Scheme>(RoundRobinElector<S>);

impl<S: certificate::Scheme> Elector<S> for LeadersOf<S> {
    type Mode = Scheduled;

    fn terms(&self) -> Terms {
        self.0.terms()
    }

    fn elect(&self, round: Round, input: ()) -> Participant {
        let turn = View::new(round.view().get().max(2) - 1);
        self.0.elect(Round::new(round.epoch(), turn), input)
    }
}
