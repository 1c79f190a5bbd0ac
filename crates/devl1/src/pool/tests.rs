use alloy_genesis::Genesis;
use alloy_primitives::address;
use cortado_evm::{BlockInputs, genesis_block};

use super::*;
use crate::testing::{Account, CHAIN_ID, RICH_WEI, contracts, raw, template};
use alloy_consensus::{TxEip1559, TxLegacy};

struct World {
    spec: ChainSpec,
    head: ExecutedBlock,
    pool: Pool,
}

fn world() -> World {
    let spec = ChainSpec::ethereum(CHAIN_ID);
    let mut alloc = contracts();
    for number in 1..=9 {
        alloc
            .entry(Account::new(number).address)
            .or_default()
            .balance = RICH_WEI;
    }
    let head = genesis_block(
        &spec,
        &Genesis {
            alloc,
            ..Genesis::default()
        },
    );
    World {
        spec,
        head,
        pool: Pool::default(),
    }
}

impl World {
    fn add(&mut self, tx: &Recovered<TxEnvelope>) -> Result<Vec<B256>, SubmitError> {
        self.pool.add(tx.clone(), &self.spec, &self.head)
    }

    fn refusal(&mut self, tx: &Recovered<TxEnvelope>) -> String {
        self.add(tx).expect_err("has to be refused").to_string()
    }

    /// Fills a block from the pool; the hashes in it, and those that turned out invalid.
    fn block(&self) -> (ExecutedBlock, Vec<B256>) {
        let inputs = BlockInputs {
            timestamp: 12,
            ..BlockInputs::default()
        };
        let mut builder = BlockBuilder::new(&self.spec, &self.head, inputs).expect("fine inputs");
        let base_fee = self.spec.next_base_fee(self.head.header.inner());
        let invalid = self
            .pool
            .ready(&self.head.state, base_fee)
            .fill(&mut builder);
        (builder.finish().expect("a block"), invalid)
    }

    fn mined(&self) -> Vec<B256> {
        self.block()
            .0
            .transactions
            .iter()
            .map(|tx| *tx.tx_hash())
            .collect()
    }
}

#[test]
fn the_best_tip_goes_first_and_each_sender_in_nonce_order() {
    let mut world = world();
    let (alice, bob) = (Account::new(1), Account::new(2));
    // Alice's second transaction pays best, but her first has to come before it.
    let txs = [
        alice.transfer(1, 9),
        alice.transfer(0, 1),
        bob.transfer(0, 5),
        bob.transfer(1, 3),
    ];
    for tx in &txs {
        world.add(tx).expect("valid");
    }
    let order = [2, 3, 1, 0].map(|index: usize| *txs[index].tx_hash());
    assert_eq!(world.mined(), order);
}

#[test]
fn among_equal_tips_the_older_goes_first() {
    let mut world = world();
    let txs: Vec<_> = (1..=4)
        .rev()
        .map(|number| Account::new(number).transfer(0, 1))
        .collect();
    for tx in &txs {
        world.add(tx).expect("valid");
    }
    assert_eq!(
        world.mined(),
        txs.iter().map(|tx| *tx.tx_hash()).collect::<Vec<_>>()
    );
}

#[test]
fn a_transaction_behind_a_gap_waits_for_the_gap_to_close() {
    let mut world = world();
    let alice = Account::new(1);
    world.add(&alice.transfer(1, 1)).expect("may wait");
    assert!(world.mined().is_empty());
    assert_eq!(world.pool.next_nonce(&alice.address, 0), 0);
    world.add(&alice.transfer(0, 1)).expect("valid");
    assert_eq!(world.mined().len(), 2);
    assert_eq!(world.pool.next_nonce(&alice.address, 0), 2);
}

#[test]
fn a_replacement_pays_a_tenth_more_on_tip_and_cap() {
    let mut world = world();
    let alice = Account::new(1);
    let first = alice.transfer(0, 100);
    world.add(&first).expect("valid");
    assert_eq!(world.refusal(&first), "already known");
    let cheap = alice.transfer(0, 109);
    assert_eq!(world.refusal(&cheap), "replacement transaction underpriced");
    // Tip 110 of 100 suffices, and its cap is 210 of 200 gwei, which does not.
    assert_eq!(
        world.refusal(&alice.transfer(0, 110)),
        "replacement transaction underpriced"
    );
    let better = alice.transfer(0, 120);
    assert_eq!(world.add(&better).expect("pays enough"), [*first.tx_hash()]);
    assert_eq!(world.mined(), [*better.tx_hash()]);
    assert_eq!(world.pool.len(), 1);
}

#[test]
fn every_bad_transaction_is_refused_in_words_that_wallets_know() {
    let mut world = world();
    let alice = Account::new(1);
    let bend = |change: &dyn Fn(&mut TxEip1559)| {
        let mut tx = template(0, 1);
        change(&mut tx);
        alice.sign(tx)
    };
    let cases: [(Recovered<TxEnvelope>, &str); 9] = [
        (
            bend(&|tx| tx.chain_id = 5),
            "invalid chain id for signer: have 5 want 31337",
        ),
        (
            bend(&|tx| tx.gas_limit = 20_999),
            "intrinsic gas too low: have 20999, want 21000",
        ),
        (
            bend(&|tx| tx.gas_limit = 1 << 25),
            "exceeds block gas limit: tx gas 33554432, limit 16777216",
        ),
        (
            bend(&|tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1),
            "max priority fee per gas higher than max fee per gas: \
             maxPriorityFeePerGas: 101000000001, maxFeePerGas: 101000000000",
        ),
        (
            bend(&|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (0, 0)),
            "transaction underpriced: fee 0, minimum needed 1",
        ),
        (
            bend(&|tx| tx.nonce = 1_025),
            "nonce too high: next nonce 0, tx nonce 1025",
        ),
        (
            bend(&|tx| tx.value = RICH_WEI),
            "insufficient funds for gas * price + value: \
             have 1000000000000000000000 want 1000002121000000000000",
        ),
        (
            bend(&|tx| {
                tx.to = alloy_primitives::TxKind::Create;
                tx.input = vec![0; MAX_INITCODE_SIZE + 1].into();
                tx.gas_limit = 10_000_000;
            }),
            "max initcode size exceeded: code size 49153, limit 49152",
        ),
        (
            alice.sign(TxLegacy {
                chain_id: None,
                gas_limit: 21_000,
                gas_price: 1 << 40,
                to: address!("00000000000000000000000000000000000000aa").into(),
                ..TxLegacy::default()
            }),
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
    ];
    for (tx, wording) in cases {
        assert_eq!(world.refusal(&tx), wording);
    }
    assert!(world.pool.is_empty());
}

#[test]
fn bytes_that_are_no_transaction_are_refused() {
    let alice = Account::new(1);
    let good = raw(&alice.transfer(0, 1));
    assert!(decode(&good).is_ok());
    let mut longer = good.to_vec();
    longer.push(0);
    for bad in [
        &[][..],
        &[0x02],
        &[0xff; 40],
        &good[..good.len() - 1],
        &longer,
    ] {
        let error = decode(bad).expect_err("is no transaction").to_string();
        assert!(error.starts_with("invalid transaction encoding"), "{error}");
    }
}

#[test]
fn a_flipped_bit_never_passes_as_the_same_senders_transaction() {
    let alice = Account::new(1);
    let good = raw(&alice.transfer(0, 1));
    for position in 0..good.len() * 8 {
        let mut bent = good.to_vec();
        bent[position / 8] ^= 1 << (position % 8);
        if let Ok(tx) = decode(&bent) {
            assert_ne!(tx.signer(), alice.address, "bit {position}");
        }
    }
}

#[test]
fn a_used_nonce_is_refused_and_pruned() {
    let mut world = world();
    let alice = Account::new(1);
    world.add(&alice.transfer(0, 1)).expect("valid");
    world.add(&alice.transfer(1, 1)).expect("valid");
    let mut after = self::world();
    after.pool.insert(Arc::new(alice.transfer(0, 1)));
    world.head = after.block().0;
    world.pool.prune(&world.head.state);
    assert_eq!(world.pool.len(), 1);
    assert_eq!(
        world.refusal(&alice.transfer(0, 2)),
        "nonce too low: next nonce 1, tx nonce 0"
    );
}

#[test]
fn a_transaction_its_sender_can_no_longer_pay_is_reported_invalid() {
    let mut world = world();
    let alice = Account::new(1);
    // Each could be paid alone, both together cannot.
    let half = |nonce| {
        let value = RICH_WEI / U256::from(10) * U256::from(6);
        alice.sign(TxEip1559 {
            value,
            ..template(nonce, 1)
        })
    };
    world.add(&half(0)).expect("valid");
    world.add(&half(1)).expect("valid on its own");
    let (block, invalid) = world.block();
    assert_eq!(block.transactions.len(), 1);
    assert_eq!(invalid, [*half(1).tx_hash()]);
}

#[test]
fn no_sender_has_more_than_its_share_of_the_pool() {
    let mut world = world();
    let alice = Account::new(1);
    for nonce in 0..POOL_PER_SENDER_MAX as u64 {
        world.add(&alice.transfer(nonce, 1)).expect("room");
    }
    let one_more = alice.transfer(POOL_PER_SENDER_MAX as u64, 1);
    assert_eq!(world.refusal(&one_more), "txpool is full");
    world
        .add(&Account::new(2).transfer(0, 1))
        .expect("room for others");
}

#[test]
fn a_full_pool_makes_room_only_for_what_pays_more() {
    let mut world = world();
    // Fills the pool past what the public limits let a test do quickly: a pool is full by bytes.
    world.pool.bytes = POOL_BYTES_MAX - 200;
    let (cheap, gapped) = (
        Account::new(1).transfer(0, 2),
        Account::new(2).transfer(1, 50),
    );
    for tx in [&cheap, &gapped] {
        world.pool.insert(Arc::new(tx.clone()));
    }
    world.pool.bytes = POOL_BYTES_MAX;
    // What waits behind a gap goes first, however well it pays.
    let first = Account::new(3).transfer(0, 1);
    assert_eq!(
        world.add(&first).expect("room was made"),
        [*gapped.tx_hash()]
    );
    let equal = Account::new(4).transfer(0, 1);
    assert_eq!(world.refusal(&equal), "txpool is full");
    let better = Account::new(5).transfer(0, 3);
    assert_eq!(world.add(&better).expect("pays more"), [*first.tx_hash()]);
}

#[test]
fn taking_back_keeps_what_took_the_place() {
    let mut world = world();
    let alice = Account::new(1);
    let (old, new) = (alice.transfer(0, 1), alice.transfer(0, 5));
    world.add(&new).expect("valid");
    world.pool.take_back(alice.address, &old);
    assert_eq!(world.mined(), [*new.tx_hash()]);
    world.pool.remove(new.tx_hash());
    world.pool.take_back(alice.address, &old);
    assert_eq!(world.mined(), [*old.tx_hash()]);
}
