//! The draw against a naive model that follows the rule's text word for word, on lists and
//! without any index.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::amount::Gwei;
use crate::batch::{Batch, OwnerId, Ticket};
use crate::testing::{arbitrary_batch, batch, tickets};

/// One pool of the model.
struct Pool {
    members: BTreeSet<u32>,
    tickets: Vec<Ticket>,
}

impl Pool {
    fn stake(&self) -> u128 {
        self.tickets
            .iter()
            .map(|ticket| u128::from(ticket.stake.get()))
            .sum()
    }
}

fn owner_of_ball<'t>(tickets: impl Iterator<Item = &'t Ticket>, ball: u128) -> &'t Ticket {
    let balls =
        tickets.flat_map(|ticket| core::iter::once((ticket, u128::from(ticket.stake.get()))));
    let mut sum = 0;
    for (ticket, stake) in balls {
        sum += stake;
        if ball < sum {
            return ticket;
        }
    }
    panic!("ball {ball} beyond {sum}");
}

/// Ball, bundle, ticket, pot and standby.
type ModelDraw = (u128, Vec<u32>, u64, u128, Option<u64>);

/// Draws and revenue by the book.
fn model(batch: &Batch, seed: Seed) -> (Vec<ModelDraw>, Vec<u128>) {
    let mut urn: Vec<Pool> = Vec::new();
    for ticket in batch.tickets() {
        let members: BTreeSet<u32> = batch
            .bundles()
            .get(ticket.bundle.get() as usize)
            .unwrap()
            .iter()
            .map(|member| member.get())
            .collect();
        match urn.iter_mut().find(|pool| pool.members == members) {
            Some(pool) => pool.tickets.push(*ticket),
            None => urn.push(Pool {
                members,
                tickets: vec![*ticket],
            }),
        }
    }
    urn.sort_by(|a, b| a.members.iter().cmp(b.members.iter()));
    urn.iter_mut()
        .for_each(|pool| pool.tickets.sort_by_key(|ticket| ticket.id));

    let mut draws = Vec::new();
    let mut revenue = vec![0u128; batch.reserves().len()];
    while !urn.is_empty() {
        let k = draws.len() as u32;
        let live: u128 = urn.iter().map(Pool::stake).sum();
        let u = uniform(DRAW_TAG, seed, k, live);
        let mut before = 0;
        let at = urn.iter().position(|pool| {
            before += pool.stake();
            u < before
        });
        let winner = &urn[at.unwrap()];
        let offset = u - (before - winner.stake());
        let ticket = owner_of_ball(winner.tickets.iter(), offset);
        let others: Vec<&Ticket> = winner
            .tickets
            .iter()
            .filter(|other| other.owner != ticket.owner)
            .collect();
        let stake: u128 = others
            .iter()
            .map(|other| u128::from(other.stake.get()))
            .sum();
        let standby = (stake > 0).then(|| {
            let ball = uniform(STANDBY_TAG, seed, k, stake);
            owner_of_ball(others.iter().copied(), ball).id.get()
        });
        let bundle = winner.members.clone();
        for member in &bundle {
            revenue[*member as usize] = batch.reserves()[*member as usize].get().into();
        }
        let (knocked, left): (Vec<Pool>, Vec<Pool>) = {
            let ticket_id = ticket.id.get();
            let (knocked, left): (Vec<Pool>, Vec<Pool>) = urn
                .into_iter()
                .partition(|pool| !pool.members.is_disjoint(&bundle));
            let pot = knocked.iter().map(Pool::stake).sum();
            draws.push((u, bundle.iter().copied().collect(), ticket_id, pot, standby));
            (knocked, left)
        };
        for pool in knocked {
            let common: Vec<u32> = pool.members.intersection(&bundle).copied().collect();
            let (quotient, remainder) = (
                pool.stake() / common.len() as u128,
                pool.stake() % common.len() as u128,
            );
            for (position, member) in common.into_iter().enumerate() {
                revenue[member as usize] += quotient + u128::from((position as u128) < remainder);
            }
        }
        urn = left;
    }
    (draws, revenue)
}

fn draw(batch: &Batch, slot: u64) -> (Index, Assignment) {
    let index = Index::new(batch);
    let assignment = Lottery::new(&index).draw(Beacon([9; 32]), slot);
    (index, assignment)
}

#[test]
fn no_tickets_leave_everything_with_the_reserve_holders() {
    let (_, assignment) = draw(&batch(&[5, 7], &[&[0]], &[]), 0);
    assert!(assignment.draws.is_empty());
    assert_eq!(assignment.revenue, vec![Sum::ZERO; 2]);
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hex::encode(assignment.transcript_hash()), empty);
}

#[test]
fn the_greatest_stakes_do_not_overflow() {
    // As many of the greatest stakes as a batch may hold, on bundles that all overlap.
    let count = crate::batch::TICKETS_MAX;
    let rows: Vec<(u64, u32, u64)> = (0..count as u64)
        .map(|id| (id, (id % 3) as u32, u64::MAX))
        .collect();
    let batch = batch(&[u64::MAX; 3], &[&[0, 1], &[1, 2], &[0, 1, 2]], &rows);
    let (_, assignment) = draw(&batch, 1);
    assert_eq!(assignment.draws.len(), 1);
    assert_eq!(
        assignment.draws[0].pot.get(),
        u128::from(u64::MAX) * count as u128
    );
}

#[test]
fn a_drawer_remembers_nothing_between_slots() {
    let batch = batch(
        &[1, 2, 3],
        &[&[0], &[0, 1], &[1, 2], &[2]],
        &[(0, 0, 5), (1, 1, 6), (2, 2, 7), (3, 3, 8)],
    );
    let index = Index::new(&batch);
    let mut reused = Lottery::new(&index);
    for slot in 0..50 {
        let fresh = Lottery::new(&index).draw(Beacon([1; 32]), slot);
        assert_eq!(reused.draw(Beacon([1; 32]), slot), fresh);
    }
}

#[test]
fn the_standby_is_never_the_holder_and_exists_if_anyone_else_plays() {
    // Owner 0 has three tickets around those of owners 1 and 2.
    let mut list = tickets(&[(0, 0, 3), (1, 0, 2), (2, 0, 3), (3, 0, 2), (4, 0, 3)]);
    for (ticket, owner) in list.iter_mut().zip([0, 1, 0, 2, 0]) {
        ticket.owner = OwnerId::new(owner);
    }
    let one = batch(&[0], &[&[0]], &[]);
    let batch = Batch::new(vec![Gwei::ZERO], one.bundles().clone(), list).unwrap();
    let index = Index::new(&batch);
    let mut seen = BTreeSet::new();
    for slot in 0..400 {
        let result = Lottery::new(&index).draw(Beacon([2; 32]), slot);
        let pool = result.draws[0].pool;
        let holder = index.ticket(pool, result.draws[0].ticket).unwrap();
        let standby = index
            .ticket(pool, result.draws[0].standby.unwrap())
            .unwrap();
        assert_ne!(holder.owner, standby.owner);
        seen.insert((holder.id, standby.id));
    }
    // 3 tickets of owner 0 with 2 others each, 2 of the others with 4 others each.
    assert_eq!(seen.len(), 3 * 2 + 2 * 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_draw_follows_the_rule_to_the_letter(batch in arbitrary_batch(), slot in 0u64..1_000) {
        let (index, found) = draw(&batch, slot);
        let (draws, revenue) = model(&batch, found.seed);
        prop_assert_eq!(found.draws.len(), draws.len());
        for (found, (u, bundle, ticket, pot, standby)) in found.draws.iter().zip(draws) {
            let members: Vec<u32> =
                index.members(found.pool).iter().map(|member| member.get()).collect();
            prop_assert_eq!(found.u.get(), u);
            prop_assert_eq!(members, bundle);
            prop_assert_eq!(found.ticket.get(), ticket);
            prop_assert_eq!(found.pot.get(), pot);
            prop_assert_eq!(found.standby.map(TicketId::get), standby);
        }
        let found: Vec<u128> = found.revenue.iter().map(|sum| sum.get()).collect();
        prop_assert_eq!(found, revenue);
    }

    /// Both money identities, stated from outside.
    #[test]
    fn pots_add_up_to_stakes_and_shares_to_prices(batch in arbitrary_batch(), slot: u64) {
        let (index, found) = draw(&batch, slot);
        let pots: u128 = found.draws.iter().map(|draw| draw.pot.get()).sum();
        let stakes: u128 = batch.tickets().iter().map(|t| u128::from(t.stake.get())).sum();
        prop_assert_eq!(pots, stakes);
        for draw in &found.draws {
            let shares: u128 = index
                .members(draw.pool)
                .iter()
                .map(|member| found.revenue[member.get() as usize].get())
                .sum();
            prop_assert_eq!(shares, index.reserve(draw.pool).get() + draw.pot.get());
        }
    }

    /// Assigned bundles are disjoint, and no live bundle is left over.
    #[test]
    fn the_outcome_is_a_maximal_packing(batch in arbitrary_batch(), slot: u64) {
        let (index, found) = draw(&batch, slot);
        let mut taken = BTreeSet::new();
        for draw in &found.draws {
            for member in index.members(draw.pool) {
                prop_assert!(taken.insert(*member));
            }
        }
        for pool in (0..index.pools() as u32).map(PoolIndex::new) {
            prop_assert!(index.members(pool).iter().any(|member| taken.contains(member)));
        }
    }
}
