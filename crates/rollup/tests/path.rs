//! The straight path: submit, promise, seal, finalise, `latest`.

#[path = "support/chain.rs"]
mod chain;

use chain::{Chain, ROLLUP, at, follow, promised, proposer, tick, transfer, user};
use cortado_preconf::Terms;
use cortado_types::Address;

#[test]
fn a_transaction_is_promised_then_sealed_then_latest() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut chain = Chain::new();
    let mut gateway = chain.gateway(dir.path(), 1, None);
    gateway.resume(at(0, 0)).expect("resumes");

    let transaction = transfer(&user(0), 0, Address::repeat_byte(9), 5);
    let promises = promised(&mut gateway, &transaction, at(0, 100));
    assert_eq!(promises.inclusion.signer(), Ok(proposer().address()));
    assert_eq!(promises.execution.signer(), Ok(proposer().address()));
    assert_eq!(promises.inclusion.promise.transaction, transaction.hash());
    let genesis = gateway.engine(ROLLUP).expect("served").head();
    assert_eq!(genesis.number(), 0, "latest stands without a certificate");
    let Terms::Execution {
        l2_parent, context, ..
    } = promises.execution.promise.terms
    else {
        panic!("the second promise is of execution");
    };
    assert_eq!(l2_parent, genesis.hash());
    assert_eq!(context, chain.state.anchor());

    assert!(
        tick(&mut gateway, at(0, 139)).is_empty(),
        "the lane block is open for 40 ms"
    );
    let sealed = tick(&mut gateway, at(0, 140));
    assert_eq!(sealed.len(), 1);
    assert_eq!(
        sealed[0].body.transactions,
        std::slice::from_ref(&transaction.raw)
    );

    let finalised = chain.finalise(&sealed, at(0, 300));
    assert_eq!(finalised.block().lanes.len(), 1, "the chain takes it");
    follow(&mut gateway, &finalised, at(0, 300));
    let engine = gateway.engine(ROLLUP).expect("served");
    let head = engine.head();
    assert_eq!(head.number(), 1);
    assert_eq!(head.transactions[0].tx_hash(), &transaction.hash());
    assert_eq!(head.header.beneficiary, proposer().address());
    assert_eq!(head.header.parent_beacon_block_root, Some(context.hash));
    assert_eq!(head.header.timestamp, at(0, 100).seconds());
}
