//! Ask peers for lane blocks and answer their questions, through the resolver.

use super::ingress::Message;
use crate::{
    block::{Digest, hash},
    network::Link,
    runtime::{Runtime, Transport},
};
use bytes::Bytes;
use commonware_cryptography::ed25519;
use commonware_resolver::{
    Consumer, Delivery,
    p2p::{self, Producer},
};
use commonware_utils::{
    NZUsize, NonZeroDuration,
    channel::{mpsc, oneshot},
};
use std::time::Duration;

/// Turns the resolver's calls into messages to the actor.
#[derive(Clone)]
pub(super) struct Handler(pub(super) mpsc::Sender<Message>);

impl Consumer for Handler {
    type Key = Digest;
    type Value = Bytes;
    type Subscriber = ();
    type Outcome = bool;

    fn deliver(&mut self, delivery: Delivery<Digest, ()>, bytes: Bytes) -> oneshot::Receiver<bool> {
        let (reply, answer) = oneshot::channel();
        // If the mailbox is full the reply is dropped; the actor asks again at its next tick.
        let _ = self.0.try_send(Message::Deliver {
            hash: hash(&delivery.key),
            bytes,
            reply,
        });
        answer
    }
}

impl Producer for Handler {
    type Key = Digest;

    fn produce(&mut self, key: Digest) -> oneshot::Receiver<Bytes> {
        let (reply, answer) = oneshot::channel();
        let _ = self.0.try_send(Message::Serve {
            hash: hash(&key),
            reply,
        });
        answer
    }
}

/// Where lane blocks are asked for.
pub(super) type Fetcher = p2p::Mailbox<Digest, ed25519::PublicKey, ()>;

/// A body of four MiB over a slow link takes this long; then another peer is asked.
const FETCH_TIMEOUT: Duration = Duration::from_secs(4);

pub(super) fn start<E: Runtime, N: Transport>(
    context: E,
    me: ed25519::PublicKey,
    blocker: N::Blocker,
    peers: N::Peers,
    handler: Handler,
    link: Link<N>,
) -> Fetcher {
    let (engine, mailbox) = p2p::Engine::new(
        context,
        p2p::Config {
            peer_provider: peers,
            blocker,
            consumer: handler.clone(),
            producer: handler,
            mailbox_size: NZUsize!(1_024),
            me: Some(me),
            fetch_timeout: NonZeroDuration::new_panic(FETCH_TIMEOUT),
            fetch_retry_delay: Duration::from_millis(200),
            priority_requests: false,
            priority_responses: false,
        },
    );
    engine.start(link);
    mailbox
}
