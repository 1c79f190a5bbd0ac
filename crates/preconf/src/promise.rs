//! What a proposer promises and how it is signed (R19).

use alloy_primitives::Log;
use alloy_rlp::{Encodable, RlpDecodable, RlpEncodable};
use alloy_sol_types::{SolStruct, sol};
use cortado_types::{
    Address, B256, ChainId, L1Ref, Namespace, Seq, Slot, TimestampMs,
    ecdsa::{Signature, SignatureError, SigningKey},
    keccak256,
    lane::domain,
};
use serde::{Deserialize, Serialize};

/// Where a transaction will stand: the `index`-th of the lane block (`namespace`, `slot`, `seq`).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    RlpEncodable,
    RlpDecodable,
)]
pub struct Position {
    /// The rollup.
    pub namespace: Namespace,
    /// The slot the signer holds.
    pub slot: Slot,
    /// The lane block within the slot.
    pub seq: Seq,
    /// The transaction within the lane block.
    pub index: u64,
}

/// Part of the signer's collateral for the slot that stands behind the promise, gwei: `[from, to)`.
/// Overlap with another promise's is provable by anyone (R20). Empty if nothing is covered.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, RlpEncodable, RlpDecodable,
)]
pub struct Coverage {
    /// First gwei.
    pub from: u64,
    /// First gwei after.
    pub to: u64,
}

/// keccak256 of the RLP of (status, logs, gas used): what an execution promise commits to.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    alloy_rlp::RlpEncodableWrapper,
    alloy_rlp::RlpDecodableWrapper,
)]
#[serde(transparent)]
pub struct Outcome(pub B256);

impl Outcome {
    /// Of a receipt: whether it succeeded, its logs in order, the gas this transaction alone used.
    pub fn of(status: bool, logs: &[Log], gas_used: u64) -> Self {
        let logs_length: usize = logs.iter().map(Encodable::length).sum();
        let logs_header = alloy_rlp::Header {
            list: true,
            payload_length: logs_length,
        };
        let payload_length =
            status.length() + logs_header.length() + logs_length + gas_used.length();
        let mut out = Vec::with_capacity(payload_length + 9);
        alloy_rlp::Header {
            list: true,
            payload_length,
        }
        .encode(&mut out);
        status.encode(&mut out);
        logs_header.encode(&mut out);
        for log in logs {
            log.encode(&mut out);
        }
        gas_used.encode(&mut out);
        Self(keccak256(out))
    }
}

/// What is promised of the transaction at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Terms {
    /// It stands there.
    Inclusion,
    /// It stands there and does this. Excused if the context is off the settled fork (R19).
    Execution {
        /// Hash of the L2 block it executes on.
        l2_parent: B256,
        /// The lane block's context.
        context: L1Ref,
        /// What it does.
        outcome: Outcome,
    },
}

/// A promise, not yet signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// Cortado chain; part of the EIP-712 domain.
    pub chain_id: ChainId,
    /// Where.
    pub position: Position,
    /// Hash of the transaction.
    pub transaction: B256,
    /// What.
    pub terms: Terms,
    /// Collateral behind it.
    pub coverage: Coverage,
    /// When the lane block is included at the latest, ms: its slot's end and grace.
    pub deadline: TimestampMs,
}

sol! {
    /// The EIP-712 shape; L1 rebuilds it for `ecrecover`.
    struct Preconfirmation {
        uint64 namespace;
        uint64 slot;
        uint64 seq;
        uint64 index;
        bytes32 transaction;
        uint8 kind;
        bytes32 l2Parent;
        uint64 contextNumber;
        bytes32 contextHash;
        bytes32 outcome;
        uint64 coverageFrom;
        uint64 coverageTo;
        uint64 deadline;
    }
}

const KIND_INCLUSION: u8 = 1;
const KIND_EXECUTION: u8 = 2;

impl Promise {
    /// The EIP-712 digest.
    pub fn digest(&self) -> B256 {
        let (kind, l2_parent, context, outcome) = match self.terms {
            Terms::Inclusion => (KIND_INCLUSION, B256::ZERO, L1Ref::default(), B256::ZERO),
            Terms::Execution {
                l2_parent,
                context,
                outcome,
            } => (KIND_EXECUTION, l2_parent, context, outcome.0),
        };
        Preconfirmation {
            namespace: self.position.namespace.get(),
            slot: self.position.slot.get(),
            seq: self.position.seq.get(),
            index: self.position.index,
            transaction: self.transaction,
            kind,
            l2Parent: l2_parent,
            contextNumber: context.number,
            contextHash: context.hash,
            outcome,
            coverageFrom: self.coverage.from,
            coverageTo: self.coverage.to,
            deadline: self.deadline.get(),
        }
        .eip712_signing_hash(&domain(self.chain_id))
    }

    /// Signs. The caller has persisted the promise before (R20).
    pub fn sign(self, key: &SigningKey) -> SignedPromise {
        SignedPromise {
            promise: self,
            signature: key.sign(self.digest()),
        }
    }

    /// Whether both can be kept: they speak of different places, or say nothing different of one.
    pub fn agrees_with(&self, other: &Self) -> bool {
        if self.chain_id != other.chain_id || self.position != other.position {
            return true;
        }
        self.transaction == other.transaction
            && match (self.terms, other.terms) {
                (Terms::Inclusion, _) | (_, Terms::Inclusion) => true,
                (one, two) => one == two,
            }
    }
}

/// A promise that its proposer can be held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPromise {
    /// What.
    #[serde(flatten)]
    pub promise: Promise,
    /// secp256k1 over [`Promise::digest`].
    pub signature: Signature,
}

impl SignedPromise {
    /// Who is held to it.
    ///
    /// # Errors
    /// If the signature is not one.
    pub fn signer(&self) -> Result<Address, SignatureError> {
        self.signature.recover(self.promise.digest())
    }
}
