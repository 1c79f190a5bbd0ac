//! The engine's channels, shared by the terms.
//!
//! Each channel of the engine carries one sub-channel a term, for as long as the node lives. Seats
//! do not enter a term at the same moment: what comes for the next term before its engine runs here
//! is kept and handed to it, so that a leader who is a little ahead is not talking to the wall. And
//! a message of a later term says that this node is behind.

use super::{Link, Links};
use crate::runtime::{Runtime, Transport};
use commonware_consensus::types::Epoch;
use commonware_cryptography::ed25519;
use commonware_p2p::{
    Channel, Message, Receiver,
    utils::mux::{self, Builder as _, MuxHandle, Muxer, SubReceiver, SubSender},
};
use commonware_utils::channel::mpsc;
use std::{collections::VecDeque, future::poll_fn, num::NonZeroUsize, task::Poll};

/// Messages kept of one channel for the next term, and their bytes: what seats that are a network
/// delay ahead send until this node follows. More is dropped; the engine asks for what it misses.
const EARLY_MESSAGES_MAX: usize = 512;
const EARLY_BYTES_MAX: usize = 4 << 20;

/// One term's share of a channel.
pub type TermLink<N> = (SubSender<<N as Transport>::Sender>, TermReceiver);

/// The channels that the engine of one term needs.
pub struct EngineLinks<N: Transport> {
    /// [`super::VOTES`].
    pub votes: TermLink<N>,
    /// [`super::CERTIFICATES`].
    pub certificates: TermLink<N>,
    /// [`super::RESOLVER`].
    pub resolver: TermLink<N>,
    /// [`super::BLOCKS`].
    pub blocks: TermLink<N>,
    /// [`super::BACKFILL`].
    pub backfill: TermLink<N>,
}

/// Receives what came early, then what comes.
#[derive(Debug)]
pub struct TermReceiver {
    early: VecDeque<Message<ed25519::PublicKey>>,
    inner: SubReceiver<ed25519::PublicKey>,
}

impl Receiver for TermReceiver {
    type Error = mux::Error;
    type PublicKey = ed25519::PublicKey;

    async fn recv(&mut self) -> Result<Message<ed25519::PublicKey>, mux::Error> {
        match self.early.pop_front() {
            Some(message) => Ok(message),
            None => self.inner.recv().await,
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}

/// Messages for the next term.
///
/// - `bytes` is the sum over `messages`, which are at most [`EARLY_MESSAGES_MAX`].
#[derive(Default)]
struct Early {
    term: u64,
    messages: VecDeque<Message<ed25519::PublicKey>>,
    bytes: usize,
}

impl Early {
    fn keep(&mut self, term: u64, message: Message<ed25519::PublicKey>) {
        if self.term != term {
            *self = Self {
                term,
                ..Self::default()
            };
        }
        let bytes = self.bytes + message.1.len();
        if self.messages.len() < EARLY_MESSAGES_MAX && bytes <= EARLY_BYTES_MAX {
            self.bytes = bytes;
            self.messages.push_back(message);
        }
    }

    fn take(&mut self, term: u64) -> VecDeque<Message<ed25519::PublicKey>> {
        let early = std::mem::take(self);
        if early.term == term {
            early.messages
        } else {
            VecDeque::new()
        }
    }
}

struct Shared<N: Transport> {
    handle: MuxHandle<N::Sender>,
    unclaimed: mpsc::Receiver<(Channel, Message<ed25519::PublicKey>)>,
    early: Early,
}

impl<N: Transport> Shared<N> {
    fn new<E: Runtime>(context: E, (sender, receiver): Link<N>) -> Self {
        let (muxer, handle, unclaimed) = Muxer::builder(context, sender, receiver)
            .with_backup()
            .build();
        muxer.start();
        Self {
            handle,
            unclaimed,
            early: Early::default(),
        }
    }

    async fn term(&mut self, term: u64) -> TermLink<N> {
        let (sender, inner) =
            self.handle.register(term).await.expect(
                "the muxer lives as long as the node, and a term's engine starts once in it",
            );
        while let Ok((of, message)) = self.unclaimed.try_recv() {
            if of == term {
                self.early.keep(term, message);
            }
        }
        let early = self.early.take(term);
        (sender, TermReceiver { early, inner })
    }
}

/// The engine's channels of one node.
pub struct TermChannels<N: Transport>([Shared<N>; 5]);

impl<N: Transport> TermChannels<N> {
    /// Takes the channels of the engine over.
    pub fn new<E: Runtime>(
        context: &E,
        votes: Link<N>,
        certificates: Link<N>,
        resolver: Link<N>,
        blocks: Link<N>,
        backfill: Link<N>,
    ) -> Self {
        let names = ["votes", "certificates", "resolver", "blocks", "backfill"];
        let mut names = names.into_iter();
        let links = [votes, certificates, resolver, blocks, backfill];
        Self(links.map(|link| {
            let name = names.next().unwrap_or_default();
            Shared::new(context.child("channel").with_attribute("name", name), link)
        }))
    }

    /// The engine's channels alone: the others are let go.
    pub fn of_engine<E: Runtime>(context: &E, links: Links<N>) -> Self {
        Self::new(
            context,
            links.votes,
            links.certificates,
            links.resolver,
            links.blocks,
            links.backfill,
        )
    }

    /// The share of `term`, with what came for it already.
    pub async fn term(&mut self, term: Epoch) -> EngineLinks<N> {
        let [votes, certificates, resolver, blocks, backfill] = &mut self.0;
        EngineLinks {
            votes: votes.term(term.get()).await,
            certificates: certificates.term(term.get()).await,
            resolver: resolver.term(term.get()).await,
            blocks: blocks.term(term.get()).await,
            backfill: backfill.term(term.get()).await,
        }
    }

    /// Waits until somebody speaks in a term after `present`, and keeps what belongs to the next.
    /// Safe to drop and to call again.
    pub async fn ahead(&mut self, present: Epoch) {
        let next = present.get().saturating_add(1);
        poll_fn(|cx| {
            let mut ahead = false;
            for shared in &mut self.0 {
                while let Poll::Ready(Some((term, message))) = shared.unclaimed.poll_recv(cx) {
                    ahead |= term >= next;
                    if term == next {
                        shared.early.keep(term, message);
                    }
                }
            }
            if ahead {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
