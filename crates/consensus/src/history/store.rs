//! The three archives.

use crate::{
    block::{Block, Digest, digest},
    engine::page_cache,
    runtime::Runtime,
};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error as CodecError, Read, Write};
use commonware_storage::{
    archive::{self, Archive as _, Identifier, prunable},
    translator::EightCap,
};
use commonware_utils::{NZU64, NZUsize};
use cortado_types::{B256, Header, Height, Seat, Term, limits::BLOCK_BYTES_MAX};
use std::num::{NonZeroU64, NonZeroUsize};

/// Terms in one file: a year of half-hour terms.
const TERMS_PER_FILE: NonZeroU64 = NZU64!(1 << 14);
/// Write and read buffers, bytes.
const WRITE_BUFFER: NonZeroUsize = NZUsize!(256 << 10);
const REPLAY_BUFFER: NonZeroUsize = NZUsize!(1 << 20);
/// Bytes of one record: a block, or a set of seats with the block that named it.
const RECORD_BYTES_MAX: usize = BLOCK_BYTES_MAX + (64 << 10);

/// Bytes of any kind, with their length.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record(Bytes);

impl Write for Record {
    fn write(&self, buf: &mut impl BufMut) {
        (self.0.len() as u32).write(buf);
        buf.put_slice(&self.0);
    }
}

impl EncodeSize for Record {
    fn encode_size(&self) -> usize {
        4 + self.0.len()
    }
}

impl Read for Record {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let length = u32::read_cfg(buf, &())? as usize;
        if length > RECORD_BYTES_MAX {
            return Err(CodecError::InvalidLength(length));
        }
        if buf.remaining() < length {
            return Err(CodecError::EndOfBuffer);
        }
        Ok(Self(buf.copy_to_bytes(length)))
    }
}

/// The last block of a term, and what made it final, in the engine's encoding.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Opening {
    /// Header of the block.
    pub header: Header,
    /// The engine's finalization of it.
    pub finalization: alloy_rlp::Bytes,
}

/// How a term began: with which seats, and on which block of the term before.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct TermRecord {
    /// The block.
    pub opening: Opening,
    /// Seats of the term, in bitmap order.
    pub seats: Vec<Seat>,
}

type Archive<E> = prunable::Archive<EightCap, E, Digest, Record>;

/// One archive. Every change consumes it and gives it back; after an error it is gone and refuses
/// everything.
struct Shelf<E: Runtime>(Option<Archive<E>>);

impl<E: Runtime> Shelf<E> {
    async fn open(
        context: E,
        prefix: &str,
        what: &'static str,
        items_per_section: NonZeroU64,
    ) -> Result<Self, archive::Error> {
        let partition = |part: &str| format!("{prefix}-chain-{what}-{part}");
        let config = prunable::Config {
            translator: EightCap,
            metadata_partition: partition("metadata"),
            key_partition: partition("keys"),
            key_page_cache: page_cache(),
            value_partition: partition("values"),
            compression: None,
            codec_config: (),
            items_per_section,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            replay_buffer: REPLAY_BUFFER,
        };
        Archive::init(context.child(what), config)
            .await
            .map(|archive| Self(Some(archive)))
    }

    fn archive(&self) -> Result<&Archive<E>, archive::Error> {
        self.0.as_ref().ok_or(archive::Error::RecordCorrupted)
    }

    fn take(&mut self) -> Result<Archive<E>, archive::Error> {
        self.0.take().ok_or(archive::Error::RecordCorrupted)
    }

    async fn put(&mut self, index: u64, key: B256, bytes: Bytes) -> Result<(), archive::Error> {
        let archive = self.take()?;
        let archive = archive.put(index, digest(key), &Record(bytes)).await?;
        self.0 = Some(archive);
        Ok(())
    }

    async fn get(&self, at: Identifier<'_, Digest>) -> Result<Option<Bytes>, archive::Error> {
        let found = self.archive()?.get(at).await?;
        Ok(found.map(|record| record.0))
    }

    async fn sync(&mut self) -> Result<(), archive::Error> {
        let archive = self.take()?;
        self.0 = Some(archive.sync().await?);
        Ok(())
    }

    async fn prune(&mut self, below: u64) -> Result<(), archive::Error> {
        let archive = self.take()?;
        self.0 = Some(archive.prune(below).await?);
        Ok(())
    }
}

/// Blocks and certificates by height, openings by term.
pub(super) struct Store<E: Runtime> {
    blocks: Shelf<E>,
    certificates: Shelf<E>,
    terms: Shelf<E>,
}

impl<E: Runtime> Store<E> {
    /// Opens the archives; torn tails are cut.
    pub(super) async fn open(
        context: &E,
        prefix: &str,
        blocks_per_file: NonZeroU64,
    ) -> Result<Self, archive::Error> {
        let open = |what, items| Shelf::open(context.child("store"), prefix, what, items);
        Ok(Self {
            blocks: open("blocks", blocks_per_file).await?,
            certificates: open("certificates", blocks_per_file).await?,
            terms: open("terms", TERMS_PER_FILE).await?,
        })
    }

    /// Adds a final block; one that is there stays.
    pub(super) async fn put(
        &mut self,
        block: &Block,
        finalization: Option<Bytes>,
    ) -> Result<(), archive::Error> {
        let (height, hash) = (block.inner().header.height.get(), block.hash());
        // The certificate first: what is cut off after a crash then never is a certificate alone.
        if let Some(finalization) = finalization {
            self.certificates.put(height, hash, finalization).await?;
        }
        self.blocks.put(height, hash, block.bytes().clone()).await
    }

    /// Adds how a term began.
    pub(super) async fn put_term(
        &mut self,
        term: Term,
        record: &TermRecord,
    ) -> Result<(), archive::Error> {
        let bytes = alloy_rlp::encode(record).into();
        let key = record.opening.header.hash();
        self.terms.put(term.get(), key, bytes).await
    }

    pub(super) async fn block(&self, height: Height) -> Result<Option<Bytes>, archive::Error> {
        self.blocks.get(Identifier::Index(height.get())).await
    }

    pub(super) async fn by_hash(&self, hash: B256) -> Result<Option<Bytes>, archive::Error> {
        self.blocks.get(Identifier::Key(&digest(hash))).await
    }

    /// The certificate of the lowest block from `from` to `to` that has one.
    pub(super) async fn certificate(
        &self,
        from: Height,
        to: Height,
    ) -> Result<Option<(Height, Bytes)>, archive::Error> {
        for height in from.get()..=to.get() {
            if let Some(found) = self.certificates.get(Identifier::Index(height)).await? {
                return Ok(Some((Height::new(height), found)));
            }
        }
        Ok(None)
    }

    pub(super) async fn term(&self, term: Term) -> Result<Option<TermRecord>, archive::Error> {
        let found = self.terms.get(Identifier::Index(term.get())).await?;
        found
            .map(|bytes| cortado_types::decode_exact("term", &bytes, RECORD_BYTES_MAX))
            .transpose()
            .map_err(|_| archive::Error::RecordCorrupted)
    }

    /// Makes everything so far durable.
    pub(super) async fn sync(&mut self) -> Result<(), archive::Error> {
        self.certificates.sync().await?;
        self.blocks.sync().await?;
        self.terms.sync().await
    }

    /// Drops whole files of blocks below `height`. Terms stay: they are the way back to genesis.
    pub(super) async fn prune(&mut self, height: Height) -> Result<(), archive::Error> {
        self.blocks.prune(height.get()).await?;
        self.certificates.prune(height.get()).await
    }
}
