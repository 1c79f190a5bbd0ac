//! Ask nodes, believe none.

use crate::{
    api::{
        BlockView, BodyView, BoundaryView, CertificateView, HeaderView, HistoryProofView,
        LaneProofView, NamespaceView, StateProofView, Status, TransactionProofView,
    },
    error::{ClientError, Lie, Unverified},
    follow::Follow,
    http::Node,
    light::{
        Final, FinalBlock, FinalLane, FinalTransaction, LightClient, StateEntry, same, same_lane,
    },
};
use cortado_types::{B256, Bytes, Genesis, Height, LaneBody, LaneHeader, Namespace, Term};
use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicUsize, Ordering},
};
use tracing::warn;

/// How one node behaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// The node.
    pub url: String,
    /// Failures and lies so far.
    pub faults: u64,
    /// The newest of them.
    pub last_fault: Option<String>,
}

/// Asks several nodes, one after the other until one gives an answer that verifies. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    nodes: Vec<Arc<Node>>,
    /// The node that served last; asked first.
    preferred: AtomicUsize,
    light: RwLock<LightClient>,
}

impl Client {
    /// A client of the chain that `genesis` begins, over the nodes at `urls` (`http://host:port`).
    ///
    /// # Errors
    /// If the genesis contradicts itself, or there is no URL, or one is none.
    pub fn new<U: AsRef<str>>(genesis: &Genesis, urls: &[U]) -> Result<Self, ClientError> {
        let nodes = urls
            .iter()
            .map(|url| Node::new(url.as_ref()).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(ClientError::NoNode);
        }
        Ok(Self(Arc::new(Inner {
            nodes,
            preferred: AtomicUsize::new(0),
            light: RwLock::new(LightClient::new(genesis)?),
        })))
    }

    /// What is verified with.
    pub fn light(&self) -> LightClient {
        self.0
            .light
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How the nodes behaved so far, in the order they were given.
    pub fn reports(&self) -> Vec<NodeReport> {
        let report = |node: &Arc<Node>| {
            let (faults, last_fault) = node.faults();
            NodeReport {
                url: node.url().to_owned(),
                faults,
                last_fault,
            }
        };
        self.0.nodes.iter().map(report).collect()
    }

    /// What a node says of itself, not verified: for people, and to know whom to ask.
    ///
    /// # Errors
    /// If no node answers.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(|node, _| async move { node.get("v1/status").await })
            .await
    }

    /// The newest finalised header that the node which answers first knows.
    ///
    /// # Errors
    /// If no node gives one that verifies.
    pub async fn head(&self) -> Result<Final, ClientError> {
        self.ask(|node, light| async move {
            let status: Status = node.get("v1/status").await?;
            header(&node, &light, status.height).await
        })
        .await
    }

    /// The finalised header at `height`.
    ///
    /// # Errors
    /// If no node gives one that verifies.
    pub async fn header(&self, height: Height) -> Result<Final, ClientError> {
        self.ask(move |node, light| async move { header(&node, &light, height).await })
            .await
    }

    /// The finalised block at `height`.
    ///
    /// # Errors
    /// If no node gives one that verifies.
    pub async fn block(&self, height: Height) -> Result<FinalBlock, ClientError> {
        self.ask(move |node, light| async move {
            let view: BlockView = node.get(&format!("v1/blocks/{height}")).await?;
            let certificate = certificate(&node, height).await?;
            light
                .block(height, view.block, &certificate)
                .map_err(|error| node.unverified(error))
        })
        .await
    }

    /// The body of a lane block whose header the caller has from a verified block.
    ///
    /// # Errors
    /// If no node gives one that the header commits to.
    pub async fn lane_body(&self, header: &LaneHeader) -> Result<LaneBody, ClientError> {
        let header = Arc::new(header.clone());
        self.ask(move |node, _| {
            let header = header.clone();
            async move {
                let (namespace, height) = (header.namespace, header.height);
                let path = format!("v1/namespaces/{namespace}/lanes/{height}/body");
                let view: BodyView = node.get(&path).await?;
                LightClient::body(&header, view.transactions).map_err(|lie| node.lied(lie))
            }
        })
        .await
    }

    /// The lane entry at `index` of block `height`.
    ///
    /// # Errors
    /// If no node gives a proof that verifies.
    pub async fn lane(&self, height: Height, index: usize) -> Result<FinalLane, ClientError> {
        self.prove(
            format!("v1/proofs/lane/{height}/{index}"),
            move |light, view: LaneProofView| {
                same("block", height, view.height)?;
                same("lane", index, view.index)?;
                light.lane(&view)
            },
        )
        .await
    }

    /// The transaction at `index` of a lane block.
    ///
    /// # Errors
    /// If no node gives a proof that verifies.
    pub async fn transaction(
        &self,
        namespace: Namespace,
        lane_height: Height,
        index: usize,
    ) -> Result<FinalTransaction, ClientError> {
        let path = format!("v1/proofs/transaction/{namespace}/{lane_height}/{index}");
        self.prove(path, move |light, view: TransactionProofView| {
            same("transaction", index, view.index)?;
            let found = light.transaction(&view)?;
            same_lane(namespace, lane_height, &found.lane.entry.lane.header)?;
            Ok(found)
        })
        .await
    }

    /// The transaction whose raw bytes have this keccak, wherever it stands.
    ///
    /// # Errors
    /// If no node gives a proof that verifies.
    pub async fn transaction_by_hash(&self, hash: B256) -> Result<FinalTransaction, ClientError> {
        let path = format!("v1/proofs/transaction/{hash}");
        self.prove(path, move |light, view: TransactionProofView| {
            same("transaction", hash, view.hash)?;
            light.transaction(&view)
        })
        .await
    }

    /// A state entry after block `height`, or the proof that there is none.
    ///
    /// # Errors
    /// If no node gives a proof that verifies.
    pub async fn state(
        &self,
        height: Height,
        kind: &'static str,
        id: u64,
    ) -> Result<StateEntry, ClientError> {
        let path = format!("v1/proofs/state/{height}/{kind}/{id}");
        self.prove(path, move |light, view: StateProofView| {
            light.state(height, kind, id, &view)
        })
        .await
    }

    /// Header `from`, proved by the history of header `at`: one certificate for any past block.
    ///
    /// # Errors
    /// If no node gives a proof that verifies.
    pub async fn ancestor(&self, from: Height, at: Height) -> Result<Final, ClientError> {
        let path = format!("v1/proofs/history/{from}/{at}");
        self.prove(path, move |light, view: HistoryProofView| {
            light.history(from, at, &view)
        })
        .await
    }

    /// Where a namespace stands by the words of a node, not verified ([`Client::state`] is).
    ///
    /// # Errors
    /// If no node answers.
    pub async fn namespace(&self, namespace: Namespace) -> Result<NamespaceView, ClientError> {
        self.ask(
            move |node, _| async move { node.get(&format!("v1/namespaces/{namespace}")).await },
        )
        .await
    }

    /// Finalised blocks from height `from` on, in order, without gaps, for ever: it resumes after
    /// a broken connection, waits out an outage, and goes to another node when one lies.
    pub fn follow(&self, from: Height) -> Follow {
        Follow::new(self.clone(), from)
    }

    async fn prove<T, V>(
        &self,
        path: String,
        check: impl Fn(&LightClient, T) -> Result<V, Unverified> + Clone,
    ) -> Result<V, ClientError>
    where
        T: serde::de::DeserializeOwned,
    {
        self.ask(move |node, light| {
            let (path, check) = (path.clone(), check.clone());
            async move {
                let view: T = node.get(&path).await?;
                check(&light, view).map_err(|error| node.unverified(error))
            }
        })
        .await
    }

    /// Asks one node after the other, the one that served last first.
    async fn ask<V, F>(
        &self,
        question: impl Fn(Arc<Node>, LightClient) -> F,
    ) -> Result<V, ClientError>
    where
        F: Future<Output = Result<V, ClientError>>,
    {
        let nodes = &self.0.nodes;
        let start = self.0.preferred.load(Ordering::Relaxed);
        let mut refusal = None;
        for step in 0..nodes.len() {
            let place = (start + step) % nodes.len();
            let node = &nodes[place];
            let mut answer = question(node.clone(), self.light()).await;
            if let Err(ClientError::UnknownTerm { term }) = answer {
                answer = match self.learn_terms(node, term).await {
                    Ok(()) => question(node.clone(), self.light()).await,
                    Err(error) => Err(error),
                };
            }
            match answer {
                Ok(value) => {
                    self.0.preferred.store(place, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => {
                    self.blame(node, &error);
                    // A refusal says more than that somebody else could not be reached.
                    let said_more = matches!(refusal, Some(ClientError::Refused { .. }));
                    if !said_more || matches!(error, ClientError::Lied { .. }) {
                        refusal = Some(error);
                    }
                }
            }
        }
        Err(refusal.unwrap_or(ClientError::NoNode))
    }

    pub(crate) fn blame(&self, node: &Node, error: &ClientError) {
        match error {
            ClientError::Transport { .. } => node.blame(error),
            ClientError::Lied { .. } => {
                warn!(%error, "a node lied");
                node.blame(error);
            }
            // To refuse is its right, and what we do not know yet is not its fault.
            _ => {}
        }
    }

    /// The node to stream from on the `attempt`-th try.
    pub(crate) fn node(&self, attempt: usize) -> Arc<Node> {
        let start = self.0.preferred.load(Ordering::Relaxed);
        self.0.nodes[(start + attempt) % self.0.nodes.len()].clone()
    }

    /// Asks the node of that try first from now on.
    pub(crate) fn prefer(&self, attempt: usize) {
        if attempt > 0 {
            let start = self.0.preferred.load(Ordering::Relaxed);
            self.0
                .preferred
                .store((start + attempt) % self.0.nodes.len(), Ordering::Relaxed);
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.0.nodes.len()
    }

    /// How a term ended and who sits in the next, verified, with the terms before it: what a
    /// contract on L1 that follows the seats is shown.
    ///
    /// # Errors
    /// If no node gives one that verifies, as while the term has not ended.
    pub async fn boundary(&self, term: Term) -> Result<BoundaryView, ClientError> {
        self.ask(move |node, light| async move {
            if light.seats(term).is_none() {
                return Err(ClientError::UnknownTerm { term });
            }
            let view = boundary(&node, term).await?;
            light
                .clone()
                .learn_term(term, &view)
                .map_err(|error| node.unverified(error))?;
            Ok(view)
        })
        .await
    }

    /// Walks from the newest known term up to `term`, by how each ended.
    pub(crate) async fn learn_terms(&self, node: &Node, term: Term) -> Result<(), ClientError> {
        loop {
            let mut light = self.light();
            let newest = light.newest_term();
            if newest >= term {
                return Ok(());
            }
            let view = boundary(node, newest).await?;
            light
                .learn_term(newest, &view)
                .map_err(|error| node.unverified(error))?;
            let mut shared = self.0.light.write().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have walked further meanwhile.
            if shared.newest_term() < light.newest_term() {
                *shared = light;
            }
        }
    }
}

async fn boundary(node: &Node, term: Term) -> Result<BoundaryView, ClientError> {
    node.get(&format!("v1/terms/{term}/boundary")).await
}

async fn certificate(node: &Node, height: Height) -> Result<CertificateView, ClientError> {
    let view: CertificateView = node.get(&format!("v1/blocks/{height}/certificate")).await?;
    same("certificate of block", height, view.height).map_err(|lie| node.lied(lie))?;
    Ok(view)
}

async fn header(node: &Node, light: &LightClient, height: Height) -> Result<Final, ClientError> {
    let view: HeaderView = node.get(&format!("v1/blocks/{height}/header")).await?;
    if height == Height::ZERO {
        // Its only witness is the genesis itself.
        return if view.header == *light.genesis().header() {
            Ok(light.genesis().clone())
        } else {
            let (got, want) = (view.header.hash(), light.genesis().hash());
            Err(node.lied(Lie::Genesis { got, want }))
        };
    }
    let certificate = certificate(node, height).await?;
    let raw: Bytes = cortado_types::codec::encode(&view.header).into();
    light
        .raw_header(height, &raw, &certificate)
        .map_err(|error| node.unverified(error))
}
