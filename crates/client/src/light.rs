//! The light client: pure verification, from genesis to any leaf.

use crate::{
    api::{
        BoundaryView, CertificateView, HistoryProofView, LaneProofView, StateProofView,
        TransactionProofView,
        limits::{DESCENDANTS_MAX, ENTRY_BYTES_MAX, HEADER_BYTES_MAX},
    },
    error::{ClientError, Lie, Unverified},
};
use cortado_chain::{NamespaceState, State};
use cortado_types::{
    B256, Block, Bytes, ChainId, FinalityCertificate, Genesis, Header, Height, LaneBody, LaneEntry,
    LaneHeader, Namespace, Seat, SeatSet, Term, TimestampMs, decode_exact, keccak256, limits, trie,
};
use std::{collections::BTreeMap, fmt::Display, sync::Arc};

/// RLP of one state entry: a namespace is 150 bytes, the L1 tree the largest.
const STATE_ENTRY_BYTES_MAX: usize = limits::L1_TRACKED_HEADERS_MAX * 96 + 1_024;

/// A header that a quorum finalised. Only verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    header: Header,
    hash: B256,
}

impl Final {
    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }
}

/// A block that a quorum finalised, with what shows it. Only verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalBlock {
    block: Block,
    hash: B256,
    certificate: FinalityCertificate,
    descendants: Vec<Header>,
}

impl FinalBlock {
    /// The block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Its hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// Its number.
    pub fn height(&self) -> Height {
        self.block.header.height
    }

    /// The certificate of this block, or of the last of [`FinalBlock::descendants`].
    pub fn certificate(&self) -> &FinalityCertificate {
        &self.certificate
    }

    /// Headers from the next block up to the certified one; empty if this block is it.
    pub fn descendants(&self) -> &[Header] {
        &self.descendants
    }

    /// Block, certificate, descendants.
    pub fn into_parts(self) -> (Block, FinalityCertificate, Vec<Header>) {
        (self.block, self.certificate, self.descendants)
    }

    /// The header as a verified one.
    pub fn to_final(&self) -> Final {
        Final {
            header: self.block.header.clone(),
            hash: self.hash,
        }
    }
}

/// A lane block that stands in a finalised block. Only verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalLane {
    /// The block.
    pub block: Final,
    /// Position among its lanes.
    pub index: usize,
    /// The lane entry.
    pub entry: LaneEntry,
}

/// A transaction that stands in a finalised lane block. Only verification makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalTransaction {
    /// The lane block.
    pub lane: FinalLane,
    /// Position in its body.
    pub index: usize,
    /// keccak of `raw`.
    pub hash: B256,
    /// The raw transaction.
    pub raw: Bytes,
}

/// A state entry after a finalised block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The block.
    pub block: Final,
    /// RLP of the entry; `None` if it is proved absent.
    pub value: Option<Bytes>,
}

/// Reads the entry of a namespace; `None` if the namespace is proved unknown.
///
/// # Errors
/// If the value is not a namespace's.
pub fn namespace_state(entry: &StateEntry) -> Result<Option<NamespaceState>, Lie> {
    let read = |value: &Bytes| decode_exact("namespace entry", value, STATE_ENTRY_BYTES_MAX);
    Ok(entry.value.as_ref().map(read).transpose()?)
}

/// What a client knows without trusting anybody: the genesis, and the seats that follow from it.
///
/// - `terms` holds the genesis seats at term 0, and for each further term, without gaps, the seats
///   whose hash stood in the last block of the term before.
#[derive(Clone, Debug)]
pub struct LightClient {
    chain_id: ChainId,
    genesis: Final,
    terms: BTreeMap<Term, Sitting>,
    term_ms: u64,
}

/// The seats of a term.
#[derive(Clone, Debug)]
struct Sitting {
    seats: Arc<SeatSet>,
    /// From this time on a block of the term is its last (R5a), ms.
    ends: TimestampMs,
}

impl LightClient {
    /// Starts from a genesis.
    ///
    /// # Errors
    /// [`ClientError::Genesis`] if it contradicts itself.
    pub fn new(genesis: &Genesis) -> Result<Self, ClientError> {
        let state =
            State::genesis(genesis).map_err(|error| ClientError::Genesis(error.to_string()))?;
        let header = state.genesis_block().header;
        let hash = header.hash();
        Ok(Self {
            chain_id: genesis.chain_id,
            genesis: Final { header, hash },
            terms: BTreeMap::from([(
                Term::ZERO,
                Sitting {
                    seats: state.seats,
                    ends: state.term_end,
                },
            )]),
            term_ms: genesis.term_ms,
        })
    }

    /// The chain.
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Block 0.
    pub fn genesis(&self) -> &Final {
        &self.genesis
    }

    /// The seats of a term, if they were learnt.
    pub fn seats(&self, term: Term) -> Option<&Arc<SeatSet>> {
        self.terms.get(&term).map(|sitting| &sitting.seats)
    }

    /// The newest term whose seats are known.
    pub fn newest_term(&self) -> Term {
        let last = self.terms.last_key_value();
        last.map_or(Term::ZERO, |(term, _)| *term)
    }

    /// Follows the chain from a term to the next by how the term ended.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn learn_term(&mut self, term: Term, view: &BoundaryView) -> Result<(), Unverified> {
        same("term", term, view.epoch)?;
        let header: Header = decode_exact("header", &view.header_rlp, HEADER_BYTES_MAX)?;
        same("term of the block", term, header.term)?;
        let last = self.header(header, &view.certificate.certificate(), &[])?;
        Ok(self.learn_seats(&last, view.next_seats.clone())?)
    }

    /// Learns the seats of the term after `last`'s. R4: they are those whose hash `last`, the last
    /// block of its term, names. R5a: it is the last because of its time.
    ///
    /// # Errors
    /// If they are no set or another one, or `last` is not the last block of its term.
    pub fn learn_seats(&mut self, last: &Final, seats: Vec<Seat>) -> Result<(), Lie> {
        if seats.len() > limits::SEATS_MAX {
            return Err(too_many("seats", seats.len(), limits::SEATS_MAX));
        }
        let set = SeatSet::new(seats)?;
        let (term, time) = (last.header.term, last.header.timestamp);
        // Only with its seats known can `last` have been verified.
        if let Some(ends) = self.terms.get(&term).map(|sitting| sitting.ends)
            && time < ends
        {
            let height = last.header.height;
            return Err(Lie::NotBoundary {
                height,
                term,
                time,
                ends,
            });
        }
        same("seats", last.header.next_seats_hash, set.hash())?;
        if let Some(next) = term.next() {
            let sitting = Sitting {
                seats: Arc::new(set),
                ends: time.plus(self.term_ms),
            };
            self.terms.insert(next, sitting);
        }
        Ok(())
    }

    /// Checks that the block with `header` is final: the headers after it link up to one that the
    /// seats of its term certified. Block 0 needs no certificate.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn header(
        &self,
        header: Header,
        certificate: &FinalityCertificate,
        descendants: &[Header],
    ) -> Result<Final, Unverified> {
        let hash = header.hash();
        if header.height == Height::ZERO {
            if hash == self.genesis.hash {
                return Ok(self.genesis.clone());
            }
            return Err(Lie::Genesis {
                got: hash,
                want: self.genesis.hash,
            }
            .into());
        }
        let (mut tip, mut tip_hash) = (&header, hash);
        for next in descendants {
            if next.parent != tip_hash || Some(next.height) != tip.height.next() {
                let lie = Lie::Parent {
                    height: next.height,
                    parent: next.parent,
                    want: tip_hash,
                };
                return Err(lie.into());
            }
            (tip, tip_hash) = (next, next.hash());
        }
        if tip.chain_id != self.chain_id {
            return Err(Lie::Chain {
                got: tip.chain_id,
                want: self.chain_id,
            }
            .into());
        }
        let seats = self
            .terms
            .get(&tip.term)
            .map(|sitting| &sitting.seats)
            .ok_or(Unverified::UnknownTerm(tip.term))?;
        if tip.seats_hash != seats.hash() {
            return Err(Lie::Seats {
                height: tip.height,
                term: tip.term,
                got: tip.seats_hash,
                want: seats.hash(),
            }
            .into());
        }
        certificate
            .verify(tip_hash, self.chain_id, tip.term, seats)
            .map_err(|source| Lie::Certificate {
                height: tip.height,
                source,
            })?;
        Ok(Final { header, hash })
    }

    /// Checks the header of block `want` as it came from a node.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn raw_header(
        &self,
        want: Height,
        header: &[u8],
        certificate: &CertificateView,
    ) -> Result<Final, Unverified> {
        let header: Header = decode_exact("header", header, HEADER_BYTES_MAX)?;
        same("block", want, header.height)?;
        let descendants = descendants(certificate)?;
        self.header(header, &certificate.certificate(), &descendants)
    }

    /// Checks block `want` as it came from a node.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn block(
        &self,
        want: Height,
        block: Block,
        certificate: &CertificateView,
    ) -> Result<FinalBlock, Unverified> {
        same("block", want, block.header.height)?;
        if !block.is_whole() {
            return Err(Lie::NotWhole { height: want }.into());
        }
        let descendants = descendants(certificate)?;
        let certificate = certificate.certificate();
        let checked = self.header(block.header.clone(), &certificate, &descendants)?;
        Ok(FinalBlock {
            block,
            hash: checked.hash,
            certificate,
            descendants,
        })
    }

    /// Checks that the lane entry stands in the block it claims, whichever that is.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn lane(&self, view: &LaneProofView) -> Result<FinalLane, Unverified> {
        let block = self.raw_header(view.height, &view.header, &view.certificate)?;
        let entry: LaneEntry = decode_exact("lane entry", &view.entry, ENTRY_BYTES_MAX)?;
        let root = block.header.lanes_root;
        trie::verify_ordered(root, view.index, Some(&view.entry), &view.proof)?;
        Ok(FinalLane {
            block,
            index: view.index,
            entry,
        })
    }

    /// Checks that the transaction stands where it claims.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn transaction(&self, view: &TransactionProofView) -> Result<FinalTransaction, Unverified> {
        let lane = self.lane(&view.lane)?;
        let header = &lane.entry.lane.header;
        same("namespace", view.namespace, header.namespace)?;
        same("lane block", view.lane_height, header.height)?;
        let hash = keccak256(&view.transaction);
        same("transaction", view.hash, hash)?;
        let (root, raw) = (header.body_root, &view.transaction);
        trie::verify_ordered(root, view.index, Some(raw), &view.proof)?;
        Ok(FinalTransaction {
            index: view.index,
            hash,
            raw: raw.clone(),
            lane,
        })
    }

    /// Checks a state entry, or its absence.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn state(
        &self,
        height: Height,
        kind: &str,
        id: u64,
        view: &StateProofView,
    ) -> Result<StateEntry, Unverified> {
        if let Some(value) = &view.value
            && value.len() > STATE_ENTRY_BYTES_MAX
        {
            let limit = STATE_ENTRY_BYTES_MAX;
            return Err(too_many("bytes of a state entry", value.len(), limit).into());
        }
        let block = self.raw_header(height, &view.header, &view.certificate)?;
        let key = trie::state_key(kind, id);
        let value = view.value.as_ref().map(|value| value.as_ref());
        trie::verify_keyed(block.header.state_root, key, value, &view.proof)?;
        Ok(StateEntry {
            block,
            value: view.value.clone(),
        })
    }

    /// Checks that the earlier header is an ancestor of a finalised later one, so final itself.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn history(
        &self,
        from: Height,
        at: Height,
        view: &HistoryProofView,
    ) -> Result<Final, Unverified> {
        let later = self.raw_header(at, &view.header, &view.certificate)?;
        let header: Header = decode_exact("header", &view.ancestor, HEADER_BYTES_MAX)?;
        same("block", from, header.height)?;
        same("position in the history", from.get(), view.proof.index)?;
        // A range over as many headers as the later one has ancestors, or a position would not
        // be a height.
        same("headers in the history", at.get(), view.proof.leaves)?;
        let hash = header.hash();
        view.proof.verify(hash, later.header.history_root)?;
        Ok(Final { header, hash })
    }

    /// Checks a body against a lane header of a finalised block.
    ///
    /// # Errors
    /// [`Lie::Body`] says what does not fit.
    pub fn body(header: &LaneHeader, transactions: Vec<Bytes>) -> Result<LaneBody, Lie> {
        let body = LaneBody { transactions };
        body.check(header).map_err(|source| Lie::Body {
            namespace: header.namespace,
            lane_height: header.height,
            source,
        })?;
        Ok(body)
    }
}

/// Whether an answer is to the question.
pub(crate) fn same<T: PartialEq + Display>(what: &'static str, want: T, got: T) -> Result<(), Lie> {
    if want == got {
        return Ok(());
    }
    Err(Lie::Other {
        what,
        want: want.to_string(),
        got: got.to_string(),
    })
}

pub(crate) fn too_many(what: &'static str, count: usize, limit: usize) -> Lie {
    Lie::TooMany { what, count, limit }
}

fn descendants(view: &CertificateView) -> Result<Vec<Header>, Lie> {
    let count = view.descendants.len();
    if count > DESCENDANTS_MAX {
        return Err(too_many("descendants", count, DESCENDANTS_MAX));
    }
    let read = |raw: &Bytes| Ok(decode_exact("header", raw, HEADER_BYTES_MAX)?);
    view.descendants.iter().map(read).collect()
}

/// Whether a lane is the one that was asked for.
pub(crate) fn same_lane(
    namespace: Namespace,
    lane_height: Height,
    header: &LaneHeader,
) -> Result<(), Lie> {
    same("namespace", namespace, header.namespace)?;
    same("lane block", lane_height, header.height)
}
