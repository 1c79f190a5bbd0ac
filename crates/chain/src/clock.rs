//! R5: on clock grounds an attester abstains, it never answers "invalid".

use cortado_types::{
    Header, TimestampMs,
    limits::{DRIFT_MS, LAG_MS},
};

/// What an attester's clock says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockVerdict {
    /// Within the window.
    Ready,
    /// Ahead of the clock: ask again after this many ms.
    Ahead {
        /// Milliseconds until it is within `DRIFT_MS`.
        wait_ms: u64,
    },
    /// More than `LAG_MS` old: abstain; only a certificate can make it final now.
    Late {
        /// How old it is, ms.
        age_ms: u64,
    },
}

/// Judges the time of a new block. Re-proposed boundary blocks are not judged (R5).
pub fn judge_clock(header: &Header, now: TimestampMs) -> ClockVerdict {
    let ahead = header.timestamp.since(now);
    if ahead > DRIFT_MS {
        return ClockVerdict::Ahead {
            wait_ms: ahead - DRIFT_MS,
        };
    }
    let age_ms = now.since(header.timestamp);
    if age_ms > LAG_MS {
        ClockVerdict::Late { age_ms }
    } else {
        ClockVerdict::Ready
    }
}
