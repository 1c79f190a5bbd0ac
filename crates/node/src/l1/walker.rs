//! Tells the seats what the endpoint in use holds: headers oldest first, then what is final.

use super::{
    endpoints::{POLL_MS, STANDBY_MS},
    error::L1Error,
    nodes::{L1Nodes, Said},
    rpc::VerifiedHeader,
    told::{Known, Told},
    waits::Waits,
    walk::{Search, WALK_MAX, check_above},
};
use crate::reader::Tip;
use cortado_client::api::L1NodeStatus;
use cortado_consensus::witness::Observation;
use cortado_types::{Address, B256, L1Config, L1Ref, limits::L1_TRACKED_HEADERS_MAX};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::info;

/// Goes from what is known to the heads of the endpoints.
pub(super) struct Walker {
    nodes: L1Nodes,
    registry: Address,
    tip: watch::Receiver<Arc<Tip>>,
    observations: mpsc::Sender<Observation>,
    status: Arc<watch::Sender<L1NodeStatus>>,
    told: Told,
    told_final: Option<L1Ref>,
    /// The finalised block at which the registry was read last.
    told_seats: Option<B256>,
    /// Why the present finalised block is not told, and when that was looked at.
    held_back: Option<(L1Ref, Instant)>,
    waits: Waits,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Followed {
    More,
    AllTold,
    /// Nobody listens any more.
    Over,
}

/// What a step towards the head came to.
enum Stepped {
    /// Everything up to this block is known.
    To(L1Ref),
    /// The endpoint's chain changed underfoot.
    Again,
    /// Nobody listens any more.
    Over,
}

impl Walker {
    /// A walker that was told nothing yet.
    pub(super) fn new(
        nodes: L1Nodes,
        config: &L1Config,
        tip: watch::Receiver<Arc<Tip>>,
        observations: mpsc::Sender<Observation>,
        status: Arc<watch::Sender<L1NodeStatus>>,
    ) -> Self {
        Self {
            nodes,
            registry: config.registry,
            tip,
            observations,
            status,
            told: Told::default(),
            told_final: None,
            told_seats: None,
            held_back: None,
            waits: Waits::new(config.slot_ms),
        }
    }

    /// Follows the endpoints until nobody listens.
    pub(super) async fn run(mut self) {
        loop {
            let chosen = self.nodes.chosen();
            let followed = match &chosen {
                Some((at, said)) => match self.follow(*at, said).await {
                    Ok(Followed::Over) => return,
                    Ok(followed) => {
                        self.nodes.served(*at);
                        followed
                    }
                    Err(error) => {
                        // The next endpoint goes on where this one was left.
                        self.nodes.leave(*at, error);
                        if self.nodes.chosen().is_some() {
                            continue;
                        }
                        Followed::AllTold
                    }
                },
                None => Followed::AllTold,
            };
            self.publish();
            if followed == Followed::AllTold {
                self.nodes.news(Duration::from_millis(POLL_MS)).await;
            }
        }
    }

    /// Shows where everything stands.
    fn publish(&self) {
        let chosen = self.nodes.chosen();
        let endpoints = self.nodes.views();
        let error = match chosen {
            Some(_) => None,
            None => self.nodes.error(),
        };
        let mut waits = self.nodes.lags();
        waits.extend(self.waits.words());
        self.status.send_if_modified(|status| {
            let mut now = status.clone();
            now.connected = chosen.is_some();
            now.error = error;
            if let Some((_, said)) = chosen {
                now.head = Some(said.head.block);
                now.finalized = said.finalized.map(|header| header.block);
            }
            now.endpoints = endpoints;
            now.waits = waits;
            let news = *status != now;
            *status = now;
            news
        });
    }

    async fn follow(&mut self, at: usize, said: &Said) -> Result<Followed, L1Error> {
        let tip = self.tip.borrow_and_update().clone();
        let fin = tip.block.header.l1_fin;
        self.told.prune(fin.number);
        let head = &said.head;
        self.waits.catching_up = None;
        if head.block.number <= fin.number {
            self.waits.clear();
            return Ok(Followed::AllTold);
        }
        let reached = match self.step(at, head, &tip).await? {
            Stepped::To(reached) => reached,
            Stepped::Again => return Ok(Followed::AllTold),
            Stepped::Over => return Ok(Followed::Over),
        };
        let is_whole = reached == head.block;
        if !is_whole {
            self.waits.catching_up = Some((reached.number, head.block.number));
        }
        let lowest = self.lowest_untaken(reached, &tip);
        self.waits.untaken(lowest);
        self.waits.not_later = lowest.and_then(|block| self.known(&tip).not_later(block));
        if let Some(finalized) = &said.finalized {
            if !self.tell_final(at, finalized, reached, &tip).await? {
                return Ok(Followed::Over);
            }
            if !self.tell_seats(at, finalized, &tip).await? {
                return Ok(Followed::Over);
            }
        }
        Ok(if is_whole || self.is_full(reached, &tip) {
            Followed::AllTold
        } else {
            Followed::More
        })
    }

    fn known<'a>(&'a self, tip: &'a Tip) -> Known<'a> {
        Known {
            told: &self.told,
            tree: &tip.state.l1,
            fin: tip.block.header.l1_fin,
        }
    }

    /// The first header of the endpoint's chain that the chain has not taken.
    fn lowest_untaken(&self, reached: L1Ref, tip: &Tip) -> Option<L1Ref> {
        let known = self.known(tip);
        let root = known.root(reached);
        (root != reached).then(|| known.ancestor(reached, root.number + 1))?
    }

    /// Whether as much is told above what the chain tracks as it could ever track: more would push
    /// out what it needs first.
    fn is_full(&self, reached: L1Ref, tip: &Tip) -> bool {
        let root = self.known(tip).root(reached);
        reached.number - root.number >= L1_TRACKED_HEADERS_MAX as u64
    }

    /// Tells what is between the known blocks and `head`, at most [`WALK_MAX`] headers of it.
    async fn step(
        &mut self,
        at: usize,
        head: &VerifiedHeader,
        tip: &Tip,
    ) -> Result<Stepped, L1Error> {
        if self.known(tip).connects(head.block) {
            return Ok(Stepped::To(head.block));
        }
        let base = self.base(at, head, tip).await?;
        let root = self.known(tip).root(base);
        let reach = base.number.saturating_add(WALK_MAX);
        let full = root.number.saturating_add(L1_TRACKED_HEADERS_MAX as u64);
        let number = head.block.number.min(reach).min(full);
        if number <= base.number {
            return Ok(Stepped::To(base));
        }
        let target = if number == head.block.number {
            head.clone()
        } else {
            match self.nodes.rpc(at).by_number(number).await? {
                Some(target) => target,
                None => return Ok(Stepped::Again),
            }
        };
        let Some(path) = self.path(at, &target, tip).await? else {
            return self.changed(at, base, &target).await;
        };
        for header in path.into_iter().rev() {
            let told = self.observations.send(Observation::Header(header.raw));
            if told.await.is_err() {
                return Ok(Stepped::Over);
            }
            self.told
                .insert(header.block, header.parent, header.timestamp);
        }
        Ok(Stepped::To(target.block))
    }

    /// The last block of the endpoint's chain that connects to what the chain tracks.
    async fn base(&self, at: usize, head: &VerifiedHeader, tip: &Tip) -> Result<L1Ref, L1Error> {
        let (known, fin) = (self.known(tip), tip.block.header.l1_fin);
        if known.connects(head.parent_ref()) {
            return Ok(head.parent_ref());
        }
        let hint = self
            .told
            .highest()
            .max(tip.block.header.l1_head.block.number);
        let mut search = Search::new(fin.number, head.block.number, hint);
        let mut base = fin;
        while let Some(number) = search.ask() {
            let header = self.nodes.rpc(at).by_number(number).await?;
            let block = header.map(|header| header.block);
            let connects = block.is_some_and(|block| known.connects(block));
            if let Some(block) = block.filter(|_| connects) {
                base = block;
            } else if number == fin.number {
                return Err(block.map_or(
                    L1Error::Missing {
                        block: number.to_string(),
                    },
                    |block| L1Error::OffFinal {
                        number,
                        hash: block.hash,
                        fin: fin.hash,
                    },
                ));
            }
            search.answer(connects);
        }
        Ok(base)
    }

    /// The unknown headers from `target` down to what connects, newest first; `None` if that is
    /// farther than a step goes.
    async fn path(
        &self,
        at: usize,
        target: &VerifiedHeader,
        tip: &Tip,
    ) -> Result<Option<Vec<VerifiedHeader>>, L1Error> {
        let known = self.known(tip);
        let mut path: Vec<VerifiedHeader> = Vec::new();
        let mut down_from = target.block;
        if !self.told.contains(target.block) {
            path.push(target.clone());
            down_from = target.parent_ref();
        }
        loop {
            let missing = known.root(down_from);
            if known.is_tracked(missing) {
                return Ok(Some(path));
            }
            let lowest = path.last().map_or(target.block, |header| header.block);
            check_above(lowest, missing, known.fin)?;
            if path.len() as u64 >= WALK_MAX {
                return Ok(None);
            }
            let header = self.nodes.rpc(at).by_hash(missing.hash).await?;
            let header = header.ok_or_else(|| L1Error::Missing {
                block: missing.hash.to_string(),
            })?;
            if header.block.number != missing.number {
                return Err(L1Error::Link {
                    number: missing.number.saturating_add(1),
                    parent_number: header.block.number,
                });
            }
            down_from = header.parent_ref();
            path.push(header);
        }
    }

    /// A target did not lead back to `base`, though both were of the endpoint's chain: either that
    /// chain changed in between, or the endpoint lies.
    async fn changed(
        &self,
        at: usize,
        base: L1Ref,
        target: &VerifiedHeader,
    ) -> Result<Stepped, L1Error> {
        for block in [base, target.block] {
            let now = self.nodes.rpc(at).by_number(block.number).await?;
            if now.is_none_or(|now| now.block != block) {
                return Ok(Stepped::Again);
            }
        }
        Err(L1Error::NoPath {
            from: target.block.number,
            to: base.number,
        })
    }

    /// Tells the finalised block, once its header is known and nobody who answers contradicts it.
    async fn tell_final(
        &mut self,
        at: usize,
        finalized: &VerifiedHeader,
        reached: L1Ref,
        tip: &Tip,
    ) -> Result<bool, L1Error> {
        let (block, fin) = (finalized.block, tip.block.header.l1_fin);
        let told = self.told_final.filter(|told| told.number > fin.number);
        self.waits.finality(told);
        let is_old = told.is_some_and(|told| block.number < told.number || block == told);
        if block.number <= fin.number || block.number > reached.number || is_old {
            self.waits.held_back = None;
            return Ok(true);
        }
        let known = self.known(tip);
        // What is final is an ancestor of every head that is read after it.
        let Some(canonical) = known.ancestor(reached, block.number) else {
            return Ok(true);
        };
        if canonical != block {
            return Err(L1Error::TwoAnswers {
                number: block.number,
                first: canonical.hash,
                second: block.hash,
            });
        }
        // This seat signed `told`: it signs nothing that contradicts it, or of which it cannot tell.
        if let Some(told) = told {
            let now = known.ancestor(block, told.number);
            if let Some(now) = now
                && now != told
            {
                let own = format!("this node told {} as final", told.hash);
                let endpoint = self.nodes.shown(at);
                self.waits.hold_back(told.number, &endpoint, now.hash, &own);
            }
            if now != Some(told) {
                return Ok(true);
            }
        }
        let recheck = Duration::from_millis(STANDBY_MS);
        if let Some((held, since)) = self.held_back
            && held == block
            && since.elapsed() < recheck
        {
            return Ok(true);
        }
        if let Some((other, hash)) = self.nodes.contradiction(at, block).await {
            self.held_back = Some((block, Instant::now()));
            let other = format!("{} says {hash}", self.nodes.shown(other));
            self.waits
                .hold_back(block.number, &self.nodes.shown(at), block.hash, &other);
            return Ok(true);
        }
        self.held_back = None;
        self.waits.held_back = None;
        self.told_final = Some(block);
        let told = self.observations.send(Observation::Finalized(block.hash));
        Ok(told.await.is_ok())
    }

    /// R10: tells the seats that are settled at the finalised block, if they are others than those
    /// that are due. Once for each finalised block, so what was missed is told at the next.
    async fn tell_seats(
        &mut self,
        at: usize,
        header: &VerifiedHeader,
        tip: &Tip,
    ) -> Result<bool, L1Error> {
        let (state, registry) = (&tip.state, self.registry);
        if !self.known(tip).connects(header.block)
            || header.block.number <= state.read_at
            || self.told_seats == Some(header.block.hash)
        {
            return Ok(true);
        }
        let due = (state.due.seats.hash(), state.due.price);
        let rpc = self.nodes.rpc(at);
        let news = rpc.news_of_seats(registry, due, state.read_at, header);
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
