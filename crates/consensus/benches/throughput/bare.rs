//! The bare engine: simplex and marshal, four participants, 4 MiB blocks, real sockets and disk.

use crate::payload::Payload;
use bytes::Bytes;
use commonware_actor::Feedback;
use commonware_consensus::{
    Application, Reporter,
    marshal::{Update, ancestry::Ancestry},
    simplex::types::{Activity, Context},
    types::Epoch,
};
use commonware_cryptography::{Digested, Digestible as _, Signer as _, ed25519};
use commonware_runtime::{Runner as _, Supervisor as _, tokio};
use commonware_utils::{Acknowledgement as _, channel::mpsc};
use cortado_consensus::{
    block::Digest,
    engine::{self, Origin, Parts, Tuning},
    network::{
        tcp::{self, Tcp},
        terms::TermChannels,
    },
    runtime::Roster as _,
    scheme::{BlsScheme, bls_scheme},
};
use cortado_types::TimestampMs;
use futures::StreamExt as _;
use std::{path::Path, time::Instant};

#[derive(Clone)]
struct Node(mpsc::UnboundedSender<u64>, Bytes);

impl Application<tokio::Context> for Node {
    type SigningScheme = BlsScheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Payload;
    type Input = ();

    async fn propose(
        &mut self,
        _: (tokio::Context, Self::Context),
        mut ancestry: impl Ancestry<Payload>,
        (): (),
    ) -> Option<Digested<Payload>> {
        let parent = ancestry.next().await?;
        let block = Payload(parent.inner().0 + 1, parent.digest(), self.1.clone());
        let digest = block.digest();
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(
        &mut self,
        _: (tokio::Context, Self::Context),
        _: impl Ancestry<Payload>,
    ) -> bool {
        true
    }
}

impl Reporter for Node {
    type Activity = Update<Payload>;

    fn report(&mut self, update: Update<Payload>) -> Feedback {
        if let Update::Block(block, ack) = update {
            let _ = self.0.send(block.inner().0);
            ack.acknowledge();
        }
        Feedback::Ok
    }
}

#[derive(Clone)]
struct Deaf;

impl Reporter for Deaf {
    type Activity = Activity<BlsScheme, Digest>;

    fn report(&mut self, _: Self::Activity) -> Feedback {
        Feedback::Ok
    }
}

/// Megabytes final per second, over `blocks` blocks after a few to warm up.
pub fn run(town: &super::Town, directory: &Path, blocks: u64) -> f64 {
    let settings = tokio::Config::new()
        .with_worker_threads(2)
        .with_storage_directory(directory)
        .with_tcp_nodelay(Some(true));
    tokio::Runner::new(settings).start(|context| async move {
        let seats = town.genesis.validate().expect("a valid genesis");
        let (sender, mut finals) = mpsc::unbounded_channel();
        for (i, keys) in town.keys[..4].iter().enumerate() {
            let context = context.child("seat").with_attribute("index", i);
            let started = tcp::start(&context, keys.network.clone(), town.network(i));
            let (links, oracle, mut roster, _) = started.expect("the network must start");
            let peers: Vec<_> = town.keys[..4].iter().map(|keys| keys.peer()).collect();
            roster.track(0, &peers);
            let mut channels = TermChannels::of_engine(&context, links);
            let node = Node(sender.clone(), vec![7u8; super::BODY_BYTES].into());
            engine::start::<_, BlsScheme, Tcp, Payload, _, _, _, _>(
                context.child("engine"),
                engine::Config {
                    scheme: bls_scheme(&seats, town.genesis.chain_id, Some(&keys.bls))
                        .expect("a seat's key"),
                    me: keys.network.public_key(),
                    votes: true,
                    epoch: Epoch::zero(),
                    ends: TimestampMs::new(u64::MAX),
                    origin: Origin::Genesis(Payload(0, Digest::from([0; 32]), Bytes::new())),
                    partition: format!("bare-{i}"),
                    tuning: Tuning::default(),
                    blocker: oracle.clone(),
                    peers: oracle,
                },
                channels.term(Epoch::zero()).await,
                move |_| async move {
                    Parts {
                        application: node.clone(),
                        finalizer: node,
                        activity: Deaf,
                    }
                },
            )
            .await;
        }
        // All four report; what counts is what all four have.
        let mut seen = 0;
        let mut begin = Instant::now();
        while seen < 4 * (blocks + super::WARM_UP) {
            finals.recv().await.expect("the engine must run");
            seen += 1;
            if seen == 4 * super::WARM_UP {
                begin = Instant::now();
            }
        }
        (blocks as usize * super::BODY_BYTES) as f64 / 1e6 / begin.elapsed().as_secs_f64()
    })
}
