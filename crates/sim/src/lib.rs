//! Random stories of a chain whose L1 forks, each checked against a naive model.
//!
//! A story is a seed. From it come an L1 with forks of any depth, a finality chain that follows it
//! block by block ([`cortado_chain`]), lane blocks of two rollups with contexts, references, deposits
//! and promises, and two rollups that derive and execute along ([`cortado_derive::Timeline`]). When
//! it is over:
//!
//! 1. no transaction with a surviving reference is dropped,
//! 2. none with a dropped reference is executed,
//! 3. Σ deposits on the last fork = Σ credits + queued, none twice, in order,
//! 4. following step by step = deriving from the start on the last fork = the naive model,
//! 5. what survived a reorg stood where it had stood,
//! 6. a node that applies all blocks from genesis is in the same state,
//! 7. attesters accepted every block that a leader built,
//! 8. every promise whose lane block entered was kept, or L1 excuses it (R19).
//!
//! Signatures and certificates are left out: the blocks are replayed, as a node replays what it has
//! checked before.

mod case;
mod check;
mod l1;
mod lanes;
mod model;
mod report;
mod rollup;
mod setup;

#[cfg(test)]
mod tests;

pub use report::{Promises, Reorged, Report};
pub use rollup::Tamper;
pub use setup::Setup;

use case::Case;
use std::{
    num::NonZeroUsize,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use thiserror::Error;

/// A story in which something did not hold.
#[derive(Clone, Debug, Error)]
#[error("seed {seed}: {what}\n{story}")]
pub struct Violation {
    /// Tells the story again.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// L1 and the blocks, in words.
    pub story: String,
}

/// Which stories.
#[derive(Clone, Copy, Debug)]
pub struct Stories {
    /// Seed of the first; the others follow.
    pub seed: u64,
    /// How many.
    pub cases: u64,
    /// Deepest reorg, L1 blocks.
    pub depth: u64,
    /// Threads.
    pub threads: NonZeroUsize,
}

/// Tells one story and checks it.
///
/// # Errors
/// [`Violation`] if something did not hold.
pub fn story(
    setup: &Setup,
    seed: u64,
    depth: u64,
    tamper: Option<&Tamper>,
) -> Result<Report, Violation> {
    let tell = |told| {
        let mut case = Case::new(setup, seed, tamper, told);
        let result = case.run(depth).and_then(|()| case.check());
        (case, result)
    };
    let (case, result) = tell(false);
    result.map(|()| case.report).map_err(|what| Violation {
        seed,
        what,
        story: tell(true).0.story(),
    })
}

/// Tells many stories; `done` is called after each.
///
/// # Errors
/// The violation with the lowest seed of those found; no further stories are begun after one.
pub fn run(setup: &Setup, stories: Stories, done: impl Fn() + Sync) -> Result<Report, Violation> {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sum = Mutex::new((Report::default(), None::<Violation>));
    let work = || {
        let mut report = Report::default();
        let mut found = None;
        while !stop.load(Ordering::Relaxed) {
            let case = next.fetch_add(1, Ordering::Relaxed);
            if case >= stories.cases {
                break;
            }
            match story(setup, stories.seed.wrapping_add(case), stories.depth, None) {
                Ok(one) => report += &one,
                Err(violation) => {
                    found = Some(violation);
                    stop.store(true, Ordering::Relaxed);
                }
            }
            done();
        }
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.0 += &report;
        if let Some(violation) = found
            && sum
                .1
                .as_ref()
                .is_none_or(|first| violation.seed < first.seed)
        {
            sum.1 = Some(violation);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..stories.threads.get() {
            scope.spawn(work);
        }
    });
    let (report, violation) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    violation.map_or(Ok(report), Err)
}
