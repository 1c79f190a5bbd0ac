//! Assembles the finality engine of one identity: simplex, marshal, broadcast and backfill.
//!
//! ```text
//!            votes, certificates, resolver          blocks        backfill
//!                       │                             │               │
//!                  ┌────▼────┐  propose, verify  ┌────▼─────┐   ┌─────▼────┐
//!                  │ simplex │◀──── inline ─────▶│ buffered │   │ resolver │
//!                  └────┬────┘   (application)   └────┬─────┘   └─────┬────┘
//!        certificates   │                             │ blocks        │ missing blocks
//!                       └───────────▶ marshal ◀───────┴───────────────┘
//!                                        │ finalised blocks, in order, at least once
//!                                        ▼
//!                                    finalizer
//! ```
//!
//! All of it is for one term (R5a): its own seats, stores and sub-channels. [`crate::terms`] starts
//! and stops it. A seat runs all of it. A follower (a proposer, a rollup node, an identity that has
//! no seat in this term) runs everything but simplex and takes finalisations off the wire itself
//! ([`follow`]). So there is one way to learn what is final, whoever asks.

use crate::{
    block::{Block, Digest},
    network::terms::EngineLinks,
    runtime::{Runtime, Transport},
    scheme::Scheme,
};
use boundary::Boundary;
use commonware_broadcast::buffered;
use commonware_codec::{Codec, Read};
use commonware_consensus::{
    Application, Block as EngineBlock, Reporter, Reporters,
    marshal::{
        self, Update,
        core::{Actor as Marshal, Mailbox},
        resolver::p2p as backfill,
        standard::{Inline, Standard},
    },
    simplex::{
        self, Floor, ForwardPolicy, SkipBudget, SkipPolicy,
        types::{Activity, Context},
    },
    types::{Epoch, ViewDelta},
};
use commonware_cryptography::{Digestible, ed25519};
use commonware_parallel::Sequential;
use commonware_runtime::{Handle, buffer::paged::CacheRef};
use commonware_storage::{
    archive::{Archive as _, prunable},
    translator::EightCap,
};
use commonware_utils::{NZU16, NZU64, NZUsize, NonZeroDuration};
use cortado_types::TimestampMs;
use std::{
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::Duration,
};
use tracing::warn;

mod boundary;
mod follow;
mod leaders;
mod term;
mod tuning;

#[cfg(test)]
mod tests;

pub use term::{Origin, delete};
pub use tuning::Tuning;

use leaders::Leaders;
use term::{OneTerm, Partitions, TermSchemes};

/// Where finalised blocks and their certificates are asked for.
pub type MarshalMailbox<S, B = Block> = Mailbox<S, Standard<B>>;

type Inlined<E, S, A, B> = Inline<E, S, A, B, OneTerm>;

/// What the engine can agree on: the chain's [`Block`], and the bench's, which measures the engine
/// without the chain.
pub trait Payload:
    EngineBlock + Digestible<Digest = Digest> + Codec + Read<Cfg = ()> + Clone
{
    /// Its time: the first block at or past a term's planned end is its last (R5a).
    fn time(&self) -> TimestampMs;
}

impl Payload for Block {
    fn time(&self) -> TimestampMs {
        self.inner().header.timestamp
    }
}

/// Messages that wait between two parts of the engine. Enough for a burst of every peer; beyond
/// it each mailbox drops what is superseded.
const MAILBOX_SIZE: NonZeroUsize = NZUsize!(1_024);
/// Blocks that one leader may have in flight to us before older ones are evicted.
const BUFFERED_BLOCKS_PER_PEER: usize = 64;
/// Views kept behind the newest final one for peers that are late, and for evidence.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(256);
/// Views in one file of what is kept for [`VIEW_RETENTION`].
const VIEWS_PER_FILE: NonZeroU64 = NZU64!(1_024);
/// Bytes of one page of the page cache, and how many pages: 16 MiB.
const PAGE_SIZE: NonZeroU16 = NZU16!(4_096);
const PAGE_CACHE_PAGES: NonZeroUsize = NZUsize!(4_096);
/// Read and write buffers of journals, bytes.
const REPLAY_BUFFER: NonZeroUsize = NZUsize!(1 << 20);
const WRITE_BUFFER: NonZeroUsize = NZUsize!(256 << 10);
/// Missing blocks asked for at a time by a node that catches up.
const MAX_REPAIR: NonZeroUsize = NZUsize!(64);
/// Finalised blocks handed out and not yet acknowledged.
pub(crate) const MAX_PENDING_ACKS: NonZeroUsize = NZUsize!(32);

/// The page cache that all stores of one identity share.
pub(crate) fn page_cache() -> CacheRef {
    CacheRef::new(PAGE_SIZE, PAGE_CACHE_PAGES)
}

/// One identity's engine in one term.
pub struct Config<S: Scheme, N: Transport, B: Payload = Block> {
    /// Signs if this identity has a seat, else only verifies.
    pub scheme: S,
    /// This identity.
    pub me: ed25519::PublicKey,
    /// Whether to run simplex and vote. Without it the node follows.
    pub votes: bool,
    /// The term, which the engine calls epoch.
    pub epoch: Epoch,
    /// When it is to end: a block of this time or later is its last (R5a).
    pub ends: TimestampMs,
    /// What it starts on.
    pub origin: Origin<S, B>,
    /// Prefix of everything this identity writes to disk.
    pub partition: String,
    /// Timeouts.
    pub tuning: Tuning,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
}

/// What the engine asks about blocks and tells about votes.
pub struct Parts<A, F, R> {
    /// Builds and checks blocks.
    pub application: A,
    /// Takes finalised blocks in order.
    pub finalizer: F,
    /// Takes votes, certificates and evidence.
    pub activity: R,
}

/// Opens the stores, then starts everything. `parts` are made when marshal's mailbox is known,
/// since the finalizer asks it for what it missed.
///
/// The returned task ends only when the engine stops: on shutdown, or because a store failed. A
/// seat that cannot write must not go on voting.
pub async fn start<E, S, N, B, A, F, R, Fut>(
    context: E,
    config: Config<S, N, B>,
    links: EngineLinks<N>,
    parts: impl FnOnce(MarshalMailbox<S, B>) -> Fut,
) -> (MarshalMailbox<S, B>, Handle<()>)
where
    E: Runtime,
    S: Scheme,
    N: Transport,
    B: Payload,
    A: Application<
            E,
            SigningScheme = S,
            Context = Context<Digest, ed25519::PublicKey>,
            Block = B,
            Input = (),
        > + Sync,
    F: Reporter<Activity = Update<B>>,
    R: Reporter<Activity = Activity<S, Digest>>,
    Fut: Future<Output = Parts<A, F, R>>,
{
    let cache = page_cache();
    let partitions = Partitions::new(&config.partition, config.epoch);
    let certificates = prunable::Archive::init(
        context.child("certificates"),
        archive_config(
            &partitions.certificates,
            config.tuning.blocks_per_file,
            &cache,
            S::certificate_codec_config_unbounded(),
        ),
    )
    .await
    .expect("certificate store must open: it is damaged in the middle or the disk fails");
    let mut blocks: prunable::Archive<_, _, _, Arc<B>> = prunable::Archive::init(
        context.child("blocks"),
        archive_config(
            &partitions.blocks,
            config.tuning.blocks_per_file,
            &cache,
            (),
        ),
    )
    .await
    .expect("block store must open: it is damaged in the middle or the disk fails");

    // Marshal looks for the block that the term starts on here before it asks peers, who may not
    // have it any more.
    if let Origin::Boundary {
        block: Some(block), ..
    } = &config.origin
        && blocks.last_index().is_none()
    {
        let stored = blocks
            .put(
                block.height().get(),
                block.digest(),
                &Arc::new(block.clone()),
            )
            .await
            .expect("block store must take the block that the term starts on");
        blocks = stored.sync().await.expect("block store must sync");
    }

    let epocher = OneTerm(config.epoch);
    let (marshal, mailbox, _) = Marshal::init(
        context.child("marshal"),
        certificates,
        blocks,
        marshal::Config {
            provider: TermSchemes::new(config.epoch, config.scheme.clone(), &config.origin),
            epocher,
            start: config.origin.start(),
            partition_prefix: partitions.marshal,
            mailbox_size: MAILBOX_SIZE,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: VIEWS_PER_FILE,
            page_cache: cache.clone(),
            replay_buffer: REPLAY_BUFFER,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            block_codec_config: (),
            max_repair: MAX_REPAIR,
            max_pending_acks: MAX_PENDING_ACKS,
            strategy: Sequential,
        },
    )
    .await;

    let (buffer, buffer_mailbox) = buffered::Engine::new(
        context.child("buffer"),
        buffered::Config {
            public_key: config.me.clone(),
            mailbox_size: MAILBOX_SIZE,
            deque_size: BUFFERED_BLOCKS_PER_PEER,
            priority: true,
            codec_config: (),
            peer_provider: config.peers.clone(),
            strategy: Sequential,
        },
    );
    let resolver = backfill::init(
        context.child("backfill"),
        backfill::Config {
            public_key: config.me.clone(),
            peer_provider: config.peers.clone(),
            blocker: config.blocker.clone(),
            mailbox_size: MAILBOX_SIZE,
            fetch_timeout: NonZeroDuration::new_panic(config.tuning.fetch_timeout),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        links.backfill,
    );

    let parts = parts(mailbox.clone()).await;
    let buffer_task = buffer.start(links.blocks);
    let marshal_task = marshal.start(parts.finalizer, buffer_mailbox, resolver);

    let engine_task = if config.votes {
        let inline = Inlined::new(
            context.child("inline"),
            parts.application,
            mailbox.clone(),
            epocher,
        );
        let boundary = Boundary::new(
            context.child("boundary"),
            inline,
            mailbox.clone(),
            config.ends,
        );
        let floor = Floor::Genesis(config.origin.payload());
        simplex::Engine::new(
            context.child("simplex"),
            simplex::Config {
                scheme: config.scheme,
                elector: Leaders,
                blocker: config.blocker,
                automaton: boundary.clone(),
                relay: boundary.clone(),
                reporter: Reporters::<Boundary<E, S, A, B>, R>::from((
                    Some(boundary),
                    Some(parts.activity),
                )),
                // Conflicting votes are evidence also after their view is over.
                track_historical_votes: true,
                strategy: Sequential,
                partition: partitions.votes,
                mailbox_size: MAILBOX_SIZE,
                epoch: config.epoch,
                floor,
                replay_buffer: REPLAY_BUFFER,
                write_buffer: WRITE_BUFFER,
                page_cache: cache,
                leader_timeout: config.tuning.leader_timeout,
                certification_timeout: config.tuning.certification_timeout,
                timeout_retry: config.tuning.timeout_retry,
                view_retention: VIEW_RETENTION,
                skip: SkipPolicy::Enabled {
                    timeout: config.tuning.skip_timeout,
                    budget: SkipBudget::Participants,
                },
                fetch_timeout: NonZeroDuration::new_panic(config.tuning.fetch_timeout),
                fetch_retry_delay: Duration::from_millis(100),
                forward: ForwardPolicy::SilentLeader,
            },
        )
        .start(links.votes, links.certificates, links.resolver)
    } else {
        follow::start(
            context.child("follow"),
            config.scheme,
            mailbox.clone(),
            links.certificates,
            (links.votes, links.resolver),
        )
    };

    let task = context.child("engine").spawn(move |context| async move {
        let ended = futures::future::select_all([buffer_task, marshal_task, engine_task]).await;
        let (result, part, _) = ended;
        if !context.is_stopping() {
            let part = ["buffer", "marshal", "simplex"][part];
            warn!(?result, part, "engine stopped");
        }
    });
    (mailbox, task)
}

fn archive_config<C>(
    prefix: &str,
    items_per_section: NonZeroU64,
    cache: &CacheRef,
    codec_config: C,
) -> prunable::Config<EightCap, C> {
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{prefix}-metadata"),
        key_partition: format!("{prefix}-keys"),
        key_page_cache: cache.clone(),
        value_partition: format!("{prefix}-values"),
        compression: None,
        codec_config,
        items_per_section,
        key_write_buffer: WRITE_BUFFER,
        value_write_buffer: WRITE_BUFFER,
        replay_buffer: REPLAY_BUFFER,
    }
}
