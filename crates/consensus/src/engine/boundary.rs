//! The end of a term, by time (R5a).
//!
//! The engine's own wrapper recognises the last block of an epoch by its height, which nobody knows
//! beforehand when terms end by time. Its time gives a boundary block away: within one term the
//! planned end is fixed. On a boundary block nothing is built. It is proposed again, same bytes and
//! same hash, until it is final; so the last views of a term finalise that block and no other.

use super::{Inlined, MarshalMailbox, Payload};
use crate::{block::Digest, runtime::Runtime, scheme::Scheme};
use commonware_actor::Feedback;
use commonware_consensus::{
    Application, Automaton, CertifiableAutomaton, Epochable as _, Relay, Reporter,
    marshal::core::CommitmentFallback,
    simplex::{
        Plan,
        types::{Activity, Context},
    },
    types::Round,
};
use commonware_cryptography::{Digested, ed25519};
use commonware_macros::select;
use commonware_utils::channel::oneshot;
use cortado_types::TimestampMs;
use std::sync::Arc;
use tracing::debug;

type Consensus = Context<Digest, ed25519::PublicKey>;

/// What the engine asks and tells in one term.
pub(super) struct Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()>,
    B: Payload,
{
    context: Arc<E>,
    inline: Inlined<E, S, A, B>,
    marshal: MarshalMailbox<S, B>,
    ends: TimestampMs,
}

impl<E, S, A, B> Clone for Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()>,
    B: Payload,
{
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            inline: self.inline.clone(),
            marshal: self.marshal.clone(),
            ends: self.ends,
        }
    }
}

impl<E, S, A, B> Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()>,
    B: Payload,
{
    /// Puts the term's planned end around `inline`.
    pub(super) fn new(
        context: E,
        inline: Inlined<E, S, A, B>,
        marshal: MarshalMailbox<S, B>,
        ends: TimestampMs,
    ) -> Self {
        Self {
            context: Arc::new(context),
            inline,
            marshal,
            ends,
        }
    }

    /// The parent if nothing is built on it. Waits until it is here.
    async fn boundary(
        marshal: &MarshalMailbox<S, B>,
        ends: TimestampMs,
        context: &Consensus,
    ) -> Result<Option<Digested<B>>, oneshot::error::RecvError> {
        let (view, parent) = context.parent;
        let round = Round::new(context.epoch(), view);
        let found = marshal
            .subscribe_by_commitment(parent, CommitmentFallback::FetchByRound { round })
            .await?;
        // At view 0 stands the block that the term starts on: the last one of the term before.
        let ended = !view.is_zero() && found.inner().time() >= ends;
        Ok(ended.then_some(found))
    }
}

/// Hands on what `from` gives unless nobody waits any more.
async fn forward<T>(from: oneshot::Receiver<T>, mut to: oneshot::Sender<T>) {
    let answer = select! {
        _ = to.closed() => return,
        answer = from => answer,
    };
    if let Ok(answer) = answer {
        let _ = to.send(answer);
    }
}

impl<E, S, A, B> Automaton for Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()> + Sync,
    B: Payload,
{
    type Digest = Digest;
    type Context = Consensus;

    #[allow(clippy::async_yields_async)]
    async fn propose(&mut self, context: Consensus) -> oneshot::Receiver<Digest> {
        let (mut answer, asked) = oneshot::channel();
        let (marshal, ends, mut inline) = (self.marshal.clone(), self.ends, self.inline.clone());
        self.context.child("propose").spawn(move |_| async move {
            let parent = select! {
                _ = answer.closed() => return,
                parent = Self::boundary(&marshal, ends, &context) => parent,
            };
            match parent {
                Ok(Some(_)) => {
                    let _ = answer.send(context.parent.1);
                }
                Ok(None) => forward(inline.propose(context).await, answer).await,
                Err(_) => debug!("the parent cannot be had any more"),
            }
        });
        asked
    }

    #[allow(clippy::async_yields_async)]
    async fn verify(&mut self, context: Consensus, digest: Digest) -> oneshot::Receiver<bool> {
        let (mut answer, asked) = oneshot::channel();
        let (marshal, ends, mut inline) = (self.marshal.clone(), self.ends, self.inline.clone());
        self.context.child("verify").spawn(move |_| async move {
            let parent = select! {
                _ = answer.closed() => return,
                parent = Self::boundary(&marshal, ends, &context) => parent,
            };
            match parent {
                // R5: it was judged when it was new; its age does not count.
                Ok(Some(parent)) if digest == context.parent.1 => {
                    if marshal.verified(context.round, parent).await {
                        let _ = answer.send(true);
                    }
                }
                Ok(Some(_)) => {
                    debug!(round = %context.round, "a block on the last one of the term");
                    let _ = answer.send(false);
                }
                Ok(None) => forward(inline.verify(context, digest).await, answer).await,
                Err(_) => debug!("the parent cannot be had any more"),
            }
        });
        asked
    }
}

/// Certification holds a block that is proposed again as it does any other: once it is on disk.
impl<E, S, A, B> CertifiableAutomaton for Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()> + Sync,
    B: Payload,
{
    #[allow(clippy::async_yields_async)]
    async fn certify(&mut self, round: Round, digest: Digest) -> oneshot::Receiver<bool> {
        self.inline.certify(round, digest).await
    }
}

impl<E, S, A, B> Relay for Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()> + Sync,
    B: Payload,
{
    type Digest = Digest;
    type PublicKey = ed25519::PublicKey;
    type Plan = Plan<ed25519::PublicKey>;

    // A block that is proposed again is not sent again: whoever votes on it holds its parent, which
    // is the same block.
    fn broadcast(&mut self, digest: Digest, plan: Self::Plan) -> Feedback {
        self.inline.broadcast(digest, plan)
    }
}

impl<E, S, A, B> Reporter for Boundary<E, S, A, B>
where
    E: Runtime,
    S: Scheme,
    A: Application<E, SigningScheme = S, Context = Consensus, Block = B, Input = ()> + Sync,
    B: Payload,
{
    type Activity = Activity<S, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        self.inline.report(activity)
    }
}
