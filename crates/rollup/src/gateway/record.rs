//! What the proposer writes down before it acts, and what is read back of it.

use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use cortado_preconf::Outcome;
use cortado_types::{B256, Bytes, LaneHeader, Namespace, Slot, keccak256};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// A lane block was opened: what is fixed of its header, and the L2 block it executes on.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Opened {
    /// Draft header.
    pub header: LaneHeader,
    /// Part of every execution promise in it.
    pub l2_parent: B256,
}

/// A transaction is about to be promised at the next index of the open lane block.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Pushed {
    /// Of which rollup.
    pub namespace: Namespace,
    /// The transaction.
    pub raw: Bytes,
    /// What it did.
    pub outcome: Outcome,
}

/// The open lane block is about to be signed.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Sealed {
    /// Its final header.
    pub header: LaneHeader,
}

/// Everything pending is void, and its transactions wait for other places. Also how a checkpoint begins.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Voided {
    /// Of which rollup.
    pub namespace: Namespace,
    /// Nothing may be opened before this slot: what was opened there is void and not listed.
    pub floor: Slot,
    /// First slot in which nothing was ever opened.
    pub unsigned: Slot,
}

/// An acknowledged transaction has no place: it lost the one it had, or one before it is still to come.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Waiting {
    /// Of which rollup.
    pub namespace: Namespace,
    /// The transaction.
    pub raw: Bytes,
}

/// A transaction that waited gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Dropped {
    /// Of which rollup.
    pub namespace: Namespace,
    /// Hash of the transaction.
    pub transaction: B256,
}

/// One entry of the proposer's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// See [`Opened`].
    Opened(Opened),
    /// See [`Pushed`].
    Pushed(Pushed),
    /// See [`Sealed`].
    Sealed(Sealed),
    /// See [`Voided`].
    Voided(Voided),
    /// See [`Waiting`].
    Waiting(Waiting),
    /// See [`Dropped`].
    Dropped(Dropped),
}

const KIND_OPENED: u8 = 1;
const KIND_PUSHED: u8 = 2;
const KIND_SEALED: u8 = 3;
const KIND_VOIDED: u8 = 4;
const KIND_WAITING: u8 = 5;
const KIND_DROPPED: u8 = 6;

impl Encodable for Record {
    fn encode(&self, out: &mut dyn BufMut) {
        let (kind, body): (u8, &dyn Encodable) = match self {
            Self::Opened(body) => (KIND_OPENED, body),
            Self::Pushed(body) => (KIND_PUSHED, body),
            Self::Sealed(body) => (KIND_SEALED, body),
            Self::Voided(body) => (KIND_VOIDED, body),
            Self::Waiting(body) => (KIND_WAITING, body),
            Self::Dropped(body) => (KIND_DROPPED, body),
        };
        alloy_rlp::Header {
            list: true,
            payload_length: 1 + body.length(),
        }
        .encode(out);
        kind.encode(out);
        body.encode(out);
    }

    fn length(&self) -> usize {
        let payload = 1 + match self {
            Self::Opened(body) => body.length(),
            Self::Pushed(body) => body.length(),
            Self::Sealed(body) => body.length(),
            Self::Voided(body) => body.length(),
            Self::Waiting(body) => body.length(),
            Self::Dropped(body) => body.length(),
        };
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Record {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let record = match u8::decode(&mut payload)? {
            KIND_OPENED => Self::Opened(Opened::decode(&mut payload)?),
            KIND_PUSHED => Self::Pushed(Pushed::decode(&mut payload)?),
            KIND_SEALED => Self::Sealed(Sealed::decode(&mut payload)?),
            KIND_VOIDED => Self::Voided(Voided::decode(&mut payload)?),
            KIND_WAITING => Self::Waiting(Waiting::decode(&mut payload)?),
            KIND_DROPPED => Self::Dropped(Dropped::decode(&mut payload)?),
            _ => return Err(alloy_rlp::Error::Custom("unknown kind of journal record")),
        };
        if payload.is_empty() {
            Ok(record)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// A journal whose records do not make sense together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReplayError {
    /// Bytes that are no record.
    #[error("commit {commit} of the journal is malformed: {source}")]
    Malformed {
        /// Which commit, from the segment's start.
        commit: usize,
        /// What the reader said.
        source: alloy_rlp::Error,
    },
    /// A transaction or a seal without an open lane block.
    #[error(
        "commit {commit} of the journal speaks of a lane block of {namespace} that is not open"
    )]
    NotOpen {
        /// Which commit.
        commit: usize,
        /// Of which rollup.
        namespace: Namespace,
    },
}

/// A lane block as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournaledLane {
    /// Draft, or final when sealed.
    pub header: LaneHeader,
    /// The L2 block its promises name.
    pub l2_parent: B256,
    /// Transactions with what they did.
    pub transactions: Vec<(Bytes, Outcome)>,
    /// Whether it may have been signed.
    pub sealed: bool,
}

/// What the journal has of one rollup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journaled {
    /// Lane blocks since the last [`Voided`], oldest first; the final ones too.
    pub lanes: Vec<JournaledLane>,
    /// Nothing may be opened before this slot.
    pub floor: Slot,
    /// First slot in which nothing was ever opened.
    pub unsigned: Slot,
    /// Transactions without a place in `lanes`, by hash: some may be final.
    pub waiting: BTreeMap<B256, Bytes>,
    /// Transactions that were given up since their last place.
    pub dropped: BTreeSet<B256>,
}

/// Puts records together again.
///
/// # Errors
/// [`ReplayError`]; checksums were good, so the journal was written by something else.
pub fn replay(commits: &[Vec<u8>]) -> Result<BTreeMap<Namespace, Journaled>, ReplayError> {
    let mut all: BTreeMap<Namespace, Journaled> = BTreeMap::new();
    for (commit, bytes) in commits.iter().enumerate() {
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let record = Record::decode(&mut rest)
                .map_err(|source| ReplayError::Malformed { commit, source })?;
            apply(&mut all, record)
                .map_err(|namespace| ReplayError::NotOpen { commit, namespace })?;
        }
    }
    Ok(all)
}

fn apply(all: &mut BTreeMap<Namespace, Journaled>, record: Record) -> Result<(), Namespace> {
    match record {
        Record::Opened(Opened { header, l2_parent }) => {
            let journaled = all.entry(header.namespace).or_default();
            // An open lane block without transactions was never spoken of and may be replaced.
            journaled
                .lanes
                .pop_if(|lane| !lane.sealed && lane.transactions.is_empty());
            let next = header.slot.next().unwrap_or(header.slot);
            journaled.unsigned = journaled.unsigned.max(next);
            let transactions = Vec::new();
            journaled.lanes.push(JournaledLane {
                header,
                l2_parent,
                transactions,
                sealed: false,
            });
        }
        Record::Pushed(Pushed {
            namespace,
            raw,
            outcome,
        }) => {
            let journaled = all.get_mut(&namespace).ok_or(namespace)?;
            if !journaled.waiting.is_empty() || !journaled.dropped.is_empty() {
                let hash = keccak256(&raw);
                journaled.waiting.remove(&hash);
                journaled.dropped.remove(&hash);
            }
            let lane = open_lane(all, namespace)?;
            lane.transactions.push((raw, outcome));
        }
        Record::Sealed(Sealed { header }) => {
            let lane = open_lane(all, header.namespace)?;
            lane.header = header;
            lane.sealed = true;
        }
        Record::Voided(Voided {
            namespace,
            floor,
            unsigned,
        }) => {
            let journaled = all.entry(namespace).or_default();
            let void = journaled.lanes.drain(..);
            let transactions = void.flat_map(|lane| lane.transactions);
            let transactions = transactions.map(|(raw, _)| (keccak256(&raw), raw));
            let dropped = &journaled.dropped;
            let wanted = transactions.filter(|(hash, _)| !dropped.contains(hash));
            journaled.waiting.extend(wanted);
            journaled.floor = journaled.floor.max(floor);
            journaled.unsigned = journaled.unsigned.max(unsigned);
        }
        Record::Waiting(Waiting { namespace, raw }) => {
            let journaled = all.entry(namespace).or_default();
            let hash = keccak256(&raw);
            journaled.dropped.remove(&hash);
            journaled.waiting.insert(hash, raw);
        }
        Record::Dropped(Dropped {
            namespace,
            transaction,
        }) => {
            let journaled = all.entry(namespace).or_default();
            journaled.waiting.remove(&transaction);
            journaled.dropped.insert(transaction);
        }
    }
    Ok(())
}

fn open_lane(
    all: &mut BTreeMap<Namespace, Journaled>,
    namespace: Namespace,
) -> Result<&mut JournaledLane, Namespace> {
    all.get_mut(&namespace)
        .and_then(|journaled| journaled.lanes.last_mut())
        .filter(|lane| !lane.sealed)
        .ok_or(namespace)
}
