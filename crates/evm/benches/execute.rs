//! Blocks with all their roots against a bare loop of ecrecover and revm, in one run.
//!
//! `cargo bench -p cortado-evm` prints transactions per second of both and the ratio.

use std::{hint::black_box, time::Instant};

use alloy_consensus::{
    SignableTransaction, Transaction, TxEip1559, TxEnvelope, transaction::Recovered,
};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, keccak256};
use cortado_evm::{
    BlockBuilder, BlockInputs, ChainSpec, genesis_block, recover_signer, recover_signers,
};
use revm::{
    Context, ExecuteCommitEvm, MainBuilder, MainContext,
    context::TxEnv,
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};
use secp256k1::{Message, PublicKey, SecretKey, ecdsa::RecoverableSignature};

const CHAIN_ID: u64 = 1337;
const SENDERS: usize = 1_000;
/// Transactions of each sender.
const ROUNDS: u64 = 20;
const RUNS: usize = 7;
/// Transactions in a block: a second of a busy rollup.
const BLOCK_TXS: usize = 1_000;
/// Adds calldata word 1 to the slot named by calldata word 0, as a token transfer does twice.
const TOKEN: &[u8] = &[
    0x5f, 0x35, 0x80, 0x54, 0x60, 0x20, 0x35, 0x01, 0x90, 0x55, 0x33, 0x80, 0x54, 0x60, 0x20, 0x35,
    0x01, 0x90, 0x55, 0x00,
];

struct Load {
    name: &'static str,
    txs: Vec<TxEnvelope>,
    genesis: Genesis,
}

fn secret(index: usize) -> SecretKey {
    let seed = keccak256(index.to_be_bytes());
    SecretKey::from_secret_bytes(seed.0).expect("a hash is below the order")
}

fn address(secret: &SecretKey) -> Address {
    let key = PublicKey::from_secret_key(secret).serialize_uncompressed();
    Address::from_slice(&keccak256(&key[1..])[12..])
}

fn sign(secret: &SecretKey, tx: TxEip1559) -> TxEnvelope {
    let message = Message::from_digest(tx.signature_hash().0);
    let signature = RecoverableSignature::sign_ecdsa_recoverable(message, secret);
    let (id, bytes) = signature.serialize_compact();
    let r = U256::from_be_slice(&bytes[..32]);
    let s = U256::from_be_slice(&bytes[32..]);
    tx.into_signed(Signature::new(r, s, id.to_u8() == 1)).into()
}

fn load(name: &'static str, request: impl Fn(usize, u64) -> (Address, Bytes)) -> Load {
    let secrets: Vec<_> = (0..SENDERS).map(secret).collect();
    let rich = GenesisAccount::default().with_balance(U256::from(1u128 << 100));
    let mut alloc: std::collections::BTreeMap<_, _> = secrets
        .iter()
        .map(|secret| (address(secret), rich.clone()))
        .collect();
    let token = GenesisAccount::default().with_code(Some(Bytes::from_static(TOKEN)));
    alloc.insert(token_address(), token);
    let mut txs = Vec::new();
    for nonce in 0..ROUNDS {
        for (index, secret) in secrets.iter().enumerate() {
            let (to, input) = request(index, nonce);
            txs.push(sign(
                secret,
                TxEip1559 {
                    chain_id: CHAIN_ID,
                    nonce,
                    gas_limit: 100_000,
                    max_fee_per_gas: 1_000_000_000,
                    max_priority_fee_per_gas: 1,
                    to: TxKind::Call(to),
                    value: U256::from(u64::from(input.is_empty())),
                    input,
                    ..TxEip1559::default()
                },
            ));
        }
    }
    Load {
        name,
        txs,
        genesis: Genesis {
            alloc,
            ..Genesis::default()
        },
    }
}

fn token_address() -> Address {
    Address::repeat_byte(0x70)
}

/// Transactions per second of nothing but signatures and execution, on one thread.
fn run_bare(load: &Load) -> f64 {
    let mut db = CacheDB::new(EmptyDB::new());
    for (address, account) in &load.genesis.alloc {
        let mut info = AccountInfo::from_balance(account.balance);
        if let Some(code) = &account.code {
            info = info.with_code(revm::bytecode::Bytecode::new_raw(code.clone()));
        }
        db.insert_account_info(*address, info);
    }
    let mut evm = Context::mainnet()
        .with_db(db)
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::OSAKA);
            cfg.chain_id = CHAIN_ID;
        })
        .modify_block_chained(|block| block.basefee = 1)
        .build_mainnet();
    let start = Instant::now();
    for tx in &load.txs {
        let caller = recover_signer(tx).expect("signed");
        let env = TxEnv {
            tx_type: 2,
            caller,
            gas_limit: tx.gas_limit(),
            gas_price: tx.max_fee_per_gas(),
            kind: tx.kind(),
            value: tx.value(),
            data: tx.input().clone(),
            nonce: tx.nonce(),
            chain_id: tx.chain_id(),
            gas_priority_fee: tx.max_priority_fee_per_gas(),
            ..TxEnv::default()
        };
        black_box(evm.transact_commit(env).expect("valid"));
    }
    load.txs.len() as f64 / start.elapsed().as_secs_f64()
}

/// Transactions per second of whole blocks, roots included.
fn run_blocks(load: &Load, recover: impl Fn(&[TxEnvelope]) -> Vec<Address>) -> f64 {
    let spec = ChainSpec {
        gas_limit: 200_000_000,
        ..ChainSpec::rollup(CHAIN_ID)
    };
    let mut head = genesis_block(&spec, &load.genesis);
    let start = Instant::now();
    for txs in load.txs.chunks(BLOCK_TXS) {
        let senders = recover(txs);
        let inputs = BlockInputs {
            timestamp: head.header.timestamp + 1,
            ..Default::default()
        };
        let mut builder = BlockBuilder::new(&spec, &head, inputs).expect("good inputs");
        for (tx, sender) in txs.iter().zip(senders) {
            builder
                .push(&Recovered::new_unchecked(tx.clone(), sender))
                .expect("valid");
        }
        head = builder.finish().expect("system contracts work");
    }
    load.txs.len() as f64 / start.elapsed().as_secs_f64()
}

fn main() {
    let loads = [
        load("transfers", |index, _| {
            (
                Address::from_word(keccak256((index * 7).to_le_bytes())),
                Bytes::new(),
            )
        }),
        load("token transfers", |index, nonce| {
            let to = U256::from_be_bytes(keccak256((index * 7).to_le_bytes()).0);
            let words = [
                to.to_be_bytes::<32>(),
                U256::from(nonce + 1).to_be_bytes::<32>(),
            ];
            (token_address(), words.concat().into())
        }),
    ];
    for load in &loads {
        let one_by_one = |txs: &[TxEnvelope]| -> Vec<Address> {
            txs.iter()
                .map(|tx| recover_signer(tx).expect("signed"))
                .collect()
        };
        let all_cores = |txs: &[TxEnvelope]| recover_signers(txs).expect("signed");
        // In turns, and the best of each: what the code can do, not what the machine was busy with.
        let (mut bare, mut single, mut parallel) = (0f64, 0f64, 0f64);
        for _ in 0..RUNS {
            bare = bare.max(run_bare(load));
            single = single.max(run_blocks(load, one_by_one));
            parallel = parallel.max(run_blocks(load, all_cores));
        }
        println!(
            "{}: bare ecrecover + revm {bare:.0} tx/s; blocks with roots {single:.0} tx/s on one \
             thread (ratio {:.2}), {parallel:.0} tx/s with parallel recovery (ratio {:.2})",
            load.name,
            single / bare,
            parallel / bare,
        );
    }
}
