//! The simulated world: many identities in one process, on a network and a clock that obey.
//!
//! Everything above the transport is the production code. Nothing here is reachable from it.

use crate::{
    network::{CHANNELS, Links},
    runtime::Transport,
};
use commonware_cryptography::ed25519;
use commonware_p2p::simulated::{Control, Link, Manager, Oracle, Receiver, Sender};
use commonware_runtime::deterministic;

/// The simulated network.
pub struct Simulated;

impl Transport for Simulated {
    type Sender = Sender<ed25519::PublicKey, deterministic::Context>;
    type Receiver = Receiver<ed25519::PublicKey>;
    type Blocker = Control<ed25519::PublicKey, deterministic::Context>;
    type Peers = Manager<ed25519::PublicKey, deterministic::Context>;
}

/// Hands out links; knows who is linked to whom.
pub type SimulatedOracle = Oracle<ed25519::PublicKey, deterministic::Context>;

/// Registers every channel of `me`.
///
/// # Panics
/// If the network is gone: a simulation without a network has nothing to say.
pub async fn links(oracle: &SimulatedOracle, me: &ed25519::PublicKey) -> Links<Simulated> {
    let control = oracle.control(me.clone());
    let mut registered = Vec::with_capacity(CHANNELS.len());
    for channel in CHANNELS {
        let link = control.register(channel.id, channel.quota()).await;
        registered.push(link.expect("the simulated network must run"));
    }
    let Ok(links) = registered.try_into() else {
        unreachable!("one link for every channel")
    };
    Links::in_order(links)
}

/// Links every identity with every other in both directions.
///
/// # Panics
/// As [`links`].
pub async fn mesh(oracle: &SimulatedOracle, peers: &[ed25519::PublicKey], link: &Link) {
    for from in peers {
        for to in peers {
            if from != to {
                let added = oracle
                    .add_link(from.clone(), to.clone(), link.clone())
                    .await;
                added.expect("the simulated network must run");
            }
        }
    }
}
