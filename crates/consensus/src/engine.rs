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
//! A seat runs all of it. A follower (a proposer, a rollup node, a seat whose journal is lost)
//! runs everything but simplex and takes finalisations off the wire itself ([`follow`]). So there
//! is one way to learn what is final, whoever asks.

use crate::{
    block::{Block, Digest},
    network::{Link, Links},
    runtime::{Runtime, Transport},
    scheme::Scheme,
};
use commonware_broadcast::buffered;
use commonware_codec::{Codec, Read};
use commonware_consensus::{
    Application, Block as EngineBlock, Reporter, Reporters,
    marshal::{
        self, Start, Update,
        core::{Actor as Marshal, Mailbox},
        resolver::p2p as backfill,
        standard::{Inline, Standard},
    },
    simplex::{
        self, Floor, ForwardPolicy, SkipBudget, SkipPolicy,
        elector::RoundRobin,
        types::{Activity, Context},
    },
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{Digested, Digestible, certificate::ConstantProvider, ed25519};
use commonware_p2p::utils::mux::{Muxer, SubReceiver, SubSender};
use commonware_parallel::Sequential;
use commonware_runtime::{Handle, buffer::paged::CacheRef};
use commonware_storage::{archive::prunable, translator::EightCap};
use commonware_utils::{NZU16, NZU64, NZUsize, NonZeroDuration};
use std::{
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    time::Duration,
};
use tracing::warn;

mod follow;
mod tuning;

#[cfg(test)]
mod tests;

pub use tuning::Tuning;

/// Where finalised blocks and their certificates are asked for.
pub type MarshalMailbox<S, B = Block> = Mailbox<S, Standard<B>>;

type Inlined<E, S, A, B> = Inline<E, S, A, B, FixedEpocher>;

/// What the engine can agree on: the chain's [`Block`], and the bench's, which measures the engine
/// without the chain.
pub trait Payload:
    EngineBlock + Digestible<Digest = Digest> + Codec + Read<Cfg = ()> + Clone
{
}

impl<B: EngineBlock + Digestible<Digest = Digest> + Codec + Read<Cfg = ()> + Clone> Payload for B {}

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

/// One identity's engine.
pub struct Config<S: Scheme, N: Transport, B: Payload = Block> {
    /// Signs if this identity has a seat, else only verifies.
    pub scheme: S,
    /// This identity.
    pub me: ed25519::PublicKey,
    /// Whether to run simplex and vote. Without it the node follows.
    pub votes: bool,
    /// The term, which the engine calls epoch.
    pub epoch: Epoch,
    /// Block 0.
    pub genesis: B,
    /// Prefix of everything this identity writes to disk.
    pub partition: String,
    /// Timeouts.
    pub tuning: Tuning,
    /// The network's blocker.
    pub blocker: N::Blocker,
    /// The network's peers.
    pub peers: N::Peers,
}

/// The channels that the engine needs.
pub struct EngineLinks<N: Transport> {
    /// [`network::VOTES`].
    pub votes: Link<N>,
    /// [`network::CERTIFICATES`].
    pub certificates: Link<N>,
    /// [`network::RESOLVER`].
    pub resolver: Link<N>,
    /// [`network::BLOCKS`].
    pub blocks: Link<N>,
    /// [`network::BACKFILL`].
    pub backfill: Link<N>,
}

impl<N: Transport> From<Links<N>> for EngineLinks<N> {
    /// The engine alone: the other channels are let go.
    fn from(links: Links<N>) -> Self {
        Self {
            votes: links.votes,
            certificates: links.certificates,
            resolver: links.resolver,
            blocks: links.blocks,
            backfill: links.backfill,
        }
    }
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
    let prefix = &config.partition;
    let certificates = prunable::Archive::init(
        context.child("certificates"),
        archive_config(
            &format!("{prefix}-certificates"),
            config.tuning.blocks_per_file,
            &cache,
            S::certificate_codec_config_unbounded(),
        ),
    )
    .await
    .expect("certificate store must open: it is damaged in the middle or the disk fails");
    let blocks = prunable::Archive::init(
        context.child("blocks"),
        archive_config(
            &format!("{prefix}-blocks"),
            config.tuning.blocks_per_file,
            &cache,
            (),
        ),
    )
    .await
    .expect("block store must open: it is damaged in the middle or the disk fails");

    let epocher = FixedEpocher::new(NonZeroU64::MAX);
    let (marshal, mailbox, _) = Marshal::init(
        context.child("marshal"),
        certificates,
        blocks,
        marshal::Config {
            provider: ConstantProvider::new(config.scheme.clone()),
            epocher: epocher.clone(),
            start: Start::Genesis(Digested::precomputed(
                config.genesis.clone(),
                config.genesis.digest(),
            )),
            partition_prefix: format!("{prefix}-marshal"),
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

    // The engine's channels carry one term each inside; the next term's engine will share them.
    let votes = term_link(&context, links.votes, config.epoch).await;
    let certificates = term_link(&context, links.certificates, config.epoch).await;
    let certificate_requests = term_link(&context, links.resolver, config.epoch).await;

    let engine_task = if config.votes {
        let inline = Inlined::new(
            context.child("inline"),
            parts.application,
            mailbox.clone(),
            epocher,
        );
        let genesis = config.genesis.digest();
        simplex::Engine::new(
            context.child("simplex"),
            simplex::Config {
                scheme: config.scheme,
                elector: <RoundRobin>::default(),
                blocker: config.blocker,
                automaton: inline.clone(),
                relay: inline.clone(),
                reporter: Reporters::<Inlined<E, S, A, B>, R>::from((
                    Some(inline),
                    Some(parts.activity),
                )),
                // Conflicting votes are evidence also after their view is over.
                track_historical_votes: true,
                strategy: Sequential,
                partition: format!("{prefix}-simplex-{}", config.epoch),
                mailbox_size: MAILBOX_SIZE,
                epoch: config.epoch,
                floor: Floor::Genesis(genesis),
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
        .start(votes, certificates, certificate_requests)
    } else {
        follow::start(
            context.child("follow"),
            config.scheme,
            mailbox.clone(),
            certificates,
            (votes, certificate_requests),
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

/// One term's share of a channel.
async fn term_link<E: Runtime, N: commonware_p2p::Sender<PublicKey = ed25519::PublicKey>, M>(
    context: &E,
    (sender, receiver): (N, M),
    epoch: Epoch,
) -> (SubSender<N>, SubReceiver<ed25519::PublicKey>)
where
    M: commonware_p2p::Receiver<PublicKey = ed25519::PublicKey>,
{
    let (muxer, mut handle) = Muxer::new(context.child("mux"), sender, receiver);
    muxer.start();
    handle
        .register(epoch.get())
        .await
        .expect("the muxer has just started and the term is new")
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
