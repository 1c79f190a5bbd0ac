use super::*;
use crate::{
    engine::Tuning,
    simulate::{self, Plan},
};
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use cortado_chain::{Draft, build};
use cortado_types::{ChainId, TimestampMs, View};

fn genesis() -> Genesis {
    let plan = Plan {
        seats: 4,
        proposers: 1,
        spares: 0,
        slot_ms: 2_000,
        term_ms: cortado_types::genesis::TERM_MS_MAX,
        slot_bytes_max: 1,
        anchor: alloy_rlp::encode(alloy_consensus::Header::default()),
        tuning: Tuning::default(),
    };
    simulate::genesis(&plan).1
}

/// The block after genesis, as if it were final.
fn first_block(at: &Finalized) -> Finalized {
    let draft = Draft {
        view: View::new(1),
        timestamp: TimestampMs::new(5),
        ..Draft::default()
    };
    let (block, state) = build(&at.state, &at.block.inner().header, &draft);
    Finalized {
        block: Block::new(block),
        state: Arc::new(state),
        certificate: None,
    }
}

/// Runs each of `lives` on what the one before had synced when its power was cut.
fn lives(lives: Vec<fn(deterministic::Context) -> futures::future::LocalBoxFuture<'static, ()>>) {
    let mut runner = deterministic::Runner::default();
    for life in lives {
        let ((), checkpoint) = runner.start_and_recover(life);
        runner = deterministic::Runner::from(checkpoint);
    }
}

#[test]
fn a_snapshot_is_there_after_a_power_cut_whole_or_not_at_all() {
    lives(vec![
        |context| {
            Box::pin(async move {
                let (mut snapshots, at) = Snapshots::open(context.child("s"), "p", &genesis())
                    .await
                    .unwrap();
                assert_eq!(at.height(), Height::ZERO);
                snapshots.write(&first_block(&at)).await.unwrap();
            })
        },
        |context| {
            Box::pin(async move {
                let (_, at) = Snapshots::open(context.child("s"), "p", &genesis())
                    .await
                    .unwrap();
                assert_eq!(at.height(), Height::new(1));
                assert_eq!(at.state.root(), at.block.inner().header.state_root);
            })
        },
    ]);
}

#[test]
fn a_directory_remembers_its_chain_from_the_first_moment() {
    lives(vec![
        |context| {
            Box::pin(async move {
                Snapshots::open(context.child("s"), "p", &genesis())
                    .await
                    .unwrap();
            })
        },
        |context| {
            Box::pin(async move {
                let mut other = genesis();
                other.chain_id = ChainId::new(8);
                let refused = Snapshots::open(context.child("s"), "p", &other).await;
                assert!(matches!(refused, Err(SnapshotError::Genesis { .. })));
            })
        },
    ]);
}

#[test]
fn a_newer_format_and_a_state_that_is_not_the_blocks_are_refused_by_name() {
    deterministic::Runner::default().start(|context| async move {
        let (mut snapshots, at) = Snapshots::open(context.child("a"), "p", &genesis())
            .await
            .unwrap();
        let mut wrong = first_block(&at);
        wrong.state = at.state.clone();
        let mut changed = (*wrong.state).clone();
        changed.namespaces.clear();
        wrong.state = Arc::new(changed);
        snapshots.write(&wrong).await.unwrap();
        drop(snapshots);
        let refused = Snapshots::open(context.child("b"), "p", &genesis()).await;
        assert!(matches!(refused, Err(SnapshotError::Root { .. })));
        let config = metadata::Config {
            partition: "p-snapshot".into(),
            codec_config: RangeCfg::from(..),
        };
        let mut store: Metadata<_, U64, Bytes> =
            Metadata::init(context.child("c"), config).await.unwrap();
        store.put(
            U64::new(KEY_FORMAT),
            Bytes::copy_from_slice(&9u64.to_be_bytes()),
        );
        drop(store.sync().await.unwrap());
        let refused = Snapshots::open(context.child("d"), "p", &genesis())
            .await
            .err()
            .unwrap();
        assert_eq!(
            refused.to_string(),
            "data directory has format 9, this program reads up to 1"
        );
    });
}
