//! Ethereum JSON-RPC, as little as a watcher needs; every header's hash is recomputed.

use super::{
    error::L1Error,
    http::{ANSWER_BYTES_MAX, Http},
};
use cortado_client::http::excerpt;
use cortado_types::{Address, B256, Bytes, L1Ref, keccak256, trie::TrieProof};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use std::sync::atomic::{AtomicU64, Ordering};

/// An L1 header with the RLP that hashes to its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHeader {
    /// Number and hash.
    pub block: L1Ref,
    /// Its parent's hash.
    pub parent: B256,
    /// L1 block time, seconds.
    pub timestamp: u64,
    /// RLP of the header.
    pub raw: Bytes,
}

impl VerifiedHeader {
    /// Its parent.
    pub(super) fn parent_ref(&self) -> L1Ref {
        L1Ref {
            number: self.block.number.saturating_sub(1),
            hash: self.parent,
        }
    }
}

/// An L1 node's JSON-RPC.
#[derive(Debug)]
pub struct L1Rpc {
    http: Http,
    id: AtomicU64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    /// What tells an answer from any other JSON; its value says nothing.
    #[serde(rename = "jsonrpc")]
    _version: String,
    id: Option<u64>,
    // Read in one step from its text, since some are large.
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: i64,
    message: String,
}

/// An answer of `eth_getProof` (EIP-1186), as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountProof {
    account_proof: Vec<Bytes>,
    storage_proof: Vec<StorageProof>,
}

#[derive(Deserialize)]
struct StorageProof {
    proof: Vec<Bytes>,
}

#[derive(Deserialize)]
struct RpcHeader {
    hash: B256,
    #[serde(flatten)]
    header: alloy_consensus::Header,
}

impl L1Rpc {
    /// A client of the node at `url`.
    ///
    /// # Errors
    /// If `url` is none.
    pub fn new(url: &str) -> Result<Self, L1Error> {
        Ok(Self {
            http: Http::new(url)?,
            id: AtomicU64::new(1),
        })
    }

    /// Scheme, host and port of its URL: what may be shown of it.
    pub fn shown(&self) -> String {
        self.http.shown()
    }

    /// That it did not answer in time.
    pub(super) fn late(&self) -> L1Error {
        self.http.transport("no answer in time")
    }

    /// EIP-155 id of its chain.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well.
    pub async fn chain_id(&self) -> Result<u64, L1Error> {
        let text: String = self.call("eth_chainId", json!([])).await?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        u64::from_str_radix(digits, 16).map_err(|error| L1Error::Malformed {
            method: "eth_chainId".to_owned(),
            reason: error.to_string(),
        })
    }

    /// The header behind a tag (`latest`, `finalized`); `None` if the node has none.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well or lies.
    pub async fn tagged(&self, tag: &str) -> Result<Option<VerifiedHeader>, L1Error> {
        self.header("eth_getBlockByNumber", tag).await
    }

    /// The header of a number on the node's present chain.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well or lies.
    pub async fn by_number(&self, number: u64) -> Result<Option<VerifiedHeader>, L1Error> {
        let found = self
            .header("eth_getBlockByNumber", &format!("{number:#x}"))
            .await?;
        match &found {
            Some(header) if header.block.number != number => Err(L1Error::Other {
                want: number.to_string(),
                got: header.block.number.to_string(),
            }),
            _ => Ok(found),
        }
    }

    /// The header of a hash, on whatever fork.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well or lies.
    pub async fn by_hash(&self, hash: B256) -> Result<Option<VerifiedHeader>, L1Error> {
        let found = self.header("eth_getBlockByHash", &hash.to_string()).await?;
        match &found {
            Some(header) if header.block.hash != hash => Err(L1Error::Other {
                want: hash.to_string(),
                got: header.block.hash.to_string(),
            }),
            _ => Ok(found),
        }
    }

    /// Paths from the state root of `block` to an account, and from its storage root to each of
    /// `slots` (EIP-1186). They are as the node gives them: who uses them checks them.
    ///
    /// # Errors
    /// [`L1Error`] if it does not answer well.
    pub async fn proof(
        &self,
        account: Address,
        slots: &[B256],
        block: B256,
    ) -> Result<(TrieProof, Vec<TrieProof>), L1Error> {
        let method = "eth_getProof";
        let params = json!([account, slots, { "blockHash": block }]);
        let answer: AccountProof = self.call(method, params).await?;
        if answer.storage_proof.len() != slots.len() {
            return Err(L1Error::Other {
                want: format!("{} storage proofs", slots.len()),
                got: answer.storage_proof.len().to_string(),
            });
        }
        let storage = answer.storage_proof.into_iter();
        Ok((
            TrieProof(answer.account_proof),
            storage.map(|slot| TrieProof(slot.proof)).collect(),
        ))
    }

    async fn header(&self, method: &str, which: &str) -> Result<Option<VerifiedHeader>, L1Error> {
        let found: Option<RpcHeader> = self.call(method, json!([which, false])).await?;
        found.map(verify).transpose()
    }

    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, L1Error> {
        self.call_within(method, params, ANSWER_BYTES_MAX).await
    }

    /// As [`L1Rpc::call`], for an answer of up to `limit` bytes.
    pub(super) async fn call_within<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
        limit: usize,
    ) -> Result<T, L1Error> {
        let id = self.id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let bytes = self.http.post(method, &body, limit).await?;
        let malformed = |error: serde_json::Error| L1Error::Malformed {
            method: method.to_owned(),
            reason: excerpt(&error.to_string()),
        };
        let answer: Answer<'_> = serde_json::from_slice(&bytes).map_err(malformed)?;
        if let Some(Refusal { code, message }) = answer.error {
            let (method, message) = (method.to_owned(), self.http.redact(&message));
            return Err(L1Error::Refused {
                method,
                code,
                message,
            });
        }
        if answer.id != Some(id) {
            let got = format!("the answer to request {:?}", answer.id);
            return Err(L1Error::Other {
                want: format!("of request {id}"),
                got,
            });
        }
        let result = answer.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(malformed)
    }
}

/// The hash is of our own encoding of the fields; a header with fields that we do not know (a
/// hard fork ahead of us) fails here too, and must: we could not follow it.
fn verify(found: RpcHeader) -> Result<VerifiedHeader, L1Error> {
    let raw = Bytes::from(alloy_rlp::encode(&found.header));
    let hash = keccak256(&raw);
    let number = found.header.number;
    if hash != found.hash {
        return Err(L1Error::Hash {
            number,
            claimed: found.hash,
            hash,
        });
    }
    Ok(VerifiedHeader {
        block: L1Ref { number, hash },
        parent: found.header.parent_hash,
        timestamp: found.header.timestamp,
        raw,
    })
}
