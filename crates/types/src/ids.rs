//! Identifiers: one newtype each, so that a slot cannot be passed for a height.

use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize,
            Deserialize, RlpEncodableWrapper, RlpDecodableWrapper,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Zero, where counting starts.
            pub const ZERO: Self = Self(0);

            /// Wraps a number; the caller says by the type what it means.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// The bare number, for arithmetic and for the wire.
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The one after this, or `None` at the end of the range.
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// The EIP-155-like id of a Cortado chain; bound into everything that is signed.
    ChainId(u64)
);
id!(
    /// A rollup's domain: its EIP-155 chain id. 0 is the L1 pointer, 1 the ROFR register.
    Namespace(u64)
);
id!(
    /// A span of `slot_ms` of block time, counted from genesis; rights are sold by the slot (R5).
    Slot(u64)
);
id!(
    /// Number of a block of the finality chain, genesis is 0; or of a lane block in its namespace.
    Height(u64)
);
id!(
    /// Round number of the consensus engine inside a term.
    View(u64)
);
id!(
    /// One seat set of the gadget; the engine calls it an epoch (R5a).
    Term(u64)
);
id!(
    /// Position of a lane block within its slot and namespace, from 0 (R6).
    Seq(u64)
);
id!(
    /// Position of a seat in its set, in ascending order of identity key; the bit in bitmaps.
    SeatIndex(u32)
);
id!(
    /// Milliseconds since the Unix epoch.
    TimestampMs(u64)
);
id!(
    /// An amount of ether in units of 10⁹ wei.
    Gwei(u64)
);

impl Namespace {
    /// The namespace whose proposer moves the L1 pointer (R9).
    pub const L1_POINTER: Self = Self(0);
    /// The namespace in which L1 proposers exercise their right of first refusal (R17).
    pub const ROFR: Self = Self(1);

    /// Whether a rollup may use this id: 0 and 1 belong to the protocol.
    pub const fn is_rollup(self) -> bool {
        self.0 > Self::ROFR.0
    }
}

impl TimestampMs {
    /// This time plus `ms` milliseconds; saturates, a time that far ahead is refused by R5 anyway.
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this, 0 if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole seconds, as Ethereum headers count.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}
