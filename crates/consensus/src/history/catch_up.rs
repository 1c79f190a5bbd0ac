//! Ask peers for the final blocks that this node's engine cannot give it.
//!
//! In the present term the engine brings every block. It cannot where the term itself is over for
//! the others: they vote, and serve each other, in a later one. A node notices when somebody speaks
//! in a later term, or when nothing becomes final for a while. Then it asks for the next block by
//! height, and on as long as peers say that they have more.
//!
//! Answers are judged in order of height, since the seats that must have signed are those that the
//! state before the block names. An answer that does not hold costs the peer its connection.

use super::{
    Mailbox as History,
    wire::{Claimed, Unconvincing},
};
use crate::{
    block::Digest,
    finalizer,
    ledger::{Finalized, Ledger},
    network::Link,
    runtime::{Runtime, Transport},
    scheme::{KeyError, Scheme},
};
use bytes::Bytes;
use commonware_consensus::simplex::types::Finalization;
use commonware_cryptography::ed25519;
use commonware_macros::select_loop;
use commonware_resolver::{
    Consumer, Delivery, Resolver as _,
    p2p::{self, Producer},
};
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_utils::{
    NZUsize, NonZeroDuration,
    channel::{mpsc, oneshot, watch},
    sequence::U64,
};
use cortado_types::Height;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tracing::{debug, info};

/// Nothing final for so long is a reason to ask: an idle chain has a block a second.
const STALLED: Duration = Duration::from_secs(2);

/// The others may be a network delay ahead at the end of a term. After so long they are gone.
const PATIENCE: Duration = Duration::from_millis(150);

/// How long it is asked on without an answer. Peers say at once when they do not have a block.
const ASKING: Duration = Duration::from_secs(1);

/// Blocks asked for at a time.
const WINDOW: u64 = 32;

/// How long a peer has to answer; a block of a MiB over a slow link takes this long.
const FETCH_TIMEOUT: Duration = Duration::from_secs(2);

/// Messages that wait. An answer that finds no room is asked for again.
const MAILBOX_SIZE: usize = 128;

pub(super) enum Message {
    /// Somebody speaks in a later term.
    Behind,
    /// A peer answered.
    Answer {
        height: Height,
        bytes: Bytes,
        reply: oneshot::Sender<bool>,
    },
}

/// A handle to the actor.
#[derive(Clone)]
pub struct Mailbox(mpsc::Sender<Message>);

impl Mailbox {
    /// Tells that somebody speaks in a later term. Never waits: it will be said again.
    pub fn behind(&self) {
        let _ = self.0.try_send(Message::Behind);
    }
}

/// Turns the resolver's calls into messages.
#[derive(Clone)]
struct Handler {
    answers: mpsc::Sender<Message>,
    history: History,
}

fn height_of(key: &U64) -> Height {
    Height::new(u64::from(key))
}

impl Consumer for Handler {
    type Key = U64;
    type Value = Bytes;
    type Subscriber = ();
    type Outcome = bool;

    fn deliver(&mut self, delivery: Delivery<U64, ()>, bytes: Bytes) -> oneshot::Receiver<bool> {
        let (reply, answer) = oneshot::channel();
        let _ = self.answers.try_send(Message::Answer {
            height: height_of(&delivery.key),
            bytes,
            reply,
        });
        answer
    }
}

impl Producer for Handler {
    type Key = U64;

    fn produce(&mut self, key: U64) -> oneshot::Receiver<Bytes> {
        let (reply, answer) = oneshot::channel();
        self.history.serve(height_of(&key), reply);
        answer
    }
}

/// What the actor works with.
pub struct Config<S: Scheme, N: Transport> {
    /// This identity.
    pub me: ed25519::PublicKey,
    /// Where this node stands.
    pub ledger: Ledger,
    /// What it serves to others.
    pub history: History,
    /// Who takes final blocks.
    pub finalizer: finalizer::Mailbox<S>,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
}

/// Asks for final blocks, judges answers.
///
/// - `asked` is the height up to which blocks have been asked for, if any are.
pub struct Actor<E: Runtime, S: Scheme> {
    context: ContextCell<E>,
    ledger: Ledger,
    finalized: watch::Receiver<Arc<Finalized>>,
    finalizer: finalizer::Mailbox<S>,
    fetcher: p2p::Mailbox<U64, ed25519::PublicKey, ()>,
    receiver: mpsc::Receiver<Message>,
    answers: BTreeMap<Height, (Claimed<S>, oneshot::Sender<bool>)>,
    newest: Height,
    asked: Option<Height>,
    until: SystemTime,
    progress: SystemTime,
    behind: Option<SystemTime>,
}

impl<E: Runtime, S: Scheme> Actor<E, S> {
    /// Starts to answer peers; asks nothing yet.
    pub fn new<N: Transport>(context: E, config: Config<S, N>, link: Link<N>) -> (Self, Mailbox) {
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let handler = Handler {
            answers: sender.clone(),
            history: config.history,
        };
        let (engine, fetcher) = p2p::Engine::new(
            context.child("fetch"),
            p2p::Config {
                peer_provider: config.peers,
                blocker: config.blocker,
                consumer: handler.clone(),
                producer: handler,
                mailbox_size: NZUsize!(1_024),
                me: Some(config.me),
                fetch_timeout: NonZeroDuration::new_panic(FETCH_TIMEOUT),
                fetch_retry_delay: Duration::from_millis(100),
                priority_requests: false,
                priority_responses: false,
            },
        );
        engine.start(link);
        let now = context.current();
        let actor = Self {
            finalized: config.ledger.watch(),
            newest: config.ledger.finalized().height(),
            ledger: config.ledger,
            finalizer: config.finalizer,
            fetcher,
            receiver,
            answers: BTreeMap::new(),
            asked: None,
            until: now,
            progress: now,
            behind: None,
            context: ContextCell::new(context),
        };
        (actor, Mailbox(sender))
    }

    /// Starts it; ends on shutdown.
    pub fn start(mut self) -> Handle<()> {
        spawn_cell!(self.context, self.run())
    }

    async fn run(mut self) {
        select_loop! {
            self.context,
            on_start => {
                let sleep = self.context.sleep_until(self.wakes());
            },
            on_stopped => {},
            changed = self.finalized.changed() => {
                if changed.is_err() {
                    break;
                }
                let at = self.finalized.borrow_and_update().clone();
                self.progressed(&at);
            },
            Some(message) = self.receiver.recv() else break => match message {
                Message::Behind => {
                    let noticed = self.context.current();
                    self.behind.get_or_insert(noticed);
                }
                Message::Answer { height, bytes, reply } => {
                    self.take(height, &bytes, reply);
                    if !self.judge().await {
                        break;
                    }
                }
            },
            _ = sleep => self.look(),
        }
    }

    /// When there is something to decide next.
    fn wakes(&self) -> SystemTime {
        match (self.asked, self.behind) {
            (Some(_), _) => self.until,
            (None, Some(noticed)) => noticed + PATIENCE,
            (None, None) => self.progress + STALLED,
        }
    }

    fn look(&mut self) {
        let now = self.context.current();
        if self.asked.is_some() {
            if now >= self.until {
                // Nobody has more.
                self.rest();
                self.progress = now;
            }
        } else if now >= self.wakes() {
            self.behind = None;
            self.newest = self.ledger.finalized().height();
            self.ask(now);
        }
    }

    fn rest(&mut self) {
        self.asked = None;
        self.behind = None;
        self.answers.clear();
        self.fetcher.retain(|_, ()| false);
    }

    /// Asks for what comes next, and for as much as peers say that they have.
    fn ask(&mut self, now: SystemTime) {
        let at = self.ledger.finalized().height();
        let to = self
            .newest
            .min(Height::new(at.get().saturating_add(WINDOW)))
            .max(at.next().unwrap_or(at));
        let from = self.asked.map_or(at, |asked| asked.max(at));
        let keys: Vec<_> = (from.get() + 1..=to.get()).map(U64::new).collect();
        if !keys.is_empty() {
            debug!(%from, %to, "asking peers for final blocks");
            self.fetcher.fetch_all(keys);
        }
        self.asked = Some(to.max(from));
        self.until = now + ASKING;
    }

    /// This node stands higher.
    fn progressed(&mut self, at: &Finalized) {
        let (now, height) = (self.context.current(), at.height());
        self.progress = now;
        self.behind = None;
        let settled = self.answers.range(..=height).map(|(at, _)| *at);
        for at in settled.collect::<Vec<_>>() {
            if let Some((_, reply)) = self.answers.remove(&at) {
                let _ = reply.send(true);
            }
        }
        if self.asked.is_none() {
            return;
        }
        self.fetcher.retain(move |key, ()| height_of(key) > height);
        if self.newest > height {
            self.ask(now);
        } else if self.asked.is_some_and(|asked| asked <= height) {
            self.rest();
        }
    }

    /// An answer in form waits for its turn.
    fn take(&mut self, height: Height, bytes: &[u8], reply: oneshot::Sender<bool>) {
        if self.asked.is_none() || height <= self.ledger.finalized().height() {
            let _ = reply.send(true);
            return;
        }
        match Claimed::<S>::read(bytes, height) {
            Ok((claimed, newest)) => {
                self.newest = self.newest.max(newest);
                self.answers.insert(height, (claimed, reply));
            }
            Err(error) => refuse(height, &error, reply),
        }
    }

    /// Judges what stands in order, and hands it over. `false` if the finalizer has ended.
    async fn judge(&mut self) -> bool {
        let mut scheme: Option<(cortado_types::Term, S)> = None;
        loop {
            let at = self.ledger.finalized();
            let Some(next) = at.height().next() else {
                return true;
            };
            let Some((claimed, reply)) = self.answers.remove(&next) else {
                break;
            };
            let term = at.state.term;
            if scheme.as_ref().is_none_or(|(of, _)| *of != term) {
                match verifier::<S>(&at) {
                    Ok(verifier) => scheme = Some((term, verifier)),
                    Err(error) => {
                        info!(%error, "the seats of the term make no scheme");
                        return true;
                    }
                }
            }
            let Some((_, verifier)) = &scheme else {
                return true;
            };
            match self.check(&at, &claimed, verifier) {
                Ok(finalization) => {
                    if self
                        .finalizer
                        .import(claimed.block, finalization)
                        .await
                        .is_none()
                    {
                        return false;
                    }
                    let _ = reply.send(true);
                }
                Err(error) => {
                    refuse(next, &error, reply);
                    break;
                }
            }
        }
        if self.asked.is_some() && self.newest > self.ledger.finalized().height() {
            let now = self.context.current();
            self.ask(now);
        }
        true
    }

    /// The block's own certificate, if it is final by one.
    fn check(
        &mut self,
        at: &Finalized,
        claimed: &Claimed<S>,
        verifier: &S,
    ) -> Result<Option<Finalization<S, Digest>>, Unconvincing> {
        let header = &claimed.block.inner().header;
        if header.term != at.state.term {
            let (got, want) = (header.term.get(), at.state.term);
            return Err(Unconvincing::Term { got, want });
        }
        claimed.holds(&mut *self.context, verifier)?;
        let own = claimed.descendants == 0;
        // R5a: nothing stands on the last block of a term but blocks of the next.
        if !own && at.state.ends_term(header.timestamp) {
            let height = header.height;
            return Err(Unconvincing::Chain { height });
        }
        Ok(own.then(|| claimed.finalization.clone()))
    }
}

fn verifier<S: Scheme>(at: &Finalized) -> Result<S, KeyError> {
    S::of_term(&at.state.seats, at.state.config.chain_id, None)
}

fn refuse(height: Height, error: &Unconvincing, reply: oneshot::Sender<bool>) {
    info!(%height, %error, "a peer's final block does not convince");
    let _ = reply.send(false);
}
