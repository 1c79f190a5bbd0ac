//! Authenticated, encrypted connections over TCP to peers with known addresses.

use super::{CHANNELS, Links, MESSAGE_BYTES_MAX};
use crate::runtime::Transport;
use commonware_cryptography::{ChaCha20Poly1305, Signer as _, ed25519};
use commonware_p2p::{
    Address, AddressableManager as _, AddressableTrackedPeers,
    authenticated::lookup::{self, Oracle},
};
use commonware_runtime::{Handle, Quota, Supervisor as _, tokio};
use commonware_stream::{
    SakeCups,
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize, ordered::Map};
use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroUsize, time::Duration};
use thiserror::Error;

/// Peers of one identity, itself included. Sizes every mailbox of the network.
pub const PEERS_MAX: usize = 128;

/// Peer sets that stay connected: the running term's and the next one's.
const TRACKED_PEER_SETS: NonZeroUsize = NZUsize!(2);

/// Clocks of two peers may differ by this much when they shake hands.
const HANDSHAKE_CLOCK_DRIFT: Duration = Duration::from_secs(5);

/// The production network.
pub struct Tcp;

impl Transport for Tcp {
    type Sender = lookup::Sender<ed25519::PublicKey, tokio::Context>;
    type Receiver = lookup::Receiver<ed25519::PublicKey>;
    type Blocker = Oracle<ed25519::PublicKey>;
    type Peers = Oracle<ed25519::PublicKey>;
}

/// Where one identity listens and whom it knows.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Separates chains: a peer of another chain fails the handshake.
    pub namespace: Vec<u8>,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Seats: dialed by everyone.
    pub seats: BTreeMap<ed25519::PublicKey, SocketAddr>,
    /// Proposers and followers: they dial the seats and are not dialed.
    pub others: BTreeMap<ed25519::PublicKey, SocketAddr>,
    /// Whether peers may have private addresses, as on one machine or in a test network.
    pub allow_private: bool,
}

/// Why a network is refused before it starts.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// More peers than memory is reserved for.
    #[error("{peers} peers, the limit is {}", PEERS_MAX)]
    TooManyPeers {
        /// Seats and others.
        peers: usize,
    },
}

/// The links of one identity, whoever says who the peers are, and the network's task.
pub type Started = (Links<Tcp>, Oracle<ed25519::PublicKey>, Handle<()>);

/// Starts the network of one identity. `context` must live as long as the node.
///
/// # Errors
/// [`NetworkError`] if the peer list is too long.
pub fn start(
    context: &tokio::Context,
    identity: ed25519::PrivateKey,
    config: TcpConfig,
) -> Result<Started, NetworkError> {
    let me = identity.public_key();
    let mut others = config.others;
    others.retain(|peer, _| !config.seats.contains_key(peer));
    if !config.seats.contains_key(&me) {
        others.entry(me).or_insert(config.listen);
    }
    let peers = config.seats.len() + others.len();
    if peers > PEERS_MAX {
        return Err(NetworkError::TooManyPeers { peers });
    }

    let handshake: SakeCups<_, ChaCha20Poly1305> = Cups::new(
        Sake {
            signer: identity,
            synchrony_bound: HANDSHAKE_CLOCK_DRIFT,
            max_handshake_age: HANDSHAKE_CLOCK_DRIFT * 2,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    // Only as many identities as there are: the bound sizes memory.
    let capacity = NonZeroUsize::new(peers).unwrap_or(NonZeroUsize::MIN);
    let mut settings = lookup::Config::recommended(
        handshake,
        &config.namespace,
        config.listen,
        capacity,
        MESSAGE_BYTES_MAX,
        NZUsize!(1_024),
    );
    settings.tracked_peer_sets = TRACKED_PEER_SETS;
    // A restarted process must be back within a second, and on one machine all peers share one
    // address; who connects is authenticated, so the address check only costs.
    settings.bypass_ip_check = true;
    settings.allow_private_ips = config.allow_private;
    settings.peer_connection_cooldown = Duration::from_millis(500);
    settings.dial_frequency = Duration::from_millis(200);
    settings.ping_frequency = Duration::from_secs(5);
    settings.allowed_handshake_rate_per_ip = Quota::per_second(NZU32!(64));
    settings.allowed_handshake_rate_per_subnet = Quota::per_second(NZU32!(128));
    // Long enough to stop a flood, short enough that a bug on the other side is no outage.
    settings.block_duration = Duration::from_secs(60);

    let (mut network, mut oracle) = lookup::Network::new(context.child("network"), settings);
    let links = CHANNELS.map(|channel| network.register(channel.id, channel.quota()));
    let addressed = |peers: BTreeMap<ed25519::PublicKey, SocketAddr>| {
        Map::from_iter_dedup(peers.into_iter().map(|(k, a)| (k, Address::Symmetric(a))))
    };
    let _ = oracle.track(
        0,
        AddressableTrackedPeers::new(addressed(config.seats), addressed(others)),
    );
    let task = network.start();
    Ok((Links::in_order(links), oracle, task))
}
