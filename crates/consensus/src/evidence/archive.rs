//! Votes and quorums of every view, on disk for as long as evidence counts.
//!
//! ```text
//!  votes ─▶ open views, in memory ──every 2 s, what is new──▶ journal   short; survives a crash
//!                 │
//!                 └──a block of 64 views that nothing was added to for a minute──▶ archive
//! ```
//!
//! A vote reaches the disk within seconds and not before anything else happens. A power cut may lose
//! the last ones of one node: every other honest seat was sent the same votes, and what this seat
//! signed itself is in the engine's journal from before it was sent.
//!
//! **Sizes.** A vote is 52 bytes and a view of a hundred seats has two hundred: with its quorums
//! 10.6 KB. An idle chain (a view a second) writes 0.9 GB a day and is kept for all of
//! [`Retention::ms`]; a busy one (10 views a second) writes 9 GB a day, and [`Retention::bytes`]
//! decides. What a seat can add is bounded by the view: at most two votes of a kind are kept, and it
//! can only vote in its own name (see [`super`]). Lookups are by block of views, so that the index in
//! memory is 60 bytes for 64 views: 6 MB when [`Retention::bytes`] are full.

use crate::{block::Digest, engine::page_cache, runtime::Runtime};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error as CodecError, Read, Write};
use commonware_cryptography::{Hasher as _, Keccak256};
use commonware_runtime::ReadOptions;
use commonware_storage::{
    archive::{self, Archive as _, Identifier, prunable},
    journal::contiguous::{Contiguous as _, variable},
    translator::EightCap,
};
use commonware_utils::{NZU64, NZUsize};
use cortado_evidence::{VIEW_RECORD_BYTES_MAX, ViewRecord};
use cortado_types::{SignedVote, Term, TimestampMs, View, VoteCertificate, codec, decode_exact};
use futures::StreamExt as _;
use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroUsize},
};

/// Views in one record of the archive.
const VIEWS_PER_BLOCK: u64 = 64;
/// A block of views to which nothing was added for this long, ms, goes to the archive. The engine
/// takes votes for views long over, but they come within a few timeouts.
const SETTLE_AFTER_MS: u64 = 60_000;
/// Blocks of views in memory; past it the one longest untouched goes to the archive. A thousand
/// views of a hundred seats are 11 MB.
const OPEN_BLOCKS_MAX: usize = 16;
/// Bytes of one record.
const RECORD_BYTES_MAX: usize = VIEWS_PER_BLOCK as usize * VIEW_RECORD_BYTES_MAX + 1_024;
/// Records of the journal in one file: about two minutes, pruned in these steps.
const JOURNAL_RECORDS_PER_FILE: NonZeroU64 = NZU64!(64);
/// A section of the archive, a pair of open files, is this much time or this many bytes.
const SECTION_MS: u64 = 24 * 3_600_000;
const SECTION_BYTES: u64 = 1 << 30;
/// Numbers set aside for one section; none holds so many records.
const NUMBERS_PER_SECTION: NonZeroU64 = NZU64!(1 << 32);
/// Write and replay buffers, bytes.
const BUFFER: NonZeroUsize = NZUsize!(1 << 20);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Time, ms (`EVIDENCE`).
    pub ms: u64,
    /// Bytes; the oldest go first.
    pub bytes: u64,
}

impl Default for Retention {
    /// Four weeks, and what a small disk has room for: a hundred seats fill it in eleven weeks of
    /// an idle chain, or in a week of a busy one. Where the registry's evidence time is longer, or
    /// the chain busy, both are to be raised.
    fn default() -> Self {
        Self {
            ms: 28 * 24 * 3_600_000,
            bytes: 64 << 30,
        }
    }
}

/// RLP as it stands in a store.
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

/// What was new at one sync.
#[derive(RlpEncodable, RlpDecodable)]
struct News {
    views: Vec<ViewRecord>,
}

/// A block of views as it stands in the archive.
#[derive(RlpEncodable, RlpDecodable)]
struct Settled {
    /// When it was written.
    at: TimestampMs,
    /// Bytes written to the archive before it.
    before: u64,
    /// It has everything of its views from the journal's records below this position.
    through: u64,
    views: Vec<ViewRecord>,
}

/// Which block of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    term: Term,
    number: u64,
}

impl Place {
    const fn of(term: Term, view: View) -> Self {
        Self {
            term,
            number: view.get() / VIEWS_PER_BLOCK,
        }
    }

    /// The archive's key for the `n`-th record of this block: a late vote makes a second one.
    fn key(&self, n: u64) -> Digest {
        let parts = [self.term.get(), self.number, n].map(u64::to_be_bytes);
        Keccak256::hash(&[&parts[0], &parts[1], &parts[2]])
    }
}

/// A block of views in memory.
struct Block {
    views: BTreeMap<View, ViewRecord>,
    /// Position of the journal's first record with something of it.
    first: u64,
    touched: TimestampMs,
}

type Journal<E> = variable::Journal<E, Record>;
type Sealed<E> = prunable::Archive<EightCap, E, Digest, Record>;

/// The open views and both stores.
///
/// Every change consumes a store and gives it back; after an error it is gone and everything is
/// refused.
pub(super) struct Archive<E: Runtime> {
    journal: Option<Journal<E>>,
    sealed: Option<Sealed<E>>,
    retention: Retention,
    open: BTreeMap<Place, Block>,
    news: BTreeMap<(Term, View), ViewRecord>,
    next: u64,
    /// Bytes ever written to the archive.
    written: u64,
    /// The first record of each section: its number, when it was written, bytes before it.
    sections: BTreeMap<u64, (TimestampMs, u64)>,
}

impl<E: Runtime> Archive<E> {
    /// Opens both stores and reads back what was not settled.
    pub(super) async fn init(
        context: E,
        partition: &str,
        retention: Retention,
    ) -> Result<Self, archive::Error> {
        let cache = page_cache();
        let journal = Journal::init(
            context.child("journal"),
            variable::Config {
                partition: format!("{partition}-votes-journal"),
                items_per_section: JOURNAL_RECORDS_PER_FILE,
                compression: None,
                codec_config: (),
                page_cache: cache.clone(),
                write_buffer: BUFFER,
                replay_buffer: BUFFER,
            },
        )
        .await?;
        let sealed = Sealed::init(
            context.child("archive"),
            prunable::Config {
                translator: EightCap,
                metadata_partition: format!("{partition}-votes-metadata"),
                key_partition: format!("{partition}-votes-keys"),
                key_page_cache: cache,
                value_partition: format!("{partition}-votes-values"),
                compression: None,
                codec_config: (),
                items_per_section: NUMBERS_PER_SECTION,
                key_write_buffer: NZUsize!(64 << 10),
                value_write_buffer: BUFFER,
                replay_buffer: BUFFER,
            },
        )
        .await?;
        let mut archive = Self {
            journal: Some(journal),
            sealed: Some(sealed),
            retention,
            open: BTreeMap::new(),
            news: BTreeMap::new(),
            next: 0,
            written: 0,
            sections: BTreeMap::new(),
        };
        archive.survey().await?;
        archive.replay(context.now_ms()).await?;
        Ok(archive)
    }

    fn journal(&self) -> Result<&Journal<E>, archive::Error> {
        self.journal.as_ref().ok_or(archive::Error::RecordCorrupted)
    }

    fn sealed(&self) -> Result<&Sealed<E>, archive::Error> {
        self.sealed.as_ref().ok_or(archive::Error::RecordCorrupted)
    }

    /// Reads the first record of each section and the last of all.
    async fn survey(&mut self) -> Result<(), archive::Error> {
        let sealed = self.sealed()?;
        let firsts: Vec<_> = sealed.ranges().map(|(first, _)| first).collect();
        let last = sealed.last_index();
        for first in firsts {
            let (settled, _) = self.settled(Identifier::Index(first)).await?;
            self.sections.insert(first, (settled.at, settled.before));
        }
        if let Some(last) = last {
            let (settled, length) = self.settled(Identifier::Index(last)).await?;
            self.next = last + 1;
            self.written = settled.before + length;
        }
        Ok(())
    }

    /// A record that must be there, and its length.
    async fn settled(
        &self,
        which: Identifier<'_, Digest>,
    ) -> Result<(Settled, u64), archive::Error> {
        let found = self.sealed()?.get(which).await?;
        let record = found.ok_or(archive::Error::RecordCorrupted)?;
        let settled = read("settled views", &record)?;
        Ok((settled, record.0.len() as u64))
    }

    /// Everything the archive has of a block of views, oldest first.
    async fn settled_at(&self, place: Place) -> Result<Vec<Settled>, archive::Error> {
        let mut all = Vec::new();
        while let Some(record) = {
            let key = place.key(all.len() as u64);
            self.sealed()?.get(Identifier::Key(&key)).await?
        } {
            all.push(read::<Settled>("settled views", &record)?);
        }
        Ok(all)
    }

    /// Opens again what the journal has and the archive has not.
    async fn replay(&mut self, now: TimestampMs) -> Result<(), archive::Error> {
        let journal = self.journal()?;
        let mut records = Vec::new();
        {
            let options = ReadOptions::default();
            let stream = journal.replay(journal.bounds(), BUFFER, options).await?;
            futures::pin_mut!(stream);
            while let Some(batch) = stream.next().await {
                for (position, record) in batch? {
                    records.push((position, read::<News>("new votes", &record)?));
                }
            }
        }
        let mut through = BTreeMap::new();
        for (position, news) in records {
            for view in news.views {
                let place = Place::of(view.term(), view.view());
                if let std::collections::btree_map::Entry::Vacant(entry) = through.entry(place) {
                    let settled = self.settled_at(place).await?;
                    entry.insert(settled.last().map_or(0, |settled| settled.through));
                }
                if through[&place] <= position {
                    self.open(place, position, now).merge(&view);
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, place: Place, first: u64, now: TimestampMs) -> &mut Block {
        let block = self.open.entry(place).or_insert_with(|| Block {
            views: BTreeMap::new(),
            first,
            touched: now,
        });
        block.touched = now;
        block
    }

    /// Two conflicting votes of each seat that has some in the open views: what a crash may have
    /// kept from being told.
    pub(super) fn conflicts(&self) -> Vec<(SignedVote, SignedVote)> {
        let views = self.open.values().flat_map(|block| block.views.values());
        views.flat_map(ViewRecord::conflicts).collect()
    }

    /// Keeps a vote. `false` if it adds nothing.
    pub(super) fn insert(&mut self, vote: SignedVote, now: TimestampMs) -> bool {
        let (term, view) = (vote.vote.term(), vote.vote.view());
        self.keep(term, view, now, |record| record.insert(vote))
    }

    /// Keeps a certificate. `false` if it adds nothing.
    pub(super) fn insert_certificate(
        &mut self,
        certificate: VoteCertificate,
        now: TimestampMs,
    ) -> bool {
        let (term, view) = (certificate.vote.term(), certificate.vote.view());
        self.keep(term, view, now, |record| {
            record.insert_certificate(certificate.clone())
        })
    }

    fn keep(
        &mut self,
        term: Term,
        view: View,
        now: TimestampMs,
        insert: impl Fn(&mut ViewRecord) -> bool,
    ) -> bool {
        let place = Place::of(term, view);
        // Between two syncs nobody can open more: memory has a limit, whatever comes.
        if !self.open.contains_key(&place) && self.open.len() >= 2 * OPEN_BLOCKS_MAX {
            return false;
        }
        let Ok(position) = self.journal().map(Journal::size) else {
            return false;
        };
        let block = self.open(place, position, now);
        let record = block.views.entry(view);
        let added = insert(record.or_insert_with(|| ViewRecord::new(term, view)));
        if added {
            let news = self.news.entry((term, view));
            insert(news.or_insert_with(|| ViewRecord::new(term, view)));
        }
        added
    }

    /// Everything known of a view.
    pub(super) async fn view(&self, term: Term, view: View) -> Result<ViewRecord, archive::Error> {
        let place = Place::of(term, view);
        let mut record = ViewRecord::new(term, view);
        for settled in self.settled_at(place).await? {
            for other in settled.views.iter().filter(|other| other.view() == view) {
                record.merge(other);
            }
        }
        if let Some(open) = self
            .open
            .get(&place)
            .and_then(|block| block.views.get(&view))
        {
            record.merge(open);
        }
        Ok(record)
    }

    /// Writes what is new, settles what is old, forgets what is too old or too much.
    pub(super) async fn sync(&mut self, now: TimestampMs) -> Result<(), archive::Error> {
        if !self.news.is_empty() {
            let views = std::mem::take(&mut self.news).into_values().collect();
            let record = Record(codec::encode(&News { views }).into());
            let journal = self.journal.take();
            let journal = journal.ok_or(archive::Error::RecordCorrupted)?;
            let (journal, _) = journal.append(&record).await?;
            self.journal = Some(journal.sync().await?);
        }
        if self.settle(now).await? {
            self.prune(now).await?;
        }
        Ok(())
    }

    /// The blocks to settle: what was left alone, and the longest untouched of too many.
    fn due(&self, now: TimestampMs) -> Vec<Place> {
        let mut by_age: Vec<_> = self
            .open
            .iter()
            .map(|(place, block)| (block.touched, *place))
            .collect();
        by_age.sort_unstable();
        let excess = by_age.len().saturating_sub(OPEN_BLOCKS_MAX);
        let due = |(i, (touched, _)): &(usize, (TimestampMs, Place))| {
            *i < excess || now.since(*touched) >= SETTLE_AFTER_MS
        };
        let due = by_age.into_iter().enumerate().filter(due);
        due.map(|(_, (_, place))| place).collect()
    }

    async fn settle(&mut self, now: TimestampMs) -> Result<bool, archive::Error> {
        let due = self.due(now);
        if due.is_empty() {
            return Ok(false);
        }
        let through = self.journal()?.size();
        for place in &due {
            let n = self.settled_at(*place).await?.len() as u64;
            let Some(block) = self.open.remove(place) else {
                continue;
            };
            let settled = Settled {
                at: now,
                before: self.written,
                through,
                views: block.views.into_values().collect(),
            };
            let record = Record(codec::encode(&settled).into());
            let index = self.number(now);
            let sealed = self.sealed.take();
            let sealed = sealed.ok_or(archive::Error::RecordCorrupted)?;
            self.sealed = Some(sealed.put(index, place.key(n), &record).await?);
            self.next = index + 1;
            self.written += record.0.len() as u64;
        }
        let sealed = self.sealed.take();
        let sealed = sealed.ok_or(archive::Error::RecordCorrupted)?;
        self.sealed = Some(sealed.sync().await?);
        Ok(true)
    }

    /// The next record's number: in a new section if the newest is long or large enough.
    fn number(&mut self, now: TimestampMs) -> u64 {
        let full = self
            .sections
            .last_key_value()
            .is_none_or(|(_, (at, before))| {
                now.since(*at) >= SECTION_MS || self.written - before >= SECTION_BYTES
            });
        if full {
            self.next = self.next.next_multiple_of(NUMBERS_PER_SECTION.get());
            self.sections.insert(self.next, (now, self.written));
        }
        self.next
    }

    /// Drops what the journal has twice, and the archive's oldest sections if they are too old or
    /// all are too large.
    async fn prune(&mut self, now: TimestampMs) -> Result<(), archive::Error> {
        let journal = self.journal.take();
        let journal = journal.ok_or(archive::Error::RecordCorrupted)?;
        let needed = self.open.values().map(|block| block.first).min();
        let needed = needed.unwrap_or(journal.size()).min(journal.size());
        self.journal = Some(journal.prune(needed).await?.0);

        let mut keep = None;
        while let Some((first, (_, before))) = self.sections.first_key_value() {
            let (first, before) = (*first, *before);
            // The newest section stays whatever it is.
            let Some((next, (until, _))) = self.sections.range(first + 1..).next() else {
                break;
            };
            let old = now.since(*until) > self.retention.ms;
            let large = self.written - before > self.retention.bytes;
            if !old && !large {
                break;
            }
            keep = Some(*next);
            self.sections.remove(&first);
        }
        if let Some(keep) = keep {
            let sealed = self.sealed.take();
            let sealed = sealed.ok_or(archive::Error::RecordCorrupted)?;
            self.sealed = Some(sealed.prune(keep).await?);
        }
        Ok(())
    }
}

impl Block {
    fn merge(&mut self, view: &ViewRecord) {
        let record = self.views.entry(view.view());
        let record = record.or_insert_with(|| ViewRecord::new(view.term(), view.view()));
        record.merge(view);
    }
}

fn read<T: alloy_rlp::Decodable>(what: &'static str, record: &Record) -> Result<T, archive::Error> {
    decode_exact(what, &record.0, RECORD_BYTES_MAX).map_err(|_| archive::Error::RecordCorrupted)
}
