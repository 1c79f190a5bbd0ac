//! An append-only log with group commit: what the proposer must not forget.
//!
//! ```text
//!  segment ::= magic version frame*          file NNNNNNNNNN.log, the highest number counts
//!  frame   ::= marker len seq crc payload    one frame a commit, so one checksum over all of it
//! ```
//!
//! One commit is one frame: a torn frame was never acknowledged and is cut with a report. A frame is
//! written only after the one before it was synced, so a good frame *behind* a bad one means that
//! synced bytes were damaged; the log then refuses to open and says what to do. A segment begins
//! with a checkpoint of everything that still counts, so older segments can go.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"CORTADOJ";
/// Format this version writes; a newer one is refused by name.
pub const FORMAT_VERSION: u32 = 2;
/// First bytes of a frame; a scan for frames behind a damaged one looks for it.
const MARKER: &[u8; 4] = b"\xc0\x47\xad\x0f";
/// Magic and version.
const SEGMENT_HEADER_BYTES: usize = 12;
/// Marker, length, sequence number, checksum.
const FRAME_HEADER_BYTES: usize = 4 + 4 + 8 + 4;
/// Longest payload of a frame, bytes: a full lane body with room for every promise in it, and a
/// checkpoint of all that may wait for inclusion.
pub const FRAME_BYTES_MAX: usize = 1 << 30;
/// A segment longer than this is rolled over at the next chance, bytes.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Why a journal cannot be opened or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Not a journal.
    #[error("{path} is not a journal of this program")]
    Magic {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{path} has format {found}, the newest this version knows is {FORMAT_VERSION}")]
    NewerFormat {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Synced bytes are damaged.
    #[error(
        "{path} is damaged at byte {offset} with good records behind it. Promises may be lost: do \
         not delete it; restore it from a copy, or let the proposer stay silent until the slots it \
         may have signed for are over and start it on an empty directory, it then reads the chain \
         from its peers"
    )]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where the damage begins, bytes.
        offset: u64,
    },
    /// More than one commit may hold.
    #[error("a commit of {bytes} bytes, the limit is {FRAME_BYTES_MAX}")]
    TooLong {
        /// Its length, bytes.
        bytes: usize,
    },
    /// An earlier commit failed; what is on the disk is unknown until the journal is opened again.
    #[error("the journal failed before and takes nothing until it is opened again")]
    Failed,
}

/// The growing end of a segment. There are two: a file, and one that loses power in tests.
pub trait Tail: Send {
    /// Adds bytes; they may be lost until [`Tail::sync`] returns.
    ///
    /// # Errors
    /// As the file system.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes every byte added so far durable.
    ///
    /// # Errors
    /// As the file system.
    fn sync(&mut self) -> io::Result<()>;
}

impl Tail for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes the tail of a segment from its file, opened for appending.
pub type TailOf = Box<dyn Fn(&Path, File) -> Box<dyn Tail> + Send>;

/// What was found on opening.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Payloads of all commits, oldest first; the first is the segment's checkpoint.
    pub commits: Vec<Vec<u8>>,
    /// Bytes of a torn tail that were cut.
    pub cut_bytes: u64,
}

/// The log. One commit at a time, in order.
pub struct Journal {
    dir: PathBuf,
    segment: u64,
    tail: Box<dyn Tail>,
    tail_of: TailOf,
    next: u64,
    bytes: u64,
    failed: bool,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Journal({}, segment {})",
            self.dir.display(),
            self.segment
        )
    }
}

impl Journal {
    /// Opens the log in directory `dir`, creating both if need be.
    ///
    /// # Errors
    /// [`JournalError`]; a torn tail is not one.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), JournalError> {
        Self::open_with(dir, Box::new(|_, file| Box::new(file)))
    }

    /// As [`Journal::open`], writing through tails of the caller's making.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_with(dir: &Path, tail_of: TailOf) -> Result<(Self, Recovered), JournalError> {
        fs::create_dir_all(dir).map_err(at(dir))?;
        let mut segments = segments(dir)?;
        let Some(segment) = segments.pop() else {
            let tail = create(dir, 1, &[], &tail_of)?;
            let bytes = SEGMENT_HEADER_BYTES as u64;
            let journal = Self {
                dir: dir.into(),
                segment: 1,
                tail,
                tail_of,
                next: 0,
                bytes,
                failed: false,
            };
            return Ok((journal, Recovered::default()));
        };
        // A rolled-over segment appears by rename, whole and synced, so the ones before it are done.
        for old in segments {
            fs::remove_file(path(dir, old)).map_err(at(&path(dir, old)))?;
        }
        let path = path(dir, segment);
        let (recovered, next, end) = read(&path)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        if recovered.cut_bytes > 0 {
            file.set_len(end)
                .and_then(|()| file.sync_all())
                .map_err(at(&path))?;
        }
        let tail = tail_of(&path, file);
        let journal = Self {
            dir: dir.into(),
            segment,
            tail,
            tail_of,
            next,
            bytes: end,
            failed: false,
        };
        Ok((journal, recovered))
    }

    /// Writes one payload and returns when it is durable. After an error nothing is known of the
    /// disk, and the journal takes nothing more: a failed sync cannot be repeated.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn commit(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Failed);
        }
        let frame = frame(self.next, payload)?;
        self.failed = true;
        let path = path(&self.dir, self.segment);
        self.tail.append(&frame).map_err(at(&path))?;
        self.tail.sync().map_err(at(&path))?;
        self.failed = false;
        self.next += 1;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Whether the segment is long enough to be rolled over.
    pub fn is_full(&self) -> bool {
        self.bytes > SEGMENT_BYTES_MAX
    }

    /// Starts a new segment with `checkpoint` as its first commit and drops the old one: the
    /// checkpoint must hold all that still counts.
    ///
    /// # Errors
    /// [`JournalError`]; the old segment then still stands.
    pub fn roll(&mut self, checkpoint: &[u8]) -> Result<(), JournalError> {
        if self.failed {
            return Err(JournalError::Failed);
        }
        let frame = frame(self.next, checkpoint)?;
        let old = path(&self.dir, self.segment);
        self.tail = create(&self.dir, self.segment + 1, &frame, &self.tail_of)?;
        self.segment += 1;
        self.next += 1;
        self.bytes = (SEGMENT_HEADER_BYTES + frame.len()) as u64;
        fs::remove_file(&old).map_err(at(&old))
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_path_buf();
    move |source| JournalError::Io { path, source }
}

fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:010}.log"))
}

/// Numbers of the segments in `dir`, ascending; other files are left alone.
fn segments(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log")?.parse().ok());
        found.extend(number.filter(|number| path(dir, *number).file_name() == Some(&name)));
    }
    found.sort_unstable();
    Ok(found)
}

/// Writes a segment under another name, syncs it, then renames it into place.
fn create(
    dir: &Path,
    segment: u64,
    first: &[u8],
    tail_of: &TailOf,
) -> Result<Box<dyn Tail>, JournalError> {
    let (path, new) = (path(dir, segment), dir.join("next.tmp"));
    let mut file = File::create(&new).map_err(at(&new))?;
    let write = |file: &mut File| {
        file.write_all(MAGIC)?;
        file.write_all(&FORMAT_VERSION.to_le_bytes())?;
        file.write_all(first)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write(&mut file).map_err(at(&new))?;
    let file = OpenOptions::new()
        .append(true)
        .open(&path)
        .map_err(at(&path))?;
    Ok(tail_of(&path, file))
}

fn frame(seq: u64, payload: &[u8]) -> Result<Vec<u8>, JournalError> {
    if payload.len() > FRAME_BYTES_MAX {
        return Err(JournalError::TooLong {
            bytes: payload.len(),
        });
    }
    let mut out = Vec::with_capacity(FRAME_HEADER_BYTES + payload.len());
    out.extend_from_slice(MARKER);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(&checksum(payload.len() as u32, seq, payload).to_le_bytes());
    out.extend_from_slice(payload);
    Ok(out)
}

fn checksum(len: u32, seq: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.update(&seq.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The frame at the start of `bytes`: its sequence number and payload.
fn parse(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
    let len = u32::from_le_bytes(head[4..8].try_into().ok()?);
    let seq = u64::from_le_bytes(head[8..16].try_into().ok()?);
    let crc = u32::from_le_bytes(head[16..20].try_into().ok()?);
    let payload = rest.get(..len as usize)?;
    (&head[..4] == MARKER && crc == checksum(len, seq, payload)).then_some((seq, payload))
}

/// All commits of a segment, the next sequence number and where the good part ends.
fn read(path: &Path) -> Result<(Recovered, u64, u64), JournalError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(at(path))?;
    let header = bytes
        .get(..SEGMENT_HEADER_BYTES)
        .filter(|header| header.starts_with(MAGIC));
    let Some(header) = header else {
        return Err(JournalError::Magic { path: path.into() });
    };
    let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if found > FORMAT_VERSION {
        return Err(JournalError::NewerFormat {
            path: path.into(),
            found,
        });
    }
    let (mut offset, mut next) = (SEGMENT_HEADER_BYTES, None);
    let mut recovered = Recovered::default();
    while let Some((seq, payload)) = parse(&bytes[offset..]) {
        if next.is_some_and(|next| next != seq) {
            return Err(JournalError::Corrupt {
                path: path.into(),
                offset: offset as u64,
            });
        }
        next = seq.checked_add(1);
        recovered.commits.push(payload.to_vec());
        offset += FRAME_HEADER_BYTES + payload.len();
    }
    let rest = &bytes[offset..];
    let behind = (1..rest.len()).filter(|i| rest[*i..].starts_with(MARKER));
    // A frame behind the bad one with a later number: the bad one had been synced.
    if behind
        .into_iter()
        .any(|i| parse(&rest[i..]).is_some_and(|(seq, _)| Some(seq) > next))
    {
        return Err(JournalError::Corrupt {
            path: path.into(),
            offset: offset as u64,
        });
    }
    recovered.cut_bytes = rest.len() as u64;
    Ok((recovered, next.unwrap_or(0), offset as u64))
}

#[cfg(test)]
mod tests;
