//! One way to read bytes that came from outside.

use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Encodable};
use thiserror::Error;

/// Why bytes were refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// Refused before anything was allocated.
    #[error("{what} is {size} bytes, the limit is {limit}")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not RLP, or not of this shape.
    #[error("{what} is malformed: {source}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What the RLP reader said.
        source: alloy_rlp::Error,
    },
    /// One value was read and bytes are left.
    #[error("{what} has {trailing} trailing bytes")]
    Trailing {
        /// What was being read.
        what: &'static str,
        /// How many bytes are left.
        trailing: usize,
    },
}

/// Reads exactly one `T` from `bytes`, which may be hostile.
///
/// # Errors
/// [`CodecError`] if `bytes` is longer than `limit`, malformed, or longer than one value.
pub fn decode_exact<T: Decodable>(
    what: &'static str,
    bytes: &[u8],
    limit: usize,
) -> Result<T, CodecError> {
    if bytes.len() > limit {
        return Err(CodecError::TooLong {
            what,
            size: bytes.len(),
            limit,
        });
    }
    let mut rest = bytes;
    let value = T::decode(&mut rest).map_err(|source| CodecError::Malformed { what, source })?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::Trailing {
            what,
            trailing: rest.len(),
        })
    }
}

/// The RLP of a value.
pub fn encode<T: Encodable>(value: &T) -> Vec<u8> {
    alloy_rlp::encode(value)
}

/// Unsigned LEB128, as the consensus engine writes every integer that it signs.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A list of byte strings, refused at the first one too many or of a length outside `sizes`: a
/// string of one byte on the wire is a handle of thirty-two in memory.
///
/// All of them are views of one copy of the list, so that reading and cloning thousands of short
/// ones allocates once. Whoever keeps one for longer than the list copies it.
pub(crate) fn bytes_list(
    buf: &mut &[u8],
    count_max: usize,
    sizes: std::ops::RangeInclusive<usize>,
) -> alloy_rlp::Result<Vec<Bytes>> {
    let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
    let whole = payload;
    let mut shared = None;
    let mut items = Vec::new();
    while !payload.is_empty() {
        if items.len() == count_max {
            return Err(alloy_rlp::Error::Custom(
                "list has more items than its limit",
            ));
        }
        let item = alloy_rlp::Header::decode_bytes(&mut payload, false)?;
        if !sizes.contains(&item.len()) {
            return Err(alloy_rlp::Error::Custom(
                "list item is shorter or longer than its limits",
            ));
        }
        let end = whole.len() - payload.len();
        // Not before the first item has been found to be one.
        let shared = shared.get_or_insert_with(|| Bytes::copy_from_slice(whole));
        items.push(shared.slice(end - item.len()..end));
    }
    Ok(items)
}

/// An optional value as an RLP list of none or one, so that the field keeps its place.
pub(crate) mod optional {
    use alloy_rlp::{BufMut, Decodable, Encodable, Error, Header};

    pub(crate) fn encode<T: Encodable>(value: &Option<T>, out: &mut dyn BufMut) {
        let payload_length = value.as_ref().map_or(0, Encodable::length);
        Header {
            list: true,
            payload_length,
        }
        .encode(out);
        if let Some(value) = value {
            value.encode(out);
        }
    }

    pub(crate) fn length<T: Encodable>(value: &Option<T>) -> usize {
        let payload = value.as_ref().map_or(0, Encodable::length);
        payload + alloy_rlp::length_of_length(payload)
    }

    pub(crate) fn decode<T: Decodable>(buf: &mut &[u8]) -> Result<Option<T>, Error> {
        let mut payload = Header::decode_bytes(buf, true)?;
        if payload.is_empty() {
            return Ok(None);
        }
        let value = T::decode(&mut payload)?;
        if payload.is_empty() {
            Ok(Some(value))
        } else {
            Err(Error::UnexpectedLength)
        }
    }
}
