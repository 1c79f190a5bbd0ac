//! What the tree keeps of an L1 header.

use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use cortado_types::{B256, L1Ref, keccak256, limits::L1_HEADER_BYTES_MAX};
use thiserror::Error;

/// An L1 header, reduced to what fork choice and derivation read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct TrackedHeader {
    /// L1 block number.
    pub number: u64,
    /// keccak of the header's RLP.
    pub hash: B256,
    /// Hash of the parent.
    pub parent: B256,
    /// L1 block time, seconds.
    pub timestamp: u64,
}

/// Why the bytes of an L1 header are refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// Longer than any valid header.
    #[error("L1 header is {size} bytes, the limit is {}", L1_HEADER_BYTES_MAX)]
    TooLong {
        /// Its size in bytes.
        size: usize,
    },
    /// Not the RLP of a header.
    #[error("L1 header is malformed: {0}")]
    Malformed(alloy_rlp::Error),
    /// Bytes after the header.
    #[error("L1 header has {trailing} trailing bytes")]
    Trailing {
        /// How many.
        trailing: usize,
    },
}

impl TrackedHeader {
    /// Reads the RLP of an L1 header; the hash is of these very bytes.
    ///
    /// # Errors
    /// [`HeaderError`] if they are not one header.
    pub fn read(raw: &[u8]) -> Result<Self, HeaderError> {
        let header = full_header(raw)?;
        Ok(Self {
            number: header.number,
            hash: keccak256(raw),
            parent: header.parent_hash,
            timestamp: header.timestamp,
        })
    }

    /// Number and hash.
    pub const fn to_ref(&self) -> L1Ref {
        L1Ref {
            number: self.number,
            hash: self.hash,
        }
    }
}

/// All of an L1 header, from its RLP.
///
/// # Errors
/// [`HeaderError`] if the bytes are not one header.
pub fn full_header(raw: &[u8]) -> Result<alloy_consensus::Header, HeaderError> {
    if raw.len() > L1_HEADER_BYTES_MAX {
        return Err(HeaderError::TooLong { size: raw.len() });
    }
    let mut rest = raw;
    let header = alloy_consensus::Header::decode(&mut rest).map_err(HeaderError::Malformed)?;
    if !rest.is_empty() {
        return Err(HeaderError::Trailing {
            trailing: rest.len(),
        });
    }
    Ok(header)
}
