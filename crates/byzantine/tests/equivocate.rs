//! A seat that lies, among honest ones on real sockets.

#[path = "../../consensus/tests/production/town.rs"]
#[allow(dead_code)]
mod town;

use cortado_byzantine::{Equivocator, EquivocatorConfig};
use cortado_consensus::{events::Event, host::Host};
use cortado_evidence::Electorate;
use cortado_types::VoteKind;
use futures::executor::block_on;
use std::{sync::Arc, time::Duration};
use town::{Town, reach};

const LIAR: usize = 3;

fn liar(town: &Town, directory: &std::path::Path) -> Equivocator {
    let config = town.config(LIAR, directory);
    let (identity, secret) = town.secrets[LIAR].clone();
    std::fs::create_dir_all(&config.directory).expect("a directory of ours");
    Equivocator::start(EquivocatorConfig {
        genesis: config.genesis,
        identity,
        secret,
        listen: config.listen,
        seats: config.peers,
        directory: config.directory,
    })
    .expect("the liar must start")
}

#[test]
fn a_seat_that_equivocates_is_told_by_everybody_and_the_chain_goes_on_unharmed() {
    let (town, directory) = (Town::new(60), tempfile::tempdir().expect("a directory"));
    let hosts: Vec<Host> = (0..LIAR).map(|i| town.start(i, directory.path())).collect();
    let mut events: Vec<_> = hosts.iter().map(|host| host.node().events()).collect();
    reach(&hosts[0], 1);
    let liar = liar(&town, directory.path());
    let voters = Electorate {
        chain_id: town.genesis.chain_id,
        seats: Arc::new(town.genesis.validate().expect("a valid genesis")),
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(90);
    for events in &mut events {
        let evidence = loop {
            assert!(std::time::Instant::now() < deadline, "nobody tells");
            if let Some(Event::SeatFault(evidence)) = block_on(events.recv()) {
                break evidence;
            }
        };
        assert_eq!(evidence.verify(&voters), Ok(()));
        assert_eq!(evidence.seat().get() as usize, LIAR);
        assert_eq!(evidence.first.vote.kind(), VoteKind::Notarize);
    }
    // Three of four are a quorum.
    let at = hosts[0].node().finalized().height().get();
    for host in &hosts {
        reach(host, at + 5);
    }
    let height = cortado_types::Height::new(at + 5);
    let blocks: Vec<_> = hosts
        .iter()
        .map(|host| {
            block_on(host.node().block(height))
                .expect("a final block")
                .hash()
        })
        .collect();
    assert!(
        blocks.windows(2).all(|pair| pair[0] == pair[1]),
        "one chain"
    );
    liar.stop();
    for host in hosts {
        block_on(host.stop());
    }
}
