//! What the bare engine agrees on.

use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::{Block, Heightable, types::Height};
use commonware_cryptography::{Digestible, Hasher as _, Keccak256};
use cortado_consensus::block::Digest;

/// A number, a parent and bytes.
#[derive(Clone)]
pub struct Payload(pub u64, pub Digest, pub Bytes);

impl Write for Payload {
    fn write(&self, buf: &mut impl BufMut) {
        (self.0, self.1, self.2.clone()).write(buf);
    }
}

impl EncodeSize for Payload {
    fn encode_size(&self) -> usize {
        (self.0, self.1, self.2.clone()).encode_size()
    }
}

impl Read for Payload {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let payload = ((), (), (..=super::BODY_BYTES).into());
        let (height, parent, bytes) = <(u64, Digest, Bytes)>::read_cfg(buf, &payload)?;
        Ok(Self(height, parent, bytes))
    }
}

impl Digestible for Payload {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        Keccak256::hash(&[&self.0.to_be_bytes(), &self.1.0, &self.2])
    }
}

impl Heightable for Payload {
    fn height(&self) -> Height {
        Height::new(self.0)
    }
}

impl Block for Payload {
    fn parent(&self) -> Digest {
        self.1
    }
}

impl cortado_consensus::engine::Payload for Payload {
    fn time(&self) -> cortado_types::TimestampMs {
        cortado_types::TimestampMs::ZERO
    }
}
