//! Families of instances: five in the manner of the Combinatorial Auction Test Suite, written
//! from its published description, and one that looks like rollups.
//!
//! Every family yields distinct bundles, each with a value: what its bidder would pay for a slot
//! above the reserves. An instance then spreads tickets over them, stakes in proportion to value.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::amount::Gwei;
use crate::batch::{
    BUNDLE_MEMBERS_MAX, Batch, BatchError, BundleIndex, Bundles, Member, OwnerId, Ticket, TicketId,
};
use crate::file::Instance;
use crate::mix::Mix;
use crate::uniform::Beacon;

mod goods;
mod routes;

#[cfg(test)]
mod tests;

/// A way to make bundles and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Complements without structure: any good may go well with any other.
    Arbitrary,
    /// Complements by nearness on a grid.
    Regions,
    /// A bundle is a route through a network whose edges are the goods.
    Paths,
    /// A bundle is a take-off slot at one airport and a landing slot at another.
    Matching,
    /// A bundle is a run of consecutive time slots for a job with a deadline.
    Scheduling,
    /// Every namespace alone, and bundles that favour the popular ones.
    L2Like,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 6] = [
        Self::Arbitrary,
        Self::Regions,
        Self::Paths,
        Self::Matching,
        Self::Scheduling,
        Self::L2Like,
    ];

    /// The family's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arbitrary => "arbitrary",
            Self::Regions => "regions",
            Self::Paths => "paths",
            Self::Matching => "matching",
            Self::Scheduling => "scheduling",
            Self::L2Like => "l2-like",
        }
    }
}

/// A bundle and what its bidder would pay for it above the reserves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Valued {
    /// The bundle.
    pub members: Vec<Member>,
    /// Its value per slot.
    pub value: Gwei,
}

/// How large an instance is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Namespaces.
    pub namespaces: usize,
    /// Distinct bundles.
    pub bundles: usize,
    /// Tickets, at least one per bundle.
    pub tickets: usize,
    /// Slots asked for.
    pub slots: u64,
}

/// Why no instance of that size was made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FamilyError {
    /// The family has not that many distinct bundles, or they are too hard to find.
    #[error(
        "{name} over {namespaces} namespaces gave only {found} distinct bundles after \
         {TRIES_PER_BUNDLE} tries each, {wanted} were asked for"
    )]
    TooFewBundles {
        /// The family.
        name: &'static str,
        /// Namespaces.
        namespaces: usize,
        /// Bundles found.
        found: usize,
        /// Bundles asked for.
        wanted: usize,
    },
    /// Every bundle gets a ticket.
    #[error("{tickets} tickets cannot cover {bundles} bundles")]
    TooFewTickets {
        /// Tickets asked for.
        tickets: usize,
        /// Bundles asked for.
        bundles: usize,
    },
    /// The family needs more namespaces to have a shape at all.
    #[error("{name} needs at least {least} namespaces, not {found}")]
    TooFewNamespaces {
        /// The family.
        name: &'static str,
        /// The least.
        least: usize,
        /// What was asked for.
        found: usize,
    },
    /// The size breaks a limit of a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// Tries to find one more distinct bundle before giving up.
const TRIES_PER_BUNDLE: usize = 500;
/// One unit of value in gwei: 0.001 ETH.
const VALUE_UNIT: f64 = 1e6;
/// Reserve price of every generated namespace.
const RESERVE: Gwei = Gwei::new(1_000_000);

/// The next bundle of a family, in any order, and its value in [`VALUE_UNIT`]s.
type Source = Box<dyn FnMut(&mut Mix) -> (Vec<u32>, f64)>;

/// Distinct valued bundles of a family; the same arguments give the same bundles.
///
/// # Errors
/// [`FamilyError::TooFewBundles`], [`FamilyError::TooFewNamespaces`].
pub fn bundles(
    family: Family,
    namespaces: usize,
    wanted: usize,
    seed: u64,
) -> Result<Vec<Valued>, FamilyError> {
    let least = if family == Family::Matching { 8 } else { 1 };
    if namespaces < least {
        let name = family.name();
        return Err(FamilyError::TooFewNamespaces {
            name,
            least,
            found: namespaces,
        });
    }
    let mut random = Mix::new(seed ^ (family as u64) << 56);
    let mut next: Source = match family {
        Family::Arbitrary => goods::arbitrary(namespaces, &mut random),
        Family::Regions => goods::regions(namespaces, &mut random),
        Family::L2Like => goods::l2_like(namespaces),
        Family::Paths => routes::paths(namespaces, &mut random),
        Family::Matching => routes::matching(namespaces, &mut random),
        Family::Scheduling => routes::scheduling(namespaces),
    };
    let mut found: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    let mut list = Vec::with_capacity(wanted);
    for _ in 0..wanted.saturating_mul(TRIES_PER_BUNDLE) {
        if list.len() == wanted {
            break;
        }
        let (mut members, value) = next(&mut random);
        members.sort_unstable();
        members.dedup();
        members.truncate(BUNDLE_MEMBERS_MAX);
        if members.is_empty() || found.contains_key(&members) {
            continue;
        }
        found.insert(members.clone(), list.len());
        let value = Gwei::new((value * VALUE_UNIT).max(1.0) as u64);
        list.push(Valued {
            members: members.into_iter().map(Member::new).collect(),
            value,
        });
    }
    if list.len() < wanted {
        let (name, found) = (family.name(), list.len());
        return Err(FamilyError::TooFewBundles {
            name,
            namespaces,
            found,
            wanted,
        });
    }
    Ok(list)
}

/// An instance of a family: every bundle gets a ticket, the rest go to bundles at random; a
/// ticket stakes about its part of the bundle's value.
///
/// # Errors
/// A [`FamilyError`].
pub fn instance(family: Family, size: Size, seed: u64) -> Result<Instance, FamilyError> {
    if size.tickets < size.bundles {
        let Size {
            tickets, bundles, ..
        } = size;
        return Err(FamilyError::TooFewTickets { tickets, bundles });
    }
    let valued = bundles(family, size.namespaces, size.bundles, seed)?;
    let mut random = Mix::new(!seed);
    let mut list = Bundles::default();
    for bundle in &valued {
        list.push(&bundle.members)?;
    }
    let average = (size.tickets as u64)
        .div_ceil(size.bundles.max(1) as u64)
        .max(1);
    let tickets = (0..size.tickets as u64).map(|id| {
        let bundle = match id {
            id if id < valued.len() as u64 => id,
            _ => random.below(valued.len() as u64),
        };
        let part = valued[bundle as usize].value.get() / average;
        Ticket {
            id: TicketId::new(id),
            owner: OwnerId::new(random.below(1 + size.tickets as u64 / 30)),
            bundle: BundleIndex::new(bundle as u32),
            // Half to one and a half times the even part.
            stake: Gwei::new((part / 2 + random.below(part.max(1))).max(1)),
        }
    });
    let tickets = tickets.collect();
    let mut beacon = [0; 32];
    beacon
        .chunks_mut(8)
        .for_each(|part| part.copy_from_slice(&random.next_u64().to_be_bytes()));
    Ok(Instance {
        name: format!(
            "{}-{}x{}x{}",
            family.name(),
            size.namespaces,
            size.bundles,
            size.tickets
        ),
        beacon: Beacon(beacon),
        batch: Batch::new(vec![RESERVE; size.namespaces], list, tickets)?,
        slots: (0..size.slots).collect(),
    })
}

/// A number in `[0, 1)`.
pub(crate) fn unit(random: &mut Mix) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A position chosen with chance proportional to its weight; `None` if all weights are zero.
fn weighted(random: &mut Mix, weights: impl Iterator<Item = f64> + Clone) -> Option<usize> {
    let total: f64 = weights.clone().sum();
    let mut rest = unit(random) * total;
    let mut last = None;
    for (at, weight) in weights.enumerate() {
        if weight > 0.0 {
            last = Some(at);
            if rest < weight {
                break;
            }
            rest -= weight;
        }
    }
    last
}
