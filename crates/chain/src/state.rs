//! What every attester holds the same of.

use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use cortado_l1::{HeaderError, ReadError, Settled, TrackedHeader, Tree, read_seats};
use cortado_types::{
    Address, B256, Block, ChainId, CodecError, Genesis, GenesisError, Gwei, Header, Height, L1Head,
    L1Ref, Namespace, Seat, SeatSet, SeatSetError, Seq, Slot, SlotClock, Term, TimestampMs, View,
    codec, limits,
    mmr::Peaks,
    trie::{self, TrieProof},
};
use std::{collections::BTreeMap, sync::Arc};
use thiserror::Error;

/// What never changes after genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bound into everything signed.
    pub chain_id: ChainId,
    /// Slots as a function of time.
    pub clock: SlotClock,
    /// EIP-155 id of the L1.
    pub l1_chain_id: u64,
    /// Length of an L1 slot, ms.
    pub l1_slot_ms: u64,
    /// L1 slots in an epoch.
    pub slots_per_epoch: u64,
    /// Length of a term, ms (R5a).
    pub term_ms: u64,
    /// The contract on L1 that holds stake and settles seats (R10).
    pub registry: Address,
}

// Under the state root, so that block 0 names one genesis: a node with another slot length would
// otherwise find out by disagreeing much later.
impl Encodable for Config {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        let fields = [
            self.chain_id.get(),
            self.clock.genesis.get(),
            self.clock.slot_ms,
            self.l1_chain_id,
            self.l1_slot_ms,
            self.slots_per_epoch,
            self.term_ms,
        ];
        let payload_length =
            fields.iter().map(Encodable::length).sum::<usize>() + self.registry.length();
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
        .encode(out);
        for field in fields {
            field.encode(out);
        }
        self.registry.encode(out);
    }
}

/// Seats with what each has at risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seating {
    /// Who sits.
    pub seats: Arc<SeatSet>,
    /// Stake behind each seat (R3).
    pub price: Gwei,
}

impl From<&Settled> for Seating {
    fn from(settled: &Settled) -> Self {
        Self {
            seats: settled.seats.clone(),
            price: settled.settlement.price,
        }
    }
}

/// Where a namespace stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Tip {
    /// Lane blocks so far; 0 means none and the other fields are zero.
    pub height: Height,
    /// Hash of the last lane header.
    pub hash: B256,
    /// Its slot.
    pub slot: Slot,
    /// Its position in the slot.
    pub seq: Seq,
    /// Whether it closed the slot.
    pub last: bool,
    /// Its time, ms.
    pub timestamp: TimestampMs,
}

/// One namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceState {
    /// Proposer of every slot nobody bought (R14).
    pub reserve_holder: Option<Address>,
    /// Bytes of bodies acknowledged for one slot (R6a).
    pub slot_bytes_max: u64,
    /// Last lane block.
    pub tip: Tip,
}

// `Option<Address>` as the zero address: no key has it.
impl Encodable for NamespaceState {
    fn encode(&self, out: &mut dyn alloy_rlp::BufMut) {
        let holder = self.reserve_holder.unwrap_or_default();
        let payload_length = holder.length() + self.slot_bytes_max.length() + self.tip.length();
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
        .encode(out);
        holder.encode(out);
        self.slot_bytes_max.encode(out);
        self.tip.encode(out);
    }
}

impl Decodable for NamespaceState {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let holder = Address::decode(&mut payload)?;
        let state = Self {
            reserve_holder: (!holder.is_zero()).then_some(holder),
            slot_bytes_max: u64::decode(&mut payload)?,
            tip: Tip::decode(&mut payload)?,
        };
        if payload.is_empty() {
            Ok(state)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }
}

/// R7. The replicated state after some block.
///
/// - `history` covers every header before the one this state is the result of, so that header's
///   own hash is appended when its child is applied.
/// - After the last block of a term, `term` and what belongs to it are already those of the next
///   one, which that block names (R5a).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// What never changes.
    pub config: Arc<Config>,
    /// The term of the next block.
    pub term: Term,
    /// From this time on a block of `term` is its last (R5a), ms.
    pub term_end: TimestampMs,
    /// Seats of `term`.
    pub seats: Arc<SeatSet>,
    /// Stake behind each of them.
    pub price: Gwei,
    /// Seats of the term after `term`: those that were read last.
    pub due: Seating,
    /// Number of the L1 block at which `due` was read.
    pub read_at: u64,
    /// All namespaces.
    pub namespaces: BTreeMap<Namespace, NamespaceState>,
    /// L1 headers, `L1*` and `L1fin`.
    pub l1: Tree,
    /// Hashes of earlier headers.
    pub history: Peaks,
}

/// Why no state can be made from a genesis.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GenesisStateError {
    /// The genesis contradicts itself.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The L1 anchor is not a header.
    #[error("L1 anchor: {0}")]
    Anchor(#[from] HeaderError),
    /// The seats do not stand in the state of the L1 anchor.
    #[error("seats of the genesis: {0}")]
    Read(#[from] ReadError),
    /// A stored state cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Seats of a stored state make no set.
    #[error("state snapshot: {0}")]
    Seats(#[from] SeatSetError),
    /// A stored state is not one that this code writes.
    #[error("state snapshot lists namespace {namespace} after one that is not below it")]
    NamespaceOrder {
        /// The offender.
        namespace: Namespace,
    },
    /// A stored state is not one that this code writes.
    #[error("state snapshot names the seats {named} and lists {listed}")]
    SeatsHash {
        /// Hash in its term entry.
        named: B256,
        /// Hash of the seats it lists.
        listed: B256,
    },
}

/// R14, the one function the market replaces: who may sign lane blocks of `namespace` in `slot`.
/// `None` if the namespace is unknown or has no holder.
pub fn proposer_of(state: &State, namespace: Namespace, _slot: Slot) -> Option<Address> {
    state.namespaces.get(&namespace)?.reserve_holder
}

/// Kinds of state entries; with the id they make the key ([`trie::state_key`]).
pub const ENTRY_NAMESPACE: &str = "namespace";
/// The L1 tree; id 0.
pub const ENTRY_L1: &str = "l1";
/// What never changes ([`Config`]); id 0.
pub const ENTRY_CONFIG: &str = "config";
/// The present term and the seats of the next; id 0.
pub const ENTRY_TERM: &str = "term";

/// The state entry of [`ENTRY_TERM`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct TermEntry {
    /// The term of the next block.
    pub term: Term,
    /// When it ends, ms.
    pub end: TimestampMs,
    /// Hash of its seats.
    pub seats: B256,
    /// Stake behind each of them.
    pub price: Gwei,
    /// Hash of the seats of the term after it, as far as they are known.
    pub due_seats: B256,
    /// Stake behind each of those.
    pub due_price: Gwei,
    /// Number of the L1 block at which they were read.
    pub read_at: u64,
}

/// A state entry with the path from a state root to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Hashed key of the entry.
    pub key: B256,
    /// RLP of the entry, `None` if it is absent.
    pub value: Option<Vec<u8>>,
    /// The path.
    pub proof: TrieProof,
}

/// A stored state may be this long, bytes: namespaces, tracked headers and two seat sets at their
/// limits.
const STATE_BYTES_MAX: usize = limits::NAMESPACES_MAX * 160
    + limits::L1_TRACKED_HEADERS_MAX * 96
    + limits::SEATS_MAX * 2 * 144
    + (1 << 20);

impl State {
    /// The state of block 0.
    ///
    /// # Errors
    /// If the genesis contradicts itself, its L1 anchor is not a header, or its seats do not stand in
    /// the anchor's state.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisStateError> {
        genesis.validate()?;
        let anchor = TrackedHeader::read(&genesis.l1.anchor)?;
        let due = Seating::from(&read_seats(
            &genesis.l1.anchor,
            genesis.l1.registry,
            &genesis.seats,
        )?);
        let namespaces = genesis.namespaces.iter().map(|config| {
            let state = NamespaceState {
                reserve_holder: config.reserve_holder,
                slot_bytes_max: config.slot_bytes_max,
                tip: Tip::default(),
            };
            (config.namespace, state)
        });
        Ok(Self {
            config: Arc::new(Config {
                chain_id: genesis.chain_id,
                clock: genesis.clock(),
                l1_chain_id: genesis.l1.chain_id,
                l1_slot_ms: genesis.l1.slot_ms,
                slots_per_epoch: genesis.l1.slots_per_epoch,
                term_ms: genesis.term_ms,
                registry: genesis.l1.registry,
            }),
            term: Term::ZERO,
            term_end: genesis.time.plus(genesis.term_ms),
            seats: due.seats.clone(),
            price: due.price,
            due,
            read_at: anchor.number,
            namespaces: namespaces.collect(),
            l1: Tree::new(anchor),
            history: Peaks::default(),
        })
    }

    /// Block 0: it commits to the whole genesis through its state root and seats hash.
    pub fn genesis_block(&self) -> Block {
        let header = Header {
            version: limits::PROTOCOL_VERSION,
            chain_id: self.config.chain_id,
            term: self.term,
            view: View::ZERO,
            parent_view: View::ZERO,
            height: Height::ZERO,
            parent: B256::ZERO,
            slot: Slot::ZERO,
            timestamp: self.config.clock.genesis,
            l1_head: L1Head::whole(self.l1.head()),
            l1_fin: self.l1.fin(),
            lanes_root: Block::lanes_root(&[]),
            operations_root: Block::operations_root(&[]),
            state_root: self.root(),
            history_root: self.history.root(),
            seats_hash: self.seats.hash(),
            next_seats_hash: self.seats.hash(),
        };
        Block {
            header,
            lanes: Vec::new(),
            operations: Vec::new(),
        }
    }

    /// The anchor of lane blocks in the next block (R8).
    pub fn anchor(&self) -> L1Ref {
        self.l1.head()
    }

    /// R5a: whether a block of this time, on this state, is the last of its term.
    pub fn ends_term(&self, time: TimestampMs) -> bool {
        time >= self.term_end
    }

    /// R5a: the term ends with a block of this time, and the seats that are due take over.
    pub(crate) fn hand_over(&mut self, due: &Seating, time: TimestampMs) {
        // Terms last seconds, so their numbers do not end.
        self.term = self.term.next().unwrap_or(self.term);
        self.term_end = time.plus(self.config.term_ms);
        self.seats = due.seats.clone();
        self.price = due.price;
    }

    /// What stands under [`ENTRY_TERM`].
    pub fn term_entry(&self) -> TermEntry {
        TermEntry {
            term: self.term,
            end: self.term_end,
            seats: self.seats.hash(),
            price: self.price,
            due_seats: self.due.seats.hash(),
            due_price: self.due.price,
            read_at: self.read_at,
        }
    }

    /// Every entry under the state root.
    pub fn entries(&self) -> BTreeMap<B256, Vec<u8>> {
        let mut entries: BTreeMap<_, _> = self
            .namespaces
            .iter()
            .map(|(id, state)| {
                (
                    trie::state_key(ENTRY_NAMESPACE, id.get()),
                    codec::encode(state),
                )
            })
            .collect();
        entries.insert(trie::state_key(ENTRY_L1, 0), codec::encode(&self.l1));
        entries.insert(
            trie::state_key(ENTRY_TERM, 0),
            codec::encode(&self.term_entry()),
        );
        let config = codec::encode(&*self.config);
        entries.insert(trie::state_key(ENTRY_CONFIG, 0), config);
        entries
    }

    /// R4's state root.
    pub fn root(&self) -> B256 {
        trie::keyed_root(&self.entries())
    }

    /// An entry with its proof, or the proof of its absence.
    pub fn prove(&self, kind: &str, id: u64) -> Proof {
        let key = trie::state_key(kind, id);
        let entries = self.entries();
        let proof = trie::prove_keyed(&entries, key);
        Proof {
            key,
            value: entries.get(&key).cloned(),
            proof,
        }
    }

    /// What is not in the genesis, for a snapshot on disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        let namespaces: Vec<_> = self
            .namespaces
            .iter()
            .map(|(id, state)| Stored {
                id: *id,
                state: *state,
            })
            .collect();
        codec::encode(&Snapshot {
            term: self.term_entry(),
            seats: self.seats.seats().to_vec(),
            due: self.due.seats.seats().to_vec(),
            namespaces,
            l1: self.l1.clone(),
            history: self.history.clone(),
        })
    }

    /// Reads a snapshot of the chain that `genesis` begins.
    ///
    /// # Errors
    /// If the genesis or the snapshot cannot be read. The caller checks the root against a header.
    pub fn from_bytes(genesis: &Genesis, bytes: &[u8]) -> Result<Self, GenesisStateError> {
        let mut state = Self::genesis(genesis)?;
        let snapshot: Snapshot = codec::decode_exact("state snapshot", bytes, STATE_BYTES_MAX)?;
        state.term = snapshot.term.term;
        state.term_end = snapshot.term.end;
        state.read_at = snapshot.term.read_at;
        state.seats = stored_seats(snapshot.seats, snapshot.term.seats)?;
        state.price = snapshot.term.price;
        state.due = Seating {
            seats: stored_seats(snapshot.due, snapshot.term.due_seats)?,
            price: snapshot.term.due_price,
        };
        state.namespaces.clear();
        for Stored { id, state: stored } in snapshot.namespaces {
            let last = state.namespaces.last_key_value();
            if last.is_some_and(|(last, _)| *last >= id) {
                return Err(GenesisStateError::NamespaceOrder { namespace: id });
            }
            state.namespaces.insert(id, stored);
        }
        state.l1 = snapshot.l1;
        state.history = snapshot.history;
        Ok(state)
    }
}

fn stored_seats(seats: Vec<Seat>, named: B256) -> Result<Arc<SeatSet>, GenesisStateError> {
    let set = SeatSet::new(seats)?;
    let listed = set.hash();
    if listed != named {
        return Err(GenesisStateError::SeatsHash { named, listed });
    }
    Ok(Arc::new(set))
}

#[derive(RlpEncodable, RlpDecodable)]
struct Stored {
    id: Namespace,
    state: NamespaceState,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Snapshot {
    term: TermEntry,
    seats: Vec<Seat>,
    due: Vec<Seat>,
    namespaces: Vec<Stored>,
    l1: Tree,
    history: Peaks,
}
