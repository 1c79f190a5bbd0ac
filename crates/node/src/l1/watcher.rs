//! The task that watches.

use super::{
    beacon::{Beacon, Duty},
    error::L1Error,
    rpc::{L1Rpc, VerifiedHeader},
    walk::{Step, Told, WALK_MAX, step},
};
use crate::reader::Tip;
use cortado_client::api::L1NodeStatus;
use cortado_consensus::witness::Observation;
use cortado_types::{Address, B256, L1Config, L1Ref};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};
use tracing::{info, warn};

/// Pause between polls: a small part of the shortest L1 slot anyone runs, and nothing to a node.
const POLL: Duration = Duration::from_millis(250);
/// Least pause between polls, however often the beacon wakes us.
const POLL_MIN: Duration = Duration::from_millis(20);
/// First pause after a failure; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at the beacon's duties.
const DUTIES_PAUSE: Duration = Duration::from_secs(1);

/// Where an L1 node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L1Endpoints {
    /// URL of its JSON-RPC.
    pub rpc: String,
    /// URL of its beacon's REST interface; without one the lookahead is off.
    pub beacon: Option<String>,
}

/// A running watcher; it ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    status: watch::Receiver<L1NodeStatus>,
    lookahead: watch::Receiver<Vec<Duty>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watcher {
    /// Watches the L1 of `config` through `endpoints`, from where `tip` points on, and tells
    /// `observations`.
    ///
    /// # Errors
    /// If a URL is none. Everything else may pass, and is in [`Watcher::status`].
    pub fn start(
        endpoints: &L1Endpoints,
        config: &L1Config,
        tip: watch::Receiver<Arc<Tip>>,
        observations: mpsc::Sender<Observation>,
    ) -> Result<Self, L1Error> {
        let rpc = L1Rpc::new(&endpoints.rpc)?;
        let beacon = endpoints.beacon.as_deref().map(Beacon::new).transpose()?;
        let (status, status_receiver) = watch::channel(L1NodeStatus::default());
        let (lookahead, lookahead_receiver) = watch::channel(Vec::new());
        let wake = Arc::new(Notify::new());
        let status = Arc::new(status);
        let mut tasks = Vec::new();
        match beacon {
            Some(beacon) => {
                tasks.push(tokio::spawn(listen(beacon.clone(), wake.clone())));
                let duties = Duties {
                    beacon,
                    config: config.clone(),
                    status: status.clone(),
                };
                tasks.push(tokio::spawn(duties.run(lookahead)));
            }
            None => info!("no beacon node is configured: the proposer lookahead is off"),
        }
        let walker = Walker {
            rpc,
            chain_id: config.chain_id,
            registry: config.registry,
            checked: false,
            tip,
            observations,
            status,
            told: Told::default(),
            told_final: None,
            told_seats: None,
        };
        tasks.push(tokio::spawn(walker.run(wake)));
        Ok(Self {
            status: status_receiver,
            lookahead: lookahead_receiver,
            tasks,
        })
    }

    /// What the L1 node says, and whether it does.
    pub fn status(&self) -> watch::Receiver<L1NodeStatus> {
        self.status.clone()
    }

    /// Proposers of this and the next L1 epoch's slots (EIP-7917); empty without a beacon.
    pub fn lookahead(&self) -> watch::Receiver<Vec<Duty>> {
        self.lookahead.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Keeps the beacon's event stream open.
async fn listen(beacon: Beacon, wake: Arc<Notify>) {
    let mut backoff = BACKOFF_MIN;
    loop {
        let opened = tokio::time::Instant::now();
        // How it broke does not matter: polling goes on beside it.
        let _ = beacon.listen(wake.clone()).await;
        backoff = if opened.elapsed() > BACKOFF_MAX {
            BACKOFF_MIN
        } else {
            backoff * 2
        };
        backoff = backoff.min(BACKOFF_MAX);
        tokio::time::sleep(backoff).await;
    }
}

struct Duties {
    beacon: Beacon,
    config: L1Config,
    status: Arc<watch::Sender<L1NodeStatus>>,
}

impl Duties {
    async fn run(self, lookahead: watch::Sender<Vec<Duty>>) {
        let mut backoff = BACKOFF_MIN;
        let mut known = None;
        loop {
            match self.refresh(&mut known, &lookahead).await {
                Ok(()) => {
                    backoff = BACKOFF_MIN;
                    tokio::time::sleep(DUTIES_PAUSE).await;
                }
                Err(error) => {
                    if self.status.borrow().beacon || backoff == BACKOFF_MIN {
                        warn!(%error, "the beacon node is of no use now");
                    }
                    self.status.send_modify(|status| {
                        status.beacon = false;
                        status.lookahead_until_slot = None;
                    });
                    known = None;
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    /// Asks for duties when the epoch has changed since `known`.
    async fn refresh(
        &self,
        known: &mut Option<u64>,
        lookahead: &watch::Sender<Vec<Duty>>,
    ) -> Result<(), L1Error> {
        let time = self.beacon.time().await?;
        let spec = |what, got, want| {
            if got == want {
                Ok(())
            } else {
                Err(L1Error::Spec { what, got, want })
            }
        };
        spec("a slot length in ms of", time.slot_ms, self.config.slot_ms)?;
        spec(
            "slots per epoch",
            time.slots_per_epoch,
            self.config.slots_per_epoch,
        )?;
        let now = crate::clock::now().get();
        let slot = now.saturating_sub(time.genesis_time_ms) / time.slot_ms.max(1);
        let epoch = slot / time.slots_per_epoch.max(1);
        if *known == Some(epoch) || self.beacon.is_syncing().await? {
            return Ok(());
        }
        let mut duties = self.beacon.duties(epoch).await?;
        duties.extend(self.beacon.duties(epoch.saturating_add(1)).await?);
        let until = duties.iter().map(|duty| duty.slot).max();
        lookahead.send_replace(duties);
        self.status.send_modify(|status| {
            status.beacon = true;
            status.lookahead_until_slot = until;
        });
        *known = Some(epoch);
        Ok(())
    }
}

struct Walker {
    rpc: L1Rpc,
    chain_id: u64,
    registry: Address,
    checked: bool,
    tip: watch::Receiver<Arc<Tip>>,
    observations: mpsc::Sender<Observation>,
    status: Arc<watch::Sender<L1NodeStatus>>,
    told: Told,
    told_final: Option<B256>,
    /// The finalised block at which the registry was read last.
    told_seats: Option<B256>,
}

/// Whether there is more to do at once.
#[derive(PartialEq, Eq)]
enum Polled {
    More,
    AllTold,
    /// Nobody listens any more.
    Over,
}

impl Walker {
    async fn run(mut self, wake: Arc<Notify>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            match self.poll().await {
                Ok(Polled::Over) => return,
                Ok(polled) => {
                    backoff = BACKOFF_MIN;
                    if polled == Polled::AllTold {
                        tokio::time::sleep(POLL_MIN).await;
                        let _ = tokio::time::timeout(POLL - POLL_MIN, wake.notified()).await;
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    fn fail(&self, error: &L1Error) {
        let text = error.to_string();
        self.status.send_if_modified(|status| {
            let news = status.connected || status.error.as_ref() != Some(&text);
            if news && error.is_lie() {
                warn!(%error, "the L1 node lies; nothing of its answer is used");
            } else if news {
                warn!(%error, "the L1 node is of no use now");
            }
            status.connected = false;
            status.error = Some(text.clone());
            news
        });
    }

    async fn poll(&mut self) -> Result<Polled, L1Error> {
        if !self.checked {
            let got = self.rpc.chain_id().await?;
            if got != self.chain_id {
                return Err(L1Error::ChainId {
                    got,
                    want: self.chain_id,
                });
            }
            self.checked = true;
        }
        let tip = self.tip.borrow_and_update().clone();
        let (pointer, fin) = (tip.block.header.l1_head.block, tip.block.header.l1_fin);
        self.told.prune(fin.number);
        let Some(head) = self.rpc.tagged("latest").await? else {
            return Ok(Polled::AllTold);
        };
        // After an outage not all at once: so much above what is known, then again.
        let reach = self
            .told
            .highest()
            .unwrap_or(0)
            .max(pointer.number)
            .saturating_add(WALK_MAX);
        let target = if head.block.number > reach {
            self.rpc.by_number(reach).await?
        } else {
            Some(head.clone())
        };
        let finalized = self.rpc.tagged("finalized").await?;
        self.status.send_modify(|status| {
            status.connected = true;
            status.error = None;
            status.head = Some(head.block);
            status.finalized = finalized.as_ref().map(|header| header.block);
        });
        let Some(target) = target else {
            return Ok(Polled::AllTold);
        };
        let reached = target.block == head.block;
        if !self.tell_headers(target, &tip).await?
            || !self.tell_final(finalized.as_ref(), &tip).await
            || !self.tell_seats(finalized.as_ref(), &tip).await?
        {
            return Ok(Polled::Over);
        }
        Ok(if reached {
            Polled::AllTold
        } else {
            Polled::More
        })
    }

    /// Tells `target` and those of its ancestors that were not told, oldest first.
    async fn tell_headers(&mut self, target: VerifiedHeader, tip: &Tip) -> Result<bool, L1Error> {
        let (pointer, fin) = (tip.block.header.l1_head.block, tip.block.header.l1_fin);
        if self.told.contains(&target.block)
            || target.block == pointer
            || target.block.number <= fin.number
        {
            return Ok(true);
        }
        let is_known =
            |block: &L1Ref| self.told.contains(block) || tip.state.l1.get(&block.hash).is_some();
        let mut path = vec![target];
        while let Some(lowest) = path.last()
            && let Step::Parent(parent) = step(lowest, fin, is_known)?
        {
            let number = lowest.block.number;
            let Some(header) = self.rpc.by_hash(parent).await? else {
                return Err(L1Error::Other {
                    want: parent.to_string(),
                    got: "nothing".into(),
                });
            };
            if header.block.number + 1 != number {
                return Err(L1Error::Link {
                    number,
                    parent_number: header.block.number,
                });
            }
            path.push(header);
        }
        for header in path.into_iter().rev() {
            if self
                .observations
                .send(Observation::Header(header.raw))
                .await
                .is_err()
            {
                return Ok(false);
            }
            self.told.insert(header.block);
        }
        Ok(true)
    }

    /// Tells the finalised block once its header is known to the chain or told.
    async fn tell_final(&mut self, finalized: Option<&VerifiedHeader>, tip: &Tip) -> bool {
        let Some(VerifiedHeader { block, .. }) = finalized else {
            return true;
        };
        let block = *block;
        let fin = tip.block.header.l1_fin;
        let known = self.told.contains(&block) || tip.state.l1.get(&block.hash).is_some();
        if block.number <= fin.number || self.told_final == Some(block.hash) || !known {
            return true;
        }
        self.told_final = Some(block.hash);
        self.observations
            .send(Observation::Finalized(block.hash))
            .await
            .is_ok()
    }

    /// R10: tells the seats that are settled at the finalised block, if they are others than those
    /// that are due. Once for each finalised block, so what was missed is told at the next.
    async fn tell_seats(
        &mut self,
        finalized: Option<&VerifiedHeader>,
        tip: &Tip,
    ) -> Result<bool, L1Error> {
        let (state, registry) = (&tip.state, self.registry);
        let Some(header) = finalized else {
            return Ok(true);
        };
        let known = self.told.contains(&header.block) || state.l1.get(&header.block.hash).is_some();
        if !known
            || header.block.number <= state.read_at
            || self.told_seats == Some(header.block.hash)
        {
            return Ok(true);
        }
        let due = (state.due.seats.hash(), state.due.price);
        let news = self.rpc.news_of_seats(registry, due, state.read_at, header);
        if let Some(read) = news.await? {
            info!(
                block = header.block.number,
                seats = read.read.seats.len(),
                "other seats are settled on L1"
            );
            let told = self.observations.send(Observation::Seats(Box::new(read)));
            if told.await.is_err() {
                return Ok(false);
            }
        }
        self.told_seats = Some(header.block.hash);
        Ok(true)
    }
}
