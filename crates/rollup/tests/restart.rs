//! Power is cut at every persist point; what was promised still holds, and nothing signed
//! afterwards contradicts anything signed before.

#[path = "support/chain.rs"]
mod chain;

use chain::{Chain, ROLLUP, Signed, at, follow, promised, tick, transfer, user};
use cortado_rollup::{
    gateway::Gateway,
    journal::{Tail, TailOf},
    source::Finalised,
};
use cortado_types::{Address, TimestampMs};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

const TO: Address = Address::repeat_byte(9);

/// How much of an unsynced commit survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nothing,
    Half,
    All,
}

/// Copies of the data directory as a power cut would leave it.
#[derive(Default)]
struct Copies(Vec<(PathBuf, Cut)>);

struct Cutting {
    file: File,
    path: PathBuf,
    cached: Vec<u8>,
    dir: PathBuf,
    copies: Arc<Mutex<Copies>>,
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("creates");
    for entry in fs::read_dir(from).expect("reads") {
        let entry = entry.expect("reads");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

impl Cutting {
    fn copy(&self, cut: Cut) {
        let mut copies = self.copies.lock().expect("no panic");
        let to = self.dir.with_extension(format!("copy-{}", copies.0.len()));
        copy_dir(&self.dir, &to);
        let kept = match cut {
            Cut::Nothing => 0,
            Cut::Half => self.cached.len() / 2,
            Cut::All => self.cached.len(),
        };
        let log = to
            .join("journal")
            .join(self.path.file_name().expect("a name"));
        let mut bytes = fs::read(&log).expect("reads");
        bytes.extend_from_slice(&self.cached[..kept]);
        fs::write(&log, bytes).expect("writes");
        copies.0.push((to, cut));
    }
}

impl Tail for Cutting {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cached.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        for cut in [Cut::Nothing, Cut::Half, Cut::All] {
            self.copy(cut);
        }
        self.file.append(&std::mem::take(&mut self.cached))
    }
}

fn cutting(dir: &Path, copies: &Arc<Mutex<Copies>>) -> TailOf {
    let (dir, copies) = (dir.to_path_buf(), copies.clone());
    Box::new(move |path, file| {
        Box::new(Cutting {
            file,
            path: path.to_path_buf(),
            cached: Vec::new(),
            dir: dir.clone(),
            copies: copies.clone(),
        })
    })
}

/// A life of a proposer: transactions, lane blocks, some final, a stall with a re-cut, a roll-over.
struct Life {
    gateway: Gateway,
    copies: Arc<Mutex<Copies>>,
    signed: Signed,
    finalised: Vec<Finalised>,
    /// How many copies there were, and what had been signed then: promises, lane headers.
    marks: Vec<(usize, usize, usize)>,
}

impl Life {
    fn mark(&mut self) {
        let mut now = Signed::default();
        now.read(&self.gateway);
        for promises in now.promises {
            if !self.signed.promises.contains(&promises) {
                self.signed.promises.push(promises);
            }
        }
        for lane in now.lanes {
            if !self.signed.lanes.contains(&lane) {
                self.signed.lanes.push(lane);
            }
        }
        let copies = self.copies.lock().expect("no panic").0.len();
        self.marks
            .push((copies, self.signed.promises.len(), self.signed.lanes.len()));
    }

    fn submit(&mut self, n: u64, nonce: u64, now: TimestampMs) {
        promised(&mut self.gateway, &transfer(&user(n), nonce, TO, 1), now);
        self.mark();
    }

    fn follow(&mut self, finalised: Finalised, now: TimestampMs) {
        follow(&mut self.gateway, &finalised, now);
        self.finalised.push(finalised);
        self.mark();
    }
}

fn live(chain: &mut Chain, dir: &Path) -> Life {
    let copies = Arc::<Mutex<Copies>>::default();
    let mut gateway = chain.gateway(dir, 1, Some(cutting(dir, &copies)));
    gateway.resume(at(0, 0)).expect("resumes");
    let (signed, finalised, marks) = (Signed::default(), Vec::new(), Vec::new());
    let mut life = Life {
        gateway,
        copies,
        signed,
        finalised,
        marks,
    };
    life.submit(0, 0, at(0, 100));
    life.submit(1, 0, at(0, 110));
    let lanes = tick(&mut life.gateway, at(0, 150));
    life.mark();
    life.submit(0, 1, at(0, 160));
    life.follow(chain.finalise(&lanes, at(0, 300)), at(0, 300));
    // The rest of slot 0 never enters.
    tick(&mut life.gateway, at(0, 350));
    life.submit(1, 1, at(0, 400));
    tick(&mut life.gateway, at(0, 1_900));
    life.mark();
    life.follow(chain.finalise(&[], at(1, 700)), at(1, 700));
    life.submit(0, 2, at(1, 710));
    life.gateway.roll().expect("rolls");
    life.submit(1, 2, at(1, 720));
    life
}

#[test]
fn a_proposer_killed_at_any_persist_point_breaks_no_promise() {
    let root = tempfile::tempdir().expect("temp dir");
    let dir = root.path().join("proposer");
    let mut chain = Chain::new();
    let life = live(&mut chain, &dir);
    let Life {
        copies,
        signed,
        finalised,
        marks,
        ..
    } = life;
    let copies = std::mem::take(&mut copies.lock().expect("no panic").0);
    assert!(copies.len() > 20, "{} copies", copies.len());
    for (index, (copy, cut)) in copies.iter().enumerate() {
        // What had been signed when power was cut: everything up to the commit before.
        let (promises, lanes) = marks
            .iter()
            .rev()
            .find(|(copies, ..)| *copies <= index)
            .map_or((0, 0), |(_, promises, lanes)| (*promises, *lanes));
        let mut all = Signed {
            promises: signed.promises[..promises].to_vec(),
            lanes: signed.lanes[..lanes].to_vec(),
            ..Signed::default()
        };
        let mut gateway = chain.gateway(copy, 2, None);
        let now = at(1, 800);
        for block in &finalised {
            follow(&mut gateway, block, now);
        }
        gateway.resume(now).expect("resumes");
        gateway.commit().expect("commits");
        all.read(&gateway);
        // Every transaction that was ever promised is final or promised (perhaps anew).
        for known in &signed.promises[..promises] {
            let hash = known.inclusion.promise.transaction;
            let engine = gateway.engine(ROLLUP).expect("served");
            let is_final = engine.store().transaction(&hash).expect("reads").is_some();
            let is_promised = gateway.book().live(&hash).is_some();
            assert!(
                is_final || is_promised,
                "copy {index} ({cut:?}) lost {hash}"
            );
            // A lane block can be final only after the commit that let it be signed.
            let at = known.inclusion.promise.position;
            let closed = signed.lanes[..lanes]
                .iter()
                .any(|lane| lane.header.slot == at.slot && lane.header.seq == at.seq);
            let kept = gateway.book().get(&hash).expect("reads");
            assert!(
                kept.is_some() || !closed,
                "copy {index} ({cut:?}) forgot the promise of {hash}, final: {is_final}"
            );
        }
        // Life goes on, and what is signed then contradicts nothing.
        for n in 2..5 {
            promised(&mut gateway, &transfer(&user(n), 0, TO, 1), at(1, 900));
        }
        tick(&mut gateway, at(1, 1_990));
        tick(&mut gateway, at(3, 10));
        all.read(&gateway);
        drop(gateway);
        fs::remove_dir_all(copy).expect("removes");
    }
}

#[test]
fn promises_and_headers_are_the_same_bytes_after_a_restart() {
    let dir = tempfile::tempdir().expect("temp dir");
    let chain = Chain::new();
    let mut before = Signed::default();
    {
        let mut gateway = chain.resumed(dir.path());
        promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
        tick(&mut gateway, at(0, 150));
        promised(&mut gateway, &transfer(&user(0), 1, TO, 1), at(0, 200));
        before.read(&gateway);
    }
    let mut gateway = chain.gateway(dir.path(), 2, None);
    gateway.resume(at(0, 210)).expect("resumes");
    gateway.commit().expect("commits");
    let mut after = Signed::default();
    after.read(&gateway);
    assert_eq!(after.promises, before.promises);
    assert_eq!(after.lanes, before.lanes);
    // The open lane block goes on where it was.
    let next = promised(&mut gateway, &transfer(&user(0), 2, TO, 1), at(0, 220));
    let last = before
        .promises
        .last()
        .expect("two")
        .inclusion
        .promise
        .position;
    assert_eq!(next.inclusion.promise.position.seq, last.seq);
    assert_eq!(next.inclusion.promise.position.index, last.index + 1);
}

#[test]
fn a_proposer_that_was_away_cuts_anew_what_is_dead() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let transaction = transfer(&user(0), 0, TO, 1);
    let mut signed = Signed::default();
    {
        let mut gateway = chain.resumed(dir.path());
        promised(&mut gateway, &transaction, at(0, 100));
        signed.read(&gateway);
    }
    let blocks = [chain.finalise(&[], at(3, 0)), chain.finalise(&[], at(9, 0))];
    let mut gateway = chain.gateway(dir.path(), 2, None);
    for block in &blocks {
        follow(&mut gateway, block, at(9, 100));
    }
    gateway.resume(at(9, 100)).expect("resumes");
    gateway.commit().expect("commits");
    let block = chain.finalise(&[], at(9, 200));
    follow(&mut gateway, &block, at(9, 200));
    signed.read(&gateway);
    let again = gateway
        .book()
        .live(&transaction.hash())
        .expect("promised anew");
    assert_eq!(again.inclusion.promise.position.slot.get(), 9);
}

#[test]
fn a_proposer_that_lost_its_journal_is_silent_for_the_slots_it_may_have_signed_for() {
    let root = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut signed = Signed::default();
    let mut blocks = Vec::new();
    {
        let mut gateway = chain.gateway(&root.path().join("lost"), 1, None);
        gateway.resume(at(0, 0)).expect("resumes");
        promised(&mut gateway, &transfer(&user(0), 0, TO, 1), at(0, 100));
        let lanes = tick(&mut gateway, at(0, 150));
        blocks.push(chain.finalise(&lanes, at(0, 200)));
        follow(&mut gateway, &blocks[0], at(0, 200));
        promised(&mut gateway, &transfer(&user(0), 1, TO, 1), at(0, 300));
        promised(&mut gateway, &transfer(&user(0), 2, TO, 1), at(0, 1_800));
        signed.read(&gateway);
    }
    let mut gateway = chain.gateway(&root.path().join("new"), 2, None);
    follow(&mut gateway, &blocks[0], at(0, 400));
    gateway.resume(at(0, 400)).expect("resumes");
    // Another transaction at a place that the lost journal had promised would be slashable.
    promised(&mut gateway, &transfer(&user(5), 0, TO, 1), at(0, 500));
    signed.read(&gateway);
}

#[test]
fn kept_promises_are_found_after_finality_and_a_restart() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let transaction = transfer(&user(0), 0, TO, 1);
    let promises = {
        let mut gateway = chain.resumed(dir.path());
        let promises = promised(&mut gateway, &transaction, at(0, 100));
        let lanes = tick(&mut gateway, at(0, 150));
        follow(
            &mut gateway,
            &chain.finalise(&lanes, at(0, 200)),
            at(0, 200),
        );
        assert!(gateway.book().live(&transaction.hash()).is_none());
        gateway.roll().expect("rolls");
        promises
    };
    let gateway = chain.gateway(dir.path(), 2, None);
    assert_eq!(
        gateway.book().get(&transaction.hash()).expect("reads"),
        Some(promises)
    );
}
