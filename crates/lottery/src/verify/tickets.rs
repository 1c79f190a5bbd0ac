//! The verifier's own view of the tickets: sorted by bundle and id, read from front to back.

use std::collections::BTreeMap;

use super::{Difference, DrawField, Place, Pools, show, standby_ball};
use crate::batch::{Batch, Member, Ticket, TicketId};
use crate::draw::{Assignment, Draw};
use crate::uniform::{Beacon, Seed};

/// The tickets of a batch by bundle.
#[derive(Clone, Debug)]
pub struct Tickets<'a> {
    pools: Vec<(&'a [Member], Vec<Ticket>)>,
}

impl<'a> Tickets<'a> {
    /// Sorts the tickets of a batch.
    pub fn new(batch: &'a Batch) -> Self {
        let mut pools: BTreeMap<&[Member], Vec<Ticket>> = BTreeMap::new();
        let mut by_bundle: Vec<Vec<Ticket>> = vec![Vec::new(); batch.bundles().len()];
        for ticket in batch.tickets() {
            by_bundle[ticket.bundle.get() as usize].push(*ticket);
        }
        for (members, tickets) in batch.bundles().iter().zip(by_bundle) {
            if !tickets.is_empty() {
                pools.entry(members).or_default().extend(tickets);
            }
        }
        let sorted = pools.into_iter().map(|(members, mut tickets)| {
            tickets.sort_by_key(|ticket| ticket.id);
            (members, tickets)
        });
        Self {
            pools: sorted.collect(),
        }
    }

    /// The table of pools these tickets add up to.
    pub(crate) fn pools(&self, batch: &Batch) -> Pools {
        Pools::from_sorted(
            batch.reserves().to_vec(),
            self.pools
                .iter()
                .map(|(members, tickets)| (*members, stake_of(tickets.iter()))),
        )
    }

    /// Checks a claimed slot completely, tickets and standbys included.
    ///
    /// # Errors
    /// The first [`Difference`], in the order of the answer's fields.
    pub fn verify(
        &self,
        pools: &Pools,
        beacon: Beacon,
        claim: &Assignment,
    ) -> Result<(), Difference> {
        pools.verify_with(beacon, claim, |seed, draw, offset| {
            self.check(seed, draw, offset)
        })
    }

    fn check(
        &self,
        seed: Seed,
        draw: &Draw,
        offset: u128,
    ) -> Result<(), (DrawField, String, String)> {
        let tickets = &self.pools[draw.pool.at()].1;
        let holder = owner_of_ball(tickets.iter(), offset);
        if holder.map(|ticket| ticket.id) != Some(draw.ticket) {
            let correct = show(holder.map(|ticket| ticket.id));
            return Err((DrawField::Ticket, draw.ticket.to_string(), correct));
        }
        let others = || {
            tickets
                .iter()
                .filter(|t| Some(t.owner) != holder.map(|h| h.owner))
        };
        let standby: Option<TicketId> = match stake_of(others()) {
            0 => None,
            stake => owner_of_ball(others(), standby_ball(seed, draw.k, stake)).map(|t| t.id),
        };
        if standby != draw.standby {
            return Err((DrawField::Standby, show(draw.standby), show(standby)));
        }
        Ok(())
    }
}

fn stake_of<'t>(tickets: impl Iterator<Item = &'t Ticket>) -> u128 {
    tickets.map(|ticket| u128::from(ticket.stake.get())).sum()
}

fn owner_of_ball<'t>(
    mut tickets: impl Iterator<Item = &'t Ticket>,
    ball: u128,
) -> Option<&'t Ticket> {
    let mut sum = 0u128;
    tickets.find(|ticket| {
        sum += u128::from(ticket.stake.get());
        ball < sum
    })
}

/// Checks a claimed transcript hash against the claimed draws.
///
/// # Errors
/// The [`Difference`] if it is not their hash.
pub fn check_transcript_hash(claim: &Assignment, hash: [u8; 32]) -> Result<(), Difference> {
    let correct = claim.transcript_hash();
    if hash != correct {
        return Err(Difference {
            slot: claim.slot,
            place: Place::TranscriptHash,
            claimed: hex::encode(hash),
            correct: hex::encode(correct),
        });
    }
    Ok(())
}
