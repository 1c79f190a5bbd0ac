//! Finding out what L1 blocks queued: asks until somebody tells, beside everything else.

use crate::{
    engine::Engine,
    source::{QueueSource, SourceError},
};
use cortado_derive::Entry;
use cortado_types::{Address, B256, Bytes, Namespace};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::mpsc, task::AbortHandle};

/// First pause after a failure; L1 blocks are seconds apart.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause: an L1 node that was away is noticed within this.
const PAUSE_MAX: Duration = Duration::from_secs(4);
/// Answers that wait to be taken in.
const TOLD_MAX: usize = 64;

/// What an L1 block queued for a rollup.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) namespace: Namespace,
    pub(crate) block: B256,
    pub(crate) entries: Vec<Entry>,
}

/// Questions that are open. Dropping it ends them.
pub(crate) struct Queues<Q> {
    source: Arc<Q>,
    open: BTreeMap<(Namespace, B256), AbortHandle>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
}

impl<Q> Drop for Queues<Q> {
    fn drop(&mut self) {
        self.open.values().for_each(AbortHandle::abort);
    }
}

impl<Q: QueueSource> Queues<Q> {
    pub(crate) fn new(source: Q) -> Self {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        Self {
            source: Arc::new(source),
            open: BTreeMap::new(),
            tell,
            told,
        }
    }

    /// Asks what `engine` wants to know, and no longer what it does not. Must be called on a tokio
    /// runtime.
    pub(crate) fn ask(&mut self, engine: &Engine) {
        let namespace = engine.namespace();
        let Some(inbox) = engine.spec().inbox else {
            return;
        };
        let wanted: BTreeMap<_, _> = engine.asked().collect();
        self.open.retain(|(of, block), task| {
            let keep = *of != namespace || wanted.contains_key(block);
            if !keep {
                task.abort();
            }
            keep
        });
        for (block, raw) in wanted {
            self.open.entry((namespace, *block)).or_insert_with(|| {
                let (source, tell) = (self.source.clone(), self.tell.clone());
                let task = find(source, namespace, inbox, *block, raw.clone(), tell);
                tokio::spawn(task).abort_handle()
            });
        }
    }

    /// The next answer; waits for it.
    pub(crate) async fn told(&mut self) -> Told {
        match self.told.recv().await {
            Some(told) => told,
            // Not while this holds a sender itself.
            None => std::future::pending().await,
        }
    }
}

async fn find<Q: QueueSource>(
    source: Arc<Q>,
    namespace: Namespace,
    inbox: Address,
    block: B256,
    raw: Bytes,
    tell: mpsc::Sender<Told>,
) {
    let mut pause = PAUSE_MIN;
    loop {
        match source.queue(&raw, inbox).await {
            Ok(entries) => {
                let told = Told {
                    namespace,
                    block,
                    entries,
                };
                // Nobody may be left to hear it.
                let _ = tell.send(told).await;
                return;
            }
            Err(SourceError(error)) => {
                // Once: it is asked again until somebody knows, or nobody needs to.
                if pause < PAUSE_MAX && pause * 2 >= PAUSE_MAX {
                    tracing::warn!(%error, %block, "it is not known what an L1 block queued, asking again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}
