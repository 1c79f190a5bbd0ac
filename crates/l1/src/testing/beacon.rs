//! A beacon chain whose sync committees sign what a test asks for.
//!
//! Blocks and states are Merkle trees of the specification's shape in which everything but the
//! execution header, the committees and the finalised block is filler. So updates made here are
//! checked like those of Ethereum.

use crate::sync::{
    BeaconBlockHeader, BeaconSpec, DST, ExecutionPayloadHeader, LightClientBootstrap,
    LightClientHeader, LightClientUpdate, Member, SyncAggregate, SyncCommittee, hash_pair,
    merkleize, root_of_u64,
};
use blst::min_pk::{AggregatePublicKey, AggregateSignature, PublicKey, SecretKey};
use cortado_types::{B256, L1Ref, U256};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The secrets of sync committees.
#[derive(Clone)]
pub struct BeaconSigner {
    spec: BeaconSpec,
    committees: BTreeMap<u64, (Vec<SecretKey>, SyncCommittee)>,
}

impl BeaconSigner {
    /// The committees of `periods` of a chain; always the same ones.
    pub fn new(spec: BeaconSpec, periods: RangeInclusive<u64>) -> Self {
        let seats = spec.committee_size() as u64;
        let committee = |period: u64| {
            let secret = |seat: u64| {
                let material = hash_pair(root_of_u64(period), root_of_u64(seat));
                SecretKey::key_gen(material.as_slice(), &[]).expect("32 bytes of material")
            };
            let secrets: Vec<SecretKey> = (0..seats).map(secret).collect();
            let keys: Vec<PublicKey> = secrets.iter().map(SecretKey::sk_to_pk).collect();
            let points: Vec<&PublicKey> = keys.iter().collect();
            let sum = AggregatePublicKey::aggregate(&points, false).expect("there are seats");
            let committee = SyncCommittee {
                pubkeys: keys.iter().map(|key| key.to_bytes().into()).collect(),
                aggregate_pubkey: sum.to_public_key().to_bytes().into(),
            };
            (secrets, committee)
        };
        Self {
            committees: periods.map(|period| (period, committee(period))).collect(),
            spec,
        }
    }

    /// The constants of its chain.
    pub fn spec(&self) -> &BeaconSpec {
        &self.spec
    }

    /// The committee of a period; none of all zeros if it was not made.
    pub fn committee(&self, period: u64) -> SyncCommittee {
        let none = || SyncCommittee {
            pubkeys: vec![Default::default(); self.spec.committee_size()],
            ..SyncCommittee::default()
        };
        let made = self.committees.get(&period);
        made.map_or_else(none, |(_, committee)| committee.clone())
    }

    /// A bootstrap at `slot`, and the root to trust.
    pub fn bootstrap(&self, slot: u64) -> (B256, LightClientBootstrap) {
        self.bootstrap_of(slot, self.committee(self.spec.period_of(slot)))
    }

    /// A bootstrap at `slot` in whose state `committee` sits, and the root to trust.
    pub fn bootstrap_of(
        &self,
        slot: u64,
        committee: SyncCommittee,
    ) -> (B256, LightClientBootstrap) {
        let block = L1Ref {
            number: slot,
            hash: root_of_u64(slot),
        };
        let state = State::new(&self.spec, slot, [committee.root(), B256::ZERO], B256::ZERO);
        let header = self.header(block, slot, state.root());
        let bootstrap = LightClientBootstrap {
            current_sync_committee: committee,
            current_sync_committee_branch: state.branch(22),
            header,
        };
        (bootstrap.header.beacon.root(), bootstrap)
    }

    /// The update that shows L1 block `block` in beacon slot `slot`, signed in the next slot by the
    /// first `participants` seats. It shows the next committee, if that was made, and as finalised
    /// the first block of the epoch two before, if there is one.
    ///
    /// # Panics
    /// If the committee that must sign was not made.
    pub fn update(&self, block: L1Ref, slot: u64, participants: usize) -> LightClientUpdate {
        let epoch = self.spec.epoch_of(slot).saturating_sub(2);
        self.update_over(
            block,
            slot,
            epoch * self.spec.preset().slots_per_epoch,
            participants,
        )
    }

    /// Like [`BeaconSigner::update`], with the block of `finalized` as the finalised one, or none if
    /// that is 0.
    ///
    /// # Panics
    /// If the committee that must sign was not made.
    pub fn update_over(
        &self,
        block: L1Ref,
        slot: u64,
        finalized: u64,
        participants: usize,
    ) -> LightClientUpdate {
        let period = self.spec.period_of(slot);
        let next = self.committee(period + 1);
        let shows_next = self.committees.contains_key(&(period + 1));
        let genesis = L1Ref {
            number: finalized,
            hash: root_of_u64(finalized),
        };
        let finalized_header = match finalized {
            0 => LightClientHeader {
                execution_branch: vec![B256::ZERO; 4],
                ..LightClientHeader::default()
            },
            slot => self.header(genesis, slot, B256::repeat_byte(0xf1)),
        };
        let committees = [self.committee(period).root(), next.root()];
        let finalized_root = finalized_header.beacon.root();
        let state = State::new(&self.spec, slot, committees, finalized_root);
        let unless = |shown: bool, branch: Vec<B256>| match shown {
            true => branch,
            false => vec![B256::ZERO; branch.len()],
        };
        let mut update = LightClientUpdate {
            attested_header: self.header(block, slot, state.root()),
            next_sync_committee: next,
            next_sync_committee_branch: unless(shows_next, state.branch(23)),
            finalized_header,
            finality_branch: unless(finalized != 0, state.finality_branch()),
            signature_slot: slot + 1,
            ..LightClientUpdate::default()
        };
        self.sign(&mut update, 0..participants);
        update
    }

    /// Has `seats` of the committee of its signature's slot sign an update's attested header.
    ///
    /// # Panics
    /// If that committee was not made.
    pub fn sign(&self, update: &mut LightClientUpdate, seats: impl IntoIterator<Item = usize>) {
        let period = self.spec.period_of(update.signature_slot);
        let (secrets, _) = self.committees.get(&period).expect("the committee is made");
        let root = update.attested_header.beacon.root();
        let message = self.spec.signing_root(root, update.signature_slot);
        let mut bits = vec![0; secrets.len() / 8];
        let mut signatures = Vec::new();
        for seat in seats {
            bits[seat / 8] |= 1 << (seat % 8);
            signatures.push(secrets[seat].sign(message.as_slice(), DST, &[]));
        }
        let points: Vec<_> = signatures.iter().collect();
        // The sum of none is infinity.
        let mut signature = [0; 96];
        signature[0] = 0xc0;
        if let Ok(sum) = AggregateSignature::aggregate(&points, false) {
            signature = sum.to_signature().to_bytes();
        }
        update.sync_aggregate = SyncAggregate {
            sync_committee_bits: bits.into(),
            sync_committee_signature: signature.into(),
        };
    }

    fn header(&self, block: L1Ref, slot: u64, state_root: B256) -> LightClientHeader {
        let fork = self.spec.fork_at(self.spec.epoch_of(slot)).name;
        let blobs = if fork.has_blobs() { 131_072 } else { 0 };
        let execution = ExecutionPayloadHeader {
            parent_hash: B256::repeat_byte(0xe1),
            state_root: B256::repeat_byte(0xe2),
            receipts_root: B256::repeat_byte(0xe3),
            prev_randao: B256::repeat_byte(0xe4),
            block_number: block.number,
            gas_limit: 45_000_000,
            gas_used: 21_000,
            timestamp: 12 * slot,
            extra_data: b"cortado".to_vec().into(),
            base_fee_per_gas: U256::from(7),
            block_hash: block.hash,
            transactions_root: B256::repeat_byte(0xe5),
            withdrawals_root: B256::repeat_byte(0xe6),
            blob_gas_used: blobs,
            excess_blob_gas: blobs,
            ..ExecutionPayloadHeader::default()
        };
        let mut body: Vec<B256> = (0..16).map(|at| B256::repeat_byte(0xb0 + at)).collect();
        let at = place(Member::ExecutionPayload.gindex(fork));
        // Before Capella no header shows it; the body has something all the same.
        body[at] = execution.root(fork).expect("the fields fit the fork");
        LightClientHeader {
            beacon: BeaconBlockHeader {
                slot,
                proposer_index: slot % 64,
                parent_root: B256::repeat_byte(0xbb),
                state_root,
                body_root: merkleize(body.clone()),
            },
            execution,
            execution_branch: branch(&body, at),
        }
    }
}

/// The fields of a beacon state, by their roots.
struct State {
    leaves: Vec<B256>,
    finalized_epoch: B256,
}

impl State {
    fn new(spec: &BeaconSpec, slot: u64, committees: [B256; 2], finalized: B256) -> Self {
        let fork = spec.fork_at(spec.epoch_of(slot)).name;
        let count = 1u8 << Member::CurrentSyncCommittee.depth(fork);
        let mut leaves: Vec<B256> = (1..=count).map(B256::repeat_byte).collect();
        let finalized_epoch = root_of_u64(spec.epoch_of(slot).saturating_sub(2));
        leaves[20] = hash_pair(finalized_epoch, finalized);
        leaves[22..24].copy_from_slice(&committees);
        Self {
            leaves,
            finalized_epoch,
        }
    }

    fn root(&self) -> B256 {
        merkleize(self.leaves.clone())
    }

    fn branch(&self, at: usize) -> Vec<B256> {
        branch(&self.leaves, at)
    }

    fn finality_branch(&self) -> Vec<B256> {
        [vec![self.finalized_epoch], self.branch(20)].concat()
    }
}

/// Position among the leaves of its level.
fn place(gindex: u64) -> usize {
    (gindex - (1 << gindex.ilog2())) as usize
}

/// The siblings on the way from a leaf to the root.
fn branch(leaves: &[B256], mut at: usize) -> Vec<B256> {
    let mut level = leaves.to_vec();
    let mut siblings = Vec::new();
    while level.len() > 1 {
        siblings.push(level[at ^ 1]);
        let pairs = level.chunks_exact(2);
        level = pairs.map(|pair| hash_pair(pair[0], pair[1])).collect();
        at /= 2;
    }
    siblings
}
