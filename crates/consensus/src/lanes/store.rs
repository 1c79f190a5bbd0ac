//! Lane blocks on disk: append, group fsync, read by name, prune by age.
//!
//! A section is a pair of files and holds the lane blocks of a span of time, not of a number: every
//! section that is kept has its files open, so a node that is busy must not have more of them than
//! one that is idle.

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

/// Numbers set aside for one section; none holds so many lane blocks.
const NUMBERS_PER_SECTION: NonZeroU64 = NZU64!(1 << 32);
/// Sections that a retention period is divided into. Pruning happens in these steps, so what is
/// kept longer than asked for is a sixty-fourth.
const SECTIONS_PER_RETENTION: u64 = 64;
/// Bounds on the span of one section, ms. Below a second, sections would be single lane blocks; a
/// node that keeps everything opens two files a day.
const SECTION_MS_MIN: u64 = 1_000;
const SECTION_MS_MAX: u64 = 24 * 3_600_000;
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
///
/// - Each section's first lane block is later than every one in the sections before it.
pub(super) struct Store<E: Runtime> {
    archive: Option<Archive<E>>,
    next: u64,
    section_ms: u64,
    /// Time of the first lane block in the newest section.
    begun: Option<TimestampMs>,
}

impl<E: Runtime> Store<E> {
    /// Opens the store of a node that keeps lane blocks for `retention_ms`; a torn tail is cut.
    pub(super) async fn open(
        context: E,
        prefix: &str,
        cache: CacheRef,
        retention_ms: u64,
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
                items_per_section: NUMBERS_PER_SECTION,
                key_write_buffer: NZUsize!(64 << 10),
                value_write_buffer: WRITE_BUFFER,
                replay_buffer: WRITE_BUFFER,
            },
        )
        .await?;
        let mut store = Self {
            next: archive.last_index().map_or(0, |last| last + 1),
            archive: Some(archive),
            section_ms: (retention_ms / SECTIONS_PER_RETENTION)
                .clamp(SECTION_MS_MIN, SECTION_MS_MAX),
            begun: None,
        };
        if let Some(first) = store.sections()?.pop() {
            store.begun = Some(store.time(first).await?);
        }
        Ok(store)
    }

    fn archive(&self) -> Result<&Archive<E>, archive::Error> {
        self.archive.as_ref().ok_or(archive::Error::RecordCorrupted)
    }

    /// Numbers of the first lane blocks of all sections, oldest first.
    fn sections(&self) -> Result<Vec<u64>, archive::Error> {
        Ok(self.archive()?.ranges().map(|(first, _)| first).collect())
    }

    async fn time(&self, index: u64) -> Result<TimestampMs, archive::Error> {
        let record = self.archive()?.get(Identifier::Index(index)).await?;
        let lane = record.as_ref().and_then(reopen);
        lane.map(|lane| lane.lane.header.timestamp)
            .ok_or(archive::Error::RecordCorrupted)
    }

    /// Appends a lane block. It is durable when a sync that starts after this has ended.
    pub(super) async fn append(
        &mut self,
        lane: &SealedLane,
        acknowledged: bool,
    ) -> Result<(), archive::Error> {
        let archive = self.archive.take().ok_or(archive::Error::RecordCorrupted)?;
        let time = lane.lane.header.timestamp;
        let fits = |begun: TimestampMs| time < begun.plus(self.section_ms);
        if !self.begun.is_some_and(fits) {
            self.begun = Some(time);
            self.next = self.next.next_multiple_of(NUMBERS_PER_SECTION.get());
        }
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

    /// Records that are `wanted` with their marks, newest first. Ends at the first acknowledged
    /// one that is `over`: what a seat acknowledged stands in order of time, but for drift, while
    /// what it fetched stands anywhere and must not end the search for a mark.
    pub(super) async fn newest(
        &self,
        wanted: impl Fn(&SealedLane) -> bool,
        over: impl Fn(&SealedLane) -> bool,
    ) -> Result<Vec<(SealedLane, bool)>, archive::Error> {
        let archive = self.archive()?;
        let mut found = Vec::new();
        let mut ranges: Vec<_> = archive.ranges().collect();
        ranges.reverse();
        for index in ranges.into_iter().flat_map(|(a, b)| (a..=b).rev()) {
            let Some(record) = archive.get(Identifier::Index(index)).await? else {
                continue;
            };
            let Some(lane) = reopen(&record) else {
                return Err(archive::Error::RecordCorrupted);
            };
            if record.acknowledged && over(&lane) {
                break;
            }
            if wanted(&lane) {
                found.push((lane, record.acknowledged));
            }
        }
        Ok(found)
    }

    /// Drops whole sections in which every lane block is older than `oldest`.
    pub(super) async fn prune(&mut self, oldest: TimestampMs) -> Result<(), archive::Error> {
        let mut keep_from = None;
        for first in self.sections()?.into_iter().skip(1) {
            // All before this section is older than its first lane block.
            if self.time(first).await? > oldest {
                break;
            }
            keep_from = Some(first);
        }
        if let Some(keep_from) = keep_from {
            let archive = self.archive.take().ok_or(archive::Error::RecordCorrupted)?;
            self.archive = Some(archive.prune(keep_from).await?);
        }
        Ok(())
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
