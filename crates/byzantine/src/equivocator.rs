//! A seat that notarizes two blocks in one view.
//!
//! ```text
//!   an honest notarize of (view, block) ──▶ notarize of the block      ─┐ both to everybody
//!                                      └──▶ notarize of a block that   ─┘ who has not cut it off
//!                                           nobody made
//! ```

use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_consensus::{
    Viewable as _,
    simplex::types::{Notarize, Proposal, Vote},
};
use commonware_cryptography::{Hasher as _, Keccak256, ed25519};
use commonware_p2p::{Receiver as _, Recipients, utils::mux};
use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio};
use cortado_chain::{GenesisStateError, State};
use cortado_consensus::{
    block::Digest,
    host::network_namespace,
    network::tcp::{self, NetworkError, TcpConfig},
    runtime::Roster as _,
    scheme::{BlsScheme, KeyError, bls_scheme, peer_key, seat_peers},
};
use cortado_types::{ChainId, Genesis, GenesisError, Identity, bls::SecretBls};
use futures::channel::oneshot;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle};
use thiserror::Error;
use tracing::{info, warn};

/// Views between two lies: the first is enough, the others show that they change nothing.
const VIEWS_BETWEEN: u64 = 3;

/// A seat that is to lie.
#[derive(Clone)]
pub struct EquivocatorConfig {
    /// What all agree on.
    pub genesis: Arc<Genesis>,
    /// Secret of the seat's ed25519 identity.
    pub identity: [u8; 32],
    /// The seat's BLS key.
    pub secret: SecretBls,
    /// Where it listens for peers.
    pub listen: SocketAddr,
    /// Where seats listen.
    pub seats: BTreeMap<Identity, SocketAddr>,
    /// For what its runtime writes, which is nothing.
    pub directory: PathBuf,
}

/// Why a seat cannot lie.
#[derive(Debug, Error)]
pub enum EquivocatorError {
    /// The identity's secret is not one.
    #[error("the identity's secret is not an ed25519 key")]
    Identity,
    /// An address belongs to an identity that is not a key.
    #[error("{0} is not an ed25519 key")]
    Peer(Identity),
    /// A seat of the genesis has no address.
    #[error("seat {0} of the genesis has no address")]
    NoAddress(Identity),
    /// The genesis contradicts itself.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis makes no chain.
    #[error(transparent)]
    State(#[from] GenesisStateError),
    /// The key does not fit the seats.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The network does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The thread died while it started.
    #[error("ended while it started")]
    Ended,
}

/// A running liar. Stops when dropped.
pub struct Equivocator {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Equivocator {
    /// Joins the network as the seat and begins to lie at the first vote it hears.
    ///
    /// # Errors
    /// [`EquivocatorError`].
    pub fn start(config: EquivocatorConfig) -> Result<Self, EquivocatorError> {
        let (scheme, identity, network) = prepare(&config)?;
        let seats = network.seats.clone();
        let (stop, stopping) = oneshot::channel();
        let (started, starting) = std::sync::mpsc::channel::<Result<(), NetworkError>>();
        let thread = std::thread::Builder::new().name("cortado-liar".into());
        let thread = thread.spawn(move || {
            let settings = tokio::Config::new()
                .with_worker_threads(1)
                .with_storage_directory(&config.directory)
                .with_tcp_nodelay(Some(true));
            tokio::Runner::new(settings).start(|context| async move {
                let links = match tcp::start(&context, identity, network) {
                    Ok((links, _, mut roster, _)) => {
                        roster.track(0, &seats);
                        links
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let _ = started.send(Ok(()));
                let mut all = links.into_vec();
                let votes = all.remove(0);
                for (_, mut receiver) in all {
                    let drain =
                        async move |_: tokio::Context| while receiver.recv().await.is_ok() {};
                    drop(context.child("drain").spawn(drain));
                }
                let lie = Box::pin(lie(scheme, votes));
                let _ = futures::future::select(lie, stopping).await;
                let _ = context.stop(0, None).await;
            });
        });
        let thread = thread.map_err(EquivocatorError::Thread)?;
        starting.recv().map_err(|_| EquivocatorError::Ended)??;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Stops it and waits until it has let go of its socket.
    pub fn stop(mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Prepared = (BlsScheme, ed25519::PrivateKey, TcpConfig);

fn prepare(config: &EquivocatorConfig) -> Result<Prepared, EquivocatorError> {
    let identity = ed25519::PrivateKey::decode(Copying(config.identity.as_slice()));
    let identity = identity.map_err(|_| EquivocatorError::Identity)?;
    let chain_id: ChainId = config.genesis.chain_id;
    let seats = config.genesis.validate()?;
    let scheme = bls_scheme(&seats, chain_id, Some(&config.secret))?;
    let mut addresses = BTreeMap::new();
    for seat in seats.seats() {
        let key = peer_key(&seat.identity).ok_or(EquivocatorError::Peer(seat.identity))?;
        let address = config.seats.get(&seat.identity);
        let address = address.ok_or(EquivocatorError::NoAddress(seat.identity))?;
        addresses.insert(key, *address);
    }
    let genesis = State::genesis(&config.genesis)?.genesis_block().hash();
    let network = TcpConfig {
        namespace: network_namespace(chain_id, genesis),
        listen: config.listen,
        seats: seat_peers(&seats)?,
        addresses,
        others: BTreeMap::new(),
        allow_private: true,
    };
    Ok((scheme, identity, network))
}

/// Hears votes, answers some with two.
async fn lie(
    scheme: BlsScheme,
    (mut sender, mut receiver): cortado_consensus::network::Link<tcp::Tcp>,
) {
    let mut next = BTreeMap::new();
    while let Ok((peer, message)) = receiver.recv().await {
        // What is said on a channel begins with the term.
        let Ok((term, vote)) = mux::parse(message) else {
            continue;
        };
        let vote = Vote::<BlsScheme, Digest>::decode(vote);
        let Ok(Vote::Notarize(heard)) = vote else {
            continue;
        };
        let view = heard.view().get();
        let due = next.entry(term).or_insert(0);
        if view < *due {
            continue;
        }
        *due = view + VIEWS_BETWEEN;
        let mut other = heard.proposal.clone();
        other.payload = Keccak256::hash(&[&heard.proposal.payload.0, b"a block that nobody made"]);
        for proposal in [heard.proposal, other] {
            say(&scheme, &mut sender, term, proposal);
        }
        info!(term, view, heard_from = %peer, "notarized two blocks in one view");
    }
    warn!("the network is gone");
}

fn say<S: commonware_p2p::Sender>(
    scheme: &BlsScheme,
    sender: &mut S,
    term: u64,
    proposal: Proposal<Digest>,
) {
    let Some(vote) = Notarize::sign(scheme, proposal) else {
        return;
    };
    let mut message = commonware_codec::varint::UInt(term).encode().to_vec();
    message.extend_from_slice(&Vote::<BlsScheme, Digest>::Notarize(vote).encode());
    let _ = sender.send(Recipients::All, message, true);
}
