//! What a proposer signed, and whether any of it contradicts the rest.

use super::ROLLUP;
use cortado_preconf::{LaneEquivocation, TwoPromises};
use cortado_rollup::{
    gateway::{FeedCursor, Gateway},
    source::{PreconfEvent, Promises},
};
use cortado_types::{B256, SignedLaneHeader};

/// Everything a proposer ever signed, over restarts and copies; two things that contradict each
/// other would cost it its collateral.
#[derive(Default)]
pub struct Signed {
    pub promises: Vec<Promises>,
    pub lanes: Vec<SignedLaneHeader>,
    pub dropped: Vec<B256>,
}

impl Signed {
    /// Reads all that a gateway's feed still has, and checks it against all before.
    pub fn read(&mut self, gateway: &Gateway) {
        let mut cursor = FeedCursor::default();
        for numbered in gateway
            .feed(ROLLUP)
            .expect("served")
            .read(&mut cursor, usize::MAX)
        {
            match &numbered.event {
                PreconfEvent::Transaction { promises, .. } => self.promise(**promises),
                PreconfEvent::Sealed { lane } => self.lane(lane.clone()),
                PreconfEvent::Dropped { hash, .. } => self.dropped.push(*hash),
                PreconfEvent::Reset | PreconfEvent::Opened { .. } => {}
            }
        }
    }

    fn promise(&mut self, promises: Promises) {
        for known in &self.promises {
            for first in [known.inclusion, known.execution] {
                for second in [promises.inclusion, promises.execution] {
                    let evidence = TwoPromises { first, second };
                    assert!(evidence.culprit().is_err(), "slashable: {evidence:?}");
                }
            }
        }
        self.promises.push(promises);
    }

    fn lane(&mut self, lane: SignedLaneHeader) {
        for first in &self.lanes {
            let evidence = LaneEquivocation {
                first: first.clone(),
                second: lane.clone(),
            };
            assert!(evidence.culprit().is_err(), "slashable: {evidence:?}");
        }
        self.lanes.push(lane);
    }
}
