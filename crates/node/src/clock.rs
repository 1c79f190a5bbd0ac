//! The wall clock, and how far it seems to be off.

use cortado_types::{TimestampMs, limits::DRIFT_MS};
use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

/// Blocks whose times are compared: leaders rotate, so their median is nobody's alone.
const BLOCKS: usize = 31;
/// Blocks older than this when they arrive are history, not news.
const NEWS_MS_MAX: i64 = 30_000;
/// A median below this says that our clock is behind: blocks come from the future.
const BEHIND_MS: i64 = -(DRIFT_MS as i64) / 2;
/// A median above this says that our clock is ahead: a block is final within a second, two on a
/// bad day, and attesters abstain at `LAG_MS`.
const AHEAD_MS: i64 = 2_500;

/// Now.
pub fn now() -> TimestampMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimestampMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What the last blocks' times say of this node's clock.
///
/// - At most [`BLOCKS`] ages, newest last.
#[derive(Clone, Debug, Default)]
pub struct Skew {
    ages: VecDeque<i64>,
}

impl Skew {
    /// A block of time `block` became final here at `now`.
    pub fn saw(&mut self, block: TimestampMs, now: TimestampMs) {
        let signed = |time: TimestampMs| i64::try_from(time.get()).unwrap_or(i64::MAX);
        let age = signed(now).saturating_sub(signed(block));
        if age.abs() > NEWS_MS_MAX {
            // Catching up; what was measured before it says nothing about after it.
            self.ages.clear();
            return;
        }
        self.ages.push_back(age);
        if self.ages.len() > BLOCKS {
            self.ages.pop_front();
        }
    }

    /// Median age of the last blocks, ms; `None` until enough were seen. It includes the time it
    /// takes to finalise a block.
    pub fn median_ms(&self) -> Option<i64> {
        if self.ages.len() < BLOCKS {
            return None;
        }
        let mut ages: Vec<_> = self.ages.iter().copied().collect();
        ages.sort_unstable();
        Some(ages[BLOCKS / 2])
    }

    /// What to warn of.
    pub fn warning(&self) -> Option<String> {
        match self.median_ms()? {
            median if median < BEHIND_MS => Some(format!(
                "this clock seems to be at least {} ms behind: blocks come from its future; beyond \
                 {DRIFT_MS} ms this node does not vote for them",
                -median
            )),
            median if median > AHEAD_MS => Some(format!(
                "this clock seems to be about {median} ms ahead, or blocks take that long"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skew(ages: impl IntoIterator<Item = i64>) -> Skew {
        let mut skew = Skew::default();
        let block = TimestampMs::new(1_000_000);
        for age in ages {
            skew.saw(
                block,
                TimestampMs::new(block.get().saturating_add_signed(age)),
            );
        }
        skew
    }

    #[test]
    fn clock_that_is_behind_is_told() {
        let warning = skew([-400; BLOCKS]).warning().unwrap();
        assert!(warning.contains("400 ms behind"), "{warning}");
    }

    #[test]
    fn clock_that_is_ahead_is_told() {
        assert!(
            skew([3_000; BLOCKS])
                .warning()
                .unwrap()
                .contains("3000 ms ahead")
        );
    }

    #[test]
    fn ordinary_latency_is_no_skew() {
        assert_eq!(skew([150; BLOCKS]).warning(), None);
        assert_eq!(skew([-400; BLOCKS - 1]).warning(), None);
    }

    #[test]
    fn a_third_of_lying_leaders_cannot_skew_the_median() {
        let ages = (0..BLOCKS as i64).map(|i| if i % 3 == 0 { -9_000 } else { 120 });
        assert_eq!(skew(ages).median_ms(), Some(120));
    }

    #[test]
    fn blocks_of_the_past_are_not_measured() {
        let mut skew = skew([-400; BLOCKS]);
        skew.saw(TimestampMs::new(0), TimestampMs::new(60_000));
        assert_eq!(skew.median_ms(), None);
    }
}
