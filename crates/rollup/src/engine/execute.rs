//! From an L2 input to an L2 block.

use super::Fallen;
use alloy_consensus::{Header, TxEnvelope, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::U256;
use cortado_derive::{Derived, Entry, L2Input};
use cortado_evm::{
    BlockBuilder, BlockInputs, BuildError, ChainSpec, Credit, ExecutedBlock, recover_signer,
    recover_signers,
};
use cortado_types::{Address, B256, L1Ref, LaneBody, LaneHeader, keccak256};

/// Bytes of an L1→L2 entry that this rollup understands: an address, then wei as 32 bytes.
const DEPOSIT_BYTES: usize = 20 + 32;

/// A transaction that derivation handed over and the executor could not execute (R12: skipped
/// without trace).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its position in the lane block.
    pub index: usize,
    /// In words.
    pub reason: String,
}

/// What an L2 block depends on besides its parent and its transactions: a function of the lane
/// header, its signer and the derived context alone. Everything in it is known when a lane block is
/// opened, so transactions can be executed before it is sealed.
///
/// - timestamp: the lane's, in whole seconds;
/// - EIP-4788 root: the hash of the L1 block whose state it may read;
/// - PREVRANDAO: keccak of the parent lane block's hash, namespace and number. The parent is fixed
///   by then, but its proposer could try bodies: no randomness to gamble on;
/// - beneficiary: whoever signed the lane block.
pub fn block_inputs(
    parent: &Header,
    lane: &LaneHeader,
    context: &L1Ref,
    signer: Address,
) -> BlockInputs {
    let mut seed = Vec::with_capacity(48);
    seed.extend_from_slice(lane.parent.as_slice());
    seed.extend_from_slice(&lane.namespace.get().to_be_bytes());
    seed.extend_from_slice(&lane.height.get().to_be_bytes());
    BlockInputs {
        // Lane times never decrease (R6); only a genesis with a later time is above them.
        timestamp: lane.timestamp.seconds().max(parent.timestamp),
        beneficiary: signer,
        prev_randao: keccak256(seed),
        parent_beacon_block_root: context.hash,
        ..BlockInputs::default()
    }
}

/// The deposit that an entry makes; one that is not a deposit has no effect.
pub(crate) fn credit_of(entry: &Entry) -> Option<Credit> {
    let payload: &[u8; DEPOSIT_BYTES] = entry.payload.as_ref().try_into().ok()?;
    let (address, wei) = payload.split_at(20);
    Some(Credit {
        address: Address::from_slice(address),
        wei: U256::from_be_slice(wei),
    })
}

/// Starts the block of `lane` on `parent` and executes the imports.
pub(super) fn begin(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    input: &L2Input,
    signer: Address,
) -> Result<BlockBuilder, BuildError> {
    let inputs = block_inputs(&parent.header, &input.lane, &input.context, signer);
    let mut builder = BlockBuilder::new(spec, parent, inputs)?;
    for credit in input.imports.iter().filter_map(credit_of) {
        builder.credit(credit.address, credit.wei)?;
    }
    Ok(builder)
}

/// Who signed the transactions of a lane block, by position, as far as it was found out: recovering
/// is the dearest part of execution, and a lane block may be executed on more than one fork.
#[derive(Clone, Debug, Default)]
pub(crate) struct Senders(Vec<Option<Address>>);

impl Senders {
    fn get(&self, index: usize) -> Option<Address> {
        self.0.get(index).copied().flatten()
    }

    pub(super) fn set(&mut self, index: usize, sender: Address) {
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Some(sender);
    }
}

/// Executes one derived lane block; `None` if it yields no L2 block. One that holds only skipped
/// transactions still yields one, as its input says (R12).
pub(crate) fn execute(
    spec: &ChainSpec,
    parent: &ExecutedBlock,
    input: &L2Input,
    signer: Address,
    senders: &mut Senders,
) -> Result<(Option<ExecutedBlock>, Vec<Skipped>), BuildError> {
    if !input.yields_block() {
        return Ok((None, Vec::new()));
    }
    let mut builder = begin(spec, parent, input, signer)?;
    let mut skipped = Vec::new();
    for (index, recovered) in recover(&input.transactions, senders) {
        let outcome = recovered.and_then(|transaction| {
            builder
                .push(&transaction)
                .map(drop)
                .map_err(|rejection| rejection.to_string())
        });
        if let Err(reason) = outcome {
            skipped.push(Skipped { index, reason });
        }
    }
    Ok((Some(builder.finish()?), skipped))
}

type Decoded = (usize, Result<Recovered<TxEnvelope>, String>);

/// Decodes, and recovers on all cores whose sender is not known yet.
fn recover(transactions: &[Derived], senders: &mut Senders) -> Vec<Decoded> {
    let decoded: Vec<_> = transactions
        .iter()
        .map(|derived| (derived.index, TxEnvelope::decode_2718_exact(&derived.raw)))
        .collect();
    let mut positions = Vec::new();
    let mut envelopes = Vec::new();
    for (index, decoded) in &decoded {
        if let (None, Ok(envelope)) = (senders.get(*index), decoded) {
            positions.push(*index);
            envelopes.push(envelope.clone());
        }
    }
    // All signatures at once; only if one is bad, which no honest proposer includes, one by one.
    if let Ok(found) = recover_signers(&envelopes) {
        for (index, sender) in positions.into_iter().zip(found) {
            senders.set(index, sender);
        }
    }
    let recovered = decoded.into_iter().map(|(index, decoded)| {
        let recovered = decoded
            .map_err(|error| error.to_string())
            .and_then(|transaction| {
                let signer = match senders.get(index) {
                    Some(signer) => signer,
                    None => recover_signer(&transaction).map_err(|error| error.to_string())?,
                };
                Ok(Recovered::new_unchecked(transaction, signer))
            });
        (index, recovered)
    });
    recovered.collect()
}

/// All of a lane block's transactions that have no effect, with reasons.
pub(super) fn fallen(input: &L2Input, body: &LaneBody, skipped: Vec<Skipped>) -> Vec<Fallen> {
    let dropped = input
        .dropped
        .iter()
        .map(|dropped| (dropped.index, dropped.reason.to_string()));
    let skipped = skipped
        .into_iter()
        .map(|skipped| (skipped.index, skipped.reason));
    dropped
        .chain(skipped)
        .filter_map(|(index, reason)| {
            let raw = body.transactions.get(index)?;
            Some(Fallen {
                hash: transaction_hash(raw),
                raw: raw.clone(),
                lane: input.lane.height,
                reason,
            })
        })
        .collect()
}

/// Hash of a raw EIP-2718 transaction (without blobs, which rollups do not take).
pub fn transaction_hash(raw: &[u8]) -> B256 {
    keccak256(raw)
}
