//! The simulated world: many identities in one process, on a network, a clock and disks that obey.
//!
//! Everything above the transport is the production code; only runtime and transport differ.
//! Nothing here is reachable from production code.

use crate::{
    engine::Tuning,
    lanes::Keep,
    network::{CHANNELS, Link, Links, MESSAGE_BYTES_MAX},
    node::{self, Node, Role},
    runtime::{Roster, Transport},
    scheme::{BlsScheme, CheapScheme, Scheme, identity},
};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_p2p::{
    LimitedSender, Recipients,
    simulated::{
        self, Control, Link as SimulatedLink, Manager, Network, Oracle, Receiver, Sender,
        SplitTarget,
    },
};
use commonware_runtime::{Handle, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::NZUsize;
use cortado_types::{
    Address, ChainId, Genesis, L1Config, NamespaceConfig, Seat, SeatsRead, TimestampMs,
    bls::SecretBls, ecdsa::SigningKey,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
    time::SystemTime,
};

/// The simulated network.
pub struct Simulated;

impl Transport for Simulated {
    type Sender = Gated;
    type Receiver = Receiver<ed25519::PublicKey>;
    type Blocker = Control<ed25519::PublicKey, deterministic::Context>;
    type Peers = Manager<ed25519::PublicKey, deterministic::Context>;
    type Roster = Everybody;
}

/// The simulated network has one list of peers for all, and everybody is on it from the start: who
/// hears whom is decided by links.
pub struct Everybody;

impl Roster for Everybody {
    fn track(&mut self, _: u64, _: &[ed25519::PublicKey]) {}
}

/// A sender that reaches only some peers, so that one identity can show two faces.
#[derive(Clone, Debug)]
pub struct Gated {
    inner: Sender<ed25519::PublicKey, deterministic::Context>,
    reach: Option<Arc<BTreeSet<ed25519::PublicKey>>>,
}

impl LimitedSender for Gated {
    type PublicKey = ed25519::PublicKey;
    type Checked<'a> =
        <Sender<ed25519::PublicKey, deterministic::Context> as LimitedSender>::Checked<'a>;

    fn check(
        &mut self,
        recipients: Recipients<ed25519::PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        let Some(reach) = &self.reach else {
            return self.inner.check(recipients);
        };
        let within = match recipients {
            Recipients::All => reach.iter().cloned().collect(),
            Recipients::Some(peers) => peers
                .into_iter()
                .filter(|peer| reach.contains(peer))
                .collect(),
            Recipients::One(peer) => Vec::from_iter(reach.contains(&peer).then_some(peer)),
        };
        self.inner.check(Recipients::Some(within))
    }
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
        let (inner, receiver) = link.expect("the simulated network must run");
        registered.push((Gated { inner, reach: None }, receiver));
    }
    in_order(registered)
}

fn in_order(links: Vec<Link<Simulated>>) -> Links<Simulated> {
    let Ok(links) = links.try_into() else {
        unreachable!("one link for every channel")
    };
    Links::in_order(links)
}

/// Keys of one identity, derived from a number.
#[derive(Clone)]
pub struct Keys {
    /// On the network.
    pub network: ed25519::PrivateKey,
    /// On a seat.
    pub bls: SecretBls,
    /// On a proposer.
    pub lane: SigningKey,
}

impl Keys {
    /// The keys of identity `number`. Worth nothing outside of a simulation.
    ///
    /// # Panics
    /// Never: the material has the right length and the scalars are below the group orders.
    pub fn derive(number: u64) -> Self {
        let mut material = [1u8; 32];
        material[24..].copy_from_slice(&number.to_be_bytes());
        Self {
            network: ed25519::PrivateKey::from_seed(number),
            bls: SecretBls::derive(&material).expect("32 bytes of material"),
            lane: SigningKey::from_bytes(material).expect("below the group order"),
        }
    }

    /// The peer.
    pub fn peer(&self) -> ed25519::PublicKey {
        self.network.public_key()
    }
}

/// Takes what a scheme votes with from a simulated identity's keys.
pub trait SimulatedScheme: Scheme {
    /// Its share of `keys`.
    fn votes(keys: &Keys) -> Self::Keys;
}

impl SimulatedScheme for BlsScheme {
    fn votes(keys: &Keys) -> SecretBls {
        keys.bls.clone()
    }
}

impl SimulatedScheme for CheapScheme {
    fn votes(keys: &Keys) -> ed25519::PrivateKey {
        keys.network.clone()
    }
}

/// What a world looks like at its beginning.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seats of the first term.
    pub seats: usize,
    /// Identities that have no seat in the first term and may get one later.
    pub spares: usize,
    /// Proposers.
    pub proposers: usize,
    /// Length of a slot and of an L1 slot, ms.
    pub slot_ms: u64,
    /// Length of a term, ms.
    pub term_ms: u64,
    /// Bytes of bodies that a namespace may use in a slot.
    pub slot_bytes_max: u64,
    /// RLP of the L1 header at genesis; its state root becomes that of an L1 with the seats settled.
    pub anchor: Vec<u8>,
    /// Timeouts of all nodes.
    pub tuning: Tuning,
}

/// Namespace of the first simulated rollup; the others follow.
pub const FIRST_ROLLUP: u64 = 1_000;

/// Keys and genesis of a plan. Identities `0..seats` are the first term's seats in bitmap order, then
/// come the proposers, then the spares; proposer `i` holds namespace [`FIRST_ROLLUP`]` + i`.
pub fn genesis(plan: &Plan) -> (Vec<Keys>, Genesis) {
    let count = plan.seats + plan.proposers + plan.spares;
    let mut keys: Vec<_> = (0..count as u64).map(Keys::derive).collect();
    keys[..plan.seats].sort_by_key(Keys::peer);
    let seats = (0..plan.seats).map(|i| seat(&keys, i)).collect();
    let namespaces = (0..plan.proposers).map(|i| NamespaceConfig {
        namespace: cortado_types::Namespace::new(FIRST_ROLLUP + i as u64),
        reserve_holder: Some(keys[plan.seats + i].lane.address()),
        slot_bytes_max: plan.slot_bytes_max,
    });
    let l1_pointer = NamespaceConfig {
        namespace: cortado_types::Namespace::L1_POINTER,
        reserve_holder: None,
        slot_bytes_max: 0,
    };
    let mut genesis = Genesis {
        chain_id: ChainId::new(7_777),
        time: TimestampMs::ZERO,
        slot_ms: plan.slot_ms,
        term_ms: plan.term_ms,
        l1: L1Config {
            chain_id: 1_337,
            slot_ms: plan.slot_ms,
            slots_per_epoch: 8,
            anchor: plan.anchor.clone().into(),
            registry: Address::ZERO,
        },
        namespaces: std::iter::once(l1_pointer).chain(namespaces).collect(),
        seats: SeatsRead::unproved(seats),
        proposers: keys[plan.seats..plan.seats + plan.proposers]
            .iter()
            .map(|keys| identity(&keys.peer()))
            .collect(),
    };
    cortado_l1::testing::settle(&mut genesis);
    (keys, genesis)
}

/// The seat of identity `i`.
pub fn seat(keys: &[Keys], i: usize) -> Seat {
    Seat {
        identity: identity(&keys[i].peer()),
        bls: keys[i].bls.public(),
        registry_index: i as u32,
    }
}

/// A world: identities, their network, and the nodes that run at the moment.
///
/// Identities are as in [`genesis`].
pub struct World<S: SimulatedScheme> {
    context: deterministic::Context,
    /// The network.
    pub oracle: SimulatedOracle,
    /// What all agree on.
    pub genesis: Arc<Genesis>,
    /// Keys by identity.
    pub keys: Vec<Keys>,
    plan: Plan,
    running: BTreeMap<usize, (Node<S>, Handle<()>)>,
    faces: Vec<(Node<S>, Handle<()>)>,
    starts: BTreeMap<String, u64>,
}

impl<S: SimulatedScheme> World<S> {
    /// Makes identities, genesis and network. Nothing runs and nobody is linked yet.
    ///
    /// # Panics
    /// If `plan` makes no genesis.
    pub async fn new(context: deterministic::Context, plan: Plan) -> Self {
        let (keys, genesis) = genesis(&plan);
        let count = keys.len();
        let is_proposer = |i: usize| (plan.seats..plan.seats + plan.proposers).contains(&i);
        let (proposers, seats): (Vec<_>, Vec<_>) = (0..count).partition(|i| is_proposer(*i));
        let peers = |of: Vec<usize>| of.into_iter().map(|i| keys[i].peer()).collect();
        let (seats, proposers): (Vec<_>, Vec<_>) = (peers(seats), peers(proposers));
        let (network, oracle) = Network::new_with_split_peers(
            context.child("network"),
            simulated::Config {
                max_size: MESSAGE_BYTES_MAX,
                max_peers_per_set: NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(1),
            },
            seats,
            proposers,
        )
        .await;
        network.start();
        Self {
            context,
            oracle,
            genesis: Arc::new(genesis),
            keys,
            plan,
            running: BTreeMap::new(),
            faces: Vec::new(),
            starts: BTreeMap::new(),
        }
    }

    /// Links every identity with every other, both ways.
    ///
    /// # Panics
    /// If the network is gone.
    pub async fn mesh(&self, link: &SimulatedLink) {
        let all: Vec<_> = (0..self.keys.len()).collect();
        self.link(&all, &all, link).await;
    }

    /// Links every identity of `left` with every one of `right`, both ways, instead of how they
    /// were linked before.
    ///
    /// # Panics
    /// If the network is gone.
    pub async fn link(&self, left: &[usize], right: &[usize], link: &SimulatedLink) {
        for (from, to) in pairs(left, right) {
            let (from, to) = (self.keys[from].peer(), self.keys[to].peer());
            let _ = self.oracle.remove_link(from.clone(), to.clone()).await;
            let added = self.oracle.add_link(from, to, link.clone()).await;
            added.expect("the simulated network must run");
        }
    }

    /// Cuts every identity of `left` off every one of `right`, both ways.
    pub async fn cut(&self, left: &[usize], right: &[usize]) {
        for (from, to) in pairs(left, right) {
            let (from, to) = (self.keys[from].peer(), self.keys[to].peer());
            // There may be none: cutting twice is cutting once.
            let _ = self.oracle.remove_link(from, to).await;
        }
    }

    /// Starts, or starts again, the node of identity `i` on what its disk holds.
    ///
    /// # Panics
    /// If it runs already or does not start.
    pub async fn start(&mut self, i: usize) -> Node<S> {
        assert!(!self.running.contains_key(&i), "identity {i} runs already");
        let links = links(&self.oracle, &self.keys[i].peer()).await;
        let (node, handle) = self.launch(i, format!("identity-{i}"), links).await;
        self.running.insert(i, (node.clone(), handle));
        node
    }

    /// Starts identity `i` twice with the same keys and two disks: one face for the identities of
    /// `left`, one for those of `right`. What a face does by the rules, both together do against
    /// them: two proposals, two votes, two acknowledgements for one place. The faces are not among
    /// [`World::nodes`].
    ///
    /// # Panics
    /// If a face does not start.
    pub async fn start_two_faced(
        &mut self,
        i: usize,
        left: &[usize],
        right: &[usize],
    ) -> [Node<S>; 2] {
        let peers = |side: &[usize]| -> Arc<BTreeSet<_>> {
            Arc::new(side.iter().map(|i| self.keys[*i].peer()).collect())
        };
        let reach = [peers(left), peers(right)];
        let both = links(&self.oracle, &self.keys[i].peer()).await;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for (sender, receiver) in both.into_vec() {
            let left = reach[0].clone();
            let (one, other) =
                receiver.split_with(self.context.child("split"), move |(peer, _)| {
                    if left.contains(peer) {
                        SplitTarget::Primary
                    } else {
                        SplitTarget::Secondary
                    }
                });
            let gated = |reach: &Arc<BTreeSet<_>>| Gated {
                inner: sender.inner.clone(),
                reach: Some(reach.clone()),
            };
            first.push((gated(&reach[0]), one));
            second.push((gated(&reach[1]), other));
        }
        let first = self
            .launch(i, format!("identity-{i}-left"), in_order(first))
            .await;
        let second = self
            .launch(i, format!("identity-{i}-right"), in_order(second))
            .await;
        let faces = [first.0.clone(), second.0.clone()];
        self.faces.extend([first, second]);
        faces
    }

    async fn launch(
        &mut self,
        i: usize,
        partition: String,
        links: Links<Simulated>,
    ) -> (Node<S>, Handle<()>) {
        let keys = self.keys[i].clone();
        let me = keys.peer();
        let (seats, proposers) = (self.plan.seats, self.plan.proposers);
        let proposes = (seats..seats + proposers).contains(&i);
        let start = self.starts.entry(partition.clone()).or_default();
        *start += 1;
        let context = self
            .context
            .child("identity")
            .with_attribute("name", &partition)
            .with_attribute("start", *start);
        let config = node::Config::<S, Simulated> {
            genesis: self.genesis.clone(),
            me: me.clone(),
            role: if proposes {
                Role::Proposer
            } else {
                Role::Seat {
                    secret: keys.bls.clone(),
                }
            },
            votes: (!proposes).then(|| S::votes(&keys)),
            keep: Keep::All,
            retention_ms: u64::MAX,
            partition,
            tuning: self.plan.tuning.clone(),
            blocker: self.oracle.control(me),
            peers: self.oracle.manager(),
            roster: Everybody,
        };
        let (sender, receiver) = futures::channel::oneshot::channel();
        // Its own task, so that aborting it aborts all it started: power is cut.
        let handle = context.spawn(move |context| async move {
            let (node, task) = Node::start(context, config, links)
                .await
                .expect("node must start");
            let _ = sender.send(node);
            let _ = task.await;
        });
        (receiver.await.expect("node must start"), handle)
    }

    /// Cuts the power of identity `i`: what its disk has not synced is lost.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn kill(&mut self, i: usize) {
        let (node, handle) = self
            .running
            .remove(&i)
            .expect("only what runs can be killed");
        drop(node);
        handle.abort();
        let _ = handle.await;
    }

    /// The node of identity `i`.
    ///
    /// # Panics
    /// If it does not run.
    pub fn node(&self, i: usize) -> &Node<S> {
        &self.running[&i].0
    }

    /// The nodes that run.
    pub fn nodes(&self) -> impl Iterator<Item = &Node<S>> {
        self.running.values().map(|(node, _)| node)
    }
}

fn pairs(left: &[usize], right: &[usize]) -> BTreeSet<(usize, usize)> {
    let both = left
        .iter()
        .flat_map(|a| right.iter().flat_map(move |b| [(*a, *b), (*b, *a)]));
    both.filter(|(from, to)| from != to).collect()
}
