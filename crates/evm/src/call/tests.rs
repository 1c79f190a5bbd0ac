use alloy_primitives::{Address, TxKind, U256, keccak256};
use alloy_rpc_types_eth::state::{AccountOverride, StateOverridesBuilder};

use super::*;
use crate::{
    BlockBuilder,
    testing::{
        BLOCK_READER, CHAIN_ID, COUNTER, GWEI, LOOPER, REVERTER, WRITER, Wallet, block, deploy,
        inputs, l1, words,
    },
};

struct Stage {
    spec: ChainSpec,
    context: CallContext,
    alice: Wallet,
    contracts: Vec<Address>,
}

/// A chain whose head has these contracts.
fn stage(contracts: &[&[u8]]) -> Stage {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (txs, contracts): (Vec<_>, Vec<_>) =
        contracts.iter().map(|code| alice.create(code)).unzip();
    let head = block(&spec, &genesis, &txs);
    Stage {
        context: CallContext::after(&head),
        spec,
        alice,
        contracts,
    }
}

impl Stage {
    fn request(&self, to: Address) -> TransactionRequest {
        TransactionRequest::default()
            .from(self.alice.address)
            .to(to)
    }

    fn call(&self, request: &TransactionRequest) -> Result<CallOutcome, CallError> {
        call(
            &self.spec,
            &self.context,
            CallRequest::new(request),
            &CallLimits::default(),
        )
    }

    fn estimate(&self, request: &TransactionRequest) -> Result<u64, CallError> {
        estimate_gas(
            &self.spec,
            &self.context,
            CallRequest::new(request),
            &CallLimits::default(),
        )
    }
}

#[test]
fn a_call_returns_its_output_and_changes_nothing() {
    let stage = stage(&[COUNTER]);
    let request = stage.request(stage.contracts[0]);
    let root = stage.context.state.root();
    for _ in 0..2 {
        let outcome = stage.call(&request).unwrap();
        assert!(outcome.success());
        assert_eq!(
            outcome.logs[0].data.data[..],
            U256::from(1).to_be_bytes::<32>()
        );
    }
    assert_eq!(stage.context.state.root(), root);
}

#[test]
fn a_call_needs_neither_fees_nor_nonce_nor_funds() {
    let stage = stage(&[COUNTER]);
    let request = TransactionRequest::default()
        .from(stage.contracts[0])
        .to(stage.contracts[0])
        .nonce(77);
    assert!(
        stage.call(&request).unwrap().success(),
        "even a contract may be the caller"
    );
}

#[test]
fn a_revert_is_an_outcome_of_a_call_and_an_error_of_an_estimate() {
    let stage = stage(&[REVERTER]);
    let request = stage.request(stage.contracts[0]);
    let outcome = stage.call(&request).unwrap();
    assert_eq!(outcome.status, TxStatus::Reverted);
    assert_eq!(outcome.output[..], [0x2a]);
    let output = outcome.output;
    assert_eq!(
        stage.estimate(&request),
        Err(CallError::Reverted { output })
    );
}

#[test]
fn a_transfer_is_estimated_exactly() {
    let stage = stage(&[]);
    let request = stage.request(Address::repeat_byte(9)).value(U256::from(1));
    assert_eq!(stage.estimate(&request), Ok(21_000));
}

#[test]
fn an_estimate_suffices_and_is_near_the_least() {
    let stage = stage(&[COUNTER, WRITER]);
    let write = stage.request(stage.contracts[1]).input(words(1, 1).into());
    let create = TransactionRequest {
        to: Some(TxKind::Create),
        ..TransactionRequest::default()
            .from(stage.alice.address)
            .input(deploy(COUNTER).into())
    };
    for request in [stage.request(stage.contracts[0]), write, create] {
        let gas = stage.estimate(&request).unwrap();
        assert!(
            stage
                .call(&request.clone().gas_limit(gas))
                .unwrap()
                .success()
        );
        let less = request.clone().gas_limit(gas - gas * 2 / 100);
        let enough = stage.call(&less).is_ok_and(|outcome| outcome.success());
        assert!(!enough, "2 % less than {gas} must not suffice");
    }
}

#[test]
fn what_a_call_cannot_pay_is_refused_with_the_numbers() {
    let stage = stage(&[]);
    let poor = Address::repeat_byte(0x99);
    let request = TransactionRequest::default()
        .from(poor)
        .to(Address::ZERO)
        .value(U256::from(5));
    let required = U256::from(5);
    let refused = TxRejection::InsufficientFunds {
        required,
        balance: U256::ZERO,
    };
    assert_eq!(stage.call(&request), Err(refused.clone().into()));
    assert_eq!(stage.estimate(&request), Err(refused.into()));
}

#[test]
fn a_named_gas_price_is_checked_and_bounds_the_gas() {
    let stage = stage(&[COUNTER]);
    let request = stage.request(stage.contracts[0]).max_fee_per_gas(1);
    let refused = stage.call(&request);
    assert!(
        matches!(
            refused,
            Err(CallError::Rejected(TxRejection::FeeBelowBaseFee { .. }))
        ),
        "{refused:?}"
    );
    // A sender who can pay for 100,000 gas gets as much, not the 50 M of a free call.
    let poor = Address::repeat_byte(0x99);
    let balance = U256::from(100_000 * 10 * GWEI);
    let overrides = StateOverridesBuilder::default()
        .with_balance(poor, balance)
        .build();
    let request = TransactionRequest::default()
        .from(poor)
        .to(stage.contracts[0])
        .max_fee_per_gas(10 * GWEI);
    let request = CallRequest {
        state: Some(&overrides),
        ..CallRequest::new(&request)
    };
    let outcome = call(&stage.spec, &stage.context, request, &CallLimits::default());
    assert!(outcome.unwrap().success());
}

#[test]
fn an_endless_loop_ends_with_the_gas() {
    let stage = stage(&[LOOPER]);
    let request = stage.request(stage.contracts[0]).gas_limit(u64::MAX);
    let limits = CallLimits {
        gas: 1_000_000,
        ..CallLimits::default()
    };
    let request = CallRequest::new(&request);
    let outcome = call(&stage.spec, &stage.context, request, &limits).unwrap();
    assert!(matches!(outcome.status, TxStatus::Halted(_)));
    assert_eq!(
        outcome.gas_used, 1_000_000,
        "the limit, not the 2^64 − 1 that was asked for"
    );
    let estimate = estimate_gas(&stage.spec, &stage.context, request, &limits);
    assert!(
        matches!(estimate, Err(CallError::Halted { gas: 1_000_000, .. })),
        "{estimate:?}"
    );
}

#[test]
fn an_endless_loop_ends_with_the_time() {
    let stage = stage(&[LOOPER]);
    let request = stage.request(stage.contracts[0]);
    let limits = CallLimits {
        gas: u64::MAX,
        time: Duration::from_millis(20),
        ..CallLimits::default()
    };
    let outcome = call(
        &stage.spec,
        &stage.context,
        CallRequest::new(&request),
        &limits,
    );
    assert_eq!(outcome, Err(CallError::TimedOut { limit_ms: 20 }));
}

#[test]
fn oversize_requests_are_refused_before_they_run() {
    let stage = stage(&[]);
    let limits = CallLimits {
        input_bytes: 10,
        overrides: 2,
        ..CallLimits::default()
    };
    let request = stage
        .request(Address::ZERO)
        .input(Bytes::from(vec![0; 11]).into());
    assert_eq!(
        call(
            &stage.spec,
            &stage.context,
            CallRequest::new(&request),
            &limits
        ),
        Err(CallError::TooLarge {
            what: "calldata",
            size: 11,
            limit: 10
        })
    );
    let request = stage.request(Address::ZERO);
    let slots = [
        (B256::ZERO, B256::ZERO),
        (B256::with_last_byte(1), B256::ZERO),
    ];
    let many = StateOverridesBuilder::default()
        .with_state(Address::ZERO, slots)
        .build();
    let request = CallRequest {
        state: Some(&many),
        ..CallRequest::new(&request)
    };
    assert_eq!(
        call(&stage.spec, &stage.context, request, &limits),
        Err(CallError::TooLarge {
            what: "state overrides",
            size: 3,
            limit: 2
        })
    );
    let code = StateOverridesBuilder::default()
        .with_code(Address::ZERO, vec![0u8; 11])
        .build();
    let request = CallRequest {
        state: Some(&code),
        ..request
    };
    assert_eq!(
        call(&stage.spec, &stage.context, request, &limits),
        Err(CallError::TooLarge {
            what: "overridden code",
            size: 11,
            limit: 10
        })
    );
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let stage = stage(&[]);
    let both = stage.request(Address::ZERO).max_fee_per_gas(1);
    let both = TransactionRequest {
        gas_price: Some(1),
        ..both
    };
    assert!(matches!(stage.call(&both), Err(CallError::Invalid(_))));
    let elsewhere = TransactionRequest {
        chain_id: Some(1),
        ..stage.request(Address::ZERO)
    };
    let expected = TxRejection::WrongChainId {
        chain_id: Some(1),
        expected: CHAIN_ID,
    };
    assert_eq!(stage.call(&elsewhere), Err(expected.into()));
}

#[test]
fn overrides_pretend_code_slots_and_block_fields() {
    let stage = stage(&[COUNTER, BLOCK_READER]);
    let counter = stage.contracts[0];
    let request = stage.request(counter);
    let slot = [(B256::ZERO, B256::with_last_byte(41))];
    for overrides in [
        StateOverridesBuilder::default()
            .with_state(counter, slot)
            .build(),
        StateOverridesBuilder::default()
            .with_state_diff(counter, slot)
            .build(),
    ] {
        let request = CallRequest {
            state: Some(&overrides),
            ..CallRequest::new(&request)
        };
        let outcome = call(&stage.spec, &stage.context, request, &CallLimits::default()).unwrap();
        assert_eq!(
            outcome.logs[0].data.data[..],
            U256::from(42).to_be_bytes::<32>()
        );
    }
    let code = StateOverridesBuilder::default()
        .with_code(counter, REVERTER.to_vec())
        .build();
    let with = CallRequest {
        state: Some(&code),
        ..CallRequest::new(&request)
    };
    let outcome = call(&stage.spec, &stage.context, with, &CallLimits::default()).unwrap();
    assert_eq!(outcome.status, TxStatus::Reverted);

    let later = BlockOverrides {
        number: Some(U256::from(500)),
        ..BlockOverrides::default()
    };
    let request = stage.request(stage.contracts[1]);
    let with = CallRequest {
        block: Some(&later),
        ..CallRequest::new(&request)
    };
    let outcome = call(&stage.spec, &stage.context, with, &CallLimits::default()).unwrap();
    assert_eq!(outcome.output[..32], U256::from(500).to_be_bytes::<32>());
}

#[test]
fn overrides_we_cannot_honour_are_refused() {
    let stage = stage(&[]);
    let request = stage.request(Address::ZERO);
    let moved = AccountOverride {
        move_precompile_to: Some(Address::repeat_byte(1)),
        ..AccountOverride::default()
    };
    let state = StateOverride::from_iter([(Address::with_last_byte(1), moved)]);
    let with = CallRequest {
        state: Some(&state),
        ..CallRequest::new(&request)
    };
    let refused = call(&stage.spec, &stage.context, with, &CallLimits::default());
    assert!(matches!(refused, Err(CallError::Invalid(_))));
    let block = BlockOverrides::default().append_block_hash(1, B256::ZERO);
    let with = CallRequest {
        block: Some(&block),
        ..CallRequest::new(&request)
    };
    let refused = call(&stage.spec, &stage.context, with, &CallLimits::default());
    assert!(matches!(refused, Err(CallError::Invalid(_))));
}

#[test]
fn an_access_list_names_the_slots_and_lowers_nothing_else() {
    let stage = stage(&[COUNTER]);
    let request = stage.request(stage.contracts[0]);
    let (list, outcome) = create_access_list(
        &stage.spec,
        &stage.context,
        CallRequest::new(&request),
        &CallLimits::default(),
    )
    .unwrap();
    assert!(outcome.success());
    assert_eq!(list.0.len(), 1);
    assert_eq!(list.0[0].address, stage.contracts[0]);
    assert_eq!(list.0[0].storage_keys, [B256::ZERO]);
}

#[test]
fn pending_calls_see_the_block_being_built() {
    let (spec, genesis) = l1();
    let mut alice = Wallet::new(1);
    let (create, counter) = alice.create(COUNTER);
    let mut builder = BlockBuilder::new(&spec, &genesis, inputs(&genesis)).unwrap();
    builder.push(&create).unwrap();
    builder
        .push(&alice.tx(counter.into(), 0, Bytes::new()))
        .unwrap();
    let request = TransactionRequest::default().to(counter);
    let context = builder.call_context();
    let outcome = call(
        &spec,
        &context,
        CallRequest::new(&request),
        &CallLimits::default(),
    );
    assert_eq!(
        outcome.unwrap().logs[0].data.data[..],
        U256::from(2).to_be_bytes::<32>()
    );
}

/// Calls a precompile and gives the output.
fn precompile(address: u64, input: Vec<u8>) -> CallOutcome {
    let stage = stage(&[]);
    let to = Address::from_word(B256::from(U256::from(address)));
    stage
        .call(&stage.request(to).input(Bytes::from(input).into()))
        .unwrap()
}

#[test]
fn the_precompiles_of_the_latest_hardfork_answer() {
    // ecrecover (0x01) with libsecp256k1.
    let wallet = Wallet::new(3);
    let hash = keccak256("message");
    let signature = wallet.sign_hash(hash);
    let v = U256::from(27 + u64::from(signature.v()));
    let input = [
        hash.0,
        v.to_be_bytes(),
        signature.r().to_be_bytes(),
        signature.s().to_be_bytes::<32>(),
    ]
    .concat();
    assert_eq!(precompile(1, input).output[12..], wallet.address[..]);
    // BLS12-381 (0x0b … 0x11): the point at infinity plus itself, and a pairing of it with itself.
    assert_eq!(precompile(0x0b, vec![0; 256]).output[..], [0; 128]);
    assert_eq!(precompile(0x0f, vec![0; 384]).output[31], 1);
    assert_eq!(precompile(0x10, vec![0; 64]).output.len(), 128);
    // KZG point evaluation (0x0a): the zero polynomial at 0, commitment and proof at infinity.
    let mut infinity = vec![0; 48];
    infinity[0] = 0xc0;
    let versioned = "010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014";
    let mut input = alloy_primitives::hex::decode(versioned).unwrap();
    input.extend([0; 64]);
    input.extend(&infinity);
    input.extend(&infinity);
    let outcome = precompile(0x0a, input);
    assert!(outcome.success());
    assert_eq!(outcome.output[30..32], 4096u16.to_be_bytes());
    // P256VERIFY (0x0100, EIP-7951): an invalid signature gives nothing, at its price.
    let outcome = precompile(0x100, vec![0; 160]);
    assert!(outcome.success() && outcome.output.is_empty());
    assert!(outcome.gas_used >= 21_000 + 6_900);
}
