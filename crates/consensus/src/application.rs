//! The thin glue between the engine and the chain: propose on a state, check against a state.

use crate::{
    block::{Block, Digest},
    engine::Tuning,
    lanes,
    ledger::Ledger,
    runtime::Runtime,
    scheme::Scheme,
    witness,
};
use commonware_consensus::{
    Application as EngineApplication, marshal::ancestry::Ancestry, simplex::types::Context,
};
use commonware_cryptography::{Digested, Digestible as _, ed25519};
use commonware_macros::select;
use cortado_chain::{Checks, ClockVerdict, Draft, State, apply, build, judge_clock};
use cortado_types::View;
use futures::StreamExt as _;
use std::{future::pending, marker::PhantomData, sync::Arc, time::Duration};
use tracing::{debug, warn};

/// How long a leader that has something it may not include yet waits before it looks again: lane
/// blocks whose slot opens by time.
const RETRY: Duration = Duration::from_millis(20);

/// Builds and checks blocks for the engine.
pub struct Application<S> {
    ledger: Ledger,
    lanes: lanes::Mailbox,
    witness: witness::Mailbox,
    idle: Duration,
    scheme: PhantomData<fn() -> S>,
}

impl<S> Clone for Application<S> {
    fn clone(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            lanes: self.lanes.clone(),
            witness: self.witness.clone(),
            idle: self.idle,
            scheme: PhantomData,
        }
    }
}

impl<S> Application<S> {
    /// Glues the engine to the chain.
    pub fn new(
        ledger: Ledger,
        lanes: lanes::Mailbox,
        witness: witness::Mailbox,
        tuning: &Tuning,
    ) -> Self {
        Self {
            ledger,
            lanes,
            witness,
            idle: tuning.idle,
            scheme: PhantomData,
        }
    }

    /// The state after `block`: known, or computed from the newest known ancestor. `None` if the
    /// chain ends elsewhere than the finalised one, so nothing can be built or checked on it.
    async fn state_after(
        &self,
        block: Digested<Block>,
        mut ancestry: impl Ancestry<Block>,
    ) -> Option<Arc<State>> {
        let mut unknown = Vec::new();
        let mut at = block;
        let mut state = loop {
            if let Some(state) = self.ledger.after(at.inner()) {
                break state;
            }
            if at.inner().inner().header.height <= self.ledger.finalized().height() {
                return None;
            }
            let parent = ancestry.next().await?;
            unknown.push((parent.clone(), at));
            at = parent;
        };
        for (parent, block) in unknown.into_iter().rev() {
            // A quorum notarised it, so it applies; if not, this node is on another chain.
            let parent = &parent.inner().inner().header;
            let applied = apply(&state, parent, block.inner().inner(), Checks::All);
            state = match applied {
                Ok(state) => Arc::new(state),
                Err(rejection) => {
                    warn!(%rejection, "a notarised block does not apply");
                    return None;
                }
            };
            self.ledger.remember(block.inner(), state.clone());
        }
        Some(state)
    }
}

impl<E: Runtime, S: Scheme> EngineApplication<E> for Application<S> {
    type SigningScheme = S;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (context, round): (E, Self::Context),
        mut ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = ancestry.next().await?;
        let state = self.state_after(parent.clone(), ancestry).await?;
        let parent = &parent.inner().inner().header;
        let deadline = parent.timestamp.plus(self.idle.as_millis() as u64);
        let (mut certified, mut operations) = (self.lanes.wake(), self.witness.wake());
        loop {
            certified.mark_unchanged();
            operations.mark_unchanged();
            let now = context.now_ms();
            let offer = self
                .lanes
                .offer(state.clone(), now.max(parent.timestamp))
                .await;
            let draft = Draft {
                view: View::new(round.round.view().get()),
                timestamp: now,
                runs: offer.runs,
                operations: self.witness.operations(state.clone()).await,
            };
            let (block, next) = build(&state, parent, &draft);
            // Busy: at once. Idle: when it is time, so that a block comes at least once a second.
            if !block.lanes.is_empty() || !block.operations.is_empty() || now >= deadline {
                let block = Block::new(block);
                self.ledger.remember(&block, Arc::new(next));
                let digest = block.digest();
                return Some(Digested::precomputed(block, digest));
            }
            let left = Duration::from_millis(deadline.since(now));
            select! {
                changed = certified.changed() => if changed.is_err() { return None },
                changed = operations.changed() => if changed.is_err() { return None },
                _ = context.sleep(if offer.waiting { left.min(RETRY) } else { left }) => {},
            }
        }
    }

    async fn verify(
        &mut self,
        (context, round): (E, Self::Context),
        mut ancestry: impl Ancestry<Block>,
    ) -> bool {
        let (Some(block), Some(parent)) = (ancestry.next().await, ancestry.next().await) else {
            // The block cannot be had any more; the engine drops this request itself.
            return pending().await;
        };
        let header = &block.inner().inner().header;
        if header.view.get() != round.round.view().get()
            || header.parent_view.get() != round.parent.0.get()
        {
            debug!(view = %header.view, round = %round.round, "block names another view");
            return false;
        }
        // R5: on clock grounds an attester abstains, it never answers false.
        loop {
            match judge_clock(header, context.now_ms()) {
                ClockVerdict::Ready => break,
                ClockVerdict::Ahead { wait_ms } => {
                    context.sleep(Duration::from_millis(wait_ms)).await;
                }
                ClockVerdict::Late { age_ms } => {
                    debug!(age_ms, height = %header.height, "block is too old; abstaining");
                    return pending().await;
                }
            }
        }
        let Some(state) = self.state_after(parent.clone(), ancestry).await else {
            return pending().await;
        };
        let parent = &parent.inner().inner().header;
        match apply(&state, parent, block.inner().inner(), Checks::All) {
            Ok(next) => {
                self.ledger.remember(block.inner(), Arc::new(next));
                true
            }
            Err(rejection) => {
                warn!(%rejection, height = %header.height, "block rejected");
                false
            }
        }
    }
}
