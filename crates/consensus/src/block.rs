//! The chain's block as the engine carries it.

use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::{Block as EngineBlock, BoundedBlock, Heightable, types::Height};
use commonware_cryptography::Digestible;
use cortado_types::{B256, decode_exact, limits::BLOCK_BYTES_MAX};
use std::sync::Arc;

/// What the engine votes on: the header hash.
pub type Digest = commonware_cryptography::keccak256::Digest;

/// A header hash as the engine's payload.
pub fn digest(hash: B256) -> Digest {
    Digest::from(hash.0)
}

/// The engine's payload as a header hash.
pub fn hash(digest: &Digest) -> B256 {
    B256::from(digest.0)
}

/// A whole block: its roots fit its header, so its digest names all of it.
///
/// - `bytes` is the RLP of `block`, at most [`BLOCK_BYTES_MAX`] long, and `hash` its header's.
#[derive(Clone, Debug)]
pub struct Block(Arc<Sealed>);

#[derive(Debug)]
struct Sealed {
    block: cortado_types::Block,
    bytes: Bytes,
    hash: B256,
}

impl Block {
    /// Seals a block that this node built or that comes from genesis.
    pub fn new(block: cortado_types::Block) -> Self {
        let bytes = Bytes::from(alloy_rlp::encode(&block));
        let hash = block.hash();
        Self(Arc::new(Sealed { block, bytes, hash }))
    }

    /// The chain's view of it.
    pub fn inner(&self) -> &cortado_types::Block {
        &self.0.block
    }

    /// The header's hash.
    pub fn hash(&self) -> B256 {
        self.0.hash
    }

    /// Its RLP.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// Reads the RLP of a block from anywhere.
    ///
    /// # Errors
    /// If it is too long, malformed, not canonical, or not whole.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, Error> {
        let block: cortado_types::Block = decode_exact("block", &bytes, BLOCK_BYTES_MAX)
            .map_err(|error| Error::Wrapped("block", Box::new(error)))?;
        // The engine counts on one encoding per block, and on the digest naming all of it.
        if alloy_rlp::encode(&block) != bytes {
            return Err(Error::Invalid("block", "encoding is not canonical"));
        }
        if !block.is_whole() {
            return Err(Error::Invalid("block", "roots do not fit the header"));
        }
        let hash = block.hash();
        Ok(Self(Arc::new(Sealed { block, bytes, hash })))
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.0.hash == other.0.hash
    }
}

impl Eq for Block {}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        // BLOCK_BYTES_MAX fits a u32.
        (self.0.bytes.len() as u32).write(buf);
        buf.put_slice(&self.0.bytes);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        LENGTH_PREFIX_BYTES + self.0.bytes.len()
    }
}

const LENGTH_PREFIX_BYTES: usize = 4;

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let length = u32::read_cfg(buf, &())? as usize;
        if length > BLOCK_BYTES_MAX {
            return Err(Error::InvalidLength(length));
        }
        if buf.remaining() < length {
            return Err(Error::EndOfBuffer);
        }
        Self::from_bytes(buf.copy_to_bytes(length))
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(self.0.hash)
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.0.block.header.height.get())
    }
}

impl EngineBlock for Block {
    fn parent(&self) -> Digest {
        digest(self.0.block.header.parent)
    }
}

impl BoundedBlock for Block {
    fn max_encode_size((): &()) -> usize {
        LENGTH_PREFIX_BYTES + BLOCK_BYTES_MAX
    }
}
