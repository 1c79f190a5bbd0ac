//! What others ask of the history.

use super::store::TermRecord;
use crate::block::Block;
use bytes::Bytes;
use commonware_utils::channel::{mpsc, oneshot};
use cortado_types::{B256, Height, Term};

pub(super) enum Message {
    Put {
        block: Block,
        finalization: Option<Bytes>,
    },
    Open {
        term: Term,
        record: Box<TermRecord>,
    },
    Sync {
        done: oneshot::Sender<()>,
    },
    Prune {
        below: Height,
    },
    Block {
        height: Height,
        reply: oneshot::Sender<Option<Block>>,
    },
    ByHash {
        hash: B256,
        reply: oneshot::Sender<Option<Block>>,
    },
    Certificate {
        from: Height,
        to: Height,
        reply: oneshot::Sender<Option<(Height, Bytes)>>,
    },
    Term {
        term: Term,
        reply: oneshot::Sender<Option<TermRecord>>,
    },
    Serve {
        height: Height,
        reply: oneshot::Sender<Bytes>,
    },
}

/// Requests that wait. Who writes or reads waits for room; peers' questions are dropped when there is
/// none.
pub(super) const MAILBOX_SIZE: usize = 256;

/// A handle to the history.
#[derive(Clone)]
pub struct Mailbox(pub(super) mpsc::Sender<Message>);

impl Mailbox {
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.0.send(message(reply)).await.ok()?;
        answer.await.ok()
    }

    /// Adds a final block. Reads that follow see it; it is durable after [`Mailbox::sync`].
    pub async fn put(&self, block: Block, finalization: Option<Bytes>) {
        let put = Message::Put {
            block,
            finalization,
        };
        let _ = self.0.send(put).await;
    }

    /// Adds how a term began.
    pub async fn open(&self, term: Term, record: TermRecord) {
        let record = Box::new(record);
        let _ = self.0.send(Message::Open { term, record }).await;
    }

    /// Makes everything so far durable. `None` if the history has ended: its node ends too.
    pub async fn sync(&self) -> Option<()> {
        self.ask(|done| Message::Sync { done }).await
    }

    /// Drops blocks below `below`, as far as whole files lie below it.
    pub async fn prune(&self, below: Height) {
        let _ = self.0.send(Message::Prune { below }).await;
    }

    /// A final block by number.
    pub async fn block(&self, height: Height) -> Option<Block> {
        self.ask(|reply| Message::Block { height, reply })
            .await
            .flatten()
    }

    /// A final block by hash.
    pub async fn by_hash(&self, hash: B256) -> Option<Block> {
        self.ask(|reply| Message::ByHash { hash, reply })
            .await
            .flatten()
    }

    /// The engine's finalization of the lowest block from `from` to `to` that has one, and that
    /// block's number.
    pub async fn certificate(&self, from: Height, to: Height) -> Option<(Height, Bytes)> {
        self.ask(|reply| Message::Certificate { from, to, reply })
            .await
            .flatten()
    }

    /// How a term began. `None` for term 0, which begins with the genesis, and for terms that have
    /// not begun.
    pub async fn term(&self, term: Term) -> Option<TermRecord> {
        self.ask(|reply| Message::Term { term, reply })
            .await
            .flatten()
    }

    /// Answers a peer.
    pub(super) fn serve(&self, height: Height, reply: oneshot::Sender<Bytes>) {
        let _ = self.0.try_send(Message::Serve { height, reply });
    }
}
