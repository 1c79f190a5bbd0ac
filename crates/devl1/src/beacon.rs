//! The beacon chain of the embedded L1: validators, the proposer lookahead, and a header for every
//! execution block.
//!
//! Nothing of it is stored. Validators and lookahead follow from the seed, and the beacon header
//! follows from the execution header: the slot stands in the extra data, the parent's root in the
//! EIP-4788 field. Roots are real SSZ roots with Fulu's layout, so a Merkle proof of the lookahead
//! (EIP-7917) or of a validator verifies on chain as on mainnet; of the beacon state only the
//! fields that such proofs touch are filled in, the others are zero.

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, keccak256};
use blst::min_pk::SecretKey;
use sha2::{Digest, Sha256};

use crate::clock::SlotClock;
use crate::ssz;

/// Fork version of the beacon chain, at genesis and ever after.
pub const FORK_VERSION: [u8; 4] = [0x70, 0x64, 0x65, 0x76];

/// Domain of a proposer's signature of a block.
const DOMAIN_BEACON_PROPOSER: [u8; 4] = [0; 4];

/// Ethereum's BLS ciphersuite.
const BLS_DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

/// Epoch of what never happens.
const FAR_FUTURE_EPOCH: u64 = u64::MAX;

/// Balance of every validator, in gwei.
const BALANCE_GWEI: u64 = 32_000_000_000;

/// Fields of Fulu's `BeaconState` that are filled in, and the depth of its tree.
mod state {
    pub(super) const GENESIS_TIME: usize = 0;
    pub(super) const GENESIS_VALIDATORS_ROOT: usize = 1;
    pub(super) const SLOT: usize = 2;
    pub(super) const FORK: usize = 3;
    pub(super) const VALIDATORS: usize = 11;
    pub(super) const PROPOSER_LOOKAHEAD: usize = 37;
    pub(super) const FIELDS: usize = 38;
    pub(super) const DEPTH: usize = 6;
}

/// Depth of the tree of `List[Validator, 2^40]`.
const VALIDATORS_DEPTH: usize = 40;

/// A BLS public key, compressed.
pub type Pubkey = FixedBytes<48>;

/// One validator.
#[derive(Debug, Clone)]
pub struct Validator {
    /// Its BLS public key.
    pub pubkey: Pubkey,
    /// Where its tips go.
    pub fee_recipient: Address,
}

/// SSZ `BeaconBlockHeader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconHeader {
    /// Slot of the block.
    pub slot: u64,
    /// Index of the validator that proposed it.
    pub proposer_index: u64,
    /// Root of the parent header; zero at genesis.
    pub parent_root: B256,
    /// Root of the beacon state after the block.
    pub state_root: B256,
    /// Root of the block's body.
    pub body_root: B256,
}

impl BeaconHeader {
    /// The block root.
    pub fn root(&self) -> B256 {
        ssz::merkleize(&self.leaves(), 3)
    }

    fn leaves(&self) -> [B256; 5] {
        [
            ssz::uint64(self.slot),
            ssz::uint64(self.proposer_index),
            self.parent_root,
            self.state_root,
            self.body_root,
        ]
    }
}

/// A Merkle proof against a beacon header root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Generalized index of the leaf, from the header root.
    pub gindex: u64,
    /// The leaf.
    pub leaf: B256,
    /// Siblings, bottom first.
    pub branch: Vec<B256>,
}

/// The validators and everything that follows from them.
#[derive(Debug)]
pub struct Beacon {
    clock: SlotClock,
    seed: u64,
    validators: Vec<Validator>,
    validators_root: B256,
}

impl Beacon {
    /// The beacon chain of a seed, with `count` validators (at least 1).
    pub fn new(clock: SlotClock, seed: u64, count: u32) -> Self {
        let validators: Vec<Validator> = (0..u64::from(count.max(1)))
            .map(|index| {
                let pubkey = Pubkey::from(validator_secret(seed, index).sk_to_pk().compress());
                let fee_recipient = Address::from_slice(&keccak256(pubkey)[12..]);
                Validator {
                    pubkey,
                    fee_recipient,
                }
            })
            .collect();
        let roots: Vec<B256> = validators.iter().map(validator_root).collect();
        let root = ssz::merkleize(&roots, VALIDATORS_DEPTH);
        let validators_root = ssz::mix_in_length(root, validators.len());
        Self {
            clock,
            seed,
            validators,
            validators_root,
        }
    }

    /// The slots of the chain.
    pub fn clock(&self) -> SlotClock {
        self.clock
    }

    /// All validators, by index.
    pub fn validators(&self) -> &[Validator] {
        &self.validators
    }

    /// Root of the validator list at genesis, which is the list for ever.
    pub fn genesis_validators_root(&self) -> B256 {
        self.validators_root
    }

    /// The index of the proposer of a slot. A pure function of seed and slot: no fork changes it.
    pub fn proposer_index(&self, slot: u64) -> u64 {
        let draw = derive(b"devl1 proposer", self.seed, slot);
        let number = u64::from_be_bytes(draw[..8].try_into().expect("a hash has eight bytes"));
        number % self.validators.len() as u64
    }

    /// The proposer of a slot.
    pub fn proposer(&self, slot: u64) -> &Validator {
        &self.validators[self.proposer_index(slot) as usize]
    }

    /// The proposers of a state in `epoch`: those of its slots and of the next epoch's (EIP-7917).
    pub fn lookahead(&self, epoch: u64) -> Vec<u64> {
        let first = self.clock.start_slot(epoch);
        let last = self.clock.start_slot(epoch.saturating_add(2));
        (first..last)
            .map(|slot| self.proposer_index(slot))
            .collect()
    }

    /// PREVRANDAO of the block of a slot on a fork.
    pub fn randao(&self, slot: u64, fork: u32) -> B256 {
        derive(b"devl1 randao", self.seed ^ (u64::from(fork) << 32), slot)
    }

    /// The beacon header of an execution block.
    pub fn header(&self, block: &Sealed<Header>) -> BeaconHeader {
        let slot = slot_of(block);
        BeaconHeader {
            slot,
            proposer_index: self.proposer_index(slot),
            parent_root: block.parent_beacon_block_root.unwrap_or_default(),
            state_root: ssz::merkleize(&self.state_leaves(slot), state::DEPTH),
            body_root: body_root(block),
        }
    }

    /// The proposer's signature of a header.
    pub fn sign(&self, header: &BeaconHeader) -> Bytes {
        let secret = validator_secret(self.seed, header.proposer_index);
        let message = ssz::hash_pair(header.root(), self.proposer_domain());
        Bytes::copy_from_slice(&secret.sign(message.as_slice(), BLS_DST, &[]).compress())
    }

    fn proposer_domain(&self) -> B256 {
        let fork_data = ssz::hash_pair(ssz::bytes(&FORK_VERSION), self.validators_root);
        let mut domain = [0; 32];
        domain[..4].copy_from_slice(&DOMAIN_BEACON_PROPOSER);
        domain[4..].copy_from_slice(&fork_data[..28]);
        B256::from(domain)
    }

    /// Proof of the lookahead chunk that holds the proposer of `slot`, which has to be in the
    /// epoch of the header's slot or the next; `None` otherwise. With 32 slots an epoch its
    /// generalized indices are mainnet's.
    pub fn prove_proposer(&self, header: &BeaconHeader, slot: u64) -> Option<Proof> {
        let epoch = self.clock.epoch(header.slot);
        let position = slot.checked_sub(self.clock.start_slot(epoch))?;
        let lookahead = self.lookahead(epoch);
        if position >= lookahead.len() as u64 {
            return None;
        }
        let chunks = ssz::packed(&lookahead);
        let depth = depth_of(chunks.len());
        let chunk = (position / 4) as usize;
        let mut branch = ssz::branch(&chunks, depth, chunk);
        let leaves = self.state_leaves(header.slot);
        branch.extend(ssz::branch(
            &leaves,
            state::DEPTH,
            state::PROPOSER_LOOKAHEAD,
        ));
        branch.extend(ssz::branch(&header.leaves(), 3, 3));
        let in_state = (1 << state::DEPTH) + state::PROPOSER_LOOKAHEAD as u64;
        let in_header = ((8 + 3) << state::DEPTH) + in_state - (1 << state::DEPTH);
        let gindex = (in_header << depth) + chunk as u64;
        Some(Proof {
            gindex,
            leaf: chunks[chunk],
            branch,
        })
    }

    fn state_leaves(&self, slot: u64) -> Vec<B256> {
        let chunks = ssz::packed(&self.lookahead(self.clock.epoch(slot)));
        let version = ssz::bytes(&FORK_VERSION);
        let mut leaves = vec![B256::ZERO; state::FIELDS];
        leaves[state::GENESIS_TIME] = ssz::uint64(self.clock.timestamp(0));
        leaves[state::GENESIS_VALIDATORS_ROOT] = self.validators_root;
        leaves[state::SLOT] = ssz::uint64(slot);
        leaves[state::FORK] = ssz::merkleize(&[version, version, B256::ZERO], 2);
        leaves[state::VALIDATORS] = self.validators_root;
        leaves[state::PROPOSER_LOOKAHEAD] = ssz::merkleize(&chunks, depth_of(chunks.len()));
        leaves
    }
}

/// The extra data of a block: its slot, and a number that tells the blocks of one slot on several
/// forks apart.
pub fn extra_data(slot: u64, fork: u32) -> Bytes {
    let mut data = Vec::with_capacity(12);
    data.extend(slot.to_be_bytes());
    data.extend(fork.to_be_bytes());
    data.into()
}

/// The slot of a block; 0 for genesis.
pub fn slot_of(header: &Header) -> u64 {
    if header.number == 0 {
        return 0;
    }
    header
        .extra_data
        .first_chunk()
        .map_or(0, |slot| u64::from_be_bytes(*slot))
}

/// The fork number of a block; 0 for genesis.
pub fn fork_of(header: &Header) -> u32 {
    if header.number == 0 {
        return 0;
    }
    let fork = header.extra_data.get(8..).and_then(<[u8]>::first_chunk);
    fork.map_or(0, |fork| u32::from_be_bytes(*fork))
}

/// The secret key of a validator: for tests and tools that act as an L1 proposer. Known to all who
/// know the seed.
pub fn validator_secret(seed: u64, index: u64) -> SecretKey {
    let material = derive(b"devl1 validator", seed, index);
    SecretKey::key_gen(material.as_slice(), &[]).expect("32 bytes are enough key material")
}

fn derive(what: &[u8], seed: u64, index: u64) -> B256 {
    let mut hasher = Sha256::new();
    hasher.update(what);
    hasher.update(seed.to_be_bytes());
    hasher.update(index.to_be_bytes());
    B256::from_slice(&hasher.finalize())
}

fn depth_of(leaves: usize) -> usize {
    leaves.next_power_of_two().trailing_zeros() as usize
}

fn validator_root(validator: &Validator) -> B256 {
    let pubkey = ssz::hash_pair(
        B256::from_slice(&validator.pubkey[..32]),
        ssz::bytes(&validator.pubkey[32..]),
    );
    let mut withdrawal = [0; 32];
    withdrawal[0] = 1;
    withdrawal[12..].copy_from_slice(validator.fee_recipient.as_slice());
    ssz::merkleize(
        &[
            pubkey,
            B256::from(withdrawal),
            ssz::uint64(BALANCE_GWEI),
            ssz::uint64(0),
            ssz::uint64(0),
            ssz::uint64(0),
            ssz::uint64(FAR_FUTURE_EPOCH),
            ssz::uint64(FAR_FUTURE_EPOCH),
        ],
        3,
    )
}

/// Root of a Fulu body that holds nothing but the execution payload, and of that the fields a
/// proof asks for: the block hash is at generalized index 812.
fn body_root(block: &Sealed<Header>) -> B256 {
    const EXECUTION_PAYLOAD: usize = 9;
    let mut payload = vec![B256::ZERO; 17];
    payload[0] = block.parent_hash;
    payload[1] = ssz::bytes(block.beneficiary.as_slice());
    payload[2] = block.state_root;
    payload[3] = block.receipts_root;
    payload[5] = block.mix_hash;
    payload[6] = ssz::uint64(block.number);
    payload[7] = ssz::uint64(block.gas_limit);
    payload[8] = ssz::uint64(block.gas_used);
    payload[9] = ssz::uint64(block.timestamp);
    payload[12] = block.hash();
    let mut body = vec![B256::ZERO; 13];
    body[EXECUTION_PAYLOAD] = ssz::merkleize(&payload, 5);
    ssz::merkleize(&body, 4)
}

#[cfg(test)]
mod tests;
