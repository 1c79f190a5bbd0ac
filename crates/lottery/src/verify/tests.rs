use proptest::prelude::*;

use super::*;
use crate::draw::Lottery;
use crate::index::Index;
use crate::testing::{arbitrary_batch, batch};

const BEACON: Beacon = Beacon([6; 32]);

fn check(batch: &Batch, claim: &Assignment) -> Result<(), Difference> {
    Tickets::new(batch).verify(&Pools::new(batch), BEACON, claim)
}

/// A chain of overlapping pairs, so that one lie moves others.
fn chain() -> Batch {
    batch(
        &[10, 20, 30, 40, 50],
        &[&[0], &[0, 1], &[1, 2], &[2, 3], &[3, 4], &[4]],
        &[
            (0, 0, 5),
            (1, 1, 50),
            (2, 2, 60),
            (3, 3, 40),
            (4, 4, 55),
            (5, 5, 6),
            (6, 1, 17),
        ],
    )
}

fn run(batch: &Batch, slot: u64) -> Assignment {
    Lottery::new(&Index::new(batch)).draw(BEACON, slot)
}

#[test]
fn the_first_difference_is_named_with_its_place() {
    let batch = chain();
    let honest = (0..)
        .map(|slot| run(&batch, slot))
        .find(|r| r.draws.len() >= 2)
        .unwrap();
    let place = |lie: &dyn Fn(&mut Assignment)| {
        let mut claim = honest.clone();
        lie(&mut claim);
        check(&batch, &claim).unwrap_err().place
    };
    assert_eq!(place(&|claim| claim.seed.0[0] ^= 1), Place::Seed);
    assert_eq!(place(&|claim| claim.slot += 1), Place::Seed);
    assert_eq!(
        place(&|claim| claim.draws[1].k = 0),
        Place::Draw(1, DrawField::K)
    );
    assert_eq!(
        place(&|claim| claim.draws[1].live += Sum::new(1)),
        Place::Draw(1, DrawField::Live)
    );
    assert_eq!(
        place(&|claim| claim.draws[0].u += Sum::new(1)),
        Place::Draw(0, DrawField::U)
    );
    assert_eq!(
        place(&|claim| claim.draws[0].pot += Sum::new(1)),
        Place::Draw(0, DrawField::Pot)
    );
    assert_eq!(
        place(&|claim| claim.draws[0].ticket = TicketId::new(99)),
        Place::Draw(0, DrawField::Ticket)
    );
    let draw = &honest.draws[0];
    let other = draw.standby.map_or(Some(draw.ticket), |_| None);
    assert_eq!(
        place(&|claim| claim.draws[0].standby = other),
        Place::Draw(0, DrawField::Standby)
    );
    assert_eq!(
        place(&|claim| claim.revenue[2] += Sum::new(1)),
        Place::RevenueOf(Member::new(2))
    );
    assert_eq!(
        place(&|claim| claim.revenue.push(Sum::ZERO)),
        Place::Revenue
    );
    assert_eq!(
        place(&|claim| claim.draws.truncate(claim.draws.len() - 1)),
        Place::Draws
    );
    let last = honest.draws.len();
    let again = honest.draws[0].clone();
    assert_eq!(
        place(&|claim| claim.draws.push(again.clone())),
        Place::Draw(last, DrawField::Bundle)
    );
    assert_eq!(
        place(&|claim| claim.draws[0].pool = PoolIndex::new(77)),
        Place::Draw(0, DrawField::Bundle)
    );
}

#[test]
fn an_early_lie_is_blamed_even_if_it_collides_with_a_later_truth() {
    let batch = chain();
    let pools = Pools::new(&batch);
    let mut collided = 0;
    for slot in 0..200 {
        let honest = run(&batch, slot);
        for pool in 0..6 {
            let mut claim = honest.clone();
            if claim.draws[0].pool == PoolIndex::new(pool) {
                continue;
            }
            claim.draws[0].pool = PoolIndex::new(pool);
            let mine = pools.members(PoolIndex::new(pool)).unwrap();
            collided += usize::from(honest.draws[1..].iter().any(|draw| {
                pools
                    .members(draw.pool)
                    .unwrap()
                    .iter()
                    .any(|member| mine.contains(member))
            }));
            let difference = check(&batch, &claim).unwrap_err();
            assert_eq!(difference.place, Place::Draw(0, DrawField::Bundle));
            let truth = ids(pools.members(honest.draws[0].pool).unwrap());
            assert_eq!(difference.correct, format!("{truth:?}"));
        }
    }
    assert!(collided > 100);
}

#[test]
fn a_hash_of_other_draws_is_refused() {
    let claim = run(&chain(), 0);
    assert_eq!(
        check_transcript_hash(&claim, claim.transcript_hash()),
        Ok(())
    );
    let place = check_transcript_hash(&claim, [0; 32]).unwrap_err().place;
    assert_eq!(place, Place::TranscriptHash);
}

#[test]
fn without_tickets_everything_but_the_tickets_is_checked() {
    let batch = chain();
    let pools = Pools::new(&batch);
    let mut claim = run(&batch, 0);
    claim.draws[0].ticket = TicketId::new(99);
    assert_eq!(pools.verify(BEACON, &claim), Ok(()));
    assert!(check(&batch, &claim).is_err());
    claim.draws[0].pot += Sum::new(1);
    assert!(pools.verify(BEACON, &claim).is_err());
}

proptest! {
    #[test]
    fn every_honest_slot_verifies(batch in arbitrary_batch(), slot: u64) {
        prop_assert_eq!(check(&batch, &run(&batch, slot)), Ok(()));
    }

    #[test]
    fn another_beacon_does_not_verify(batch in arbitrary_batch(), slot: u64) {
        let claim = run(&batch, slot);
        let tickets = Tickets::new(&batch);
        let other = tickets.verify(&Pools::new(&batch), Beacon([7; 32]), &claim);
        prop_assert_eq!(other.unwrap_err().place, Place::Seed);
    }
}
