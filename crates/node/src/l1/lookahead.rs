//! The beacon node's part: word of new heads, and who proposes next.

use super::{
    beacon::{Beacon, Duty},
    error::L1Error,
};
use cortado_client::api::L1NodeStatus;
use cortado_types::L1Config;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tracing::warn;

/// First pause after a failure; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at the beacon's duties.
const DUTIES_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the beacon's event stream open.
pub(super) async fn listen(beacon: Beacon, wake: Arc<Notify>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let opened = tokio::time::Instant::now();
        // How it broke does not matter: polling goes on beside it.
        let _ = beacon.listen(wake.clone()).await;
        backoff = if opened.elapsed() > BACKOFF_MAX {
            BACKOFF_MIN
        } else {
            backoff * 2
        };
        backoff = backoff.min(BACKOFF_MAX);
        tokio::time::sleep(backoff).await;
    }
}

/// Keeps the lookahead.
pub(super) struct Duties {
    pub beacon: Beacon,
    pub config: L1Config,
    pub status: Arc<watch::Sender<L1NodeStatus>>,
}

impl Duties {
    pub(super) async fn run(self, lookahead: watch::Sender<Vec<Duty>>) {
        let mut backoff = BACKOFF_MIN;
        let mut known = None;
        loop {
            match self.refresh(&mut known, &lookahead).await {
                Ok(()) => {
                    backoff = BACKOFF_MIN;
                    tokio::time::sleep(DUTIES_PAUSE).await;
                }
                Err(error) => {
                    if self.status.borrow().beacon || backoff == BACKOFF_MIN {
                        warn!(%error, "the beacon node is of no use now");
                    }
                    self.status.send_modify(|status| {
                        status.beacon = false;
                        status.lookahead_until_slot = None;
                    });
                    known = None;
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Asks for duties when the epoch has changed since `known`.
    async fn refresh(
        &self,
        known: &mut Option<u64>,
        lookahead: &watch::Sender<Vec<Duty>>,
    ) -> Result<(), L1Error> {
        let time = self.beacon.time().await?;
        let spec = |what, got, want| {
            if got == want {
                Ok(())
            } else {
                Err(L1Error::Spec { what, got, want })
            }
        };
        spec("a slot length in ms of", time.slot_ms, self.config.slot_ms)?;
        spec(
            "slots per epoch",
            time.slots_per_epoch,
            self.config.slots_per_epoch,
        )?;
        let now = crate::clock::now().get();
        let slot = now.saturating_sub(time.genesis_time_ms) / time.slot_ms.max(1);
        let epoch = slot / time.slots_per_epoch.max(1);
        if *known == Some(epoch) || self.beacon.is_syncing().await? {
            return Ok(());
        }
        let mut duties = self.beacon.duties(epoch).await?;
        duties.extend(self.beacon.duties(epoch.saturating_add(1)).await?);
        let until = duties.iter().map(|duty| duty.slot).max();
        lookahead.send_replace(duties);
        self.status.send_modify(|status| {
            status.beacon = true;
            status.lookahead_until_slot = until;
        });
        *known = Some(epoch);
        Ok(())
    }
}
