//! Notice what happened to the vote journal while the node was stopped.
//!
//! A power cut leaves a torn tail, so the engine cuts off what it cannot read at the end of its
//! journal. After a clean stop nothing is torn: what cannot be read then are votes that were sent,
//! and a seat that forgets them may contradict them. So a clean stop seals the journal, and the
//! next start refuses one that does not fit its seal (R2: such a seat stays silent until the next
//! term).

use super::HostError;
use cortado_types::{B256, keccak256};
use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Where the seal stands in the data directory.
const FILE: &str = "vote-journal.seal";

/// Compares the vote journal with the seal of the last clean stop, if there is one, and breaks the
/// seal: from here on the journal changes.
pub(super) fn break_seal(directory: &Path, journal: &str) -> Result<(), HostError> {
    let path = directory.join(FILE);
    let failed = |source| HostError::Seal {
        path: path.clone(),
        source,
    };
    let sealed = match fs::read(&path) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if sealed != digest(directory, journal).map_err(failed)?.as_slice() {
        return Err(HostError::VoteJournal {
            directory: directory.into(),
        });
    }
    fs::remove_file(&path)
        .and_then(|()| sync(directory))
        .map_err(failed)
}

/// Seals the vote journal. Nothing may write to it any more.
pub(super) fn seal(directory: &Path, journal: &str) -> io::Result<()> {
    let sealed = digest(directory, journal)?;
    // Whole or not at all: half a seal would refuse a good journal.
    let unfinished = directory.join(format!("{FILE}.unfinished"));
    let mut file = File::create(&unfinished)?;
    file.write_all(sealed.as_slice())?;
    file.sync_all()?;
    fs::rename(&unfinished, directory.join(FILE))?;
    sync(directory)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A hash over names, lengths and contents of all files of the journal: those in folders whose
/// names start with `journal`. Where the data directory stands is no part of it: it may be moved.
fn digest(directory: &Path, journal: &str) -> io::Result<B256> {
    let mut all = Vec::new();
    for folder in sorted(directory)? {
        let name = folder.file_name().unwrap_or_default().as_encoded_bytes();
        if !name.starts_with(journal.as_bytes()) {
            continue;
        }
        all.extend_from_slice(keccak256(name).as_slice());
        for file in sorted(&folder)? {
            let name = file.file_name().unwrap_or_default().as_encoded_bytes();
            all.extend_from_slice(keccak256(name).as_slice());
            all.extend_from_slice(keccak256(fs::read(&file)?).as_slice());
        }
    }
    Ok(keccak256(all))
}

fn sorted(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = "node-simplex-";

    fn stopped() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("node-simplex-0");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("0a"), [1; 100]).unwrap();
        fs::write(folder.join("0b"), [2; 100]).unwrap();
        seal(directory.path(), JOURNAL).unwrap();
        (directory, folder)
    }

    #[test]
    fn a_journal_as_it_was_is_taken_and_may_then_change() {
        let (directory, folder) = stopped();
        break_seal(directory.path(), JOURNAL).unwrap();
        fs::write(folder.join("0c"), [3; 100]).unwrap();
        // A kill leaves no seal.
        break_seal(directory.path(), JOURNAL).unwrap();
    }

    #[test]
    fn a_byte_that_changed_a_file_that_went_and_one_that_came_are_noticed_again_and_again() {
        let harms: [fn(&Path); 3] = [
            |folder| {
                let mut bytes = fs::read(folder.join("0b")).unwrap();
                bytes[99] ^= 1;
                fs::write(folder.join("0b"), bytes).unwrap();
            },
            |folder| fs::remove_file(folder.join("0b")).unwrap(),
            |folder| fs::write(folder.join("0c"), []).unwrap(),
        ];
        for harm in harms {
            let (directory, folder) = stopped();
            harm(&folder);
            for _ in 0..2 {
                let refused = break_seal(directory.path(), JOURNAL).unwrap_err();
                assert!(
                    refused.to_string().contains(crate::node::RECOVERY),
                    "{refused}"
                );
            }
        }
    }

    #[test]
    fn a_directory_that_was_moved_is_taken() {
        let (directory, folder) = stopped();
        let moved = tempfile::tempdir().unwrap();
        fs::rename(folder, moved.path().join("node-simplex-0")).unwrap();
        fs::rename(directory.path().join(FILE), moved.path().join(FILE)).unwrap();
        break_seal(moved.path(), JOURNAL).unwrap();
    }

    #[test]
    fn other_files_are_none_of_its_business() {
        let (directory, _) = stopped();
        fs::write(directory.path().join("note"), "hello").unwrap();
        break_seal(directory.path(), JOURNAL).unwrap();
    }
}
