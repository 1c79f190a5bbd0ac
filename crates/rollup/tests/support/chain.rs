//! A finality chain in a test: real state, real blocks, certificates by real keys. Only the
//! engine that would agree on the blocks is missing.

#![allow(dead_code, reason = "every test file uses its own part of it")]

use alloy_consensus::{Header as L1Header, SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
};
use alloy_genesis::{Genesis as EvmGenesis, GenesisAccount};
use alloy_primitives::{Signature, TxKind, U256};
use alloy_rlp::Decodable as _;
use alloy_sol_types::SolEvent;
use cortado_chain::{Checks, Draft, State, apply, build};
use cortado_derive::{Entry, Params};
use cortado_evm::ChainSpec;
use cortado_rollup::{
    engine::{Engine, Included, RollupSpec, Tips},
    gateway::{Gateway, GatewayConfig, Output, Signer},
    journal::TailOf,
    source::{Finalised, Promises, SealedLane, Submitted},
};
use cortado_types::{
    Address, B256, Block, Bytes, ChainId, FinalityCertificate, Genesis, Header, L1Config, L1Ref,
    LaneEntry, Namespace, NamespaceConfig, Operation, PointerMove, QuorumCertificate,
    REFERENCE_ADDRESS, Seat, SeatBitmap, SeatIndex, SeatSet, SeatsRead, SlotClock, Subject,
    SubjectKind, TimestampMs, View,
    block::L1Finality,
    bls::{self, SecretBls},
    ecdsa::SigningKey,
    genesis::TERM_MS_MAX,
    keccak256,
};
use std::{collections::BTreeMap, path::Path};

#[path = "signed.rs"]
mod signed;
#[allow(unused_imports, reason = "every test file uses its own part of it")]
pub use signed::Signed;

/// Start of slot 0, ms.
pub const GENESIS_MS: u64 = 1_700_000_000_000;
/// Length of a slot, ms.
pub const SLOT_MS: u64 = 2_000;
/// The rollup of most tests.
pub const ROLLUP: Namespace = Namespace::new(7001);
/// Another one.
pub const OTHER: Namespace = Namespace::new(7002);

/// A time in slot `slot`, `ms` after its start.
pub fn at(slot: u64, ms: u64) -> TimestampMs {
    TimestampMs::new(GENESIS_MS + slot * SLOT_MS + ms)
}

/// The proposer's key.
pub fn proposer() -> SigningKey {
    SigningKey::from_bytes([0x11; 32]).expect("a key")
}

/// The `n`-th user's key; funded on every rollup.
pub fn user(n: u64) -> SigningKey {
    SigningKey::from_bytes(keccak256(format!("user {n}")).0).expect("a key")
}

/// A transfer of `wei` from a user, signed.
pub fn transfer(from: &SigningKey, nonce: u64, to: Address, wei: u64) -> Included {
    custom(from, |tx| {
        tx.nonce = nonce;
        tx.to = TxKind::Call(to);
        tx.value = U256::from(wei);
    })
}

/// A transfer of 1 wei that refers to an L1 block (R11).
pub fn referring(from: &SigningKey, nonce: u64, to: Address, reference: B256) -> Included {
    custom(from, |tx| {
        tx.nonce = nonce;
        tx.to = TxKind::Call(to);
        tx.value = U256::from(1);
        tx.gas_limit = 30_000;
        tx.max_priority_fee_per_gas = 2;
        tx.access_list = AccessList(vec![AccessListItem {
            address: REFERENCE_ADDRESS,
            storage_keys: vec![reference],
        }]);
    })
}

/// A transaction of the user's making.
pub fn custom(from: &SigningKey, edit: impl FnOnce(&mut TxEip1559)) -> Included {
    let mut tx = TxEip1559 {
        chain_id: ROLLUP.get(),
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000,
        max_priority_fee_per_gas: 1,
        ..TxEip1559::default()
    };
    edit(&mut tx);
    let signature = from.sign(tx.signature_hash());
    let mut rs = [0u8; 64];
    rs.copy_from_slice(&signature.0[..64]);
    let signature = Signature::from_bytes_and_parity(&rs, signature.0[64] == 28);
    let envelope = TxEnvelope::from(tx.into_signed(signature));
    let raw = Bytes::from(envelope.encoded_2718());
    let transaction =
        alloy_consensus::transaction::Recovered::new_unchecked(envelope, from.address());
    Included { raw, transaction }
}

/// The chain.
pub struct Chain {
    pub genesis: Genesis,
    pub genesis_hash: B256,
    pub state: State,
    pub parent: Header,
    /// The inbox of [`ROLLUP`], if it has one.
    pub inbox: Option<Address>,
    /// What L1 blocks queued in it.
    pub queued: BTreeMap<B256, Vec<Entry>>,
    secrets: Vec<SecretBls>,
    /// The chain of `L1*`, from the anchor.
    l1: Vec<L1Header>,
    /// Forks so far: tells their headers apart.
    forks: u8,
}

fn l1_header(number: u64, parent: B256) -> L1Header {
    L1Header {
        number,
        parent_hash: parent,
        timestamp: GENESIS_MS / 1000 - 1_000 + number,
        ..L1Header::default()
    }
}

impl Chain {
    /// Four seats, two rollups held by [`proposer`].
    pub fn new() -> Self {
        Self::with_slot_bytes(64 << 20)
    }

    /// As [`Chain::new`], with this many bytes a slot and namespace.
    pub fn with_slot_bytes(slot_bytes_max: u64) -> Self {
        Self::starting(GENESIS_MS, slot_bytes_max)
    }

    /// As [`Chain::with_slot_bytes`], with slot 0 at `start` ms.
    pub fn starting(start: u64, slot_bytes_max: u64) -> Self {
        let secrets: Vec<_> = (1u8..=4)
            .map(|n| SecretBls::derive(&[n; 32]).expect("a key"))
            .collect();
        let seats = secrets.iter().enumerate().map(|(i, secret)| Seat {
            identity: B256::repeat_byte(i as u8 + 1),
            bls: secret.public(),
            registry_index: i as u32,
        });
        let anchor = l1_header(100, B256::ZERO);
        let namespaces = [ROLLUP, OTHER].map(|namespace| NamespaceConfig {
            namespace,
            reserve_holder: Some(proposer().address()),
            slot_bytes_max,
        });
        let mut genesis = Genesis {
            chain_id: ChainId::new(42),
            time: TimestampMs::new(start),
            slot_ms: SLOT_MS,
            term_ms: TERM_MS_MAX,
            l1: L1Config {
                chain_id: 1,
                slot_ms: SLOT_MS,
                slots_per_epoch: 8,
                anchor: alloy_rlp::encode(&anchor).into(),
                registry: Default::default(),
            },
            namespaces: namespaces.to_vec(),
            seats: SeatsRead::unproved(seats.collect()),
            proposers: Vec::new(),
        };
        cortado_l1::testing::settle(&mut genesis);
        let anchor = L1Header::decode(&mut &genesis.l1.anchor[..]).expect("a header");
        let state = State::genesis(&genesis).expect("a genesis");
        let parent = state.genesis_block().header;
        let genesis_hash = parent.hash();
        Self {
            genesis,
            genesis_hash,
            state,
            parent,
            inbox: None,
            queued: BTreeMap::new(),
            secrets,
            l1: vec![anchor],
            forks: 0,
        }
    }

    /// As [`Chain::new`], and the first rollup imports from L1.
    pub fn with_inbox() -> Self {
        Self {
            inbox: Some(Address::repeat_byte(0x1b)),
            ..Self::new()
        }
    }

    pub fn clock(&self) -> SlotClock {
        self.genesis.clock()
    }

    fn seats(&self) -> &SeatSet {
        &self.state.seats
    }

    fn quorum(&self, kind: SubjectKind, hash: B256) -> QuorumCertificate {
        let base = self.seats().base_namespace(self.genesis.chain_id);
        let message = Subject { kind, hash }.message(&base, self.state.term);
        let signatures: Vec<_> = (0..self.seats().quorum())
            .map(|seat| {
                (
                    SeatIndex::new(seat as u32),
                    self.secrets[seat].sign(&message),
                )
            })
            .collect();
        QuorumCertificate::aggregate(self.seats().len(), &signatures).expect("points")
    }

    /// Finalises a block of time `time` with these lane blocks; each carries its own certificate.
    /// Those that cannot enter are left out, as a leader would.
    pub fn finalise(&mut self, lanes: &[SealedLane], time: TimestampMs) -> Finalised {
        self.finalise_with(lanes, Vec::new(), time)
    }

    /// Extends the L1 by one block and finalises a block that points at it.
    pub fn move_pointer(&mut self, time: TimestampMs) -> Finalised {
        self.fork_pointer(0, &[], time)
    }

    /// Replaces the last `depth` L1 blocks by one more than that, and finalises a block that points at
    /// the last of them. That one queued `deposits`.
    pub fn fork_pointer(
        &mut self,
        depth: usize,
        deposits: &[(Address, u64)],
        time: TimestampMs,
    ) -> Finalised {
        self.fork_with(&[], depth, deposits, time)
    }

    /// As [`Chain::fork_pointer`], in a block that carries lane blocks too.
    pub fn fork_with(
        &mut self,
        lanes: &[SealedLane],
        depth: usize,
        deposits: &[(Address, u64)],
        time: TimestampMs,
    ) -> Finalised {
        self.l1.truncate(self.l1.len() - depth);
        self.forks += u8::from(depth > 0);
        let mut headers = Vec::new();
        for left in (0..=depth).rev() {
            let parent = self.l1.last().expect("the anchor");
            let mut header = l1_header(parent.number + 1, keccak256(alloy_rlp::encode(parent)));
            header.extra_data = vec![self.forks].into();
            if let Some(inbox) = self.inbox
                && left == 0
                && !deposits.is_empty()
            {
                let topics = [cortado_derive::Queued::SIGNATURE_HASH];
                header.logs_bloom.accrue_raw_log(inbox, &topics);
            }
            headers.push(Bytes::from(alloy_rlp::encode(&header)));
            self.l1.push(header);
        }
        let tip = self.l1_tip();
        let entry = |(log_index, (to, wei)): (u64, &(Address, u64))| Entry {
            block: tip,
            log_index,
            gas: 50_000,
            payload: [&to[..], &U256::from(*wei).to_be_bytes::<32>()]
                .concat()
                .into(),
        };
        let entries: Vec<_> = (0..).zip(deposits).map(entry).collect();
        self.queued.insert(tip.hash, entries);
        let moved = PointerMove {
            sight: self.quorum(SubjectKind::Sight, tip.hash),
            headers,
            mover: None,
        };
        self.finalise_with(lanes, vec![Operation::MovePointer(moved)], time)
    }

    /// Builds `count` blocks on `block`, of a fork that was left, and finalises a block that points at the
    /// last of them.
    pub fn back_to(&mut self, block: L1Ref, count: usize, time: TimestampMs) -> Finalised {
        let mut parent = block;
        let mut headers = Vec::new();
        self.forks += 1;
        for _ in 0..count {
            let mut header = l1_header(parent.number + 1, parent.hash);
            header.extra_data = vec![self.forks].into();
            let raw = Bytes::from(alloy_rlp::encode(&header));
            parent = L1Ref {
                number: header.number,
                hash: keccak256(&raw),
            };
            headers.push(raw);
        }
        let moved = PointerMove {
            sight: self.quorum(SubjectKind::Sight, parent.hash),
            headers,
            mover: None,
        };
        self.finalise_with(&[], vec![Operation::MovePointer(moved)], time)
    }

    /// The chain that `L1*` is on, from the anchor.
    pub fn l1_line(&self) -> Vec<L1Ref> {
        let block = |header: &L1Header| L1Ref {
            number: header.number,
            hash: keccak256(alloy_rlp::encode(header)),
        };
        self.l1.iter().map(block).collect()
    }

    /// The end of that chain.
    pub fn l1_tip(&self) -> L1Ref {
        *self.l1_line().last().expect("the anchor")
    }

    /// L1 blocks above the finalised one.
    pub fn unfinalised(&self) -> usize {
        (self.state.anchor().number - self.state.l1.fin().number) as usize
    }

    /// Says to an engine everything that it asks about L1.
    pub fn tell(&self, engine: &mut Engine) {
        loop {
            let asked = engine.asked().map(|(block, _)| *block).next();
            let Some(block) = asked else { return };
            let entries = self.queued.get(&block).cloned().unwrap_or_default();
            engine.tell_queue(block, entries).expect("derives");
        }
    }

    /// Finalises a block that says `L1*` is final.
    pub fn finalise_l1(&mut self, time: TimestampMs) -> Finalised {
        let block = self.state.anchor();
        let certificate = self.quorum(SubjectKind::L1Final, block.hash);
        self.finalise_with(
            &[],
            vec![Operation::FinalizeL1(L1Finality { block, certificate })],
            time,
        )
    }

    fn finalise_with(
        &mut self,
        lanes: &[SealedLane],
        operations: Vec<Operation>,
        time: TimestampMs,
    ) -> Finalised {
        let runs = lanes.iter().map(|sealed| {
            let certificate = self.quorum(SubjectKind::Available, sealed.lane.header.hash());
            vec![LaneEntry {
                lane: sealed.lane.clone(),
                certificate: Some(certificate),
            }]
        });
        let view = View::new(self.parent.view.get() + 1);
        let draft = Draft {
            view,
            timestamp: time,
            runs: runs.collect(),
            operations,
        };
        let (block, _) = build(&self.state, &self.parent, &draft);
        self.state = apply(&self.state, &self.parent, &block, Checks::All).expect("valid");
        self.parent = block.header.clone();
        let bodies = lanes
            .iter()
            .map(|sealed| (sealed.lane.header.hash(), sealed.body.clone()))
            .collect();
        let certificate = self.certify(&block);
        Finalised::verify(
            block,
            certificate,
            bodies,
            self.genesis.chain_id,
            self.seats(),
        )
        .expect("finalised")
    }

    /// A quorum's certificate over a block.
    pub fn certify(&self, block: &Block) -> FinalityCertificate {
        let header = &block.header;
        let mut certificate = FinalityCertificate {
            term: header.term,
            view: header.view,
            parent_view: header.parent_view,
            payload: header.hash(),
            signers: SeatBitmap::from_signers(self.seats().len(), (0..3).map(SeatIndex::new)),
            signature: Default::default(),
        };
        let message = certificate.message(&self.seats().base_namespace(self.genesis.chain_id));
        let parts: Vec<_> = self.secrets[..3]
            .iter()
            .map(|secret| secret.sign(&message))
            .collect();
        certificate.signature = bls::aggregate(&parts).expect("points");
        certificate
    }

    /// What a rollup is made of.
    pub fn rollup(&self, namespace: Namespace) -> RollupSpec {
        let rich = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(24)));
        let alloc = (0..64).map(|n| (user(n).address(), rich.clone()));
        RollupSpec {
            namespace,
            chain: ChainSpec::rollup(namespace.get()),
            genesis: EvmGenesis {
                timestamp: GENESIS_MS / 1000,
                gas_limit: 60_000_000,
                alloc: alloc.collect(),
                ..EvmGenesis::default()
            },
            params: Params {
                import_gas: 10_000_000,
            },
            inbox: self.inbox.filter(|_| namespace == ROLLUP),
            tips: Tips::default(),
        }
    }

    /// The rollup's genesis as geth writes it.
    pub fn rollup_json(&self, namespace: Namespace) -> String {
        let mut genesis = self.rollup(namespace).genesis;
        genesis.config.chain_id = namespace.get();
        serde_json::to_string(&genesis).expect("serialises")
    }

    /// Opens a rollup in `dir`.
    pub fn engine(&self, dir: &Path, namespace: Namespace) -> Engine {
        std::fs::create_dir_all(dir).expect("a directory");
        Engine::open(
            dir,
            self.rollup(namespace),
            &self.genesis,
            self.genesis_hash,
        )
        .expect("opens")
    }

    pub fn gateway_config(&self) -> GatewayConfig {
        let namespaces = self.genesis.namespaces.iter();
        GatewayConfig {
            chain_id: self.genesis.chain_id,
            clock: self.clock(),
            lane_ms: 40,
            namespaces: namespaces
                .map(|config| {
                    (
                        config.namespace,
                        (config.reserve_holder, config.slot_bytes_max),
                    )
                })
                .collect::<BTreeMap<_, _>>(),
        }
    }

    /// A proposer in an empty directory that has taken up work at the start of slot 0.
    pub fn resumed(&self, dir: &Path) -> Gateway {
        let mut gateway = self.gateway(dir, 1, None);
        gateway.resume(at(0, 0)).expect("resumes");
        gateway
    }

    /// Opens a proposer of [`ROLLUP`] in `dir`; not resumed.
    pub fn gateway(&self, dir: &Path, run: u64, tail_of: Option<TailOf>) -> Gateway {
        self.gateway_signing(dir, run, tail_of, Box::new(proposer()))
    }

    /// As [`Chain::gateway`], with another signer.
    pub fn gateway_signing(
        &self,
        dir: &Path,
        run: u64,
        tail_of: Option<TailOf>,
        signer: Box<dyn Signer>,
    ) -> Gateway {
        let engines = vec![self.engine(&dir.join("rollup"), ROLLUP)];
        Gateway::open(dir, self.gateway_config(), signer, engines, run, tail_of).expect("opens")
    }

    /// Finalises a block that points at the end of `headers`, oldest first; they may leave the fork it
    /// pointed along before. [`Chain::move_pointer`] does not know of them.
    pub fn point_along(&mut self, headers: &[L1Header], time: TimestampMs) -> Finalised {
        let headers: Vec<Bytes> = headers
            .iter()
            .map(|header| alloy_rlp::encode(header).into())
            .collect();
        let tip = headers.last().map(keccak256).expect("a header");
        let moved = PointerMove {
            sight: self.quorum(SubjectKind::Sight, tip),
            headers,
            mover: None,
        };
        self.finalise_with(&[], vec![Operation::MovePointer(moved)], time)
    }
}

/// Submits and commits; the answer.
pub fn submit(
    gateway: &mut Gateway,
    included: &Included,
    now: TimestampMs,
) -> Result<Submitted, cortado_ethrpc::SubmitError> {
    gateway
        .submit(ROLLUP, included.clone(), 1, now)
        .expect("runs");
    let Output { mut answers, .. } = gateway.commit().expect("commits");
    assert_eq!(answers.len(), 1, "one answer for one submission");
    answers.remove(0).1
}

/// Submits, commits, and expects promises.
pub fn promised(gateway: &mut Gateway, included: &Included, now: TimestampMs) -> Promises {
    match submit(gateway, included, now).expect("taken") {
        Submitted::Promised { promises, .. } => *promises,
        other => panic!("expected promises, got {other:?}"),
    }
}

/// What the clock makes due, committed; then everything handed out.
pub fn tick(gateway: &mut Gateway, now: TimestampMs) -> Vec<SealedLane> {
    gateway.tick(now).expect("runs");
    gateway.commit().expect("commits");
    gateway.offers(now, u64::MAX)
}

/// Applies a finalised block and commits.
pub fn follow(gateway: &mut Gateway, finalised: &Finalised, now: TimestampMs) {
    gateway.commit().expect("commits");
    gateway.apply(finalised, now).expect("applies");
    gateway.commit().expect("commits");
}

/// As [`follow`], and says to the proposer what L1 queued.
pub fn follow_l1(gateway: &mut Gateway, chain: &Chain, finalised: &Finalised, now: TimestampMs) {
    follow(gateway, finalised, now);
    loop {
        let engine = gateway.engine(ROLLUP).expect("served");
        let asked = engine.asked().map(|(block, _)| *block).next();
        let Some(block) = asked else { break };
        let entries = chain.queued.get(&block).cloned().unwrap_or_default();
        gateway.tell_queue(ROLLUP, block, entries).expect("derives");
    }
    gateway.tick(now).expect("runs");
    gateway.commit().expect("commits");
}
