//! A chain made by `cortado_chain` and certified by four seats, for tests that need true answers.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use cortado_chain::{Checks, Draft, State, apply, build};
use cortado_client::api::{
    BlockEvent, CertificateView, HistoryProofView, LaneProofView, StateProofView,
    TransactionProofView,
};
use cortado_types::{
    Address, B256, Block, Bytes, ChainId, FinalityCertificate, Genesis, Header, Height, L1Config,
    LaneBody, LaneEntry, LaneHeader, Namespace, NamespaceConfig, QuorumCertificate, Seat,
    SeatBitmap, SeatIndex, SeatSet, SeatsRead, Seq, SignedLaneHeader, Subject, SubjectKind, Term,
    TimestampMs, View, bls,
    bls::SecretBls,
    codec,
    ecdsa::SigningKey,
    genesis::TERM_MS_MAX,
    keccak256, limits,
    mmr::{HistoryProof, Range},
    trie,
};
use std::{collections::BTreeMap, sync::Arc};

pub const ROLLUP: Namespace = Namespace::new(7_001);
pub const OTHER: Namespace = Namespace::new(7_002);
pub const SLOT_MS: u64 = 2_000;

/// A chain and everything that a node would know of it.
pub struct TestChain {
    pub genesis: Genesis,
    pub seats: Arc<SeatSet>,
    pub secrets: Vec<SecretBls>,
    pub proposer: SigningKey,
    pub blocks: Vec<Block>,
    pub states: Vec<Arc<State>>,
    pub certificates: BTreeMap<Height, FinalityCertificate>,
    pub bodies: BTreeMap<B256, LaneBody>,
    pub history: Range,
}

/// Bytes that, repeated, are an ed25519 key: the registry takes no other identity.
const IDENTITIES: [u8; 4] = [1, 3, 6, 9];

pub fn secret(seed: u8, seat: u8) -> SecretBls {
    let mut material = [seed; 32];
    material[0] = seat;
    SecretBls::derive(&material).unwrap()
}

pub fn genesis(seed: u8) -> Genesis {
    let proposer = SigningKey::from_bytes([7; 32]).unwrap();
    let anchor = alloy_consensus::Header {
        number: 100,
        ..Default::default()
    };
    let namespace = |namespace, reserve_holder: Option<Address>| NamespaceConfig {
        namespace,
        reserve_holder,
        slot_bytes_max: 64 << 20,
    };
    let seats = (0..4)
        .map(|i| Seat {
            identity: B256::repeat_byte(IDENTITIES[usize::from(i)]),
            bls: secret(seed, i).public(),
            registry_index: u32::from(i),
        })
        .collect();
    let mut genesis = Genesis {
        chain_id: ChainId::new(9_009),
        time: TimestampMs::new(1_700_000_000_000),
        slot_ms: SLOT_MS,
        term_ms: TERM_MS_MAX,
        l1: L1Config {
            chain_id: 31_337,
            slot_ms: SLOT_MS,
            slots_per_epoch: 8,
            anchor: alloy_rlp::encode(&anchor).into(),
            registry: Address::ZERO,
        },
        namespaces: vec![
            namespace(Namespace::L1_POINTER, None),
            namespace(ROLLUP, Some(proposer.address())),
            namespace(OTHER, Some(proposer.address())),
        ],
        seats: SeatsRead::unproved(seats),
        proposers: Vec::new(),
    };
    cortado_l1::testing::settle(&mut genesis);
    genesis
}

impl TestChain {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    /// A chain whose seats' keys come from `seed`.
    pub fn seeded(seed: u8) -> Self {
        Self::of(genesis(seed), seed)
    }

    /// A chain of this genesis, whose seats' keys come from `seed`.
    pub fn of(genesis: Genesis, seed: u8) -> Self {
        let state = State::genesis(&genesis).unwrap();
        let block = state.genesis_block();
        Self {
            seats: state.seats.clone(),
            secrets: (0..4).map(|i| secret(seed, i)).collect(),
            proposer: SigningKey::from_bytes([7; 32]).unwrap(),
            blocks: vec![block],
            states: vec![Arc::new(state)],
            certificates: BTreeMap::new(),
            bodies: BTreeMap::new(),
            history: Range::default(),
            genesis,
        }
    }

    pub fn tip(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    pub fn state(&self) -> &Arc<State> {
        self.states.last().unwrap()
    }

    /// Appends a certified block with one lane block for each of `bodies`.
    pub fn extend(&mut self, bodies: &[(Namespace, Vec<Bytes>)]) -> Height {
        let height = self.extend_uncertified(bodies);
        self.certify(height, &[0, 1, 2]);
        height
    }

    /// Appends a block that becomes final through a later one only.
    pub fn extend_uncertified(&mut self, bodies: &[(Namespace, Vec<Bytes>)]) -> Height {
        let parent = self.tip().header.clone();
        let state = self.state().clone();
        let slot = state.config.clock.slot_at(parent.timestamp).next().unwrap();
        let time = state.config.clock.start(slot).plus(limits::GRACE_MS + 100);
        let mut tips = BTreeMap::new();
        let mut runs: BTreeMap<Namespace, Vec<LaneEntry>> = BTreeMap::new();
        for (namespace, transactions) in bodies {
            let body = LaneBody {
                transactions: transactions.clone(),
            };
            let before = state.namespaces[namespace].tip;
            let (height, hash, seq) =
                tips.get(namespace)
                    .copied()
                    .unwrap_or((before.height, before.hash, Seq::ZERO));
            let header = LaneHeader {
                version: limits::PROTOCOL_VERSION,
                chain_id: self.genesis.chain_id,
                namespace: *namespace,
                slot,
                seq,
                last: false,
                height: height.next().unwrap(),
                parent: hash,
                context: state.anchor(),
                timestamp: time,
                body_root: body.root(),
                size: body.size(),
                group: B256::ZERO,
            };
            let hash = header.hash();
            tips.insert(*namespace, (header.height, hash, seq.next().unwrap()));
            self.bodies.insert(hash, body);
            runs.entry(*namespace).or_default().push(LaneEntry {
                lane: SignedLaneHeader {
                    signature: self.proposer.sign(hash),
                    header,
                },
                certificate: Some(self.available(hash)),
            });
        }
        let view = View::new(parent.view.get() + 1);
        let runs = runs.into_values().collect();
        let draft = Draft {
            view,
            timestamp: time,
            runs,
            operations: Vec::new(),
        };
        let (block, next) = build(&state, &parent, &draft);
        assert_eq!(
            block.lanes.len(),
            bodies.len(),
            "every lane block has to fit"
        );
        assert_eq!(apply(&state, &parent, &block, Checks::All).unwrap(), next);
        self.history.push(parent.hash());
        self.blocks.push(block);
        self.states.push(Arc::new(next));
        self.tip().header.height
    }

    fn available(&self, hash: B256) -> QuorumCertificate {
        let subject = Subject {
            kind: SubjectKind::Available,
            hash,
        };
        let namespace = self.seats.base_namespace(self.genesis.chain_id);
        let message = subject.message(&namespace, Term::ZERO);
        let votes: Vec<_> = (0..3)
            .map(|i| (SeatIndex::new(i), self.secrets[i as usize].sign(&message)))
            .collect();
        QuorumCertificate::aggregate(4, &votes).unwrap()
    }

    /// Certifies a block with the signatures of `signers`.
    pub fn certify(&mut self, height: Height, signers: &[u32]) {
        let header = &self.blocks[height.get() as usize].header;
        let certificate = self.certificate(header, signers);
        self.certificates.insert(height, certificate);
    }

    /// A certificate for any header.
    pub fn certificate(&self, header: &Header, signers: &[u32]) -> FinalityCertificate {
        let mut certificate = FinalityCertificate {
            term: header.term,
            view: header.view,
            parent_view: header.parent_view,
            payload: header.hash(),
            signers: SeatBitmap::from_signers(4, signers.iter().copied().map(SeatIndex::new)),
            signature: Default::default(),
        };
        let namespace = self.seats.base_namespace(self.genesis.chain_id);
        let message = certificate.message(&namespace);
        let parts: Vec<_> = signers
            .iter()
            .map(|i| self.secrets[*i as usize].sign(&message))
            .collect();
        certificate.signature = bls::aggregate(&parts).unwrap();
        certificate
    }

    pub fn certificate_view(&self, height: Height) -> CertificateView {
        let (at, certificate) = self.certificates.range(height..).next().unwrap();
        let between = height.get() as usize + 1..=at.get() as usize;
        let descendants: Vec<_> = self.blocks[between]
            .iter()
            .map(|b| b.header.clone())
            .collect();
        let namespace = self.seats.base_namespace(self.genesis.chain_id);
        CertificateView::new(height, certificate, namespace, &descendants)
    }

    pub fn raw_header(&self, height: Height) -> Bytes {
        codec::encode(&self.blocks[height.get() as usize].header).into()
    }

    pub fn place(&self, namespace: Namespace, lane_height: Height) -> Option<(Height, usize)> {
        self.blocks.iter().find_map(|block| {
            let index = block.lanes.iter().position(|entry| {
                let header = &entry.lane.header;
                (header.namespace, header.height) == (namespace, lane_height)
            })?;
            Some((block.header.height, index))
        })
    }

    pub fn lane_proof(&self, height: Height, index: usize) -> LaneProofView {
        let leaves = Block::lane_leaves(&self.blocks[height.get() as usize].lanes);
        LaneProofView {
            height,
            index,
            entry: leaves[index].clone().into(),
            proof: trie::prove_ordered(&leaves, index),
            header: self.raw_header(height),
            certificate: self.certificate_view(height),
        }
    }

    pub fn transaction_proof(
        &self,
        namespace: Namespace,
        lane_height: Height,
        index: usize,
    ) -> TransactionProofView {
        let (height, lane) = self.place(namespace, lane_height).unwrap();
        let entry = &self.blocks[height.get() as usize].lanes[lane];
        let body = &self.bodies[&entry.lane.header.hash()];
        let transaction = body.transactions[index].clone();
        TransactionProofView {
            namespace,
            lane_height,
            index,
            hash: keccak256(&transaction),
            transaction,
            proof: trie::prove_ordered(&body.transactions, index),
            lane: self.lane_proof(height, lane),
        }
    }

    pub fn state_proof(&self, height: Height, kind: &str, id: u64) -> StateProofView {
        let proved = self.states[height.get() as usize].prove(kind, id);
        StateProofView {
            height,
            kind: kind.to_owned(),
            id,
            key: proved.key,
            value: proved.value.map(Bytes::from),
            proof: proved.proof,
            header: self.raw_header(height),
            certificate: self.certificate_view(height),
        }
    }

    pub fn history_proof(&self, from: Height, at: Height) -> HistoryProofView {
        let proof: HistoryProof = self.history.prove(from.get(), at.get()).unwrap();
        HistoryProofView {
            ancestor: self.raw_header(from),
            proof,
            header: self.raw_header(at),
            certificate: self.certificate_view(at),
        }
    }

    pub fn event(&self, height: Height) -> BlockEvent {
        let block = &self.blocks[height.get() as usize];
        BlockEvent {
            height,
            hash: block.hash(),
            block: codec::encode(block).into(),
            certificate: self.certificate_view(height),
        }
    }
}

/// Transactions that tell each other apart.
pub fn transactions(name: &str, count: usize) -> Vec<Bytes> {
    (0..count)
        .map(|i| format!("{name}: transaction {i}").into_bytes().into())
        .collect()
}
