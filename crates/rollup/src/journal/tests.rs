use super::*;
use std::sync::{Arc, Mutex};

/// A tail that keeps unsynced bytes back, as a disk cache that loses power does.
struct PowerCut {
    file: File,
    cached: Arc<Mutex<Vec<u8>>>,
}

impl Tail for PowerCut {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cached
            .lock()
            .expect("no panic")
            .extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut *self.cached.lock().expect("no panic"));
        self.file.write_all(&bytes)
    }
}

fn log_of(dir: &Path) -> PathBuf {
    path(
        dir,
        *segments(dir).expect("reads").last().expect("a segment"),
    )
}

#[test]
fn what_was_committed_is_there_after_power_was_cut() {
    let dir = tempfile::tempdir().expect("temp dir");
    let tail_of: TailOf = Box::new(|_, file| {
        Box::new(PowerCut {
            file,
            cached: Arc::default(),
        })
    });
    let (mut journal, found) = Journal::open_with(dir.path(), tail_of).expect("opens");
    assert_eq!(found, Recovered::default());
    journal.commit(b"one").expect("commits");
    journal.commit(b"two").expect("commits");
    drop(journal);
    let (_, found) = Journal::open(dir.path()).expect("opens again");
    assert_eq!(found.commits, [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn a_torn_tail_is_cut_at_every_byte_and_reported() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _) = Journal::open(dir.path()).expect("opens");
    journal.commit(b"kept").expect("commits");
    let kept = fs::metadata(log_of(dir.path())).expect("there").len();
    journal.commit(b"torn away").expect("commits");
    drop(journal);
    let whole = fs::read(log_of(dir.path())).expect("reads");
    for length in kept as usize..whole.len() {
        fs::write(log_of(dir.path()), &whole[..length]).expect("writes");
        let (mut journal, found) = Journal::open(dir.path()).expect("opens");
        assert_eq!(found.commits, [b"kept".to_vec()], "cut to {length}");
        assert_eq!(found.cut_bytes, length as u64 - kept);
        journal.commit(b"next").expect("goes on");
        let (_, found) = Journal::open(dir.path()).expect("opens");
        assert_eq!(found.commits, [b"kept".to_vec(), b"next".to_vec()]);
    }
}

#[test]
fn damage_before_good_records_refuses_to_open() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _) = Journal::open(dir.path()).expect("opens");
    for payload in [b"first".as_slice(), b"second", b"third"] {
        journal.commit(payload).expect("commits");
    }
    drop(journal);
    let whole = fs::read(log_of(dir.path())).expect("reads");
    let last = whole.len() - FRAME_HEADER_BYTES - b"third".len();
    for offset in SEGMENT_HEADER_BYTES..last {
        let mut damaged = whole.clone();
        damaged[offset] ^= 0x10;
        fs::write(log_of(dir.path()), &damaged).expect("writes");
        let error = Journal::open(dir.path()).expect_err("must refuse");
        assert!(
            matches!(error, JournalError::Corrupt { .. }),
            "byte {offset}: {error}"
        );
    }
}

#[test]
fn rolling_over_keeps_the_checkpoint_and_drops_the_rest() {
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _) = Journal::open(dir.path()).expect("opens");
    journal.commit(b"old").expect("commits");
    journal.roll(b"checkpoint").expect("rolls");
    journal.commit(b"new").expect("commits");
    let (_, found) = Journal::open(dir.path()).expect("opens again");
    assert_eq!(found.commits, [b"checkpoint".to_vec(), b"new".to_vec()]);
    assert_eq!(segments(dir.path()).expect("reads"), [2]);
}

#[test]
fn after_a_failed_sync_nothing_is_taken() {
    struct Broken;
    impl Tail for Broken {
        fn append(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn sync(&mut self) -> io::Result<()> {
            Err(io::Error::other("disk is gone"))
        }
    }
    let dir = tempfile::tempdir().expect("temp dir");
    let (mut journal, _) =
        Journal::open_with(dir.path(), Box::new(|_, _| Box::new(Broken))).expect("opens");
    assert!(matches!(journal.commit(b"x"), Err(JournalError::Io { .. })));
    assert!(matches!(journal.commit(b"x"), Err(JournalError::Failed)));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("temp dir");
    drop(Journal::open(dir.path()).expect("opens"));
    let mut bytes = fs::read(log_of(dir.path())).expect("reads");
    bytes[8] = 9;
    fs::write(log_of(dir.path()), bytes).expect("writes");
    let error = Journal::open(dir.path())
        .expect_err("must refuse")
        .to_string();
    assert!(error.contains("format 9"), "{error}");
}
