//! Headers as light clients see them: of the beacon block, and of the execution block in it.

use super::ssz::{
    OFFSET, Reader, SszError, merkleize, put_offset, put_roots, root_of_bytes, root_of_short_list,
    root_of_u64,
};
use super::{BeaconSpec, ForkName, Member, SyncError, json::quoted};
use alloy_primitives::Bloom;
use cortado_types::{Address, B256, Bytes, L1Ref, U256};
use serde::{Deserialize, Serialize};

/// Header of a beacon block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeaconBlockHeader {
    /// Beacon slot.
    #[serde(with = "quoted")]
    pub slot: u64,
    /// Index of the validator that proposed it.
    #[serde(with = "quoted")]
    pub proposer_index: u64,
    /// Root of the parent.
    pub parent_root: B256,
    /// Root of the state after the block.
    pub state_root: B256,
    /// Root of the body.
    pub body_root: B256,
}

impl BeaconBlockHeader {
    /// Length of its SSZ.
    pub(crate) const SIZE: usize = 8 + 8 + 3 * 32;

    /// Its hash tree root, which names the block.
    pub fn root(&self) -> B256 {
        merkleize(vec![
            root_of_u64(self.slot),
            root_of_u64(self.proposer_index),
            self.parent_root,
            self.state_root,
            self.body_root,
        ])
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, SszError> {
        Ok(Self {
            slot: reader.u64()?,
            proposer_index: reader.u64()?,
            parent_root: reader.b256()?,
            state_root: reader.b256()?,
            body_root: reader.b256()?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.slot.to_le_bytes());
        out.extend_from_slice(&self.proposer_index.to_le_bytes());
        put_roots(out, &[self.parent_root, self.state_root, self.body_root]);
    }
}

/// Most bytes of extra data an execution header may have.
const EXTRA_DATA_BYTES_MAX: usize = 32;

/// Header of an execution block, as it stands in a beacon block's body. Before Deneb there are no
/// blob fields; they are zero here then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionPayloadHeader {
    /// Hash of the parent.
    pub parent_hash: B256,
    /// Who gets the priority fees.
    pub fee_recipient: Address,
    /// Root of the state trie.
    pub state_root: B256,
    /// Root of the receipts trie.
    pub receipts_root: B256,
    /// Bloom of the logs.
    pub logs_bloom: Bloom,
    /// Randomness of the beacon chain.
    pub prev_randao: B256,
    /// L1 block number.
    #[serde(with = "quoted")]
    pub block_number: u64,
    /// Gas limit.
    #[serde(with = "quoted")]
    pub gas_limit: u64,
    /// Gas used.
    #[serde(with = "quoted")]
    pub gas_used: u64,
    /// L1 block time, seconds.
    #[serde(with = "quoted")]
    pub timestamp: u64,
    /// Whatever the builder wrote.
    pub extra_data: Bytes,
    /// Base fee per gas, wei.
    #[serde(with = "quoted")]
    pub base_fee_per_gas: U256,
    /// L1 block hash.
    pub block_hash: B256,
    /// SSZ root of the transactions.
    pub transactions_root: B256,
    /// SSZ root of the withdrawals.
    pub withdrawals_root: B256,
    /// Blob gas used; from Deneb on.
    #[serde(with = "quoted", default)]
    pub blob_gas_used: u64,
    /// Excess blob gas; from Deneb on.
    #[serde(with = "quoted", default)]
    pub excess_blob_gas: u64,
}

impl ExecutionPayloadHeader {
    const fn fixed_size(fork: ForkName) -> usize {
        let blobs = if fork.has_blobs() { 2 * 8 } else { 0 };
        32 + 20 + 2 * 32 + 256 + 32 + 4 * 8 + OFFSET + 4 * 32 + blobs
    }

    /// Number and hash of the L1 block.
    pub const fn to_ref(&self) -> L1Ref {
        L1Ref {
            number: self.block_number,
            hash: self.block_hash,
        }
    }

    /// Its hash tree root at `fork`.
    pub(crate) fn root(&self, fork: ForkName) -> Result<B256, SyncError> {
        let got = self.extra_data.len();
        if got > EXTRA_DATA_BYTES_MAX {
            return Err(SyncError::Length {
                what: "extra data",
                got,
                want: EXTRA_DATA_BYTES_MAX,
            });
        }
        let mut leaves = vec![
            self.parent_hash,
            root_of_bytes(self.fee_recipient.as_slice()),
            self.state_root,
            self.receipts_root,
            root_of_bytes(self.logs_bloom.as_slice()),
            self.prev_randao,
            root_of_u64(self.block_number),
            root_of_u64(self.gas_limit),
            root_of_u64(self.gas_used),
            root_of_u64(self.timestamp),
            root_of_short_list(&self.extra_data),
            B256::from(self.base_fee_per_gas.to_le_bytes::<32>()),
            self.block_hash,
            self.transactions_root,
            self.withdrawals_root,
        ];
        if fork.has_blobs() {
            leaves.push(root_of_u64(self.blob_gas_used));
            leaves.push(root_of_u64(self.excess_blob_gas));
        } else if self.blob_gas_used != 0 || self.excess_blob_gas != 0 {
            return Err(SyncError::BlobsBeforeDeneb);
        }
        Ok(merkleize(leaves))
    }

    fn from_ssz(bytes: &[u8], fork: ForkName) -> Result<Self, SszError> {
        let mut reader = Reader::new("execution header", bytes);
        let mut header = Self {
            parent_hash: reader.b256()?,
            fee_recipient: reader.array()?.into(),
            state_root: reader.b256()?,
            receipts_root: reader.b256()?,
            logs_bloom: reader.array()?.into(),
            prev_randao: reader.b256()?,
            block_number: reader.u64()?,
            gas_limit: reader.u64()?,
            gas_used: reader.u64()?,
            timestamp: reader.u64()?,
            ..Self::default()
        };
        let offset = reader.offset()?;
        header.base_fee_per_gas = U256::from_le_bytes(reader.array::<32>()?);
        header.block_hash = reader.b256()?;
        header.transactions_root = reader.b256()?;
        header.withdrawals_root = reader.b256()?;
        if fork.has_blobs() {
            header.blob_gas_used = reader.u64()?;
            header.excess_blob_gas = reader.u64()?;
        }
        let [extra] = reader.parts([("extra data", offset)])?;
        if extra.len() > EXTRA_DATA_BYTES_MAX {
            return Err(SszError::TooLong {
                what: "extra data",
                got: extra.len(),
                limit: EXTRA_DATA_BYTES_MAX,
            });
        }
        header.extra_data = extra.to_vec().into();
        Ok(header)
    }

    fn write(&self, out: &mut Vec<u8>, fork: ForkName) {
        put_roots(out, &[self.parent_hash]);
        out.extend_from_slice(self.fee_recipient.as_slice());
        put_roots(out, &[self.state_root, self.receipts_root]);
        out.extend_from_slice(self.logs_bloom.as_slice());
        put_roots(out, &[self.prev_randao]);
        for number in [
            self.block_number,
            self.gas_limit,
            self.gas_used,
            self.timestamp,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        put_offset(out, Self::fixed_size(fork));
        out.extend_from_slice(&self.base_fee_per_gas.to_le_bytes::<32>());
        put_roots(
            out,
            &[
                self.block_hash,
                self.transactions_root,
                self.withdrawals_root,
            ],
        );
        if fork.has_blobs() {
            out.extend_from_slice(&self.blob_gas_used.to_le_bytes());
            out.extend_from_slice(&self.excess_blob_gas.to_le_bytes());
        }
        out.extend_from_slice(&self.extra_data);
    }
}

/// A beacon header and the execution header in its body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LightClientHeader {
    /// The beacon block.
    pub beacon: BeaconBlockHeader,
    /// The execution block in it.
    pub execution: ExecutionPayloadHeader,
    /// From the execution header's root to the body's.
    pub execution_branch: Vec<B256>,
}

impl LightClientHeader {
    const FIXED: usize =
        BeaconBlockHeader::SIZE + OFFSET + 32 * Member::ExecutionPayload.depth(ForkName::Fulu);

    /// Checks that the execution header stands in the body (`is_valid_light_client_header`).
    pub(crate) fn check(&self, spec: &BeaconSpec) -> Result<(), SyncError> {
        let slot = self.beacon.slot;
        let fork = spec.fork_at(spec.epoch_of(slot)).name;
        if !fork.has_execution() {
            return Err(SyncError::NoExecution { slot, fork });
        }
        let root = self.execution.root(fork)?;
        let body = self.beacon.body_root;
        Member::ExecutionPayload.check(fork, root, &self.execution_branch, body)
    }

    /// Whether it stands for "none": all zero, the branch too.
    pub(crate) fn is_none(&self) -> bool {
        self.beacon == BeaconBlockHeader::default()
            && self.execution == ExecutionPayloadHeader::default()
            && self.execution_branch.iter().all(B256::is_zero)
    }

    pub(crate) fn from_ssz(bytes: &[u8], fork: ForkName) -> Result<Self, SszError> {
        let mut reader = Reader::new("light-client header", bytes);
        let beacon = BeaconBlockHeader::read(&mut reader)?;
        let offset = reader.offset()?;
        let execution_branch = reader.roots(Member::ExecutionPayload.depth(fork))?;
        let [execution] = reader.parts([("execution header", offset)])?;
        Ok(Self {
            beacon,
            execution: ExecutionPayloadHeader::from_ssz(execution, fork)?,
            execution_branch,
        })
    }

    pub(crate) fn to_ssz(&self, fork: ForkName) -> Vec<u8> {
        let mut out = Vec::new();
        self.beacon.write(&mut out);
        put_offset(&mut out, Self::FIXED);
        put_roots(&mut out, &self.execution_branch);
        self.execution.write(&mut out, fork);
        out
    }
}
