//! The engine alone, on blocks without content.

use super::*;
use crate::network::{self, terms::TermChannels};
use crate::{
    block::{digest, hash},
    scheme::{CheapScheme, cheap_scheme, identity},
    simulate::{Simulated, links},
};
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_cryptography::{Digested, Signer as _};
use commonware_p2p::simulated;
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use commonware_utils::{Acknowledgement as _, channel::mpsc, probability};
use cortado_types as types;
use futures::StreamExt as _;

fn empty_block(parent: Option<&types::Header>) -> Block {
    let height = parent.map_or(0, |p| p.height.get() + 1);
    let none = types::Block::lanes_root(&[]);
    Block::new(types::Block {
        header: types::Header {
            version: 1,
            chain_id: types::ChainId::new(7),
            term: types::Term::ZERO,
            view: types::View::ZERO,
            parent_view: types::View::ZERO,
            height: types::Height::new(height),
            parent: parent.map_or(types::B256::ZERO, types::Header::hash),
            slot: types::Slot::ZERO,
            timestamp: types::TimestampMs::ZERO,
            l1_head: Default::default(),
            l1_fin: Default::default(),
            lanes_root: none,
            operations_root: types::Block::operations_root(&[]),
            state_root: none,
            history_root: none,
            seats_hash: none,
            next_seats_hash: none,
        },
        lanes: vec![],
        operations: vec![],
    })
}

#[derive(Clone)]
struct Empty;

impl<E: Runtime> Application<E> for Empty {
    type SigningScheme = CheapScheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        _: (E, Self::Context),
        mut ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let parent = ancestry.next().await?;
        let block = empty_block(Some(&parent.inner().inner().header));
        let digest = block.digest();
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(&mut self, _: (E, Self::Context), mut ancestry: impl Ancestry<Block>) -> bool {
        ancestry.next().await.is_some()
    }
}

#[derive(Clone)]
struct Sink(mpsc::UnboundedSender<Block>);

impl Reporter for Sink {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> commonware_actor::Feedback {
        if let Update::Block(block, ack) = update {
            let _ = self.0.send(block.inner().clone());
            ack.acknowledge();
        }
        commonware_actor::Feedback::Ok
    }
}

#[derive(Clone)]
struct Deaf;

impl Reporter for Deaf {
    type Activity = Activity<CheapScheme, Digest>;

    fn report(&mut self, _: Self::Activity) -> commonware_actor::Feedback {
        commonware_actor::Feedback::Ok
    }
}

#[test]
fn four_seats_and_a_follower_finalise_the_same_blocks() {
    deterministic::Runner::seeded(1).start(|context| async move {
        let mut keys: Vec<_> = (0..5).map(ed25519::PrivateKey::from_seed).collect();
        keys[..4].sort_by_key(|key| key.public_key());
        let peers: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
        let seats = types::SeatSet::new(
            peers[..4]
                .iter()
                .map(|peer| types::Seat {
                    identity: identity(peer),
                    bls: types::bls::SecretBls::derive(peer.as_ref())
                        .unwrap()
                        .public(),
                    registry_index: 0,
                })
                .collect(),
        )
        .unwrap();
        let (network, oracle) = simulated::Network::new_with_split_peers(
            context.child("network"),
            simulated::Config {
                max_size: network::MESSAGE_BYTES_MAX,
                max_peers_per_set: NZUsize!(5),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(1),
            },
            peers[..4].to_vec(),
            peers[4..].to_vec(),
        )
        .await;
        network.start();
        let link = simulated::Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            success_rate: probability!(1.0),
        };
        let mut finals = vec![];
        for (i, key) in keys.iter().enumerate() {
            let votes = i < 4;
            let me = key.public_key();
            let all = links(&oracle, &me).await;
            let context = context.child("node").with_attribute("i", i);
            let mut channels = TermChannels::of_engine(&context, all);
            let (sender, receiver) = mpsc::unbounded_channel();
            finals.push(receiver);
            start::<_, CheapScheme, Simulated, Block, _, _, _, _>(
                context,
                Config {
                    scheme: cheap_scheme(
                        &seats,
                        types::ChainId::new(7),
                        votes.then(|| key.clone()),
                    )
                    .unwrap(),
                    me: me.clone(),
                    votes,
                    epoch: Epoch::zero(),
                    ends: types::TimestampMs::new(u64::MAX),
                    origin: Origin::Genesis(empty_block(None)),
                    partition: format!("node-{i}"),
                    tuning: Tuning::default(),
                    blocker: oracle.control(me.clone()),
                    peers: oracle.manager(),
                },
                channels.term(Epoch::zero()).await,
                move |_| async move {
                    Parts {
                        application: Empty,
                        finalizer: Sink(sender),
                        activity: Deaf,
                    }
                },
            )
            .await;
        }
        for from in &peers {
            for to in peers.iter().filter(|to| *to != from) {
                oracle
                    .add_link(from.clone(), to.clone(), link.clone())
                    .await
                    .unwrap();
            }
        }
        let mut chains = vec![];
        for receiver in &mut finals {
            let mut chain = vec![];
            while chain.len() < 20 {
                chain.push(receiver.recv().await.unwrap().hash());
            }
            chains.push(chain);
        }
        assert!(chains.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(hash(&digest(chains[0][3])), chains[0][3]);
    });
}
