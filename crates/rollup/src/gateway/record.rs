//! What the proposer writes down before it acts, and what is read back of it.

use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use cortado_preconf::Outcome;
use cortado_types::{B256, Bytes, LaneHeader, Namespace, Slot};
use std::collections::BTreeMap;
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

/// Everything pending is void; what is still wanted of it follows anew. Also how a checkpoint
/// begins.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Voided {
    /// Of which rollup.
    pub namespace: Namespace,
    /// Nothing may be opened before this slot: what was opened there is void and not listed.
    pub floor: Slot,
    /// First slot in which nothing was ever opened.
    pub unsigned: Slot,
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
}

const KIND_OPENED: u8 = 1;
const KIND_PUSHED: u8 = 2;
const KIND_SEALED: u8 = 3;
const KIND_VOIDED: u8 = 4;

impl Encodable for Record {
    fn encode(&self, out: &mut dyn BufMut) {
        let (kind, body): (u8, &dyn Encodable) = match self {
            Self::Opened(body) => (KIND_OPENED, body),
            Self::Pushed(body) => (KIND_PUSHED, body),
            Self::Sealed(body) => (KIND_SEALED, body),
            Self::Voided(body) => (KIND_VOIDED, body),
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
            journaled.lanes.clear();
            journaled.floor = journaled.floor.max(floor);
            journaled.unsigned = journaled.unsigned.max(unsigned);
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
