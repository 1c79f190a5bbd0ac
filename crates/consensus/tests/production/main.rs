//! The same nodes on real sockets, disks and clocks. No story here measures time.

mod damage;
mod town;

use cortado_consensus::host::{Host, HostError};
use cortado_types::{B256, ChainId, Height};
use futures::executor::block_on;
use std::{net::TcpListener, sync::Arc};
use town::{Town, include, reach};

#[test]
fn real_sockets_carry_bodies_of_megabytes_into_final_blocks() {
    let (town, directory) = (Town::new(10), tempfile::tempdir().unwrap());
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    let proposer = &hosts[4];
    reach(proposer, 2);
    let hash = include(&town, proposer, 3 << 20);
    for host in &hosts {
        let at = proposer.node().finalized().height();
        reach(host, at.get());
        let found = block_on(host.node().lane_block(hash)).unwrap().unwrap();
        assert_eq!(found.lane.header.hash(), hash);
        assert!(found.body.size() >= 3 << 20);
    }
    let newest = proposer.node().finalized();
    let (height, certificate) = block_on(proposer.node().certificate(newest.height()))
        .or_else(|| block_on(proposer.node().certificate(Height::new(1))))
        .unwrap();
    let block = block_on(proposer.node().block(height)).unwrap();
    let seats = town.genesis.validate().unwrap();
    certificate
        .verify(
            block.hash(),
            town.genesis.chain_id,
            block.inner().header.term,
            &seats,
        )
        .unwrap();
    for host in hosts {
        block_on(host.stop());
    }
}

#[test]
fn a_town_that_stops_goes_on_where_it_was() {
    let (town, directory) = (Town::new(30), tempfile::tempdir().unwrap());
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    reach(&hosts[4], 2);
    let hash = include(&town, &hosts[4], 1_000);
    let before: Vec<_> = hosts.iter().map(|host| host.node().finalized()).collect();
    let header = &before[0].block.inner().header;
    let (term, view) = (header.term, header.view);
    let seen = block_on(hosts[0].node().view(term, view));
    assert!(!seen.is_empty());
    for host in hosts {
        block_on(host.stop());
    }
    let hosts: Vec<_> = (0..5).map(|i| town.start(i, directory.path())).collect();
    // Also what waited for its sync when the node was stopped.
    let mut again = block_on(hosts[0].node().view(term, view));
    let found = again.clone();
    again.merge(&seen);
    assert_eq!(again, found);
    for (host, before) in hosts.iter().zip(&before) {
        reach(host, before.height().get() + 1);
        let again = block_on(host.node().block(before.height())).unwrap();
        assert_eq!(again.hash(), before.block.hash());
        assert!(block_on(host.node().lane_block(hash)).unwrap().is_some());
    }
    let more = include(&town, &hosts[4], 1_000);
    assert_ne!(more, hash);
    for host in hosts {
        block_on(host.stop());
    }
}

#[test]
fn a_taken_port_and_a_foreign_directory_are_errors_with_names() {
    let (town, directory) = (Town::new(50), tempfile::tempdir().unwrap());
    let taken = TcpListener::bind(town.addresses[0]).unwrap();
    let refused = block_on(Host::start(town.config(0, directory.path())));
    assert!(matches!(refused, Err(HostError::Listen { .. })));
    drop(taken);
    let host = town.start(0, directory.path());
    block_on(host.stop());
    // The same directory under another genesis.
    let mut config = town.config(0, directory.path());
    let mut other = (*town.genesis).clone();
    other.chain_id = ChainId::new(1);
    config.genesis = Arc::new(other);
    let error = block_on(Host::start(config)).err().unwrap().to_string();
    assert!(
        error.contains("data directory belongs to the chain with genesis"),
        "{error}"
    );
}

#[test]
fn a_node_without_peers_starts_answers_and_stops() {
    let (town, directory) = (Town::new(70), tempfile::tempdir().unwrap());
    let host = town.start(0, directory.path());
    assert_eq!(host.node().finalized().height(), Height::ZERO);
    assert!(block_on(host.node().block(Height::new(1))).is_none());
    assert!(
        block_on(host.node().lane_block(B256::ZERO))
            .unwrap()
            .is_none()
    );
    assert!(
        host.metrics()().contains("node_"),
        "metrics have the node's label"
    );
    block_on(host.stop());
}
