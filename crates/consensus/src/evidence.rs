//! Keep what accuses and what excuses seats (R2).
//!
//! The engine reports two votes of one seat that contradict each other: they are verified and
//! told. Nullifications and notarizations are archived, because an accused seat answers with them,
//! and the engine itself forgets them.

use crate::{
    block::Digest,
    engine::page_cache,
    events::{Event, Events, SeatFault},
    runtime::Runtime,
    scheme::{Scheme, Schemes},
};
use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_codec::Encode as _;
use commonware_consensus::{
    Epochable as _, Reporter, Viewable as _,
    simplex::types::{Activity, Attributable as _, Certificate},
    types::{Epoch, View},
};
use commonware_cryptography::{Hasher as _, Keccak256};
use commonware_macros::select_loop;
use commonware_parallel::Sequential;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_storage::{
    archive::{self, Archive as _, MultiArchive as _, prunable},
    translator::EightCap,
};
use commonware_utils::{
    NZU64, NZUsize,
    channel::{mpsc, oneshot},
};
use cortado_types::SeatIndex;
use std::{num::NonZeroU64, time::Duration};
use tracing::warn;

/// Reports that wait. Conflicts are reported again by every honest seat that saw them, and
/// certificates can be had from peers, so a report that finds no room is dropped.
const MAILBOX_SIZE: usize = 1_024;

/// Archived certificates reach the disk at least this often.
const SYNC_EVERY: Duration = Duration::from_secs(2);

/// Views in one file: of all that are kept, 64 pairs of files are open.
const VIEWS_PER_FILE: NonZeroU64 = NZU64!(1 << 16);

/// Terms before the present one whose certificates are kept.
const KEPT_TERMS: u64 = 32;

/// Bits of an archive index that are the view; those above are the term.
const VIEW_BITS: u32 = 32;

fn index(term: Epoch, view: View) -> u64 {
    term.get() << VIEW_BITS | view.get()
}

type Archive<E, S> = prunable::Archive<EightCap, E, Digest, Certificate<S, Digest>>;

enum Message<S: Scheme> {
    Report(Activity<S, Digest>),
    Certificates {
        term: Epoch,
        view: View,
        reply: oneshot::Sender<Vec<Bytes>>,
    },
}

/// A handle to the evidence actor: the engine reports through it, others read.
pub struct Mailbox<S: Scheme>(mpsc::Sender<Message<S>>);

impl<S: Scheme> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Scheme> Mailbox<S> {
    /// Notarizations and nullifications of a view of a term, in the engine's encoding: what an accused seat
    /// answers with (R2). Empty if there are none, or on a node that does not vote.
    pub async fn certificates(&self, term: Epoch, view: View) -> Vec<Bytes> {
        let (reply, answer) = oneshot::channel();
        if self
            .0
            .send(Message::Certificates { term, view, reply })
            .await
            .is_err()
        {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

impl<S: Scheme> Reporter for Mailbox<S> {
    type Activity = Activity<S, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let wanted = matches!(
            activity,
            Activity::ConflictingNotarize(_)
                | Activity::ConflictingFinalize(_)
                | Activity::NullifyFinalize(_)
                | Activity::Notarization(_)
                | Activity::Nullification(_)
        );
        if wanted && self.0.try_send(Message::Report(activity)).is_err() {
            return Feedback::Backoff;
        }
        Feedback::Ok
    }
}

/// Verifies conflicts, archives certificates.
pub struct Actor<E: Runtime, S: Scheme> {
    context: ContextCell<E>,
    schemes: Schemes<S>,
    events: Events,
    archive: Option<Archive<E, S>>,
    kept_views: u64,
    receiver: mpsc::Receiver<Message<S>>,
}

impl<E: Runtime, S: Scheme> Actor<E, S> {
    /// Opens the archive. `kept_views` views behind the newest are kept (`EVIDENCE`).
    ///
    /// # Errors
    /// If the archive is damaged.
    pub async fn init(
        context: E,
        schemes: Schemes<S>,
        partition: &str,
        kept_views: u64,
        events: Events,
    ) -> Result<(Self, Mailbox<S>), archive::Error> {
        let archive = Archive::init(
            context.child("archive"),
            prunable::Config {
                translator: EightCap,
                metadata_partition: format!("{partition}-evidence-metadata"),
                key_partition: format!("{partition}-evidence-keys"),
                key_page_cache: page_cache(),
                value_partition: format!("{partition}-evidence-values"),
                compression: None,
                codec_config: S::certificate_codec_config_unbounded(),
                items_per_section: VIEWS_PER_FILE,
                key_write_buffer: NZUsize!(64 << 10),
                value_write_buffer: NZUsize!(64 << 10),
                replay_buffer: NZUsize!(1 << 20),
            },
        )
        .await?;
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let actor = Self {
            context: ContextCell::new(context),
            schemes,
            events,
            archive: Some(archive),
            kept_views,
            receiver,
        };
        Ok((actor, Mailbox(sender)))
    }

    /// Starts it; ends on shutdown or when the disk fails.
    pub fn start(mut self) -> Handle<()> {
        spawn_cell!(self.context, self.run())
    }

    async fn run(mut self) {
        let mut sync = self.context.current() + SYNC_EVERY;
        select_loop! {
            self.context,
            on_start => {
                let sleep = self.context.sleep_until(sync);
            },
            on_stopped => {
                if let Err(error) = self.sync().await {
                    self.events.fail("evidence archive", error);
                }
            },
            Some(message) = self.receiver.recv() else break => {
                let handled = match message {
                    Message::Report(activity) => self.handle(activity).await,
                    Message::Certificates { term, view, reply } => {
                        self.answer(term, view, reply).await
                    }
                };
                if let Err(error) = handled {
                    self.events.fail("evidence archive", error);
                    return;
                }
            },
            _ = sleep => {
                sync = self.context.current() + SYNC_EVERY;
                if let Err(error) = self.sync().await {
                    self.events.fail("evidence archive", error);
                    return;
                }
            },
        }
    }

    async fn sync(&mut self) -> Result<(), archive::Error> {
        let archive = self.archive.take();
        let archive = archive.ok_or(archive::Error::RecordCorrupted)?;
        self.archive = Some(archive.sync().await?);
        Ok(())
    }

    async fn handle(&mut self, activity: Activity<S, Digest>) -> Result<(), archive::Error> {
        let (kind, seat, proof) = match &activity {
            Activity::Notarization(notarization) => {
                return self
                    .keep(Certificate::Notarization(notarization.clone()))
                    .await;
            }
            Activity::Nullification(nullification) => {
                return self
                    .keep(Certificate::Nullification(nullification.clone()))
                    .await;
            }
            Activity::ConflictingNotarize(conflict) => (
                SeatFault::ConflictingNotarize,
                conflict.signer(),
                conflict.encode(),
            ),
            Activity::ConflictingFinalize(conflict) => (
                SeatFault::ConflictingFinalize,
                conflict.signer(),
                conflict.encode(),
            ),
            Activity::NullifyFinalize(conflict) => (
                SeatFault::NullifyFinalize,
                conflict.signer(),
                conflict.encode(),
            ),
            _ => return Ok(()),
        };
        // The engine reports before it verifies; an accusation must stand on its own.
        let Some(scheme) = self.schemes.of(activity.epoch()) else {
            return Ok(());
        };
        if activity.verify(&mut *self.context, &*scheme, &Sequential) {
            let seat = SeatIndex::new(seat.get());
            warn!(%seat, ?kind, "seat contradicted itself");
            self.events.emit(Event::SeatFault { seat, kind, proof });
        }
        Ok(())
    }

    async fn answer(
        &self,
        term: Epoch,
        view: View,
        reply: oneshot::Sender<Vec<Bytes>>,
    ) -> Result<(), archive::Error> {
        let archive = self
            .archive
            .as_ref()
            .ok_or(archive::Error::RecordCorrupted)?;
        let kept = archive
            .get_all(index(term, view))
            .await?
            .unwrap_or_default();
        let _ = reply.send(
            kept.iter()
                .map(|certificate| certificate.encode())
                .collect(),
        );
        Ok(())
    }

    async fn keep(&mut self, certificate: Certificate<S, Digest>) -> Result<(), archive::Error> {
        let Some(archive) = self.archive.take() else {
            return Err(archive::Error::RecordCorrupted);
        };
        let at = index(certificate.epoch(), certificate.view());
        let key = Keccak256::hash(&[&certificate.encode()]);
        // The engine reports again what it reads back after a restart.
        if archive.has_at(at, &key).await? {
            self.archive = Some(archive);
            return Ok(());
        }
        let archive = archive.put_multi(at, key, &certificate).await?;
        // Views of earlier terms are far below those of the present one; both are kept.
        let first = index(certificate.epoch(), View::zero());
        let oldest = if at - first > self.kept_views {
            at - self.kept_views
        } else {
            first.saturating_sub(KEPT_TERMS << VIEW_BITS)
        };
        self.archive = Some(archive.prune(oldest).await?);
        Ok(())
    }
}
