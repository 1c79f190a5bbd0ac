//! A directory that one process owns and whose format has a version.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Format this version writes.
pub const FORMAT_VERSION: u32 = 1;

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// The operating system said no.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{path} is in use by another process")]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Written by a newer version.
    #[error("{path} has format {found}, the newest this version knows is {FORMAT_VERSION}")]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// It belongs to something else.
    #[error("{path} holds {found:?}, expected {expected:?}")]
    WrongKind {
        /// The directory.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// What was looked for.
        expected: String,
    },
}

/// A locked directory; the lock goes with the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Creates or opens directory `path`, which holds a `kind` (one word, like `rollup-7001`), and
    /// locks it. Files that are not ours are left alone.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path, kind: &str) -> Result<Self, DataDirError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| DataDirError::Io { path, source }
        };
        fs::create_dir_all(path).map_err(io(path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse { path: path.into() }),
            Err(TryLockError::Error(source)) => {
                return Err(DataDirError::Io {
                    path: lock_path,
                    source,
                });
            }
        }
        let format_path = path.join("format");
        match fs::read_to_string(&format_path) {
            Ok(text) => check(path, kind, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut file = File::create(&format_path).map_err(io(&format_path))?;
                writeln!(file, "{kind} {FORMAT_VERSION}")
                    .and_then(|()| file.sync_all())
                    .map_err(io(&format_path))?;
            }
            Err(source) => {
                return Err(DataDirError::Io {
                    path: format_path,
                    source,
                });
            }
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

fn check(path: &Path, kind: &str, text: &str) -> Result<(), DataDirError> {
    let mut words = text.split_whitespace();
    let found = words.next().unwrap_or_default();
    // A crash between creating and writing the file leaves it empty.
    let version = words.next().map_or(Some(0), |word| word.parse().ok());
    if (!found.is_empty() && found != kind) || version.is_none() {
        let (found, expected) = (text.trim().to_owned(), kind.to_owned());
        return Err(DataDirError::WrongKind {
            path: path.into(),
            found,
            expected,
        });
    }
    match version {
        Some(found) if found > FORMAT_VERSION => Err(DataDirError::NewerFormat {
            path: path.into(),
            found,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_owners_of_one_directory_are_refused() {
        let dir = tempfile::tempdir().expect("temp dir");
        let first = DataDir::open(dir.path(), "rollup-1").expect("opens");
        let error = DataDir::open(dir.path(), "rollup-1").expect_err("locked");
        assert!(matches!(error, DataDirError::InUse { .. }), "{error}");
        drop(first);
        DataDir::open(dir.path(), "rollup-1").expect("free again");
    }

    #[test]
    fn a_newer_format_and_another_kind_are_refused_by_name() {
        let dir = tempfile::tempdir().expect("temp dir");
        drop(DataDir::open(dir.path(), "rollup-1").expect("opens"));
        let error = DataDir::open(dir.path(), "rollup-2")
            .expect_err("another")
            .to_string();
        assert!(
            error.contains("rollup-1") && error.contains("rollup-2"),
            "{error}"
        );
        fs::write(dir.path().join("format"), "rollup-1 7").expect("writes");
        let error = DataDir::open(dir.path(), "rollup-1")
            .expect_err("newer")
            .to_string();
        assert!(error.contains("format 7"), "{error}");
    }
}
