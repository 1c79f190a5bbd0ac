//! Derivation and execution of finalised lane blocks beside a bare loop of ecrecover and revm. Both
//! recover senders on all cores, lane block by lane block.
//!
//! `cargo bench -p cortado-rollup --bench derive` prints transactions a second of both, and their
//! ratio.

#[path = "../tests/support/chain.rs"]
mod chain;

use alloy_consensus::{Transaction, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use chain::{Chain, ROLLUP, at, follow, promised, tick, transfer, user};
use cortado_evm::recover_signers;
use cortado_rollup::source::Finalised;
use cortado_types::{Address, Bytes};
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext,
    context::TxEnv,
    database::{CacheDB, EmptyDB},
    primitives::U256,
    state::AccountInfo,
};
use std::time::Instant;

/// Lane blocks.
const BLOCKS: u64 = 20;
/// Transactions of each.
const EACH: u64 = 500;

fn blocks(chain: &mut Chain) -> Vec<Finalised> {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut gateway = chain.resumed(dir.path());
    let to = Address::repeat_byte(9);
    (0..BLOCKS)
        .map(|block| {
            let now = at(block, 100);
            for n in 0..EACH {
                let nonce = block * EACH.div_ceil(50) + n / 50;
                promised(&mut gateway, &transfer(&user(n % 50), nonce, to, 1), now);
            }
            let mut lanes = tick(&mut gateway, at(block, 150));
            lanes.extend(tick(&mut gateway, at(block, 1_900)));
            let finalised = chain.finalise(&lanes, at(block, 1_950));
            follow(&mut gateway, &finalised, at(block, 1_950));
            finalised
        })
        .collect()
}

/// Transactions a second of decode, ecrecover on all cores, as the rollup does it, and revm, without
/// blocks, roots or disk. Lane block by lane block, since the next one is not there yet in life.
fn bare(raw: &[Bytes]) -> f64 {
    let mut db = CacheDB::new(EmptyDB::default());
    for n in 0..64 {
        let balance = U256::from(10).pow(U256::from(24));
        db.insert_account_info(
            user(n).address(),
            AccountInfo {
                balance,
                ..Default::default()
            },
        );
    }
    let mut evm = Context::mainnet()
        .with_db(db)
        .modify_cfg_chained(|cfg| cfg.chain_id = ROLLUP.get())
        .build_mainnet();
    let start = Instant::now();
    for lane in raw.chunks(EACH as usize) {
        let decoded: Vec<_> = lane
            .iter()
            .map(|raw| TxEnvelope::decode_2718_exact(raw).expect("decodes"))
            .collect();
        let callers = recover_signers(&decoded).expect("signed");
        for (transaction, caller) in decoded.iter().zip(callers) {
            let request = TxEnv {
                tx_type: transaction.tx_type() as u8,
                caller,
                gas_limit: transaction.gas_limit(),
                gas_price: transaction.max_fee_per_gas(),
                gas_priority_fee: transaction.max_priority_fee_per_gas(),
                kind: transaction.kind(),
                value: transaction.value(),
                nonce: transaction.nonce(),
                chain_id: transaction.chain_id(),
                ..TxEnv::default()
            };
            evm.transact_commit(request).expect("executes");
        }
    }
    raw.len() as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let mut chain = Chain::new();
    let blocks = blocks(&mut chain);
    let dir = tempfile::tempdir().expect("temp dir");
    let mut engine = chain.engine(dir.path(), ROLLUP);
    let start = Instant::now();
    for block in &blocks {
        engine.apply(block).expect("applies");
    }
    engine.persist().expect("persists");
    let elapsed = start.elapsed();
    let mut raw = Vec::new();
    for number in 1..=engine.head().number() {
        let block = engine
            .store()
            .block_by_number(number)
            .expect("reads")
            .expect("there");
        for transaction in &block.transactions {
            raw.push(Bytes::from(
                alloy_eips::eip2718::Encodable2718::encoded_2718(transaction),
            ));
        }
    }
    let full = raw.len() as f64 / elapsed.as_secs_f64();
    let bare = bare(&raw);
    println!(
        "derive and execute: {full:.0} tx/s over bare ecrecover + revm {bare:.0} tx/s = {:.2} (target at least 0.6)",
        full / bare
    );
}
