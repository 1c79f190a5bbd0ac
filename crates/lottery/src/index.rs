//! The index of a batch: pools in canonical order, their tickets, and who touches whom.
//!
//! Built once per set of tickets in `O(T + Σ|B|)`; every slot of the batch is then drawn from it.

use crate::amount::{Gwei, Sum};
use crate::batch::{Batch, Member, OwnerId, TicketId};
use crate::prefix::Prefix;

#[cfg(test)]
mod tests;

/// Position of a pool among the pools with stake, sorted lexicographically by member list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolIndex(u32);

impl PoolIndex {
    /// Wraps a position.
    pub const fn new(position: u32) -> Self {
        Self(position)
    }

    /// The position itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn at(self) -> usize {
        self.0 as usize
    }
}

/// A ticket as it stands in its pool: its balls are `start..start + stake` of the pool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The ticket.
    pub id: TicketId,
    /// Its owner.
    pub owner: OwnerId,
    /// Balls of the pool before it.
    pub start: Sum,
    /// Its stake.
    pub stake: Gwei,
}

/// A ticket as it is kept: half a cache line.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    /// Cumulative stake within the pool, this ticket included.
    end: u128,
    id: TicketId,
    owner: OwnerId,
}

/// Where a ball may be: the row that would own it if all tickets of the pool were equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    at: u32,
    end: u128,
}

/// All pools with positive stake of a batch, ready to be drawn from.
///
/// - Pools are distinct and strictly increasing as lists; every pool has at least one ticket.
/// - Tickets of a pool are strictly increasing by id.
/// - `total` is the sum of all stakes.
#[derive(Clone, Debug)]
pub struct Index {
    reserves: Vec<Gwei>,
    /// Members of pool `p` are `members[member_starts[p]..member_starts[p + 1]]`.
    member_starts: Vec<u32>,
    members: Vec<Member>,
    /// Tickets of pool `p` are `rows[ticket_starts[p]..ticket_starts[p + 1]]`.
    ticket_starts: Vec<u32>,
    /// One ticket per row: whoever finds one wants all of it, and a slot reads few of them, each
    /// from memory that no cache holds.
    rows: Vec<Row>,
    /// 16 mixed bits of the owner of each row. The standby draw looks for one owner in the whole
    /// pool; this passes over nearly all others in a sixteenth of the memory.
    marks: Vec<u16>,
    stakes: Vec<u128>,
    /// Pools that contain namespace `i`, ascending.
    touching_starts: Vec<u32>,
    touching: Vec<PoolIndex>,
    prefix: Prefix,
    total: Sum,
}

/// How many owners' marks are compared before looking at the result.
const MARKS_AT_ONCE: usize = 32;

/// The mark of an owner. Equal marks of different owners only cost a look at the owner itself.
fn mark(owner: OwnerId) -> u16 {
    // The golden ratio in 64 bits spreads consecutive ids over the top bits.
    (owner.get().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
}

/// Bundle positions that carry no ticket.
const UNUSED: u32 = u32::MAX;

impl Index {
    /// Indexes a batch.
    pub fn new(batch: &Batch) -> Self {
        let (pool_of, order) = canonical_pools(batch);
        let pools = order.len();

        let mut member_starts = Vec::with_capacity(pools + 1);
        let mut members = Vec::new();
        member_starts.push(0);
        for list in &order {
            members.extend_from_slice(list);
            member_starts.push(members.len() as u32);
        }

        let mut ticket_starts = vec![0u32; pools + 1];
        for ticket in batch.tickets() {
            ticket_starts[pool_of[ticket.bundle.get() as usize] as usize + 1] += 1;
        }
        for pool in 0..pools {
            ticket_starts[pool + 1] += ticket_starts[pool];
        }
        let mut rows = vec![Row::default(); batch.tickets().len()];
        let mut next = ticket_starts.clone();
        for ticket in batch.tickets() {
            let slot = &mut next[pool_of[ticket.bundle.get() as usize] as usize];
            rows[*slot as usize] = Row {
                end: ticket.stake.get().into(),
                id: ticket.id,
                owner: ticket.owner,
            };
            *slot += 1;
        }
        let mut stakes = Vec::with_capacity(pools);
        for pool in 0..pools {
            let rows = &mut rows[ticket_starts[pool] as usize..ticket_starts[pool + 1] as usize];
            if !rows.is_sorted_by_key(|row| row.id) {
                rows.sort_unstable_by_key(|row| row.id);
            }
            let mut sum = 0u128;
            for row in rows {
                sum += row.end;
                row.end = sum;
            }
            stakes.push(sum);
        }

        let (touching_starts, touching) =
            touching_pools(batch.reserves().len(), &member_starts, &members);
        Self {
            reserves: batch.reserves().to_vec(),
            prefix: Prefix::new(stakes.clone()),
            total: Sum::new(stakes.iter().sum()),
            marks: rows.iter().map(|row| mark(row.owner)).collect(),
            rows,
            member_starts,
            members,
            ticket_starts,
            stakes,
            touching_starts,
            touching,
        }
    }

    /// How many namespaces the snapshot has.
    pub fn namespaces(&self) -> usize {
        self.reserves.len()
    }

    /// How many pools carry stake.
    pub fn pools(&self) -> usize {
        self.stakes.len()
    }

    /// How many tickets there are.
    pub fn tickets(&self) -> usize {
        self.rows.len()
    }

    /// Sum of all stakes.
    pub fn total(&self) -> Sum {
        self.total
    }

    /// Reserve price of every namespace.
    pub fn reserves(&self) -> &[Gwei] {
        &self.reserves
    }

    /// Members of a pool's bundle.
    pub fn members(&self, pool: PoolIndex) -> &[Member] {
        let at = pool.at();
        &self.members[self.member_starts[at] as usize..self.member_starts[at + 1] as usize]
    }

    /// `S_B`: the stake of a pool.
    pub fn stake(&self, pool: PoolIndex) -> Sum {
        Sum::new(self.stakes[pool.at()])
    }

    /// `R_B`: the reserves of a pool's bundle.
    pub fn reserve(&self, pool: PoolIndex) -> Sum {
        self.members(pool)
            .iter()
            .map(|member| self.reserves[member.get() as usize])
            .sum()
    }

    /// Pools whose bundle contains a namespace, ascending.
    pub fn touching(&self, namespace: Member) -> &[PoolIndex] {
        let at = namespace.get() as usize;
        &self.touching[self.touching_starts[at] as usize..self.touching_starts[at + 1] as usize]
    }

    /// The pool of exactly these members, if it carries stake.
    pub fn pool_of(&self, members: &[Member]) -> Option<PoolIndex> {
        let (mut low, mut high) = (0, self.pools());
        while low < high {
            let middle = (low + high) / 2;
            match self.members(PoolIndex(middle as u32)).cmp(members) {
                core::cmp::Ordering::Equal => return Some(PoolIndex(middle as u32)),
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Tickets of a pool by id.
    pub fn entries(&self, pool: PoolIndex) -> impl ExactSizeIterator<Item = Entry> {
        self.ticket_range(pool).map(move |at| self.entry(pool, at))
    }

    /// A ticket of a pool by its id.
    pub fn ticket(&self, pool: PoolIndex, id: TicketId) -> Option<Entry> {
        let range = self.ticket_range(pool);
        let offset = self.rows[range.clone()]
            .binary_search_by_key(&id, |row| row.id)
            .ok()?;
        Some(self.entry(pool, range.start + offset))
    }

    /// A first look for ball `offset` of a pool (`offset < S_B`). Apart from the search because
    /// looks for many balls do not wait for each other's memory, where searches do.
    pub(crate) fn guess(&self, pool: PoolIndex, offset: u128) -> Guess {
        let range = self.ticket_range(pool);
        let stake = self.stakes[pool.at()];
        // The top 32 bits are enough for a guess, and a product with a count fits 64 bits.
        let shift = u128::BITS.saturating_sub(stake.leading_zeros() + u32::BITS);
        let (part, whole) = ((offset >> shift) as u64, (stake >> shift) as u64);
        let count = range.len() as u64;
        let at = range.start + (part * count / whole).min(count - 1) as usize;
        Guess {
            at: at as u32,
            end: self.rows[at].end,
        }
    }

    /// The ticket that owns ball `offset` of a pool (`offset < S_B`), searched from a guess with
    /// doubling steps: one or two cache lines where tickets are alike, and never more than twice
    /// the steps of halving.
    pub(crate) fn ticket_from(&self, pool: PoolIndex, offset: u128, guess: Guess) -> Entry {
        let range = self.ticket_range(pool);
        let guessed = guess.at as usize;
        let mut step = 1;
        let (mut low, mut high) = (range.start, guessed);
        if guess.end <= offset {
            (low, high) = (guessed + 1, range.end - 1);
            while low + step < high && self.rows[low + step - 1].end <= offset {
                low += step;
                step *= 2;
            }
            high = high.min(low + step);
        } else {
            while high - low > step && self.rows[high - step].end > offset {
                high -= step;
                step *= 2;
            }
            low = low.max(high.saturating_sub(step));
        }
        self.entry(
            pool,
            low + self.rows[low..high].partition_point(|row| row.end <= offset),
        )
    }

    /// The ball of a pool that is ball `offset` of what remains without some tickets; `own` are
    /// their entries, ascending, and `offset` is below what remains.
    pub(crate) fn ball_without(own: &[Entry], offset: u128) -> u128 {
        let mut ball = offset;
        for entry in own {
            if ball < entry.start.get() {
                break;
            }
            ball += u128::from(entry.stake.get());
        }
        ball
    }

    /// Collects the entries of one owner in a pool.
    pub(crate) fn entries_of(&self, pool: PoolIndex, owner: OwnerId, into: &mut Vec<Entry>) {
        into.clear();
        let range = self.ticket_range(pool);
        let wanted = mark(owner);
        for (first, marks) in (range.start..)
            .step_by(MARKS_AT_ONCE)
            .zip(self.marks[range].chunks(MARKS_AT_ONCE))
        {
            // Without a way out of the loop it compiles to a few wide comparisons.
            if !marks
                .iter()
                .fold(false, |any, mark| any | (*mark == wanted))
            {
                continue;
            }
            let hits = (first..).zip(marks).filter(|(_, mark)| **mark == wanted);
            let hits = hits.filter(|(at, _)| self.rows[*at].owner == owner);
            into.extend(hits.map(|(at, _)| self.entry(pool, at)));
        }
    }

    pub(crate) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    fn ticket_range(&self, pool: PoolIndex) -> core::ops::Range<usize> {
        self.ticket_starts[pool.at()] as usize..self.ticket_starts[pool.at() + 1] as usize
    }

    fn entry(&self, pool: PoolIndex, at: usize) -> Entry {
        let first = self.ticket_starts[pool.at()] as usize;
        let start = if at == first {
            0
        } else {
            self.rows[at - 1].end
        };
        let Row { end, id, owner } = self.rows[at];
        Entry {
            id,
            owner,
            start: Sum::new(start),
            // The difference of two neighbours is the u64 it was summed from.
            stake: Gwei::new((end - start) as u64),
        }
    }
}

/// The pool of every listed bundle ([`UNUSED`] without tickets) and the pools' lists in order.
fn canonical_pools(batch: &Batch) -> (Vec<u32>, Vec<&[Member]>) {
    let mut used = vec![false; batch.bundles().len()];
    for ticket in batch.tickets() {
        used[ticket.bundle.get() as usize] = true;
    }
    let mut lists: Vec<(&[Member], usize)> = batch
        .bundles()
        .iter()
        .enumerate()
        .filter(|(bundle, _)| used[*bundle])
        .map(|(bundle, list)| (list, bundle))
        .collect();
    lists.sort_unstable();
    let mut pool_of = vec![UNUSED; used.len()];
    let mut order: Vec<&[Member]> = Vec::with_capacity(lists.len());
    for (list, bundle) in lists {
        if order.last() != Some(&list) {
            order.push(list);
        }
        pool_of[bundle] = (order.len() - 1) as u32;
    }
    (pool_of, order)
}

fn touching_pools(
    namespaces: usize,
    member_starts: &[u32],
    members: &[Member],
) -> (Vec<u32>, Vec<PoolIndex>) {
    let mut starts = vec![0u32; namespaces + 1];
    for member in members {
        starts[member.get() as usize + 1] += 1;
    }
    for namespace in 0..namespaces {
        starts[namespace + 1] += starts[namespace];
    }
    let mut next = starts.clone();
    let mut touching = vec![PoolIndex::default(); members.len()];
    for (pool, range) in member_starts.windows(2).enumerate() {
        for member in &members[range[0] as usize..range[1] as usize] {
            let slot = &mut next[member.get() as usize];
            touching[*slot as usize] = PoolIndex(pool as u32);
            *slot += 1;
        }
    }
    (starts, touching)
}
