//! The fuzz checks over thousands of mutations of what a proposer really wrote and said, the same
//! ones each time.

#[path = "support/chain.rs"]
mod chain;
#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "../../types/fuzz/mutate.rs"]
mod mutate;

use chain::{Chain, ROLLUP, at, promised, tick, transfer, user};
use cortado_rollup::{gateway::FeedCursor, journal::Journal};
use cortado_types::Address;
use std::{cell::Cell, fs};
use tempfile::TempDir;

/// A proposer that promised and closed a lane block: its directory, and its events as JSON.
fn written() -> (TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut gateway = Chain::new().resumed(dir.path());
    for nonce in 0..3 {
        let transaction = transfer(&user(0), nonce, Address::repeat_byte(9), 1);
        promised(&mut gateway, &transaction, at(0, 100));
    }
    tick(&mut gateway, at(0, 150));
    let feed = gateway.feed(ROLLUP).expect("served");
    let events = feed.read(&mut FeedCursor::default(), 100);
    assert!(events.len() >= 5, "{} events", events.len());
    let events = events.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    let events = serde_json::to_vec(&events).expect("serialises");
    (dir, events)
}

#[test]
fn no_bytes_break_the_reading_of_the_journals_records() {
    let (dir, _) = written();
    let (_, recovered) = Journal::open(&dir.path().join("journal")).expect("opens");
    assert!(recovered.commits.len() > 3);
    mutate::run(&recovered.commits, 1_000, checks::commit);
}

thread_local! {
    static SCRATCH: Cell<Option<TempDir>> = const { Cell::new(None) };
}

fn segment(bytes: &[u8]) {
    let scratch = SCRATCH.take();
    let scratch = scratch.unwrap_or_else(|| tempfile::tempdir().expect("temp dir"));
    checks::segment(scratch.path(), bytes);
    SCRATCH.set(Some(scratch));
}

#[test]
fn no_bytes_break_the_reading_of_a_segment() {
    let (dir, _) = written();
    let log = dir.path().join("journal").join("0000000001.log");
    mutate::run(&[fs::read(log).expect("reads")], 1_000, segment);
}

#[test]
fn no_bytes_break_the_reading_of_a_proposers_events() {
    let (_, events) = written();
    mutate::run(&[events], 2_000, checks::events);
}

#[test]
fn no_bytes_break_the_reading_of_a_transaction() {
    let transaction = transfer(&user(0), 0, Address::repeat_byte(9), 1);
    mutate::run(&[transaction.raw.to_vec()], 20_000, checks::transaction);
}
