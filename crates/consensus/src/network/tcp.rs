//! Authenticated, encrypted connections over TCP to peers with known addresses.

use super::{CHANNELS, Links, MESSAGE_BYTES_MAX};
use crate::runtime::{Roster, Transport};
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
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    num::NonZeroUsize,
    time::Duration,
};
use thiserror::Error;
use tracing::{info, warn};

/// Peers of one identity, itself included. Sizes every mailbox of the network.
pub const PEERS_MAX: usize = 128;

/// Peers that may join while a process runs, beside those it knows when it starts: seats that the
/// registry on L1 names later. Each has room reserved on every channel, so there are not more; a
/// restart counts anew.
pub const JOINERS_MAX: usize = 16;

/// Peer sets that stay connected: the newest list of who sits and the one before it.
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
    type Roster = TcpRoster;
}

/// Knows addresses, and tells the network who sits.
pub struct TcpRoster {
    oracle: Oracle<ed25519::PublicKey>,
    addresses: BTreeMap<ed25519::PublicKey, SocketAddr>,
    others: BTreeMap<ed25519::PublicKey, SocketAddr>,
    /// Stands for an address that is not known: the peer is not found there, and dials.
    unknown: SocketAddr,
    capacity: usize,
}

impl TcpRoster {
    fn addressed<'a>(
        &self,
        peers: impl Iterator<Item = &'a ed25519::PublicKey>,
    ) -> Map<ed25519::PublicKey, Address> {
        Map::from_iter_dedup(peers.map(|peer| {
            let address = self.addresses.get(peer).or_else(|| self.others.get(peer));
            let address = address.copied().unwrap_or(self.unknown);
            (peer.clone(), Address::Symmetric(address))
        }))
    }
}

impl Roster for TcpRoster {
    fn track(&mut self, id: u64, seats: &[ed25519::PublicKey]) {
        for seat in seats {
            if !self.addresses.contains_key(seat) && !self.others.contains_key(seat) {
                info!(
                    ?seat,
                    "a seat without a known address: it has to dial this node"
                );
            }
        }
        // The network panics over more than it has room for.
        let listed = self.addresses.keys().chain(self.others.keys());
        let others: Vec<_> = listed.filter(|peer| !seats.contains(peer)).collect();
        let room = self.capacity.saturating_sub(others.len());
        if seats.len() > room {
            warn!(
                seats = seats.len(),
                room, "no room for all seats; restart this node to make it"
            );
        }
        let primary = self.addressed(seats.iter().take(room));
        let secondary = self.addressed(others.into_iter());
        let _ = self
            .oracle
            .track(id, AddressableTrackedPeers::new(primary, secondary));
    }
}

/// Where one identity listens and whom it knows.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Separates chains: a peer of another chain fails the handshake. The same in all terms.
    pub namespace: Vec<u8>,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Peers with known addresses, seats or not: dialed by everyone.
    pub addresses: BTreeMap<ed25519::PublicKey, SocketAddr>,
    /// Seats of the term in which this node starts, with or without an address.
    pub seats: Vec<ed25519::PublicKey>,
    /// Proposers and followers: they dial and are not dialed.
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
pub type Started = (
    Links<Tcp>,
    Oracle<ed25519::PublicKey>,
    TcpRoster,
    Handle<()>,
);

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
    others.retain(|peer, _| !config.addresses.contains_key(peer));
    if !config.addresses.contains_key(&me) {
        others.entry(me).or_insert(config.listen);
    }
    let known: BTreeSet<_> = config
        .addresses
        .keys()
        .chain(others.keys())
        .chain(&config.seats)
        .collect();
    let peers = known.len();
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
    // Little more than there are: the bound sizes memory.
    let capacity = (peers + JOINERS_MAX).min(PEERS_MAX);
    let room = NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN);
    let mut settings = lookup::Config::recommended(
        handshake,
        &config.namespace,
        config.listen,
        room,
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

    let (mut network, oracle) = lookup::Network::new(context.child("network"), settings);
    let links = CHANNELS.map(|channel| network.register(channel.id, channel.quota()));
    let roster = TcpRoster {
        oracle: oracle.clone(),
        addresses: config.addresses,
        others,
        unknown: config.listen,
        capacity,
    };
    let task = network.start();
    Ok((Links::in_order(links), oracle, roster, task))
}
