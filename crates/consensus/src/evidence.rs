//! Keep what accuses and what excuses seats (R2).
//!
//! Every vote and every quorum that the engine reports is archived: a later view, another node's
//! archive or an accuser may make evidence of it, and the engine itself forgets. What a crash of
//! this node loses of it, others hold.
//!
//! **Votes are not verified here**: that would take 0.6 ms for each of two hundred a view. A vote
//! reaches the engine from its seat's own connection only and is dropped if it names another, so a
//! peer can archive nothing in another's name; what it forges in its own is found when evidence is
//! made, by whoever makes it. Conflicts are verified before they are told. Quorums come verified.

use crate::{
    block::Digest,
    events::{Event, Events},
    runtime::Runtime,
    scheme::Scheme,
};
use commonware_actor::Feedback;
use commonware_consensus::{Reporter, simplex::types::Activity};
use commonware_macros::select_loop;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_storage::archive as storage;
use commonware_utils::channel::{mpsc, oneshot};
use cortado_evidence::{Evidence, ViewRecord, Voters as _};
use cortado_types::{B256, ChainId, SeatSet, SignedVote, Term, View};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tracing::warn;

mod archive;
mod reports;

use archive::Archive;
pub use archive::Retention;
use reports::Report;

/// Reports that wait: two seconds of a busy chain of a hundred seats. Everything that is reported
/// was sent to every seat, so one that finds no room is dropped.
const MAILBOX_SIZE: usize = 4_096;

/// Offences that one run remembers: one for each key and seat set.
const FAULTS_MAX: usize = 1_024;

/// What was reported reaches the disk at least this often.
const SYNC_EVERY: Duration = Duration::from_secs(2);

enum Message<S: Scheme> {
    /// An engine starts for a term of these seats.
    Seats(Arc<TermSeats<S>>),
    Report(Arc<TermSeats<S>>, Box<Report>),
    View {
        term: Term,
        view: View,
        reply: oneshot::Sender<ViewRecord>,
    },
    Faults(oneshot::Sender<Vec<Evidence>>),
}

/// The seats of a term.
struct TermSeats<S: Scheme> {
    term: Term,
    voters: S::Voters,
}

/// A handle to the evidence actor.
pub struct Mailbox<S: Scheme>(mpsc::Sender<Message<S>>);

impl<S: Scheme> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Scheme> Mailbox<S> {
    /// What the engine of `term` reports through.
    pub fn reporter(&self, chain_id: ChainId, term: Term, seats: Arc<SeatSet>) -> TermReporter<S> {
        let voters = S::voters(chain_id, seats);
        let seats = Arc::new(TermSeats { term, voters });
        // The mailbox has room when an engine starts; else a fault of the last run is told late.
        let _ = self.0.try_send(Message::Seats(seats.clone()));
        let mailbox = self.clone();
        TermReporter { mailbox, seats }
    }

    /// Votes and quorums that this seat saw in a view. Empty if there are none, or on a node that
    /// does not vote.
    pub async fn view(&self, term: Term, view: View) -> ViewRecord {
        let (reply, answer) = oneshot::channel();
        let question = Message::View { term, view, reply };
        let empty = ViewRecord::new(term, view);
        if self.0.send(question).await.is_err() {
            return empty;
        }
        answer.await.unwrap_or(empty)
    }
}

impl<S: Scheme> Mailbox<S> {
    /// Contradictions found in this run, or in the last one shortly before it ended: one for each
    /// key and seat set. For whoever listens to events since a moment ago.
    pub async fn faults(&self) -> Vec<Evidence> {
        let (reply, answer) = oneshot::channel();
        if self.0.send(Message::Faults(reply)).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

/// Takes the reports of one term's engine.
pub struct TermReporter<S: Scheme> {
    mailbox: Mailbox<S>,
    seats: Arc<TermSeats<S>>,
}

impl<S: Scheme> Clone for TermReporter<S> {
    fn clone(&self) -> Self {
        Self {
            mailbox: self.mailbox.clone(),
            seats: self.seats.clone(),
        }
    }
}

impl<S: Scheme> Reporter for TermReporter<S> {
    type Activity = Activity<S, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        let Some(report) = Report::of(&activity) else {
            return Feedback::Ok;
        };
        match self
            .mailbox
            .0
            .try_send(Message::Report(self.seats.clone(), Box::new(report)))
        {
            Ok(()) => Feedback::Ok,
            Err(_) => Feedback::Backoff,
        }
    }
}

/// Archives what is reported, tells conflicts.
pub struct Actor<E: Runtime, S: Scheme> {
    context: ContextCell<E>,
    events: Events,
    archive: Archive<E>,
    faults: BTreeMap<B256, Evidence>,
    receiver: mpsc::Receiver<Message<S>>,
}

impl<E: Runtime, S: Scheme> Actor<E, S> {
    /// Opens the archive.
    ///
    /// # Errors
    /// If it is damaged.
    pub async fn init(
        context: E,
        partition: &str,
        retention: Retention,
        events: Events,
    ) -> Result<(Self, Mailbox<S>), storage::Error> {
        let archive = Archive::init(context.child("archive"), partition, retention).await?;
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let actor = Self {
            context: ContextCell::new(context),
            events,
            archive,
            faults: BTreeMap::new(),
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
                let now = self.context.now_ms();
                if let Err(error) = self.archive.sync(now).await {
                    self.events.fail("evidence archive", error);
                }
            },
            Some(message) = self.receiver.recv() else break => {
                if let Err(error) = self.handle(message).await {
                    self.events.fail("evidence archive", error);
                    return;
                }
            },
            _ = sleep => {
                sync = self.context.current() + SYNC_EVERY;
                let now = self.context.now_ms();
                if let Err(error) = self.archive.sync(now).await {
                    self.events.fail("evidence archive", error);
                    return;
                }
            },
        }
    }

    async fn handle(&mut self, message: Message<S>) -> Result<(), storage::Error> {
        let now = self.context.now_ms();
        match message {
            // What was seen before a crash may not have been told.
            Message::Seats(seats) => {
                for (first, second) in self.archive.conflicts() {
                    if first.vote.term() == seats.term {
                        self.accuse(&seats, first, second);
                    }
                }
            }
            Message::Report(seats, report) => match *report {
                Report::Vote(vote) => {
                    self.archive.insert(vote, now);
                }
                Report::Certificate(certificate) => {
                    self.archive.insert_certificate(certificate, now);
                }
                Report::Conflict(first, second) => {
                    self.archive.insert(first, now);
                    // The engine reports a conflict as often as it is sent one.
                    if self.archive.insert(second, now) {
                        self.accuse(&seats, first, second);
                    }
                }
            },
            Message::View { term, view, reply } => {
                let _ = reply.send(self.archive.view(term, view).await?);
            }
            Message::Faults(reply) => {
                let _ = reply.send(self.faults.values().cloned().collect());
            }
        }
        Ok(())
    }

    fn accuse(&mut self, seats: &TermSeats<S>, first: SignedVote, second: SignedVote) {
        let Some(evidence) = Evidence::new(seats.voters.seats(), first, second, None) else {
            return;
        };
        let offence = evidence.offence();
        if self.faults.contains_key(&offence) || self.faults.len() >= FAULTS_MAX {
            return;
        }
        // An accusation must stand on its own.
        if evidence.verify(&seats.voters).is_ok() {
            let (kinds, view) = (
                [first, second].map(|vote| vote.vote.kind()),
                first.vote.view(),
            );
            warn!(seat = %first.seat, %view, ?kinds, "seat contradicted itself");
            self.faults.insert(offence, evidence.clone());
            self.events.emit(Event::SeatFault(Box::new(evidence)));
        }
    }
}
