//! The money of one assigned bundle: price, shares, right of first refusal.

use crate::amount::{Gwei, Sum};
use crate::batch::{Member, OwnerId, TicketId};
use crate::draw::{Assignment, Draw};
use crate::index::{Index, PoolIndex};

#[cfg(test)]
mod tests;

/// What a namespace receives from a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The namespace.
    pub namespace: Member,
    /// `r_i`, its reserve.
    pub reserve: Gwei,
    /// Its share of the pot.
    pub excess: Sum,
}

impl Share {
    /// `x_i`: reserve and share of the pot.
    pub fn revenue(&self) -> Sum {
        Sum::from(self.reserve) + self.excess
    }

    /// The protocol's part: `fee_bps` ten-thousandths of the excess, rounded down; the reserve is
    /// never charged. The default fee is 0.
    ///
    /// # Panics
    /// If `fee_bps` exceeds 10,000: a fee is at most the whole excess.
    pub fn fee(&self, fee_bps: u16) -> Sum {
        assert!(
            fee_bps <= 10_000,
            "a fee of {fee_bps} bps takes more than everything"
        );
        Sum::new(self.excess.get() * u128::from(fee_bps) / 10_000)
    }
}

/// One assigned bundle with all that is due for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The pool sold.
    pub pool: PoolIndex,
    /// The winning ticket.
    pub ticket: TicketId,
    /// The holder.
    pub owner: OwnerId,
    /// The owner and ticket that may step in after a third of the slot.
    pub standby: Option<(OwnerId, TicketId)>,
    /// `R_B`: what the holder pays on top of its stake.
    pub reserve: Sum,
    /// Stake knocked out, already paid by all tickets at the draw.
    pub pot: Sum,
    /// What each member receives; adds up to `reserve + pot`.
    pub shares: Vec<Share>,
}

impl Sale {
    /// The sale of one draw of an assignment.
    ///
    /// # Panics
    /// If the draw is not of this index; the verifier is what untrusted draws go through.
    pub fn new(index: &Index, assignment: &Assignment, draw: &Draw) -> Self {
        let owner = |id| {
            index
                .ticket(draw.pool, id)
                .expect("a drawn ticket is in its pool")
                .owner
        };
        let shares = index
            .members(draw.pool)
            .iter()
            .map(|&namespace| {
                let reserve = index.reserves()[namespace.get() as usize];
                let revenue = assignment.revenue[namespace.get() as usize];
                Share {
                    namespace,
                    reserve,
                    excess: revenue - reserve.into(),
                }
            })
            .collect();
        Self {
            pool: draw.pool,
            ticket: draw.ticket,
            owner: owner(draw.ticket),
            standby: draw.standby.map(|id| (owner(id), id)),
            reserve: index.reserve(draw.pool),
            pot: draw.pot,
            shares,
        }
    }

    /// `π_B = R_B + pot_B`: what the sale earns and what the L1 proposer pays to take it over.
    pub fn price(&self) -> Sum {
        self.reserve + self.pot
    }

    /// The flow if the L1 proposer buys the bundle (R17). Whole assigned bundles only: no price
    /// exists for a part.
    pub fn first_refusal(&self) -> FirstRefusal {
        FirstRefusal {
            proposer_pays: self.price(),
            rollups_receive: self.reserve,
            holder_receives: self.pot,
            holder_released: self.reserve,
        }
    }
}

/// Who pays whom when a right of first refusal is exercised. The rollups' revenue is unchanged:
/// the reserve now comes from the proposer, and the pot they already have is made good to the
/// holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRefusal {
    /// `R_B + pot_B`, from the proposer's escrow.
    pub proposer_pays: Sum,
    /// `R_B`, in place of the holder's.
    pub rollups_receive: Sum,
    /// `pot_B`, the holder's compensation; its expectation is the stake of the holder's pool.
    pub holder_receives: Sum,
    /// The holder's own `R_B`, freed again (its bond too, which the ledger knows).
    pub holder_released: Sum,
}
