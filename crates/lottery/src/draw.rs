//! The Knock-Out draw of one slot.

use sha2::{Digest, Sha256};

use crate::amount::Sum;
use crate::batch::{BUNDLE_MEMBERS_MAX, Member, TicketId};
use crate::index::{Entry, Guess, Index, PoolIndex};
use crate::prefix::Prefix;
use crate::uniform::{Beacon, DRAW_TAG, STANDBY_TAG, Seed, uniform};

#[cfg(test)]
mod tests;

/// One assigned bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Number of the draw in its slot, from 0.
    pub k: u32,
    /// Stake of all pools still in the urn.
    pub live: Sum,
    /// The ball: uniform below `live`.
    pub u: Sum,
    /// The pool the ball belongs to.
    pub pool: PoolIndex,
    /// The ticket the ball belongs to: the holder.
    pub ticket: TicketId,
    /// Stake knocked out by this draw, the winner's pool included.
    pub pot: Sum,
    /// Drawn in the same pool without the holder's tickets; `None` if it has no other owner.
    pub standby: Option<TicketId>,
}

/// The result of one slot: its draws in order and what every namespace receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The slot.
    pub slot: u64,
    /// Its seed.
    pub seed: Seed,
    /// Assigned bundles, disjoint, in the order drawn.
    pub draws: Vec<Draw>,
    /// `x_i` of every namespace: reserve plus share of the pot, 0 where unassigned.
    pub revenue: Vec<Sum>,
}

impl Assignment {
    /// SHA-256 over the draws, each `k ‖ pool ‖ ticket ‖ pot`, big endian.
    pub fn transcript_hash(&self) -> [u8; 32] {
        transcript_hash(&self.draws)
    }

    /// The draw that assigned a namespace, if any did.
    pub fn holder_of(&self, index: &Index, namespace: Member) -> Option<&Draw> {
        self.draws
            .iter()
            .find(|draw| index.members(draw.pool).binary_search(&namespace).is_ok())
    }
}

/// SHA-256 over draws, each `k u32 ‖ pool u32 ‖ ticket u64 ‖ pot u128`, big endian.
pub fn transcript_hash(draws: &[Draw]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for draw in draws {
        hash.update(draw.k.to_be_bytes());
        hash.update(draw.pool.get().to_be_bytes());
        hash.update(draw.ticket.get().to_be_bytes());
        hash.update(draw.pot.get().to_be_bytes());
    }
    hash.finalize().into()
}

/// Draws slots from an index. Keeps its working memory between slots, nothing else: the result of
/// a slot depends only on index, beacon and slot.
#[derive(Debug)]
pub struct Lottery<'a> {
    index: &'a Index,
    /// Stakes of live pools; a pool that has left the urn is 0.
    live: Prefix,
    /// Whether each namespace is in the bundle of the present draw; all false between draws.
    in_bundle: Vec<bool>,
    /// The ball of each draw within its pool, then that of its standby.
    balls: Vec<Option<u128>>,
    /// Where each of those balls may be.
    guesses: Vec<Option<Guess>>,
    /// The holder's own entries in the pool of the present draw.
    own: Vec<Entry>,
    /// Members that a pool shares with the present bundle.
    common: Vec<u32>,
}

impl<'a> Lottery<'a> {
    /// Makes room for the slots of an index.
    pub fn new(index: &'a Index) -> Self {
        Self {
            index,
            live: index.prefix().clone(),
            in_bundle: vec![false; index.namespaces()],
            balls: Vec::new(),
            guesses: Vec::new(),
            own: Vec::new(),
            common: vec![0; BUNDLE_MEMBERS_MAX],
        }
    }

    /// Draws one slot.
    pub fn draw(&mut self, beacon: Beacon, slot: u64) -> Assignment {
        self.draw_with(Seed::derive(beacon, slot), slot)
    }

    /// Draws one slot from its seed.
    pub fn draw_with(&mut self, seed: Seed, slot: u64) -> Assignment {
        self.live.copy_from(self.index.prefix());
        let mut revenue = vec![Sum::ZERO; self.index.namespaces()];
        // As many as the slot before had: about right.
        let mut draws = Vec::with_capacity(self.balls.len());
        self.balls.clear();
        let mut live = self.index.total();
        while live > Sum::ZERO {
            let draw = self.step(seed, draws.len() as u32, live, &mut revenue);
            live -= draw.pot;
            draws.push(draw);
        }
        self.name_tickets(seed, &mut draws);
        let assignment = Assignment {
            slot,
            seed,
            draws,
            revenue,
        };
        self.assert_money(&assignment);
        assignment
    }

    /// Draws a ball, removes the pools its bundle knocks out and shares the pot. Who owns the
    /// ball in its pool changes nothing of that and is left open.
    fn step(&mut self, seed: Seed, k: u32, live: Sum, revenue: &mut [Sum]) -> Draw {
        let u = uniform(DRAW_TAG, seed, k, live.get());
        let (position, before) = self.live.find(u);
        let pool = PoolIndex::new(position as u32);
        self.balls.push(Some(u - before));
        Draw {
            k,
            live,
            u: Sum::new(u),
            pool,
            ticket: TicketId::default(),
            pot: self.knock_out(pool, revenue),
            standby: None,
        }
    }

    /// Finds holders and standbys. Tickets are too many for any cache, so the memory of all draws
    /// is asked for first and used afterwards.
    fn name_tickets(&mut self, seed: Seed, draws: &mut [Draw]) {
        self.guess(draws);
        for (at, draw) in draws.iter_mut().enumerate() {
            let Some((ball, guess)) = self.balls[at].zip(self.guesses[at]) else {
                continue;
            };
            let holder = self.index.ticket_from(draw.pool, ball, guess);
            draw.ticket = holder.id;
            self.balls[at] = self.standby_ball(seed, draw.k, draw.pool, holder);
        }
        self.guess(draws);
        for ((draw, ball), guess) in draws.iter_mut().zip(&self.balls).zip(&self.guesses) {
            let found = |(ball, guess)| self.index.ticket_from(draw.pool, ball, guess).id;
            draw.standby = ball.zip(*guess).map(found);
        }
    }

    fn guess(&mut self, draws: &[Draw]) {
        let look = |(draw, ball): (&Draw, &Option<u128>)| {
            ball.map(|ball| self.index.guess(draw.pool, ball))
        };
        self.guesses.clear();
        self.guesses.extend(draws.iter().zip(&self.balls).map(look));
    }

    /// A second ball of the same pool, the holder's owner left out; `None` if nobody else is in.
    fn standby_ball(&mut self, seed: Seed, k: u32, pool: PoolIndex, holder: Entry) -> Option<u128> {
        self.index.entries_of(pool, holder.owner, &mut self.own);
        let others = self.index.stake(pool) - self.own.iter().map(|entry| entry.stake).sum::<Sum>();
        (others > Sum::ZERO).then(|| {
            let ball = uniform(STANDBY_TAG, seed, k, others.get());
            Index::ball_without(&self.own, ball)
        })
    }

    /// Removes every live pool that shares a namespace with the bundle; returns their stake.
    /// Credits every member with its reserve and its Shapley share: each knocked-out stake is
    /// split equally over the members it competed for, odd gwei to the lowest.
    fn knock_out(&mut self, pool: PoolIndex, revenue: &mut [Sum]) -> Sum {
        let bundle = self.index.members(pool);
        for member in bundle {
            self.in_bundle[member.get() as usize] = true;
        }
        let mut pot = 0u128;
        for &member in bundle {
            for &knocked in self.index.touching(member) {
                // Pools have stake, so only those that left the urn have none.
                let stake = self.live.take(knocked.at());
                if stake == 0 {
                    continue;
                }
                pot += stake;
                if bundle.len() > 1 {
                    self.share(stake, self.index.members(knocked), revenue);
                }
            }
        }
        if let [only] = *bundle {
            revenue[only.get() as usize] = Sum::new(pot);
        }
        for member in bundle {
            let at = member.get() as usize;
            revenue[at] += self.index.reserves()[at].into();
            self.in_bundle[at] = false;
        }
        Sum::new(pot)
    }

    /// Splits a stake over those of its members that are in the present bundle.
    fn share(&mut self, stake: u128, members: &[Member], revenue: &mut [Sum]) {
        // Whether a member is in the bundle cannot be predicted, so each is written down and only
        // those that are move the end on: cheaper than a branch gone wrong.
        let mut count = 0;
        for member in members {
            self.common[count] = member.get();
            count += usize::from(self.in_bundle[member.get() as usize]);
        }
        if let [only] = self.common[..count] {
            revenue[only as usize] += Sum::new(stake);
            return;
        }
        let (quotient, remainder) = divide(stake, count);
        for (at, &member) in self.common[..count].iter().enumerate() {
            let odd = u128::from(at < remainder);
            revenue[member as usize] += Sum::new(quotient + odd);
        }
    }

    /// The two identities of every run: all stakes end in a pot, and rollups receive exactly the
    /// reserves and pots of what was sold.
    fn assert_money(&self, assignment: &Assignment) {
        let pots: Sum = assignment.draws.iter().map(|draw| draw.pot).sum();
        assert_eq!(pots, self.index.total(), "pots must add up to stakes");
        let reserves: Sum = assignment
            .draws
            .iter()
            .map(|draw| self.index.reserve(draw.pool))
            .sum();
        let revenue: Sum = assignment.revenue.iter().copied().sum();
        assert_eq!(
            revenue,
            reserves + pots,
            "revenue must be reserves plus pots"
        );
    }
}

/// Quotient and remainder; 64-bit division is several times faster and nearly every stake fits.
fn divide(stake: u128, over: usize) -> (u128, usize) {
    match u64::try_from(stake) {
        Ok(stake) => ((stake / over as u64).into(), (stake % over as u64) as usize),
        Err(_) => (stake / over as u128, (stake % over as u128) as usize),
    }
}
