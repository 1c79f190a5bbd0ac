//! A disk that lies: bits that change while a node is stopped.

use crate::town::{Town, include, reach};
use cortado_consensus::{
    events::Event,
    host::{Host, HostError},
    node::RECOVERY,
};
use cortado_types::Height;
use futures::{executor::block_on, future::select};
use std::{
    fs,
    path::{Path, PathBuf},
    pin::pin,
};

fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn folders(home: &Path) -> Vec<PathBuf> {
    list(home)
        .into_iter()
        .filter(|path| path.is_dir())
        .collect()
}

fn is_votes(folder: &Path) -> bool {
    folder.display().to_string().contains("-simplex-")
}

/// Makes every folder of `to` what it is in `from`, but for the votes: no backup may bring back an
/// older journal.
fn restore(from: &Path, to: &Path) {
    for folder in folders(from).into_iter().filter(|folder| !is_votes(folder)) {
        let copy = to.join(folder.file_name().unwrap());
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(&copy).unwrap();
        for file in list(&folder) {
            fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Starts a node that other nodes expect. What a damaged disk may lead to is a refusal, an end
/// that says why, or, where the damage is repaired or was not needed, a node that goes on and
/// serves what everybody serves.
fn live_or_say_why(
    town: &Town,
    i: usize,
    directory: &Path,
    witness: &Host,
) -> Result<Host, String> {
    let host = match block_on(Host::start(town.config(i, directory))) {
        Ok(host) => host,
        Err(error) => return Err(error.to_string()),
    };
    let target = witness.node().finalized().height().get() + 3;
    let mut watch = host.node().watch();
    let lives = block_on(async {
        let ended = pin!(host.ended());
        let reached = pin!(async {
            while watch.borrow_and_update().height().get() < target {
                if watch.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        matches!(
            select(ended, reached).await,
            futures::future::Either::Right(_)
        )
    });
    if lives {
        reach(witness, target);
        for height in (1..=target).map(Height::new) {
            let (ours, theirs) = (host.node().block(height), witness.node().block(height));
            let (ours, theirs) = (block_on(ours), block_on(theirs).unwrap());
            // What cannot be read is not served; nothing else is served in its place.
            assert!(ours.is_none_or(|ours| ours.hash() == theirs.hash()));
        }
    }
    // It may also have been the reading that ended it.
    if !lives || host.failure().is_some() {
        block_on(host.ended());
        let reason = host.failure().expect("an end that says why").to_owned();
        block_on(host.stop());
        return Err(reason);
    }
    Ok(host)
}

#[test]
fn no_bit_that_flips_while_a_seat_is_stopped_makes_it_lie() {
    let (town, directory) = (Town::new(90), tempfile::tempdir().unwrap());
    let mut hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    reach(&hosts[4], 6);
    include(&town, &hosts[4], 200_000);
    let mut faults: Vec<_> = hosts[1..4]
        .iter()
        .map(|host| host.node().events())
        .collect();
    block_on(hosts.remove(0).stop());
    let witness = &hosts[3];
    let home = directory.path().join("node-0");
    let (mut refused, mut lived) = (0, 0);
    for folder in folders(&home) {
        // The newest file is the one that a torn tail is looked for in.
        let filled = |path: &PathBuf| fs::metadata(path).unwrap().len() > 0;
        let Some(file) = list(&folder).into_iter().rfind(filled) else {
            continue;
        };
        let backup = tempfile::tempdir().unwrap();
        restore(&home, backup.path());
        let middle = fs::metadata(&file).unwrap().len() as usize / 2;
        flip(&file, middle);
        let flipped = fs::read(&file).unwrap()[middle];
        match live_or_say_why(&town, 0, directory.path(), witness) {
            Ok(host) => {
                lived += 1;
                block_on(host.stop());
                // What it did not notice must not be found by a later round.
                if fs::read(&file).is_ok_and(|bytes| bytes.get(middle) == Some(&flipped)) {
                    flip(&file, middle);
                }
            }
            Err(reason) => {
                refused += 1;
                assert!(reason.contains(RECOVERY), "{}: {reason}", file.display());
                println!("{}: {reason}", file.display());
                if is_votes(&folder) {
                    flip(&file, middle);
                }
                restore(backup.path(), &home);
            }
        }
    }
    // Mended, it goes on.
    let mended = live_or_say_why(&town, 0, directory.path(), witness).unwrap();
    println!("{refused} refused, {lived} lived");
    assert!(refused >= 1);
    for events in &mut faults {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, Event::SeatFault(_)), "{event:?}");
        }
    }
    for host in hosts.into_iter().chain([mended]) {
        block_on(host.stop());
    }
}

#[test]
fn a_seat_whose_vote_journal_was_damaged_while_it_was_stopped_does_not_start() {
    let (town, directory) = (Town::new(110), tempfile::tempdir().unwrap());
    let hosts: Vec<_> = (0..4).map(|i| town.start(i, directory.path())).collect();
    reach(&hosts[0], 4);
    for host in hosts {
        block_on(host.stop());
    }
    let home = directory.path().join("node-0");
    let journal = fs::read_dir(&home)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut journal: Vec<_> = journal
        .filter(|path| path.display().to_string().contains("-simplex-"))
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    journal.sort();
    // Its last file: what the engine takes for torn, and cuts off.
    let last = journal.pop().unwrap();
    let middle = fs::metadata(&last).unwrap().len() as usize / 2;
    flip(&last, middle);
    for _ in 0..2 {
        let refused = block_on(Host::start(town.config(0, directory.path())));
        let refused = refused
            .err()
            .expect("a seat that forgot a vote must not start");
        assert!(
            matches!(refused, HostError::VoteJournal { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(RECOVERY));
    }
    flip(&last, middle);
    block_on(town.start(0, directory.path()).stop());
}
