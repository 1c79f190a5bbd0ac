//! Everyone a chain needs: seats with real keys, proposers, an L1 that grows.

use crate::*;
use alloy_consensus::Header as L1Header;
use cortado_types::{
    block::{L1Finality, group_hash},
    bls::SecretBls,
    ecdsa::SigningKey,
    *,
};

pub(super) const CHAIN: ChainId = ChainId::new(77);
/// Start of slot 0, s.
pub(super) const GENESIS_S: u64 = 1_700_000_000;
pub(super) const SLOT_MS: u64 = 3_000;
/// Longer than any story that is not about terms.
pub(super) const TERM_MS: u64 = 400 * SLOT_MS;
pub(super) const POINTER: Namespace = Namespace::L1_POINTER;
pub(super) const A: Namespace = Namespace::new(8_001);
pub(super) const B: Namespace = Namespace::new(8_002);
pub(super) const C: Namespace = Namespace::new(8_003);
/// The L1 block at genesis; a hundred more have times before genesis, so they may be shown at once.
pub(super) const ANCHOR: u64 = 500;

pub(super) fn key(namespace: Namespace) -> SigningKey {
    SigningKey::from_bytes(keccak256(namespace.get().to_be_bytes()).0).expect("a scalar")
}

pub(super) fn l1_header(parent: B256, number: u64) -> Bytes {
    let header = L1Header {
        parent_hash: parent,
        number,
        timestamp: GENESIS_S - 1_200 + 12 * (number - ANCHOR),
        ..L1Header::default()
    };
    alloy_rlp::encode(header).into()
}

/// `ms` after the start of `slot`.
pub(super) fn at(slot: u64, ms: u64) -> TimestampMs {
    TimestampMs::new(GENESIS_S * 1_000 + slot * SLOT_MS + ms)
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) genesis: Genesis,
    pub(super) state: State,
    /// Header of the last block.
    pub(super) tip: Header,
    secrets: Vec<SecretBls>,
}

impl World {
    /// Nobody holds namespace 0.
    pub(super) fn new() -> Self {
        Self::with_pointer_holder(None)
    }

    pub(super) fn with_pointer_holder(holder: Option<Address>) -> Self {
        let mut seats: Vec<_> = (0..4u32)
            .map(|i| {
                let secret = SecretBls::derive(&[i as u8 + 1; 32]).expect("32 bytes");
                let identity = keccak256([i as u8]);
                (
                    Seat {
                        identity,
                        bls: secret.public(),
                        registry_index: i,
                    },
                    secret,
                )
            })
            .collect();
        seats.sort_by_key(|(seat, _)| seat.identity);
        let (seats, secrets) = seats.into_iter().unzip();
        let config = |namespace, reserve_holder| NamespaceConfig {
            namespace,
            reserve_holder,
            slot_bytes_max: 1 << 24,
        };
        let rollup = |namespace| config(namespace, Some(key(namespace).address()));
        let mut genesis = Genesis {
            chain_id: CHAIN,
            time: at(0, 0),
            slot_ms: SLOT_MS,
            term_ms: TERM_MS,
            l1: L1Config {
                chain_id: 1,
                slot_ms: 12_000,
                slots_per_epoch: 32,
                anchor: l1_header(B256::repeat_byte(1), ANCHOR),
                registry: Address::ZERO,
            },
            namespaces: vec![config(POINTER, holder), rollup(A), rollup(B), rollup(C)],
            seats: SeatsRead::unproved(seats),
            proposers: vec![],
        };
        cortado_l1::testing::settle(&mut genesis);
        let state = State::genesis(&genesis).expect("a proper genesis");
        let tip = state.genesis_block().header;
        Self {
            genesis,
            state,
            tip,
            secrets,
        }
    }

    /// A lane header on the tip of `namespace`, valid in `slot`, changed by `edit`, unsigned.
    pub(super) fn next(&self, namespace: Namespace, slot: u64) -> LaneHeader {
        let tip = self.state.namespaces[&namespace].tip;
        let same = tip.height > Height::ZERO && tip.slot == Slot::new(slot);
        LaneHeader {
            version: 1,
            chain_id: CHAIN,
            namespace,
            slot: Slot::new(slot),
            seq: if same {
                Seq::new(tip.seq.get() + 1)
            } else {
                Seq::ZERO
            },
            last: false,
            height: Height::new(tip.height.get() + 1),
            parent: tip.hash,
            context: self.state.anchor(),
            timestamp: at(slot, 1).max(tip.timestamp),
            body_root: LaneBody::default().root(),
            size: 2,
            group: B256::ZERO,
        }
    }

    /// Seats 0, 1, 2 sign `subject`.
    pub(super) fn certify(&self, kind: SubjectKind, hash: B256) -> QuorumCertificate {
        let seats = &self.state.seats;
        let base = seats.base_namespace(CHAIN);
        let message = Subject { kind, hash }.message(&base, self.state.term);
        let sign = |i: u32| (SeatIndex::new(i), self.secrets[i as usize].sign(&message));
        QuorumCertificate::aggregate(seats.len(), &[0, 1, 2].map(sign)).expect("signatures")
    }

    pub(super) fn entry(&self, lane: SignedLaneHeader) -> LaneEntry {
        let certificate = self.certify(SubjectKind::Available, lane.header.hash());
        LaneEntry {
            lane,
            certificate: Some(certificate),
        }
    }

    /// A certified next lane block of `namespace` in `slot`.
    pub(super) fn lane(&self, namespace: Namespace, slot: u64) -> LaneEntry {
        self.lane_with(namespace, slot, |_| {})
    }

    /// The same, changed before it is signed and certified.
    pub(super) fn lane_with(
        &self,
        namespace: Namespace,
        slot: u64,
        edit: impl FnOnce(&mut LaneHeader),
    ) -> LaneEntry {
        let mut header = self.next(namespace, slot);
        edit(&mut header);
        self.entry(sign(header))
    }

    /// `count` headers on `L1*`.
    pub(super) fn l1(&self, count: usize) -> Vec<Bytes> {
        let mut parent = self.state.l1.head();
        (0..count)
            .map(|_| {
                let raw = l1_header(parent.hash, parent.number + 1);
                parent = L1Ref {
                    number: parent.number + 1,
                    hash: keccak256(&raw),
                };
                raw
            })
            .collect()
    }

    /// A pointer move along `headers`, unsigned by a mover.
    pub(super) fn pointer_move(&self, headers: Vec<Bytes>) -> PointerMove {
        let target = keccak256(headers.last().expect("at least one"));
        PointerMove {
            headers,
            sight: self.certify(SubjectKind::Sight, target),
            mover: None,
        }
    }

    pub(super) fn finality(&self, block: L1Ref) -> Operation {
        let certificate = self.certify(SubjectKind::L1Final, block.hash);
        Operation::FinalizeL1(L1Finality { block, certificate })
    }

    pub(super) fn draft(&self, time: TimestampMs, lanes: &[&[LaneEntry]]) -> Draft {
        Draft {
            view: View::new(self.tip.view.get() + 1),
            timestamp: time,
            runs: lanes.iter().map(|run| run.to_vec()).collect(),
            operations: vec![],
        }
    }

    /// What a leader makes of `draft`; nothing advances.
    pub(super) fn built(&self, draft: &Draft) -> Block {
        build(&self.state, &self.tip, draft).0
    }

    pub(super) fn apply(&self, block: &Block) -> Result<State, Rejection> {
        apply(&self.state, &self.tip, block, Checks::All)
    }

    /// Builds a block, has an attester apply it, and goes on from it.
    pub(super) fn go(&mut self, draft: &Draft) -> Block {
        let (block, state) = build(&self.state, &self.tip, draft);
        let applied = self.apply(&block).expect("a leader's block applies");
        assert_eq!(applied, state, "leader and attester agree on the state");
        assert_eq!(applied.root(), block.header.state_root);
        assert_eq!(
            apply(&self.state, &self.tip, &block, Checks::Replay),
            Ok(applied)
        );
        assert!(block.is_whole());
        self.state = state;
        self.tip = block.header.clone();
        block
    }

    /// A block of these lanes and operations as somebody might send it: sealed over nothing of them,
    /// since only what comes before the roots are compared is of interest.
    pub(super) fn forged(
        &self,
        time: TimestampMs,
        lanes: Vec<LaneEntry>,
        operations: Vec<Operation>,
    ) -> Block {
        let mut block = self.built(&self.draft(time, &[]));
        block.lanes = lanes;
        block.operations = operations;
        block
    }

    /// Why a block of these lanes is refused.
    pub(super) fn refuse(&self, time: TimestampMs, lanes: Vec<LaneEntry>) -> Rejection {
        self.apply(&self.forged(time, lanes, vec![]))
            .expect_err("not valid")
    }

    /// Why a block with this operation is refused.
    pub(super) fn refuse_operation(&self, time: TimestampMs, operation: Operation) -> Rejection {
        self.apply(&self.forged(time, vec![], vec![operation]))
            .expect_err("not valid")
    }
}

/// By the holder of its namespace.
pub(super) fn sign(header: LaneHeader) -> SignedLaneHeader {
    let signature = key(header.namespace).sign(header.hash());
    SignedLaneHeader { header, signature }
}

/// A child of `parent` in the same slot.
pub(super) fn child(parent: &LaneHeader) -> LaneHeader {
    LaneHeader {
        seq: Seq::new(parent.seq.get() + 1),
        height: Height::new(parent.height.get() + 1),
        parent: parent.hash(),
        ..parent.clone()
    }
}

/// The group of `headers`, ordered as the rule says.
pub(super) fn group_of(headers: &[&LaneHeader]) -> B256 {
    let mut members: Vec<_> = headers
        .iter()
        .map(|h| (h.namespace, h.slot, h.seq, h.body_root))
        .collect();
    members.sort_unstable();
    group_hash(&members)
}
