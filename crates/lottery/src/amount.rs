//! Amounts of money: [`Gwei`] for one stake or reserve, [`Sum`] for any total of them.

use core::fmt;
use core::iter;
use core::ops::{Add, AddAssign, Sub, SubAssign};

/// The most tickets any total in this crate may range over; with stakes below 2^64 every total
/// stays below 2^96, so `u128` can never overflow.
pub const TICKETS_IN_BOUND: u64 = 1 << 32;

/// The proof of the bound above, done by the compiler: the greatest total of stakes, one reserve
/// per namespace on top, still leaves 31 bits of room.
const _: () = assert!(
    (u64::MAX as u128) * (TICKETS_IN_BOUND as u128) + (u64::MAX as u128) * (u32::MAX as u128)
        < 1 << 98
);

/// One stake, bid or reserve price per slot, in gwei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gwei(u64);

impl Gwei {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);

    /// Wraps an amount in gwei.
    pub const fn new(gwei: u64) -> Self {
        Self(gwei)
    }

    /// The amount in gwei.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Gwei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A total of stakes and reserves, in gwei; below 2^98 by [`TICKETS_IN_BOUND`].
///
/// Its arithmetic panics where `u128` would wrap, in release builds too (`overflow-checks`), which
/// the bound makes unreachable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sum(u128);

impl Sum {
    /// The empty total.
    pub const ZERO: Self = Self(0);

    /// Wraps a total in gwei.
    pub const fn new(gwei: u128) -> Self {
        Self(gwei)
    }

    /// The total in gwei.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Gwei> for Sum {
    fn from(amount: Gwei) -> Self {
        Self(amount.0.into())
    }
}

impl Add for Sum {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Sum {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

impl iter::Sum for Sum {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

impl iter::Sum<Gwei> for Sum {
    fn sum<I: Iterator<Item = Gwei>>(items: I) -> Self {
        items.map(Self::from).sum()
    }
}
