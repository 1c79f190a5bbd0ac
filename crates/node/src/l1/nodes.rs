//! The endpoints of a node, each asked in its own time by a scout.

use super::{
    config::RpcUrls,
    endpoints::{self, Endpoints, Report, Standing},
    error::L1Error,
    rpc::{L1Rpc, VerifiedHeader},
};
use crate::clock;
use cortado_client::api::{L1EndpointState, L1EndpointView};
use cortado_types::{B256, L1Config, L1Ref};
use futures::future::BoxFuture;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle, time::Instant};
use tracing::{info, warn};

/// Least pause between two questions, however often somebody wakes a scout.
const POLL_MIN: Duration = Duration::from_millis(20);
/// Time for another endpoint's word on a finalised block: finality waits for it, and may.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(2);

/// What an endpoint said last.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Its newest block.
    pub head: VerifiedHeader,
    /// The block it calls final.
    pub finalized: Option<VerifiedHeader>,
}

struct Shared {
    endpoints: Endpoints,
    said: Vec<Option<Said>>,
    /// Why each was left last.
    errors: Vec<Option<L1Error>>,
}

struct Inner {
    rpcs: Vec<L1Rpc>,
    chain_id: u64,
    slot_ms: u64,
    begin: Instant,
    shared: Mutex<Shared>,
    /// Somebody knows that the endpoint in use has news.
    wake: Arc<Notify>,
    /// An endpoint answered, or was left.
    news: Notify,
}

/// The endpoints of a node, and the tasks that ask them; these end when it is dropped.
pub struct L1Nodes {
    inner: Arc<Inner>,
    scouts: Vec<JoinHandle<()>>,
}

impl Drop for L1Nodes {
    fn drop(&mut self) {
        for scout in &self.scouts {
            scout.abort();
        }
    }
}

impl L1Nodes {
    /// Begins to ask the endpoints of an L1 like `config`.
    ///
    /// # Errors
    /// If a URL is none.
    pub fn start(urls: &RpcUrls, config: &L1Config) -> Result<Self, L1Error> {
        Self::start_woken(urls, config, Arc::new(Notify::new()))
    }

    /// Asks the endpoint in use, and the next one if that fails or lies, until one answers well. What
    /// `ask` reads has to be addressed by hash: the next one may be on another fork.
    ///
    /// # Errors
    /// [`L1Error::NoEndpoint`] if none is left.
    pub async fn ask<T>(
        &self,
        ask: impl for<'a> Fn(&'a L1Rpc) -> BoxFuture<'a, Result<T, L1Error>>,
    ) -> Result<T, L1Error> {
        while let Some((at, _)) = self.chosen() {
            match ask(self.rpc(at)).await {
                Ok(answer) => {
                    self.served(at);
                    return Ok(answer);
                }
                Err(error) => self.leave(at, error),
            }
        }
        let said = self.error().unwrap_or_else(|| "not asked yet".to_owned());
        Err(L1Error::NoEndpoint { said })
    }

    /// As [`L1Nodes::start`]; whoever notifies `wake` makes it ask the one in use at once.
    ///
    /// # Errors
    /// If a URL is none.
    pub(super) fn start_woken(
        urls: &RpcUrls,
        config: &L1Config,
        wake: Arc<Notify>,
    ) -> Result<Self, L1Error> {
        let rpcs: Result<Vec<_>, _> = urls.all().iter().map(|url| L1Rpc::new(url)).collect();
        let rpcs = rpcs?;
        let count = rpcs.len();
        let inner = Arc::new(Inner {
            rpcs,
            chain_id: config.chain_id,
            slot_ms: config.slot_ms,
            begin: Instant::now(),
            shared: Mutex::new(Shared {
                endpoints: Endpoints::new(count, config.slot_ms),
                said: vec![None; count],
                errors: vec![None; count],
            }),
            wake,
            news: Notify::new(),
        });
        let scouts = (0..count).map(|at| tokio::spawn(inner.clone().scout(at)));
        Ok(Self {
            scouts: scouts.collect(),
            inner,
        })
    }

    /// The endpoint to use and what it said last, if one is of use.
    pub(super) fn chosen(&self) -> Option<(usize, Said)> {
        let shared = self.inner.shared();
        let at = shared.endpoints.choose()?;
        Some((at, shared.said[at].clone()?))
    }

    /// One of the endpoints.
    pub(super) fn rpc(&self, at: usize) -> &L1Rpc {
        &self.inner.rpcs[at]
    }

    /// What may be shown of its URL.
    pub(super) fn shown(&self, at: usize) -> String {
        self.inner.rpcs[at].shown()
    }

    /// Waits until an endpoint has answered or was left, and no longer than `timeout`.
    pub(super) async fn news(&self, timeout: Duration) {
        let _ = tokio::time::timeout(timeout, self.inner.news.notified()).await;
    }

    /// Everything that was wanted of it was had.
    pub(super) fn served(&self, at: usize) {
        self.inner.shared().endpoints.served(at);
    }

    /// It failed or lied: the next one is used.
    pub(super) fn leave(&self, at: usize, error: L1Error) {
        self.inner.leave(at, error);
    }

    /// Another endpoint that answers and holds another block of this number as canonical or final,
    /// and that block's hash.
    pub(super) async fn contradiction(&self, than: usize, block: L1Ref) -> Option<(usize, B256)> {
        let (known, others) = {
            let shared = self.inner.shared();
            let known = shared.endpoints.other_final(than, block);
            (known, shared.endpoints.others(than))
        };
        if known.is_some() {
            return known;
        }
        let asked = others.into_iter().map(async |at| {
            let answer = self.rpc(at).by_number(block.number);
            let answer = tokio::time::timeout(OTHERS_TIMEOUT, answer).await;
            let error = match answer {
                Ok(Ok(found)) => {
                    let hash = found?.block.hash;
                    return (hash != block.hash).then_some((at, hash));
                }
                Ok(Err(error)) => error,
                Err(_) => self.rpc(at).late(),
            };
            // It cannot be heard, so it contradicts nobody.
            self.leave(at, error);
            None
        });
        let answers = futures::future::join_all(asked).await;
        answers.into_iter().flatten().next()
    }

    /// The endpoints for people.
    pub(super) fn views(&self) -> Vec<L1EndpointView> {
        let shared = self.inner.shared();
        let used = shared.endpoints.choose();
        let view = |at: usize| {
            let error = shared.errors[at].as_ref();
            let state = match shared.endpoints.standing(at) {
                Standing::Untried => L1EndpointState::Starting,
                Standing::Ready if used == Some(at) => L1EndpointState::Used,
                Standing::Ready => L1EndpointState::Ready,
                Standing::Lagging => L1EndpointState::Lagging,
                Standing::Left { .. } if error.is_some_and(L1Error::is_lie) => {
                    L1EndpointState::Lying
                }
                Standing::Left { .. } if error.is_some_and(L1Error::is_other_chain) => {
                    L1EndpointState::OtherChain
                }
                Standing::Left { .. } => L1EndpointState::Failing,
            };
            let is_left = matches!(shared.endpoints.standing(at), Standing::Left { .. });
            L1EndpointView {
                url: self.shown(at),
                state,
                head: shared.endpoints.report(at).map(|report| report.head),
                error: error.filter(|_| is_left).map(ToString::to_string),
            }
        };
        (0..self.inner.rpcs.len()).map(view).collect()
    }

    /// Why endpoints are left, in words.
    pub(super) fn error(&self) -> Option<String> {
        let views = self.views();
        let several = views.len() > 1;
        let said = views.into_iter().filter_map(|one| {
            let error = one.error?;
            Some(if several {
                format!("{}: {error}", one.url)
            } else {
                error
            })
        });
        Some(said.collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
    }

    /// Who lags behind whom, in words.
    pub(super) fn lags(&self) -> Vec<String> {
        let lags = self.inner.shared().endpoints.lags();
        let words = lags.into_iter().map(|lag| {
            let (who, whom) = (self.shown(lag.endpoint), self.shown(lag.behind));
            format!("endpoint {who} lags {} L1 slots behind {whom}", lag.slots)
        });
        words.collect()
    }
}

impl Inner {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Consistent between any two calls, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn leave(&self, at: usize, error: L1Error) {
        let now_ms = self.now_ms();
        let mut shared = self.shared();
        shared.endpoints.leave(at, now_ms);
        self.note(&mut shared, at, error);
    }

    /// Keeps why an endpoint was left, and says so once.
    fn note(&self, shared: &mut Shared, at: usize, error: L1Error) {
        let endpoint = self.rpcs[at].shown();
        let is_news = shared.errors[at].as_ref() != Some(&error);
        if is_news && error.is_lie() {
            warn!(%endpoint, %error, "the L1 node lies; nothing of its answer is used");
        } else if is_news {
            warn!(%endpoint, %error, "the L1 node is of no use now");
        }
        shared.errors[at] = Some(error);
        self.news.notify_one();
    }

    async fn scout(self: Arc<Self>, at: usize) {
        let mut is_ours = false;
        loop {
            self.pause(at).await;
            match self.ask(at, &mut is_ours).await {
                Ok(said) => self.saw(at, said),
                Err(error) => {
                    // Behind the URL there may be another node when it is back.
                    is_ours = false;
                    self.leave(at, error);
                }
            }
        }
    }

    /// Waits until the endpoint is to be asked.
    async fn pause(&self, at: usize) {
        loop {
            let (pause, is_used) = {
                let endpoints = &self.shared().endpoints;
                let pause = endpoints.pause_ms(at, self.now_ms());
                (Duration::from_millis(pause), endpoints.choose() == Some(at))
            };
            if pause.is_zero() {
                return;
            }
            if !is_used {
                // Asked again whether it is due: it may be in use by then, or left for longer.
                tokio::time::sleep(pause.min(Duration::from_millis(endpoints::POLL_MS))).await;
                continue;
            }
            tokio::time::sleep(POLL_MIN).await;
            let pause = pause.saturating_sub(POLL_MIN);
            let woken = tokio::time::timeout(pause, self.wake.notified()).await;
            if woken.is_ok() && self.shared().endpoints.choose() == Some(at) {
                return;
            }
        }
    }

    async fn ask(&self, at: usize, is_ours: &mut bool) -> Result<Said, L1Error> {
        let rpc = &self.rpcs[at];
        if !*is_ours {
            let got = rpc.chain_id().await?;
            if got != self.chain_id {
                let want = self.chain_id;
                return Err(L1Error::ChainId { got, want });
            }
            *is_ours = true;
        }
        // In this order: a head that is read later has what is final below it.
        let finalized = rpc.tagged("finalized").await?;
        let head = rpc.tagged("latest").await?.ok_or(L1Error::Missing {
            block: "latest".to_owned(),
        })?;
        let now_ms = clock::now().get();
        endpoints::check_time(head.block, head.timestamp, (now_ms, self.slot_ms))?;
        Ok(Said { head, finalized })
    }

    fn saw(&self, at: usize, said: Said) {
        let report = Report {
            head: said.head.block,
            timestamp: said.head.timestamp,
            finalized: said.finalized.as_ref().map(|header| header.block),
        };
        let now_ms = self.now_ms();
        let mut shared = self.shared();
        let before = shared.endpoints.choose();
        match shared.endpoints.saw(at, report, now_ms) {
            Ok(()) => shared.said[at] = Some(said),
            Err(lie) => self.note(&mut shared, at, lie),
        }
        let chosen = shared.endpoints.choose();
        if let Some(used) = chosen
            && chosen != before
            && self.rpcs.len() > 1
        {
            info!(endpoint = %self.rpcs[used].shown(), "this L1 endpoint is used now");
        }
        self.news.notify_one();
    }
}
