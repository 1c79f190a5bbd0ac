//! Carries out what is asked of the history.

use super::{
    ingress::{MAILBOX_SIZE, Mailbox, Message},
    store::Store,
    wire::{Answer, DESCENDANTS_MAX},
};
use crate::{block::Block, events::Events, ledger::Ledger, runtime::Runtime};
use bytes::Bytes;
use commonware_macros::select_loop;
use commonware_runtime::{ContextCell, Handle, spawn_cell};
use commonware_storage::archive;
use commonware_utils::channel::mpsc;
use cortado_types::Height;
use std::num::NonZeroU64;

/// Keeps final blocks.
pub struct Actor<E: Runtime> {
    context: ContextCell<E>,
    store: Store<E>,
    ledger: Ledger,
    events: Events,
    receiver: mpsc::Receiver<Message>,
}

impl<E: Runtime> Actor<E> {
    /// Opens the store.
    ///
    /// # Errors
    /// If it is damaged in the middle.
    pub async fn init(
        context: E,
        prefix: &str,
        blocks_per_file: NonZeroU64,
        ledger: Ledger,
        events: Events,
    ) -> Result<(Self, Mailbox), archive::Error> {
        let store = Store::open(&context, prefix, blocks_per_file).await?;
        let (sender, receiver) = mpsc::channel(MAILBOX_SIZE);
        let actor = Self {
            context: ContextCell::new(context),
            store,
            ledger,
            events,
            receiver,
        };
        Ok((actor, Mailbox(sender)))
    }

    /// Starts it; ends on shutdown or when the disk fails.
    pub fn start(mut self) -> Handle<()> {
        spawn_cell!(self.context, self.run())
    }

    async fn run(mut self) {
        select_loop! {
            self.context,
            on_stopped => {
                if let Err(error) = self.store.sync().await {
                    self.events.fail("block store", error);
                }
            },
            Some(message) = self.receiver.recv() else break => {
                if let Err(error) = self.handle(message).await {
                    self.events.fail("block store", error);
                    return;
                }
            },
        }
    }

    async fn handle(&mut self, message: Message) -> Result<(), archive::Error> {
        match message {
            Message::Put {
                block,
                finalization,
            } => self.store.put(&block, finalization).await?,
            Message::Open { term, record } => self.store.put_term(term, &record).await?,
            Message::Sync { done } => {
                self.store.sync().await?;
                let _ = done.send(());
            }
            Message::Prune { below } => self.store.prune(below).await?,
            Message::Block { height, reply } => {
                let found = self.store.block(height).await?;
                let _ = reply.send(found.map(reopen).transpose()?);
            }
            Message::ByHash { hash, reply } => {
                let found = self.store.by_hash(hash).await?;
                let _ = reply.send(found.map(reopen).transpose()?);
            }
            Message::Certificate { from, to, reply } => {
                let _ = reply.send(self.store.certificate(from, to).await?);
            }
            Message::Term { term, reply } => {
                let _ = reply.send(self.store.term(term).await?);
            }
            Message::Serve { height, reply } => {
                if !reply.is_closed()
                    && let Some(answer) = self.answer(height).await?
                {
                    let _ = reply.send(alloy_rlp::encode(answer).into());
                }
            }
        }
        Ok(())
    }

    /// What shows block `height` to a peer, if it is final here.
    async fn answer(&self, height: Height) -> Result<Option<Answer>, archive::Error> {
        let newest = self.ledger.finalized().height();
        if height > newest || height == Height::ZERO {
            return Ok(None);
        }
        let Some(block) = self.store.block(height).await? else {
            return Ok(None);
        };
        let reach = Height::new(height.get().saturating_add(DESCENDANTS_MAX)).min(newest);
        let Some((certified, finalization)) = self.store.certificate(height, reach).await? else {
            return Ok(None);
        };
        let mut descendants = Vec::new();
        for at in height.get() + 1..=certified.get() {
            let Some(bytes) = self.store.block(Height::new(at)).await? else {
                return Ok(None);
            };
            descendants.push(reopen(bytes)?.inner().header.clone());
        }
        Ok(Some(Answer {
            newest,
            block,
            descendants,
            finalization,
        }))
    }
}

fn reopen(bytes: Bytes) -> Result<Block, archive::Error> {
    Block::from_bytes(bytes).map_err(|_| archive::Error::RecordCorrupted)
}
