//! Merkle-sum openings: proof of one winner in about 400 bytes.
//!
//! Every pool is a binary tree over its tickets by id; a node carries the hash and the stake of
//! all below it. A path from the winning ticket to the root therefore shows where the ticket's
//! balls lie in the pool, and with the draw's context (seed, live stake, stake before the pool)
//! that the ball of the draw is one of them. The context is bound by a 32-byte commitment, which
//! the chain keeps per assigned bundle: whoever trusts the commitment needs nothing else.
//!
//! ```text
//!               root (hash, S_B) ── commitment
//!              /                \
//!        (hash, 95)          [hash, 40]        [..] = in the path
//!        /        \
//!   [hash, 60]   ticket 2: stake 35, balls 60..95 of the pool
//! ```

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::amount::{Gwei, Sum};
use crate::batch::{BUNDLE_MEMBERS_MAX, Member, OwnerId, TicketId};
use crate::draw::{Assignment, Draw};
use crate::index::{Entry, Index, PoolIndex};
use crate::uniform::{Beacon, DRAW_TAG, Seed, uniform};

mod codec;

pub use codec::DecodeError;

#[cfg(test)]
mod tests;

/// Longest path: a pool holds at most [`TICKETS_MAX`](crate::batch::TICKETS_MAX) = 2^20 tickets.
pub const PATH_MAX: usize = 20;

const LEAF_TAG: &[u8] = b"KOL1/leaf";
const NODE_TAG: &[u8] = b"KOL1/node";
const WIN_TAG: &[u8] = b"KOL1/win";

/// A node of a pool's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Hash over all below.
    pub hash: [u8; 32],
    /// Stake of all below.
    pub sum: Sum,
}

impl Node {
    fn leaf(id: TicketId, owner: OwnerId, stake: Gwei) -> Self {
        let hash = Sha256::new()
            .chain_update(LEAF_TAG)
            .chain_update(id.get().to_be_bytes())
            .chain_update(owner.get().to_be_bytes())
            .chain_update(stake.get().to_be_bytes())
            .finalize();
        Self {
            hash: hash.into(),
            sum: stake.into(),
        }
    }

    /// `None` if the sums of a hostile path overflow.
    fn join(left: Self, right: Self) -> Option<Self> {
        let hash = Sha256::new()
            .chain_update(NODE_TAG)
            .chain_update(left.hash)
            .chain_update(left.sum.get().to_be_bytes())
            .chain_update(right.hash)
            .chain_update(right.sum.get().to_be_bytes())
            .finalize();
        let sum = left.sum.get().checked_add(right.sum.get())?;
        Some(Self {
            hash: hash.into(),
            sum: Sum::new(sum),
        })
    }
}

/// One step of a path: the sibling, and on which side it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whether the sibling is to the left, so that its balls come first.
    pub sibling_is_left: bool,
    /// The sibling.
    pub sibling: Node,
}

/// The tree of one pool.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Leaves first, the root alone in the last level. A node without sibling moves up as it is.
    levels: Vec<Vec<Node>>,
}

impl Tree {
    /// The tree over a pool's tickets.
    pub fn new(index: &Index, pool: PoolIndex) -> Self {
        let leaf = |entry: Entry| Node::leaf(entry.id, entry.owner, entry.stake);
        let mut levels = vec![index.entries(pool).map(leaf).collect::<Vec<_>>()];
        while levels[levels.len() - 1].len() > 1 {
            let above = levels[levels.len() - 1]
                .chunks(2)
                .map(|pair| match *pair {
                    [left, right] => Node::join(left, right).expect("stakes add up below 2^96"),
                    _ => pair[0],
                })
                .collect();
            levels.push(above);
        }
        Self { levels }
    }

    /// The root: its sum is the pool's stake.
    pub fn root(&self) -> Node {
        self.levels[self.levels.len() - 1][0]
    }

    /// The path from the leaf at a position; `None` if the pool has no such leaf.
    pub fn path(&self, leaf: usize) -> Option<Vec<Step>> {
        self.levels[0].get(leaf)?;
        let mut at = leaf;
        let mut path = Vec::new();
        for level in &self.levels[..self.levels.len() - 1] {
            if let Some(&sibling) = level.get(at ^ 1) {
                path.push(Step {
                    sibling_is_left: at % 2 == 1,
                    sibling,
                });
            }
            at /= 2;
        }
        Some(path)
    }
}

/// Proof that a ticket won a bundle in one draw of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Beacon of the epoch.
    pub beacon: Beacon,
    /// The slot.
    pub slot: u64,
    /// Number of the draw.
    pub k: u32,
    /// Stake in the urn at that draw.
    pub live: Sum,
    /// Stake of the live pools before the bundle's.
    pub before: Sum,
    /// Stake knocked out by the draw.
    pub pot: Sum,
    /// The bundle: it proves the holder of each of its members.
    pub members: Vec<Member>,
    /// The winning ticket.
    pub ticket: TicketId,
    /// Its owner, the holder.
    pub owner: OwnerId,
    /// Its stake.
    pub stake: Gwei,
    /// From the ticket to the pool's root.
    pub path: Vec<Step>,
    /// Binds all of the draw's context; the chain keeps it per assigned bundle.
    pub commitment: [u8; 32],
}

/// Why an opening proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpeningError {
    /// The bundle is empty, too long or not increasing.
    #[error("the bundle is not a strictly increasing list of 1 to {BUNDLE_MEMBERS_MAX} members")]
    Bundle,
    /// A ticket without stake owns no ball.
    #[error("the ticket has stake 0")]
    ZeroStake,
    /// The path is longer than a pool's tree can be.
    #[error("the path has {found} steps, a pool's tree has at most {PATH_MAX}")]
    PathLength {
        /// Steps found.
        found: usize,
    },
    /// A sibling without stake, or sums that overflow.
    #[error("the sums of the path do not add up")]
    PathSum,
    /// The pool does not fit into the urn, or the pot does not contain the pool.
    #[error("stake {pool} of the pool does not fit: {before} before it, {live} live, pot {pot}")]
    Context {
        /// Stake of the pool.
        pool: Sum,
        /// Stake before it.
        before: Sum,
        /// Stake in the urn.
        live: Sum,
        /// Stake knocked out.
        pot: Sum,
    },
    /// The ball of this draw belongs to someone else.
    #[error("ball {ball} is not among the ticket's, {first} up to before {end}")]
    Ball {
        /// The ball of the draw.
        ball: Sum,
        /// First ball of the ticket.
        first: Sum,
        /// First ball after the ticket's.
        end: Sum,
    },
    /// Some field is not what the commitment binds.
    #[error("the commitment does not match: it should be {correct}")]
    Commitment {
        /// What the fields commit to, in hex.
        correct: String,
    },
}

impl Opening {
    /// Proves the holder of an assigned namespace; `None` if no draw assigned it or `assignment`
    /// is not of this index.
    pub fn prove(
        index: &Index,
        beacon: Beacon,
        assignment: &Assignment,
        namespace: Member,
    ) -> Option<Self> {
        let draw = assignment.holder_of(index, namespace)?;
        let leaf = index
            .entries(draw.pool)
            .position(|entry| entry.id == draw.ticket)?;
        let entry = index.ticket(draw.pool, draw.ticket)?;
        let tree = Tree::new(index, draw.pool);
        let mut opening = Self {
            beacon,
            slot: assignment.slot,
            k: draw.k,
            live: draw.live,
            before: live_before(index, assignment, draw),
            pot: draw.pot,
            members: index.members(draw.pool).to_vec(),
            ticket: draw.ticket,
            owner: entry.owner,
            stake: entry.stake,
            path: tree.path(leaf)?,
            commitment: [0; 32],
        };
        opening.commitment = opening.commit(tree.root());
        Some(opening)
    }

    /// Checks that the ticket won the bundle, given that the commitment is the chain's.
    ///
    /// # Errors
    /// An [`OpeningError`] that names what does not fit.
    pub fn check(&self) -> Result<(), OpeningError> {
        if self.members.is_empty()
            || self.members.len() > BUNDLE_MEMBERS_MAX
            || !self.members.is_sorted_by(|a, b| a < b)
        {
            return Err(OpeningError::Bundle);
        }
        if self.stake == Gwei::ZERO {
            return Err(OpeningError::ZeroStake);
        }
        if self.path.len() > PATH_MAX {
            return Err(OpeningError::PathLength {
                found: self.path.len(),
            });
        }
        let (root, offset) = self.climb().ok_or(OpeningError::PathSum)?;
        let (pool, before, live, pot) = (root.sum, self.before, self.live, self.pot);
        let context = OpeningError::Context {
            pool,
            before,
            live,
            pot,
        };
        let end = before
            .get()
            .checked_add(pool.get())
            .ok_or(context.clone())?;
        if end > live.get() || pot < pool || pot > live {
            return Err(context);
        }
        let seed = Seed::derive(self.beacon, self.slot);
        let ball = Sum::new(uniform(DRAW_TAG, seed, self.k, live.get()));
        let first = before + offset;
        let end = first + self.stake.into();
        if ball < first || ball >= end {
            return Err(OpeningError::Ball { ball, first, end });
        }
        let correct = self.commit(root);
        if self.commitment != correct {
            return Err(OpeningError::Commitment {
                correct: hex::encode(correct),
            });
        }
        Ok(())
    }

    /// The root of the path and the stake of all tickets before this one.
    fn climb(&self) -> Option<(Node, Sum)> {
        let mut node = Node::leaf(self.ticket, self.owner, self.stake);
        let mut offset = 0u128;
        for step in &self.path {
            if step.sibling.sum == Sum::ZERO {
                return None;
            }
            if step.sibling_is_left {
                offset = offset.checked_add(step.sibling.sum.get())?;
                node = Node::join(step.sibling, node)?;
            } else {
                node = Node::join(node, step.sibling)?;
            }
        }
        Some((node, Sum::new(offset)))
    }

    fn commit(&self, root: Node) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(WIN_TAG)
            .chain_update(self.beacon.0)
            .chain_update(self.slot.to_be_bytes())
            .chain_update(self.k.to_be_bytes())
            .chain_update(self.live.get().to_be_bytes())
            .chain_update(self.before.get().to_be_bytes())
            .chain_update(self.pot.get().to_be_bytes())
            .chain_update((self.members.len() as u32).to_be_bytes());
        for member in &self.members {
            hash.update(member.get().to_be_bytes());
        }
        hash.update(root.hash);
        hash.update(root.sum.get().to_be_bytes());
        hash.finalize().into()
    }
}

/// Stake of the pools that were live at a draw and stand before its own.
fn live_before(index: &Index, assignment: &Assignment, draw: &Draw) -> Sum {
    let mut taken = vec![false; index.namespaces()];
    for earlier in assignment
        .draws
        .iter()
        .take_while(|earlier| earlier.k < draw.k)
    {
        for member in index.members(earlier.pool) {
            taken[member.get() as usize] = true;
        }
    }
    let live = |pool: &PoolIndex| {
        index
            .members(*pool)
            .iter()
            .all(|member| !taken[member.get() as usize])
    };
    (0..draw.pool.get())
        .map(PoolIndex::new)
        .filter(live)
        .map(|pool| index.stake(pool))
        .sum()
}
