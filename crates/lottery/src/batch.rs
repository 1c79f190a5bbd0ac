//! What is drawn from: the reserves, bundles and tickets of one batch, checked once at the door.

use core::fmt;

use thiserror::Error;

use crate::amount::Gwei;

#[cfg(test)]
mod tests;

/// Most members of one bundle; keeps the knock-out set of a draw and its message small.
pub const BUNDLE_MEMBERS_MAX: usize = 256;
/// Most distinct bundles with stake in one slot; the draw is quasi-linear in it.
pub const POOLS_MAX: usize = 65_536;
/// Most bundles a batch may list; equal lists are one pool, so more may be listed than drawn.
pub const BUNDLES_MAX: usize = 1 << 20;
/// Most tickets of one slot; an index of that many takes about 0.1 s and 32 MB.
pub const TICKETS_MAX: usize = 1 << 20;
/// Most namespaces of a batch snapshot; keeps one slot's revenue column within 16 MB.
pub const NAMESPACES_MAX: usize = 1 << 20;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($inner);

        impl $name {
            /// Wraps the number.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The number itself.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// Position of a namespace in the batch snapshot, `0..n`. It says nothing of the namespace's
    /// chain id: what is special about an id belongs to chain state.
    Member(u32)
}
id! {
    /// A ticket's id, unique in its batch: its place in the order of inclusion.
    TicketId(u64)
}
id! {
    /// Who a ticket belongs to; only equality matters (the standby draw leaves the holder out).
    OwnerId(u64)
}
id! {
    /// Position of a bundle in the list of the batch; two positions may hold equal bundles.
    BundleIndex(u32)
}

/// One ticket: a stake on a bundle, paid per slot whether it wins or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Unique in the batch.
    pub id: TicketId,
    /// Whose ticket it is.
    pub owner: OwnerId,
    /// The bundle it plays for.
    pub bundle: BundleIndex,
    /// What it pays per slot; never zero.
    pub stake: Gwei,
}

/// Why a batch is refused. Each names the value and the limit it breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// `n = 0`, or more than [`NAMESPACES_MAX`].
    #[error("{found} namespaces: a batch has 1 to {NAMESPACES_MAX}")]
    Namespaces {
        /// How many were given.
        found: u64,
    },
    /// A bundle without members or with more than [`BUNDLE_MEMBERS_MAX`].
    #[error("bundle {bundle} has {found} members: 1 to {BUNDLE_MEMBERS_MAX} are allowed")]
    BundleSize {
        /// Position of the bundle.
        bundle: usize,
        /// How many members it has (for an endless list: how many were read).
        found: usize,
    },
    /// Members must increase strictly.
    #[error("bundle {bundle}: member {found} follows {previous}, members must increase strictly")]
    BundleOrder {
        /// Position of the bundle.
        bundle: usize,
        /// The member before.
        previous: u64,
        /// The member that is not greater.
        found: u64,
    },
    /// A member that is not a namespace of the batch.
    #[error("bundle {bundle}: member {found} is unknown, the batch has {namespaces} namespaces")]
    UnknownMember {
        /// Position of the bundle.
        bundle: usize,
        /// The unknown member.
        found: u64,
        /// How many namespaces there are.
        namespaces: usize,
    },
    /// More than [`BUNDLES_MAX`] bundles are listed.
    #[error("more than {BUNDLES_MAX} bundles")]
    TooManyBundles,
    /// More than [`POOLS_MAX`] distinct bundles carry stake.
    #[error("{found} distinct bundles carry stake: at most {POOLS_MAX} are drawn")]
    TooManyPools {
        /// How many do.
        found: usize,
    },
    /// More than [`TICKETS_MAX`] tickets.
    #[error("more than {TICKETS_MAX} tickets")]
    TooManyTickets,
    /// A ticket on a bundle that is not listed.
    #[error("ticket {ticket}: bundle index {found} is unknown, {bundles} bundles are listed")]
    UnknownBundle {
        /// The ticket.
        ticket: TicketId,
        /// The unknown index.
        found: u64,
        /// How many bundles are listed.
        bundles: usize,
    },
    /// A ticket must pay something.
    #[error("ticket {ticket} has stake 0, a stake is at least 1 gwei")]
    ZeroStake {
        /// The ticket.
        ticket: TicketId,
    },
    /// Ids are unique in a batch.
    #[error("ticket id {ticket} appears twice")]
    DuplicateTicket {
        /// The id.
        ticket: TicketId,
    },
}

/// The bundles of a batch, one flat list. Every bundle is strictly increasing and has 1 to
/// [`BUNDLE_MEMBERS_MAX`] members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundles {
    starts: Vec<u32>,
    members: Vec<Member>,
}

impl Default for Bundles {
    fn default() -> Self {
        Self {
            starts: vec![0],
            members: Vec::new(),
        }
    }
}

impl Bundles {
    /// Appends a bundle and returns its position.
    ///
    /// # Errors
    /// [`BatchError::BundleSize`], [`BatchError::BundleOrder`], [`BatchError::TooManyBundles`].
    pub fn push(&mut self, members: &[Member]) -> Result<BundleIndex, BatchError> {
        let bundle = self.len();
        if bundle == BUNDLES_MAX {
            return Err(BatchError::TooManyBundles);
        }
        if members.is_empty() || members.len() > BUNDLE_MEMBERS_MAX {
            return Err(BatchError::BundleSize {
                bundle,
                found: members.len(),
            });
        }
        if let Some(pair) = members.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(BatchError::BundleOrder {
                bundle,
                previous: pair[0].get().into(),
                found: pair[1].get().into(),
            });
        }
        self.members.extend_from_slice(members);
        // BUNDLES_MAX · BUNDLE_MEMBERS_MAX = 2^28 < 2^32.
        self.starts.push(self.members.len() as u32);
        Ok(BundleIndex(bundle as u32))
    }

    /// How many bundles are listed.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members of the bundle at a position, or `None` beyond the list.
    pub fn get(&self, bundle: usize) -> Option<&[Member]> {
        let end = *self.starts.get(bundle.checked_add(1)?)?;
        Some(&self.members[self.starts[bundle] as usize..end as usize])
    }

    /// All bundles in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[Member]> {
        self.starts
            .windows(2)
            .map(|pair| &self.members[pair[0] as usize..pair[1] as usize])
    }
}

/// Everything one slot is drawn from: the snapshot's reserves and the tickets that play.
///
/// - `1 ≤ namespaces ≤ NAMESPACES_MAX`, every bundle member is one of them.
/// - Every ticket names a listed bundle, has a positive stake and an id of its own.
/// - At most [`POOLS_MAX`] distinct bundles carry stake.
///
/// Admissibility of bundles (closed namespaces, policies) is decided before by chain state, which
/// knows the registry; nothing here depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    reserves: Vec<Gwei>,
    bundles: Bundles,
    tickets: Vec<Ticket>,
}

impl Batch {
    /// Checks the whole batch.
    ///
    /// # Errors
    /// A [`BatchError`] that names the first broken rule.
    pub fn new(
        reserves: Vec<Gwei>,
        bundles: Bundles,
        tickets: Vec<Ticket>,
    ) -> Result<Self, BatchError> {
        let namespaces = reserves.len();
        if namespaces == 0 || namespaces > NAMESPACES_MAX {
            return Err(BatchError::Namespaces {
                found: namespaces as u64,
            });
        }
        for (bundle, members) in bundles.iter().enumerate() {
            // Members increase, so the last one is the greatest.
            let last = members[members.len() - 1];
            if last.get() as usize >= namespaces {
                let found = last.get().into();
                return Err(BatchError::UnknownMember {
                    bundle,
                    found,
                    namespaces,
                });
            }
        }
        if tickets.len() > TICKETS_MAX {
            return Err(BatchError::TooManyTickets);
        }
        let mut increasing = true;
        let mut previous = None;
        for ticket in &tickets {
            if ticket.bundle.get() as usize >= bundles.len() {
                return Err(BatchError::UnknownBundle {
                    ticket: ticket.id,
                    found: ticket.bundle.get().into(),
                    bundles: bundles.len(),
                });
            }
            if ticket.stake == Gwei::ZERO {
                return Err(BatchError::ZeroStake { ticket: ticket.id });
            }
            increasing &= previous < Some(ticket.id);
            previous = Some(ticket.id);
        }
        if !increasing {
            // Inclusion order makes ids increase; only files written otherwise pay for a sort.
            let mut ids: Vec<TicketId> = tickets.iter().map(|ticket| ticket.id).collect();
            ids.sort_unstable();
            if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(BatchError::DuplicateTicket { ticket: pair[0] });
            }
        }
        let batch = Self {
            reserves,
            bundles,
            tickets,
        };
        batch.check_pools()?;
        Ok(batch)
    }

    fn check_pools(&self) -> Result<(), BatchError> {
        if self.bundles.len() <= POOLS_MAX {
            return Ok(());
        }
        let mut used = vec![false; self.bundles.len()];
        for ticket in &self.tickets {
            used[ticket.bundle.get() as usize] = true;
        }
        let mut lists: Vec<&[Member]> = self
            .bundles
            .iter()
            .zip(used)
            .filter_map(|(list, used)| used.then_some(list))
            .collect();
        lists.sort_unstable();
        lists.dedup();
        if lists.len() > POOLS_MAX {
            return Err(BatchError::TooManyPools { found: lists.len() });
        }
        Ok(())
    }

    /// Reserve price of every namespace, in gwei per slot.
    pub fn reserves(&self) -> &[Gwei] {
        &self.reserves
    }

    /// The listed bundles.
    pub fn bundles(&self) -> &Bundles {
        &self.bundles
    }

    /// The tickets in the order given.
    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }
}
