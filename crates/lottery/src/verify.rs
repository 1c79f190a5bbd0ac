//! The independent verifier: recomputes a slot from the batch and a claimed transcript.
//!
//! It shares no code with the draw beyond the definition of a uniform integer. The draw walks
//! forward, removing pools from a tree of sums; the verifier takes the transcript as a whole,
//! works out for every pool which draw must have knocked it out, and checks everything from
//! these times: a wrong draw order, a missing or an invented draw shows up as a contradiction.

use thiserror::Error;

use crate::amount::{Gwei, Sum};
use crate::batch::{Batch, Member, TicketId};
use crate::draw::{Assignment, Draw};
use crate::index::PoolIndex;
use crate::uniform::{Beacon, DRAW_TAG, STANDBY_TAG, Seed, uniform};

mod tickets;

pub use tickets::{Tickets, check_transcript_hash};

#[cfg(test)]
mod tests;

/// The first place where a claim differs from the truth.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("slot {slot}, {place}: claimed {claimed}, correct is {correct}")]
pub struct Difference {
    /// The slot.
    pub slot: u64,
    /// Which part of the answer.
    pub place: Place,
    /// What the claim says.
    pub claimed: String,
    /// What it should say.
    pub correct: String,
}

/// A part of a slot's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The seed of the slot.
    Seed,
    /// How many draws there are.
    Draws,
    /// The hash over the draws.
    TranscriptHash,
    /// A field of the draw at this position.
    Draw(usize, DrawField),
    /// Length of the revenue column.
    Revenue,
    /// Revenue of a namespace.
    RevenueOf(Member),
}

/// A field of a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawField {
    /// Its number.
    K,
    /// Stake still in the urn.
    Live,
    /// The ball.
    U,
    /// The bundle.
    Bundle,
    /// The winning ticket.
    Ticket,
    /// Stake knocked out.
    Pot,
    /// The standby ticket.
    Standby,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Seed => f.write_str("seed"),
            Self::Draws => f.write_str("number of draws"),
            Self::TranscriptHash => f.write_str("transcript_sha256"),
            Self::Draw(at, field) => write!(f, "draw {at}, {}", field.name()),
            Self::Revenue => f.write_str("length of revenue"),
            Self::RevenueOf(namespace) => write!(f, "revenue of namespace {namespace}"),
        }
    }
}

impl DrawField {
    /// The field's name in the file format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::K => "k",
            Self::Live => "live",
            Self::U => "u",
            Self::Bundle => "bundle",
            Self::Ticket => "ticket",
            Self::Pot => "pot",
            Self::Standby => "standby",
        }
    }
}

/// The public table a claim is checked against: bundles with stake, and reserves. Made from the
/// batch by its own route, or from published pools when the tickets are not at hand.
#[derive(Clone, Debug)]
pub struct Pools {
    reserves: Vec<Gwei>,
    /// Members of pool `p` are `members[starts[p]..starts[p + 1]]`.
    starts: Vec<u32>,
    members: Vec<Member>,
    stakes: Vec<u128>,
}

impl Pools {
    /// Merges the tickets of a batch into pools.
    pub fn new(batch: &Batch) -> Self {
        Tickets::new(batch).pools(batch)
    }

    /// Takes published pools; they must be in canonical order.
    pub(crate) fn from_sorted<'a>(
        reserves: Vec<Gwei>,
        pools: impl Iterator<Item = (&'a [Member], u128)>,
    ) -> Self {
        let mut table = Self {
            reserves,
            starts: vec![0],
            members: Vec::new(),
            stakes: Vec::new(),
        };
        for (members, stake) in pools {
            table.members.extend_from_slice(members);
            table.starts.push(table.members.len() as u32);
            table.stakes.push(stake);
        }
        table
    }

    /// Members of a pool, or `None` if there is no such pool.
    pub fn members(&self, pool: PoolIndex) -> Option<&[Member]> {
        let end = *self.starts.get(pool.at() + 1)?;
        Some(&self.members[self.starts[pool.at()] as usize..end as usize])
    }

    /// The pool of exactly these members.
    pub fn find(&self, members: &[Member]) -> Option<PoolIndex> {
        let count = self.stakes.len();
        let at = partition_point(count, |pool| {
            self.members(PoolIndex::new(pool as u32))
                .is_some_and(|list| list < members)
        });
        let pool = PoolIndex::new(at as u32);
        (self.members(pool) == Some(members)).then_some(pool)
    }

    /// Sum of all stakes.
    pub fn total(&self) -> Sum {
        Sum::new(self.stakes.iter().sum())
    }

    /// Checks a claimed slot without its tickets: every ball, every knock-out, every pot and
    /// every gwei of revenue. Who owns a ball inside its pool is left to [`Tickets`] or to an
    /// [`Opening`](crate::opening::Opening).
    ///
    /// # Errors
    /// The first [`Difference`], in the order of the answer's fields.
    pub fn verify(&self, beacon: Beacon, claim: &Assignment) -> Result<(), Difference> {
        self.verify_with(beacon, claim, |_, _, _| Ok(()))
    }

    /// As [`Pools::verify`]; `inside` checks each draw given its seed and the offset of its ball
    /// in the winning pool.
    pub(crate) fn verify_with(
        &self,
        beacon: Beacon,
        claim: &Assignment,
        inside: impl Fn(Seed, &Draw, u128) -> Result<(), (DrawField, String, String)>,
    ) -> Result<(), Difference> {
        let differ = |place, claimed: String, correct: String| {
            Err(Difference {
                slot: claim.slot,
                place,
                claimed,
                correct,
            })
        };
        let seed = Seed::derive(beacon, claim.slot);
        if claim.seed != seed {
            return differ(Place::Seed, claim.seed.to_string(), seed.to_string());
        }

        let takers = self.takers(claim);
        let knocked = self.knock_outs(&takers);
        let mut pots = vec![0u128; takers.draws];
        let mut order: Vec<Vec<u32>> = vec![Vec::new(); takers.draws];
        let mut survivors = 0u128;
        for (pool, &by) in knocked.iter().enumerate() {
            match by {
                NEVER => survivors += self.stakes[pool],
                by => {
                    pots[by as usize] += self.stakes[pool];
                    order[by as usize].push(pool as u32);
                }
            }
        }

        let mut blocks = Blocks::new(&self.stakes);
        let mut live: u128 = self.stakes.iter().sum();
        for (at, draw) in claim.draws.iter().take(takers.draws).enumerate() {
            let field = |field, claimed: String, correct: String| {
                differ(Place::Draw(at, field), claimed, correct)
            };
            if draw.k as usize != at {
                return field(DrawField::K, draw.k.to_string(), at.to_string());
            }
            if draw.live.get() != live {
                return field(DrawField::Live, draw.live.to_string(), live.to_string());
            }
            let u = uniform(DRAW_TAG, seed, draw.k, live);
            if draw.u.get() != u {
                return field(DrawField::U, draw.u.to_string(), u.to_string());
            }
            let before = blocks.before(draw.pool.at());
            let stake = blocks.value(draw.pool.at());
            if u < before || u - before >= stake {
                let correct = blocks.owner(u).and_then(|pool| self.members(pool));
                return field(
                    DrawField::Bundle,
                    format!("{:?}", ids(self.members(draw.pool).unwrap_or_default())),
                    format!("{:?}", ids(correct.unwrap_or_default())),
                );
            }
            if let Err((name, claimed, correct)) = inside(seed, draw, u - before) {
                return field(name, claimed, correct);
            }
            if draw.pot.get() != pots[at] {
                return field(DrawField::Pot, draw.pot.to_string(), pots[at].to_string());
            }
            for &pool in &order[at] {
                blocks.clear(pool as usize);
            }
            live -= pots[at];
        }
        if let Some(conflict) = takers.conflict {
            return Err(conflict);
        }
        if survivors > 0 {
            let claimed = format!("{} draws", claim.draws.len());
            return differ(
                Place::Draws,
                claimed,
                format!("more, {survivors} gwei of stake are left"),
            );
        }
        self.verify_revenue(claim, &takers.taken, &knocked)
    }

    /// For every pool the first draw whose bundle shares a namespace with it.
    fn knock_outs(&self, takers: &Takers) -> Vec<u32> {
        let earliest = |range: &[u32]| {
            let members = &self.members[range[0] as usize..range[1] as usize];
            members
                .iter()
                .map(|member| takers.taken[member.get() as usize])
                .min()
                .unwrap_or(NEVER)
        };
        self.starts.windows(2).map(earliest).collect()
    }

    /// For every namespace the draw that assigned it. Stops at the first draw whose bundle is no
    /// pool or claims a namespace again: what comes before it can still be checked, and must be,
    /// for the earliest lie may be the one that caused the conflict.
    fn takers(&self, claim: &Assignment) -> Takers {
        let mut taken = vec![NEVER; self.reserves.len()];
        for (at, draw) in claim.draws.iter().enumerate() {
            let conflict = |claimed: String, correct: String| {
                let place = Place::Draw(at, DrawField::Bundle);
                Some(Difference {
                    slot: claim.slot,
                    place,
                    claimed,
                    correct,
                })
            };
            let Some(members) = self.members(draw.pool) else {
                let claimed = format!("pool {}", draw.pool.get());
                let correct = format!("one of {} pools with stake", self.stakes.len());
                return Takers {
                    taken,
                    draws: at,
                    conflict: conflict(claimed, correct),
                };
            };
            let by = |member: &Member| taken[member.get() as usize];
            if let Some(member) = members.iter().find(|member| by(member) != NEVER) {
                let claimed = format!("{:?}", ids(members));
                let correct = format!(
                    "a bundle without namespace {member}, which draw {} took",
                    by(member)
                );
                return Takers {
                    taken,
                    draws: at,
                    conflict: conflict(claimed, correct),
                };
            }
            for member in members {
                taken[member.get() as usize] = at as u32;
            }
        }
        Takers {
            taken,
            draws: claim.draws.len(),
            conflict: None,
        }
    }

    /// Splits every knocked-out stake over the namespaces it has in common with the bundle that
    /// knocked it out, pool by pool.
    fn verify_revenue(
        &self,
        claim: &Assignment,
        taken: &[u32],
        knocked: &[u32],
    ) -> Result<(), Difference> {
        let mut revenue: Vec<u128> = taken
            .iter()
            .zip(&self.reserves)
            .map(|(&by, reserve)| if by == NEVER { 0 } else { reserve.get().into() })
            .collect();
        for (pool, range) in self.starts.windows(2).enumerate() {
            let members = &self.members[range[0] as usize..range[1] as usize];
            let common = || {
                let by = knocked[pool];
                members
                    .iter()
                    .filter(move |member| taken[member.get() as usize] == by)
            };
            let count = common().count() as u128;
            for (at, member) in common().enumerate() {
                // Gwei `at`, `at + count`, `at + 2·count`, … of the stake.
                revenue[member.get() as usize] +=
                    (self.stakes[pool] + count - 1 - at as u128) / count;
            }
        }
        if claim.revenue.len() != revenue.len() {
            return Err(Difference {
                slot: claim.slot,
                place: Place::Revenue,
                claimed: claim.revenue.len().to_string(),
                correct: revenue.len().to_string(),
            });
        }
        for (namespace, (claimed, correct)) in claim.revenue.iter().zip(revenue).enumerate() {
            if claimed.get() != correct {
                return Err(Difference {
                    slot: claim.slot,
                    place: Place::RevenueOf(Member::new(namespace as u32)),
                    claimed: claimed.to_string(),
                    correct: correct.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// Who took which namespace, as far as the claim makes sense.
struct Takers {
    /// By namespace: position of the draw, or [`NEVER`].
    taken: Vec<u32>,
    /// How many draws are accounted for.
    draws: usize,
    /// Why the next one is not.
    conflict: Option<Difference>,
}

/// A namespace no draw assigned, a pool no draw knocked out.
const NEVER: u32 = u32::MAX;

fn ids(members: &[Member]) -> Vec<u32> {
    members.iter().map(|member| member.get()).collect()
}

fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = (low + high) / 2;
        if before(middle) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    low
}

/// Stakes with the sums of consecutive blocks, so that a prefix costs a few hundred additions.
struct Blocks {
    values: Vec<u128>,
    sums: Vec<u128>,
}

/// About the square root of the greatest number of pools.
const BLOCK: usize = 128;

impl Blocks {
    fn new(stakes: &[u128]) -> Self {
        let sums = stakes
            .chunks(BLOCK)
            .map(|block| block.iter().sum())
            .collect();
        Self {
            values: stakes.to_vec(),
            sums,
        }
    }

    fn value(&self, at: usize) -> u128 {
        self.values[at]
    }

    fn before(&self, at: usize) -> u128 {
        let block = at / BLOCK;
        self.sums[..block].iter().sum::<u128>()
            + self.values[block * BLOCK..at].iter().sum::<u128>()
    }

    fn clear(&mut self, at: usize) {
        self.sums[at / BLOCK] -= self.values[at];
        self.values[at] = 0;
    }

    /// The pool that owns a ball.
    fn owner(&self, ball: u128) -> Option<PoolIndex> {
        let mut sum = 0;
        let at = self.values.iter().position(|value| {
            sum += value;
            ball < sum
        })?;
        Some(PoolIndex::new(at as u32))
    }
}

/// What [`Tickets`] needs to check a draw's two tickets.
pub(crate) fn standby_ball(seed: Seed, k: u32, others: u128) -> u128 {
    uniform(STANDBY_TAG, seed, k, others)
}

/// Shows a ticket or its absence in a difference.
pub(crate) fn show(ticket: Option<TicketId>) -> String {
    ticket.map_or_else(|| "none".into(), |ticket| ticket.to_string())
}
