//! Lane blocks on disk: append, group fsync, read by name, prune by age.

use super::wire::{LANE_BLOCK_BYTES_MAX, SealedLane, read};
use crate::{
    block::{Digest, digest},
    runtime::Runtime,
};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error as CodecError, Read, Write};
use commonware_runtime::{Handle, buffer::paged::CacheRef};
use commonware_storage::{
    archive::{self, Archive as _, Identifier, prunable},
    translator::EightCap,
};
use commonware_utils::{NZU64, NZUsize};
use cortado_types::{B256, TimestampMs};
use std::num::{NonZeroU64, NonZeroUsize};

/// Lane blocks in one file; pruning happens in these steps.
const ITEMS_PER_SECTION: NonZeroU64 = NZU64!(128);
/// Write buffer of the value file: a body is written at once anyway.
const WRITE_BUFFER: NonZeroUsize = NZUsize!(1 << 20);

/// A lane block as it stands on disk, with the mark whether this seat acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Whether an acknowledgement was, or may have been, signed.
    pub acknowledged: bool,
    /// RLP of the [`super::LaneBlock`].
    pub bytes: Bytes,
}

impl Write for Record {
    fn write(&self, buf: &mut impl BufMut) {
        self.acknowledged.write(buf);
        (self.bytes.len() as u32).write(buf);
        buf.put_slice(&self.bytes);
    }
}

impl EncodeSize for Record {
    fn encode_size(&self) -> usize {
        1 + 4 + self.bytes.len()
    }
}

impl Read for Record {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let acknowledged = bool::read_cfg(buf, &())?;
        let length = u32::read_cfg(buf, &())? as usize;
        if length > LANE_BLOCK_BYTES_MAX {
            return Err(CodecError::InvalidLength(length));
        }
        if buf.remaining() < length {
            return Err(CodecError::EndOfBuffer);
        }
        Ok(Self {
            acknowledged,
            bytes: buf.copy_to_bytes(length),
        })
    }
}

type Archive<E> = prunable::Archive<EightCap, E, Digest, Record>;

/// Lane blocks in order of arrival, found by the hash of their header.
///
/// Every change consumes the archive and gives it back; after an error it is gone and the store
/// refuses everything, so that nothing is acknowledged that might not be on disk.
pub(super) struct Store<E: Runtime> {
    archive: Option<Archive<E>>,
    next: u64,
}

impl<E: Runtime> Store<E> {
    /// Opens the store; a torn tail is cut.
    pub(super) async fn open(
        context: E,
        prefix: &str,
        cache: CacheRef,
    ) -> Result<Self, archive::Error> {
        let archive = Archive::init(
            context,
            prunable::Config {
                translator: EightCap,
                metadata_partition: format!("{prefix}-lanes-metadata"),
                key_partition: format!("{prefix}-lanes-keys"),
                key_page_cache: cache,
                value_partition: format!("{prefix}-lanes-values"),
                compression: None,
                codec_config: (),
                items_per_section: ITEMS_PER_SECTION,
                key_write_buffer: NZUsize!(64 << 10),
                value_write_buffer: WRITE_BUFFER,
                replay_buffer: WRITE_BUFFER,
            },
        )
        .await?;
        let next = archive.last_index().map_or(0, |last| last + 1);
        Ok(Self {
            archive: Some(archive),
            next,
        })
    }

    fn archive(&self) -> Result<&Archive<E>, archive::Error> {
        self.archive.as_ref().ok_or(archive::Error::RecordCorrupted)
    }

    /// Appends a lane block. It is durable when a sync that starts after this has ended.
    pub(super) async fn append(
        &mut self,
        lane: &SealedLane,
        acknowledged: bool,
    ) -> Result<(), archive::Error> {
        let archive = self.archive.take().ok_or(archive::Error::RecordCorrupted)?;
        let record = Record {
            acknowledged,
            bytes: lane.bytes.clone(),
        };
        self.archive = Some(archive.put(self.next, digest(lane.hash), &record).await?);
        self.next += 1;
        Ok(())
    }

    /// Starts to make everything appended so far durable.
    pub(super) async fn start_sync(&mut self) -> Result<Handle<()>, archive::Error> {
        let archive = self.archive.take().ok_or(archive::Error::RecordCorrupted)?;
        let (archive, handle) = archive.start_sync().await?;
        self.archive = Some(archive);
        Ok(handle)
    }

    /// Reads a lane block by the hash of its header.
    pub(super) async fn get(&self, hash: B256) -> Result<Option<Bytes>, archive::Error> {
        let record = self.archive()?.get(Identifier::Key(&digest(hash))).await?;
        Ok(record.map(|record| record.bytes))
    }

    /// Whether a lane block is here.
    pub(super) async fn has(&self, hash: B256) -> Result<bool, archive::Error> {
        self.archive()?.has(Identifier::Key(&digest(hash))).await
    }

    /// The newest records, newest first, as long as `wanted` says so of their time.
    pub(super) async fn newest(
        &self,
        wanted: impl Fn(&SealedLane) -> bool,
    ) -> Result<Vec<(SealedLane, bool)>, archive::Error> {
        let archive = self.archive()?;
        let mut found = Vec::new();
        let first = archive.first_index().unwrap_or(0);
        for index in (first..self.next).rev() {
            let Some(record) = archive.get(Identifier::Index(index)).await? else {
                continue;
            };
            let Some(lane) = reopen(&record) else {
                return Err(archive::Error::RecordCorrupted);
            };
            if !wanted(&lane) {
                break;
            }
            found.push((lane, record.acknowledged));
        }
        Ok(found)
    }

    /// Drops whole sections whose first lane block is older than `oldest`.
    pub(super) async fn prune(&mut self, oldest: TimestampMs) -> Result<(), archive::Error> {
        loop {
            let archive = self.archive()?;
            let Some(first) = archive.first_index() else {
                return Ok(());
            };
            let section_end = (first / ITEMS_PER_SECTION + 1) * ITEMS_PER_SECTION.get();
            if section_end >= self.next {
                return Ok(());
            }
            // The section may go when the next one's first is old already.
            let record = archive.get(Identifier::Index(section_end)).await?;
            let old = record
                .as_ref()
                .and_then(reopen)
                .is_some_and(|lane| lane.lane.header.timestamp < oldest);
            if !old {
                return Ok(());
            }
            let archive = self.archive.take().ok_or(archive::Error::RecordCorrupted)?;
            self.archive = Some(archive.prune(section_end).await?);
        }
    }
}

/// A record's lane block; its body was checked before it was stored.
fn reopen(record: &Record) -> Option<SealedLane> {
    let block = read(&record.bytes).ok()?;
    let hash = block.lane.header.hash();
    Some(SealedLane {
        lane: block.lane,
        hash,
        bytes: record.bytes.clone(),
    })
}

#[cfg(test)]
mod tests;
