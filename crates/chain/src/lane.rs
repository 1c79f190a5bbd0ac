//! When a lane block may be appended (R6, R8a, R14).

use crate::state::{State, Tip, proposer_of};
use cortado_types::{
    Address, B256, ChainId, Height, LaneHeader, Namespace, Seq, SignedLaneHeader, Slot, SlotClock,
    TimestampMs,
    ecdsa::SignatureError,
    limits::{CONTEXT_LAG, GRACE_MS, LANE_BODY_BYTES_MAX, PROTOCOL_VERSION},
};
use thiserror::Error;

/// Why a lane block cannot be appended here and now.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LaneRejection {
    /// A version this code does not know.
    #[error("lane header has version {got}, expected {PROTOCOL_VERSION}")]
    Version {
        /// Given.
        got: u16,
    },
    /// Of another chain.
    #[error("lane header is of chain {got}, this is chain {want}")]
    Chain {
        /// Given.
        got: ChainId,
        /// Ours.
        want: ChainId,
    },
    /// Not a registered rollup.
    #[error("namespace {namespace} is not a registered rollup")]
    Namespace {
        /// Given.
        namespace: Namespace,
    },
    /// The signature is not one.
    #[error("lane header of namespace {namespace}: {source}")]
    Signature {
        /// Of which namespace.
        namespace: Namespace,
        /// What is wrong.
        source: SignatureError,
    },
    /// Somebody else holds the slot.
    #[error(
        "slot {slot} of namespace {namespace} is held by {holder:?}, not by the signer {signer}"
    )]
    NotProposer {
        /// Of which namespace.
        namespace: Namespace,
        /// In which slot.
        slot: Slot,
        /// Who signed.
        signer: Address,
        /// Who holds it.
        holder: Option<Address>,
    },
    /// Its slot is over, not begun, or waits for the one before it to close.
    #[error("slot {slot} of namespace {namespace} is not open at {time} ms")]
    SlotClosed {
        /// Of which namespace.
        namespace: Namespace,
        /// Which slot.
        slot: Slot,
        /// Block time, ms.
        time: TimestampMs,
    },
    /// Not the next place in the slot.
    #[error("lane block has seq {got} in slot {slot}, expected {want}")]
    Seq {
        /// Its slot.
        slot: Slot,
        /// Given.
        got: Seq,
        /// Expected.
        want: Seq,
    },
    /// Not the next number, or not on the tip.
    #[error("lane block {height} on {parent} does not follow tip {tip_height} ({tip})")]
    Parent {
        /// Its number.
        height: Height,
        /// Its parent.
        parent: B256,
        /// Number of the tip.
        tip_height: Height,
        /// Hash of the tip.
        tip: B256,
    },
    /// Its context was never tracked, or is too far behind the anchor.
    #[error(
        "context {number} ({hash}) is not a tracked L1 block at most {CONTEXT_LAG} behind the anchor {anchor}"
    )]
    Context {
        /// Number of the context.
        number: u64,
        /// Its hash.
        hash: B256,
        /// Number of the anchor.
        anchor: u64,
    },
    /// Its time is outside its slot or before its parent's.
    #[error("lane block has time {time} ms, it must be in [{from}, {to})")]
    Time {
        /// Given, ms.
        time: TimestampMs,
        /// Earliest, ms.
        from: TimestampMs,
        /// First that is too late, ms.
        to: TimestampMs,
    },
    /// Its body is too long.
    #[error("lane body is {size} bytes, the limit is {LANE_BODY_BYTES_MAX}")]
    Size {
        /// Given, bytes.
        size: u64,
    },
}

impl LaneRejection {
    /// Whether the same header can never be appended: its signer or its making is at fault, not
    /// the moment.
    pub const fn is_permanent(&self) -> bool {
        !matches!(
            self,
            Self::SlotClosed { .. } | Self::Parent { .. } | Self::Context { .. }
        )
    }
}

/// R6: whether lane blocks of `slot` enter a block of time `time`, given the namespace's tip.
///
/// Slot `s` is open from its start, once all before it are closed, until `GRACE_MS` after its end.
/// A slot before it is closed by a header with `last`, or by time.
pub fn is_slot_open(clock: &SlotClock, tip: &Tip, slot: Slot, time: TimestampMs) -> bool {
    if time < clock.start(slot) || time >= clock.end(slot).plus(GRACE_MS) {
        return false;
    }
    if slot == tip.slot {
        return tip.height == Height::ZERO || !tip.last;
    }
    if slot < tip.slot {
        return false;
    }
    // Only the slot right before can still be in its grace; the tip closed it, or time does.
    let previous_open = slot.get() > 0 && time < clock.start(slot).plus(GRACE_MS);
    let closed_by_last = tip.height > Height::ZERO && tip.last && tip.slot.next() == Some(slot);
    !previous_open || closed_by_last
}

/// The next place after `tip` in `slot`.
fn next_seq(tip: &Tip, slot: Slot) -> Seq {
    if tip.height > Height::ZERO && tip.slot == slot {
        tip.seq.next().unwrap_or(tip.seq)
    } else {
        Seq::ZERO
    }
}

/// Everything about a lane header that does not depend on the moment: version, chain, namespace,
/// size, time within its slot, signature, holder. Returns the signer.
///
/// # Errors
/// [`LaneRejection`], permanent ones only.
pub fn check_lane(state: &State, lane: &SignedLaneHeader) -> Result<Address, LaneRejection> {
    let header = &lane.header;
    check_form(state, header)?;
    let namespace = header.namespace;
    let signer = lane
        .signer()
        .map_err(|source| LaneRejection::Signature { namespace, source })?;
    // R14: the ladder and the market come in here and nowhere else.
    let holder = proposer_of(state, namespace, header.slot);
    if holder != Some(signer) {
        return Err(LaneRejection::NotProposer {
            namespace,
            slot: header.slot,
            signer,
            holder,
        });
    }
    Ok(signer)
}

/// The part of [`check_lane`] that costs no signature recovery.
pub(crate) fn check_form(state: &State, header: &LaneHeader) -> Result<(), LaneRejection> {
    let namespace = header.namespace;
    if header.version != PROTOCOL_VERSION {
        return Err(LaneRejection::Version {
            got: header.version,
        });
    }
    if header.chain_id != state.config.chain_id {
        return Err(LaneRejection::Chain {
            got: header.chain_id,
            want: state.config.chain_id,
        });
    }
    if !namespace.is_rollup() || !state.namespaces.contains_key(&namespace) {
        return Err(LaneRejection::Namespace { namespace });
    }
    if header.size > LANE_BODY_BYTES_MAX as u64 {
        return Err(LaneRejection::Size { size: header.size });
    }
    let (from, to) = (
        state.config.clock.start(header.slot),
        state.config.clock.end(header.slot),
    );
    if header.timestamp < from || header.timestamp >= to {
        return Err(LaneRejection::Time {
            time: header.timestamp,
            from,
            to,
        });
    }
    Ok(())
}

/// Whether a lane header is the next of its namespace in a block of time `time`, and what the tip
/// becomes.
///
/// # Errors
/// [`LaneRejection`]; temporary ones say that the moment is wrong.
pub fn check_place(
    state: &State,
    lane: &SignedLaneHeader,
    time: TimestampMs,
) -> Result<Tip, LaneRejection> {
    let header = &lane.header;
    let namespace = header.namespace;
    let tip = state
        .namespaces
        .get(&namespace)
        .ok_or(LaneRejection::Namespace { namespace })?
        .tip;
    if header.parent != tip.hash || Some(header.height) != tip.height.next() {
        return Err(LaneRejection::Parent {
            height: header.height,
            parent: header.parent,
            tip_height: tip.height,
            tip: tip.hash,
        });
    }
    if !is_slot_open(&state.config.clock, &tip, header.slot, time) {
        return Err(LaneRejection::SlotClosed {
            namespace,
            slot: header.slot,
            time,
        });
    }
    let want = next_seq(&tip, header.slot);
    if header.seq != want {
        return Err(LaneRejection::Seq {
            slot: header.slot,
            got: header.seq,
            want,
        });
    }
    if header.timestamp < tip.timestamp {
        return Err(LaneRejection::Time {
            time: header.timestamp,
            from: tip.timestamp,
            to: state.config.clock.end(header.slot),
        });
    }
    // R8a: a context that an L1 reorg took off the anchor's chain stays valid as long as it is
    // tracked; derivation decides what of it executes.
    let anchor = state.anchor();
    let tracked = state
        .l1
        .get(&header.context.hash)
        .is_some_and(|known| known.number == header.context.number);
    if !tracked || anchor.number.saturating_sub(header.context.number) > CONTEXT_LAG {
        return Err(LaneRejection::Context {
            number: header.context.number,
            hash: header.context.hash,
            anchor: anchor.number,
        });
    }
    Ok(Tip {
        height: header.height,
        hash: header.hash(),
        slot: header.slot,
        seq: header.seq,
        last: header.last,
        timestamp: header.timestamp,
    })
}
