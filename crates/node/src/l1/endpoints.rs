//! Which endpoint of L1 to use: decided from what they answered, without asking anybody.
//!
//! ```text
//!            answers                    a lie, an error, another chain
//!  untried ──────────▶ ready ─────────────────────────────▶ left ──(backoff)──┐
//!                      │   ▲ ◀─────────────── answers ────────────────────────┘
//!    head far behind   ▼   │ caught up
//!                     lagging
//! ```
//!
//! In use is the first that is ready. What is read through it is addressed by hash and verified, so
//! nothing is lost by a change in the middle.

use super::error::L1Error;
use cortado_types::{B256, L1Ref};
use std::collections::BTreeMap;

/// Pause between two questions to the endpoint in use, ms: a small part of the shortest L1 slot
/// anyone runs, and nothing to a node.
pub(super) const POLL_MS: u64 = 250;
/// Pause between two questions to one that is not in use, ms: enough to see in time that the other
/// one lags.
pub(super) const STANDBY_MS: u64 = 1_000;
/// First pause after a failure, ms; doubled each time.
pub(super) const BACKOFF_MS_MIN: u64 = 250;
/// Longest pause after failures, ms. One that did well for as long has its failures forgotten.
pub(super) const BACKOFF_MS_MAX: u64 = 10_000;
/// L1 slots by which a head may be behind another endpoint's: blocks reach nodes within a slot, and
/// a node that executes slowly is a slot or two late.
pub(super) const LAG_SLOTS_MAX: u64 = 3;
/// Lag in L1 slots at which an endpoint that lagged has caught up: less than the limit, so that one
/// at the limit is not taken and left with every block.
const CAUGHT_UP_SLOTS: u64 = 1;
/// Finalised blocks that are remembered of an endpoint: a few hours of epochs.
const FINALS_MAX: usize = 64;

/// What an endpoint says of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Its newest block.
    pub head: L1Ref,
    /// That block's time, seconds.
    pub timestamp: u64,
    /// The block it calls final, if it names one. Asked for before the head.
    pub finalized: Option<L1Ref>,
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not asked yet.
    Untried,
    /// It answers well.
    Ready,
    /// It answers well, and what it says is old.
    Lagging,
    /// Not asked before `until_ms`.
    Left { until_ms: u64 },
}

#[derive(Clone, Debug)]
struct Endpoint {
    standing: Standing,
    report: Option<Report>,
    /// When it was asked last.
    asked_ms: u64,
    /// When it was last taken back.
    ready_since_ms: u64,
    /// Pause after its next failure.
    backoff_ms: u64,
    finals: BTreeMap<u64, B256>,
}

/// A head that is too far behind another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lag {
    /// Who lags.
    pub endpoint: usize,
    /// Behind whom.
    pub behind: usize,
    /// By how many L1 slots.
    pub slots: u64,
}

/// The endpoints of one node.
///
/// - Only what answered well since it was left is ready or lagging, and it has a report then.
/// - The ready or lagging one with the newest head is ready.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    all: Vec<Endpoint>,
    slot_ms: u64,
}

impl Endpoints {
    /// As many as `count`, in order of preference; L1 slots of `slot_ms`.
    pub(super) fn new(count: usize, slot_ms: u64) -> Self {
        let untried = Endpoint {
            standing: Standing::Untried,
            report: None,
            asked_ms: 0,
            ready_since_ms: 0,
            backoff_ms: BACKOFF_MS_MIN,
            finals: BTreeMap::new(),
        };
        Self {
            all: vec![untried; count],
            slot_ms: slot_ms.max(1),
        }
    }

    /// An endpoint answered.
    ///
    /// # Errors
    /// If it contradicts itself; it is left then.
    pub(super) fn saw(&mut self, at: usize, report: Report, now_ms: u64) -> Result<(), L1Error> {
        if let Err(lie) = self.all[at].check(&report) {
            self.leave(at, now_ms);
            return Err(lie);
        }
        let endpoint = &mut self.all[at];
        if let Some(fin) = report.finalized {
            endpoint.finals.insert(fin.number, fin.hash);
            if endpoint.finals.len() > FINALS_MAX {
                endpoint.finals.pop_first();
            }
        }
        endpoint.report = Some(report);
        endpoint.asked_ms = now_ms;
        match endpoint.standing {
            Standing::Untried | Standing::Left { .. } => {
                endpoint.standing = Standing::Ready;
                endpoint.ready_since_ms = now_ms;
            }
            Standing::Ready | Standing::Lagging => {
                if now_ms.saturating_sub(endpoint.ready_since_ms) > BACKOFF_MS_MAX {
                    endpoint.backoff_ms = BACKOFF_MS_MIN;
                }
            }
        }
        self.compare();
        Ok(())
    }

    /// Everything that was wanted of an endpoint was had: its failures are forgotten.
    pub(super) fn served(&mut self, at: usize) {
        self.all[at].backoff_ms = BACKOFF_MS_MIN;
    }

    /// An endpoint fails or lies: it is not asked again for a while, each time for longer.
    pub(super) fn leave(&mut self, at: usize, now_ms: u64) {
        let endpoint = &mut self.all[at];
        endpoint.standing = Standing::Left {
            until_ms: now_ms.saturating_add(endpoint.backoff_ms),
        };
        endpoint.backoff_ms = (endpoint.backoff_ms * 2).min(BACKOFF_MS_MAX);
        self.compare();
    }

    /// The endpoint to use, if one is of use.
    pub(super) fn choose(&self) -> Option<usize> {
        let is_ready = |endpoint: &Endpoint| endpoint.standing == Standing::Ready;
        self.all.iter().position(is_ready)
    }

    /// How long to wait before an endpoint is asked again, ms.
    pub(super) fn pause_ms(&self, at: usize, now_ms: u64) -> u64 {
        let endpoint = &self.all[at];
        let due = match endpoint.standing {
            Standing::Untried => return 0,
            Standing::Left { until_ms } => until_ms,
            Standing::Ready if self.choose() == Some(at) => endpoint.asked_ms + POLL_MS,
            Standing::Ready | Standing::Lagging => endpoint.asked_ms + STANDBY_MS,
        };
        due.saturating_sub(now_ms)
    }

    /// Where an endpoint stands.
    pub(super) fn standing(&self, at: usize) -> Standing {
        self.all[at].standing
    }

    /// What it said last.
    pub(super) fn report(&self, at: usize) -> Option<&Report> {
        self.all[at].report.as_ref()
    }

    /// Those that answer, but for `than`: whose word on a block has to be heard.
    pub(super) fn others(&self, than: usize) -> Vec<usize> {
        let answers = |at: &usize| *at != than && self.all[*at].answers();
        (0..self.all.len()).filter(answers).collect()
    }

    /// Another endpoint that answers and called another block of this number final.
    pub(super) fn other_final(&self, than: usize, block: L1Ref) -> Option<(usize, B256)> {
        self.others(than).into_iter().find_map(|at| {
            let hash = self.all[at].finals.get(&block.number)?;
            (*hash != block.hash).then_some((at, *hash))
        })
    }

    /// Who lags, and by how much.
    pub(super) fn lags(&self) -> Vec<Lag> {
        let Some(behind) = self.newest() else {
            return Vec::new();
        };
        let lagging = |at: &usize| self.all[*at].standing == Standing::Lagging;
        let lags = (0..self.all.len()).filter(lagging);
        lags.map(|endpoint| Lag {
            endpoint,
            behind,
            slots: self.slots_behind(endpoint, behind),
        })
        .collect()
    }

    /// The one that answers with the newest head.
    fn newest(&self) -> Option<usize> {
        let time = |at: &usize| self.all[*at].report.map_or(0, |report| report.timestamp);
        let answering = (0..self.all.len()).filter(|at| self.all[*at].answers());
        answering.max_by_key(time)
    }

    /// By how many whole L1 slots the head of one is older than another's.
    fn slots_behind(&self, at: usize, behind: usize) -> u64 {
        let time = |at: usize| self.all[at].report.map_or(0, |report| report.timestamp);
        let seconds = time(behind).saturating_sub(time(at));
        seconds.saturating_mul(1_000) / self.slot_ms
    }

    /// Says anew who lags.
    fn compare(&mut self) {
        let Some(newest) = self.newest() else {
            return;
        };
        for at in 0..self.all.len() {
            let behind = self.slots_behind(at, newest);
            let standing = &mut self.all[at].standing;
            *standing = match *standing {
                Standing::Ready if behind > LAG_SLOTS_MAX => Standing::Lagging,
                Standing::Lagging if behind <= CAUGHT_UP_SLOTS => Standing::Ready,
                same => same,
            };
        }
    }
}

impl Endpoint {
    fn answers(&self) -> bool {
        matches!(self.standing, Standing::Ready | Standing::Lagging)
    }

    /// Whether a report agrees with itself and with the ones before it: what is final stays so.
    fn check(&self, report: &Report) -> Result<(), L1Error> {
        let Some(fin) = report.finalized else {
            return Ok(());
        };
        if fin.number > report.head.number {
            return Err(L1Error::HeadBelowFinal {
                head: report.head.number,
                finalized: fin.number,
            });
        }
        let before = self.finals.get(&fin.number).copied();
        let as_head = (fin.number == report.head.number).then_some(report.head.hash);
        match before
            .into_iter()
            .chain(as_head)
            .find(|hash| *hash != fin.hash)
        {
            Some(first) => Err(L1Error::TwoAnswers {
                number: fin.number,
                first,
                second: fin.hash,
            }),
            None => Ok(()),
        }
    }
}

/// Checks a head's time: a node takes no block before its slot begins, and ours may be one L1 slot
/// behind.
///
/// # Errors
/// If it is from the future.
pub(super) fn check_time(
    block: L1Ref,
    timestamp: u64,
    (now_ms, slot_ms): (u64, u64),
) -> Result<(), L1Error> {
    if timestamp.saturating_mul(1_000) > now_ms.saturating_add(slot_ms) {
        return Err(L1Error::Future {
            number: block.number,
            timestamp,
            now_ms,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
