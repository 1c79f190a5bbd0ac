//! What all stories share: a genesis with seats, and the L1 before it.

use alloy_consensus::Header as L1Header;
use cortado_chain::State;
use cortado_derive::Fork;
use cortado_l1::TrackedHeader;
use cortado_types::{
    Address, B256, Bytes, ChainId, Genesis, Header, L1Config, L1Ref, Namespace, NamespaceConfig,
    QuorumCertificate, Seat, SeatBitmap, SeatsRead, TimestampMs,
    bls::{SecretBls, SignatureBytes},
    keccak256,
    limits::REF_MAX,
};
use std::collections::BTreeMap;

/// The two rollups of every story.
pub(crate) const NAMESPACES: [Namespace; 2] = [Namespace::new(8_001), Namespace::new(8_002)];
pub(crate) const CHAIN: ChainId = ChainId::new(77);
/// Start of slot 0, s.
const GENESIS_S: u64 = 1_700_000_000;
const SLOT_MS: u64 = 3_000;
/// L1 blocks below the anchor in stories that reach so far back: a few more than a reference may.
const PREHISTORY: u64 = REF_MAX + 80;

/// RLP of an L1 header; `extra` tells forks apart. A second for each block, so that hundreds of them
/// may be shown at once.
pub(crate) fn l1_header(parent: B256, number: u64, extra: u64) -> Bytes {
    let header = L1Header {
        parent_hash: parent,
        number,
        timestamp: GENESIS_S - 2 * PREHISTORY + number,
        extra_data: extra.to_be_bytes().into(),
        ..L1Header::default()
    };
    alloy_rlp::encode(header).into()
}

/// What a quorum would sign. Stories replay blocks that were checked when they were made; who signs
/// and how is checked elsewhere.
pub(crate) fn certificate() -> QuorumCertificate {
    QuorumCertificate {
        signers: SeatBitmap::from_signers(4, []),
        signature: SignatureBytes::ZERO,
    }
}

/// Made once for all stories.
pub struct Setup {
    pub(crate) state: State,
    pub(crate) header: Header,
    pub(crate) anchor_raw: Bytes,
    /// L1 blocks below the anchor, by hash.
    pub(crate) prehistory: BTreeMap<B256, TrackedHeader>,
    /// The same, oldest first.
    pub(crate) old: Vec<L1Ref>,
    /// A fork that begins at the anchor.
    pub(crate) short: Fork,
    /// One that begins far below it.
    pub(crate) long: Fork,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Genesis, its state, and thousands of L1 headers below its anchor.
    ///
    /// # Panics
    /// Never: nothing in it is random.
    pub fn new() -> Self {
        let (mut old, mut parent) = (Vec::new(), B256::repeat_byte(1));
        for number in 0..PREHISTORY {
            let header = TrackedHeader::read(&l1_header(parent, number, 0)).expect("a header");
            parent = header.hash;
            old.push(header);
        }
        let genesis = genesis(l1_header(parent, PREHISTORY, 0));
        let state = State::genesis(&genesis).expect("a proper genesis");
        let anchor = TrackedHeader::read(&genesis.l1.anchor).expect("a header");
        let mut long = Fork::with_queue(old[0]);
        for header in old[1..].iter().chain([&anchor]) {
            long.insert(*header).expect("in order");
        }
        long.set_tip(anchor.hash).expect("held");
        Self {
            header: state.genesis_block().header,
            state,
            anchor_raw: genesis.l1.anchor,
            prehistory: old.iter().map(|header| (header.hash, *header)).collect(),
            old: old.iter().map(TrackedHeader::to_ref).collect(),
            short: Fork::with_queue(anchor),
            long,
        }
    }

    pub(crate) fn anchor(&self) -> L1Ref {
        self.state.anchor()
    }
}

fn genesis(anchor: Bytes) -> Genesis {
    let seat = |i: u8| Seat {
        identity: keccak256([i]),
        bls: SecretBls::derive(&[i + 1; 32]).expect("32 bytes").public(),
        registry_index: i.into(),
    };
    let mut seats: Vec<_> = (0..4).map(seat).collect();
    seats.sort_by_key(|seat| seat.identity);
    let config = |namespace, reserve_holder| NamespaceConfig {
        namespace,
        reserve_holder,
        slot_bytes_max: 1 << 24,
    };
    let rollup = |namespace| config(namespace, Some(Address::repeat_byte(7)));
    let mut genesis = Genesis {
        chain_id: CHAIN,
        time: TimestampMs::new(GENESIS_S * 1_000),
        slot_ms: SLOT_MS,
        term_ms: 400 * SLOT_MS,
        l1: L1Config {
            chain_id: 1,
            slot_ms: 12_000,
            slots_per_epoch: 32,
            anchor,
            registry: Address::ZERO,
        },
        namespaces: std::iter::once(config(Namespace::L1_POINTER, None))
            .chain(NAMESPACES.map(rollup))
            .collect(),
        seats: SeatsRead::unproved(seats),
        proposers: vec![],
    };
    cortado_l1::testing::settle(&mut genesis);
    genesis
}
