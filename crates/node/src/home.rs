//! A service's data directory: one owner, one format.

use fs4::{FileExt, TryLockError};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Version of the layout that this code writes. A directory with a newer one is refused.
pub const FORMAT: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";

/// Why a data directory is refused.
#[derive(Debug, Error)]
pub enum HomeError {
    /// The system says no.
    #[error("data directory {path}: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("data directory {path} is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Written by another kind of service, or not by us.
    #[error("data directory {path} holds {got:?}, expected {want:?}")]
    Kind {
        /// The directory.
        path: PathBuf,
        /// What its format file says.
        got: String,
        /// What it should say.
        want: String,
    },
    /// Written by a newer version.
    #[error(
        "data directory {path} has format {got}, this version reads up to {FORMAT}; use the newer version"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        got: u32,
    },
}

/// An open data directory. The lock goes with the process, however it ends.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Opens or creates `path` for a service of `kind` (`"attester"`, …).
    ///
    /// # Errors
    /// [`HomeError`] if it is in use, of another kind, or newer.
    pub fn open(path: &Path, kind: &str) -> Result<Self, HomeError> {
        let io = |source| HomeError::Io {
            path: path.into(),
            source,
        };
        fs::create_dir_all(path).map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(io)?;
        match FileExt::try_lock(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HomeError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let file = path.join(FORMAT_FILE);
        match fs::read_to_string(&file) {
            Ok(text) => check_format(path, kind, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_atomically(&file, format!("{kind} {FORMAT}\n").as_bytes(), 0o644)
                    .map_err(io)?;
            }
            Err(error) => return Err(io(error)),
        }
        Ok(Self {
            path: path.into(),
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn check_format(path: &Path, kind: &str, text: &str) -> Result<(), HomeError> {
    let mismatch = || HomeError::Kind {
        path: path.into(),
        got: text.trim().chars().take(80).collect(),
        want: format!("{kind} {FORMAT}"),
    };
    let (got_kind, version) = text.trim().split_once(' ').ok_or_else(mismatch)?;
    let got: u32 = version.parse().map_err(|_| mismatch())?;
    if got_kind != kind {
        return Err(mismatch());
    }
    if got > FORMAT {
        return Err(HomeError::Newer {
            path: path.into(),
            got,
        });
    }
    Ok(())
}

/// Writes a whole file or none of it: to a temporary one beside it, synced, then renamed.
///
/// # Errors
/// What the system says.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    // A leftover of a crash may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let dir = temporary();
        let first = Home::open(dir.path(), "attester").expect("fresh");
        let second = Home::open(dir.path(), "attester");
        assert!(matches!(second, Err(HomeError::InUse { .. })), "{second:?}");
        drop(first);
        Home::open(dir.path(), "attester").expect("released");
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let dir = temporary();
        fs::write(dir.path().join(FORMAT_FILE), "attester 99\n").expect("written");
        let error = Home::open(dir.path(), "attester").expect_err("newer");
        assert!(matches!(error, HomeError::Newer { got: 99, .. }), "{error}");
        assert!(error.to_string().contains("format 99"), "{error}");
    }

    #[test]
    fn the_directory_of_another_service_is_refused() {
        let dir = temporary();
        drop(Home::open(dir.path(), "proposer").expect("fresh"));
        let error = Home::open(dir.path(), "attester").expect_err("another kind");
        assert!(matches!(error, HomeError::Kind { .. }), "{error}");
    }

    #[test]
    fn a_damaged_format_file_is_refused_and_not_overwritten() {
        let dir = temporary();
        fs::write(dir.path().join(FORMAT_FILE), [0xff, 0xfe]).expect("written");
        assert!(Home::open(dir.path(), "attester").is_err());
        assert_eq!(
            fs::read(dir.path().join(FORMAT_FILE)).expect("kept"),
            [0xff, 0xfe]
        );
    }
}
