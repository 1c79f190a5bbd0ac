//! Keys in the registry's pages, and the seats among them (R3).

use crate::abi;
use alloy_primitives::{Address, Bytes};
use alloy_rlp::Decodable;
use cortado_types::{Seat, limits::SEATS_MAX};
use std::collections::BTreeMap;
use thiserror::Error;

/// Bytes of an entry of a page; see `SeatPages.sol`.
const ENTRY_BYTES: usize = 234;
/// Bytes of an entry that start with the RLP of the seat.
const SEAT_BYTES: usize = 138;
/// Entries that fill a page: a contract's code has at most 24,576 bytes (EIP-170).
pub const PAGE_ENTRIES_MAX: usize = 105;
/// Pages that a list can name: an entry names its page in one byte.
pub const LIST_PAGES_MAX: usize = 256;

/// Why pages or seats are refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SeatsError {
    /// Not what the registry writes.
    #[error("page {page} of the registry is no page: {reason}")]
    Page {
        /// Its number.
        page: u32,
        /// What is wrong.
        reason: String,
    },
    /// The list cannot name so many pages.
    #[error(
        "the seats stand in {pages} pages, the limit is {LIST_PAGES_MAX}: `Registry.repack` some"
    )]
    TooManyPages {
        /// In how many.
        pages: usize,
    },
    /// A seat is not in the registry.
    #[error("seat {identity} with registry index {index} is not in the registry's pages")]
    NotRegistered {
        /// Its identity.
        identity: cortado_types::Identity,
        /// The index it claims.
        index: u32,
    },
    /// An operator has fewer active keys than the divisor rule gave it seats.
    #[error("operator {operator} has {keys} active keys for {seats} seats")]
    TooFewKeys {
        /// Its number.
        operator: u32,
        /// Its keys.
        keys: usize,
        /// Its seats.
        seats: u64,
    },
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Number of the page, from 1.
    pub page: u32,
    /// Position in it, from 0.
    pub entry: u8,
}

/// The contract that is page number `page` of a registry: the one at its nonce of that number.
pub fn page_address(registry: Address, page: u32) -> Address {
    registry.create(u64::from(page))
}

/// Reads a page from its code.
///
/// # Errors
/// If the registry cannot have written it.
pub fn decode_page(page: u32, code: &[u8]) -> Result<Vec<(Seat, Place)>, SeatsError> {
    let wrong = |reason: String| SeatsError::Page { page, reason };
    let entries = match code.split_first() {
        Some((0, entries)) if entries.len().is_multiple_of(ENTRY_BYTES) => entries,
        _ => return Err(wrong(format!("{} bytes of code", code.len()))),
    };
    let read = |(entry, raw): (usize, &[u8])| {
        let seat = Seat::decode(&mut &raw[..SEAT_BYTES]);
        let seat = seat.map_err(|error| wrong(format!("entry {entry}: {error}")))?;
        let entry = u8::try_from(entry).map_err(|_| wrong(format!("entry {entry}")))?;
        Ok((seat, Place { page, entry }))
    };
    let entries: Vec<&[u8]> = entries.chunks(ENTRY_BYTES).collect();
    if entries.len() > PAGE_ENTRIES_MAX {
        return Err(wrong(format!("{} entries", entries.len())));
    }
    entries.into_iter().enumerate().map(read).collect()
}

/// Where every registered key stands. A key that was repacked stands in several pages.
#[derive(Clone, Debug, Default)]
pub struct Places {
    by_index: BTreeMap<u32, Vec<Place>>,
    seats: BTreeMap<u32, Seat>,
    entries: BTreeMap<u32, usize>,
}

impl Places {
    /// Adds a page.
    ///
    /// # Errors
    /// If the registry cannot have written it.
    pub fn add_page(&mut self, page: u32, code: &[u8]) -> Result<(), SeatsError> {
        let found = decode_page(page, code)?;
        self.entries.insert(page, found.len());
        for (seat, place) in found {
            self.by_index
                .entry(seat.registry_index)
                .or_default()
                .push(place);
            self.seats.insert(seat.registry_index, seat);
        }
        Ok(())
    }

    /// The keys, ascending by index, each with where it was registered.
    pub fn keys(&self) -> impl Iterator<Item = (&Seat, Place)> {
        self.seats.iter().filter_map(|(index, seat)| {
            // The first page that holds a key is the one it was registered in.
            let place = self.by_index.get(index)?.iter().min()?;
            Some((seat, *place))
        })
    }

    /// The list of `seats`, which are in ascending order of identity. Of several places of a key the
    /// one in the fullest page is taken, so that the list names few pages.
    ///
    /// # Errors
    /// If one is not registered, or they stand in too many pages.
    pub fn list(&self, seats: &[Seat]) -> Result<SeatList, SeatsError> {
        let mut places = Vec::with_capacity(seats.len());
        for seat in seats {
            let known = self.seats.get(&seat.registry_index);
            let fullest = self
                .by_index
                .get(&seat.registry_index)
                .filter(|_| known == Some(seat))
                .and_then(|at| at.iter().max_by_key(|at| self.entries.get(&at.page)));
            places.push(*fullest.ok_or(SeatsError::NotRegistered {
                identity: seat.identity,
                index: seat.registry_index,
            })?);
        }
        SeatList::new(&places)
    }
}

/// Where the seats of a set stand in the registry, in ascending order of identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatList {
    /// Numbers of the pages, 4 bytes each, big endian.
    pub pages: Bytes,
    /// For each seat the position of its page in `pages`, and its place in that page.
    pub entries: Bytes,
}

impl SeatList {
    /// The list of seats at these places.
    ///
    /// # Errors
    /// If they are in more than [`LIST_PAGES_MAX`] pages.
    pub fn new(places: &[Place]) -> Result<Self, SeatsError> {
        let mut pages: Vec<u32> = places.iter().map(|place| place.page).collect();
        pages.sort_unstable();
        pages.dedup();
        if pages.len() > LIST_PAGES_MAX {
            return Err(SeatsError::TooManyPages { pages: pages.len() });
        }
        let mut entries = Vec::with_capacity(2 * places.len());
        for place in places {
            // It is there, and its position fits a byte.
            let position = pages.partition_point(|page| *page < place.page);
            entries.extend([position as u8, place.entry]);
        }
        Ok(Self {
            pages: pages
                .iter()
                .flat_map(|page| page.to_be_bytes())
                .collect::<Vec<_>>()
                .into(),
            entries: entries.into(),
        })
    }
}

macro_rules! into_list {
    ($($module:ident),*) => {$(
        impl From<SeatList> for abi::$module::SeatList {
            fn from(list: SeatList) -> Self {
                Self { pages: list.pages, entries: list.entries }
            }
        }
    )*};
}
into_list!(Registry, Slasher, LightClient);

/// Seats at one price (R3), as `Divisor.allocate` computes it.
///
/// - The `k`-th seat of an operator costs it `stake / k`; the highest offers get seats, ties go to
///   the lower operator, none has more than keys.
///
/// Returns the price in gwei (0 if nobody has a seat), and the seats of each operator. `min` is the
/// least price in gwei, at least 1; `max` the most seats.
pub fn allocate(stakes: &[u64], keys: &[usize], min: u64, max: usize) -> (u64, Vec<u64>) {
    let mut seats = vec![0_u64; stakes.len()];
    let mut price = 0;
    for _ in 0..max.min(SEATS_MAX) {
        let best = (0..stakes.len())
            .filter(|i| keys.get(*i).is_some_and(|keys| seats[*i] < *keys as u64))
            .map(|i| (stakes[i] / (seats[i] + 1), std::cmp::Reverse(i)))
            .max();
        match best {
            Some((quotient, std::cmp::Reverse(operator))) if quotient >= min.max(1) => {
                seats[operator] += 1;
                price = quotient;
            }
            _ => break,
        }
    }
    (price, seats)
}

/// A key that may sit, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its operator's number, from 1.
    pub operator: u32,
    /// The key.
    pub seat: Seat,
}

/// Which keys sit, given how many seats each operator (from 1 on) has: those registered first.
/// Ascending by identity.
///
/// # Errors
/// If an operator has fewer keys than seats.
pub fn choose(candidates: &[Candidate], seats: &[u64]) -> Result<Vec<Seat>, SeatsError> {
    let mut chosen = Vec::new();
    for (operator, seats) in (1..).zip(seats) {
        let mut own: Vec<&Seat> = candidates
            .iter()
            .filter(|candidate| candidate.operator == operator)
            .map(|candidate| &candidate.seat)
            .collect();
        own.sort_by_key(|seat| seat.registry_index);
        let wanted = usize::try_from(*seats).unwrap_or(usize::MAX);
        if own.len() < wanted {
            return Err(SeatsError::TooFewKeys {
                operator,
                keys: own.len(),
                seats: *seats,
            });
        }
        chosen.extend(own.into_iter().take(wanted).cloned());
    }
    chosen.sort_by_key(|seat| seat.identity);
    Ok(chosen)
}
