//! A deployment in memory, and a chain that goes on from it.

use crate::{
    GenesisOperator, GenesisPlan, GenesisTransaction, SeatSecret,
    genesis::describe_revert,
    plan::{DeployConfig, RegistrySettings, SlasherSettings, ValidatorSettings},
};
use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use cortado_evm::{
    BlockBuilder, BlockInputs, CallContext, CallLimits, CallRequest, ChainSpec, ExecutedBlock,
    TX_GAS_LIMIT_MAX, TxOutcome, call, genesis_block,
};
use cortado_types::{ChainId, bls::SecretBls};
use curve25519_dalek::EdwardsPoint;
use std::collections::BTreeMap;

pub(crate) const L1: u64 = 31_337;
pub(crate) const GENESIS: u64 = 1_700_000_000;
pub(crate) const EPOCH: u32 = 3_600;
pub(crate) const ETHER: u64 = 1_000_000_000;

pub(crate) fn config(chain_id: u64) -> DeployConfig {
    DeployConfig {
        chain_id: ChainId::new(chain_id),
        l1_chain_id: L1,
        first_nonce: 0,
        registry: RegistrySettings {
            genesis: GENESIS - u64::from(EPOCH),
            epoch_seconds: EPOCH,
            trust_seconds: 86_400,
            answer_seconds: 3_600,
            evidence_seconds: 86_400,
            unbonding_seconds: 200_000,
            min_seat_gwei: ETHER,
            seats_max: 100,
        },
        slasher: SlasherSettings { bond_gwei: ETHER },
        validators: ValidatorSettings {
            min_collateral_gwei: ETHER,
            fraud_seconds: 3_600,
            leave_seconds: 7_200,
            signing_id: B256::repeat_byte(7),
            genesis_fork_version: [0; 4].into(),
        },
        restaking: None,
        inboxes: Vec::new(),
        light_client: None,
    }
}

pub(crate) fn deployer() -> Address {
    Address::repeat_byte(0xde)
}

pub(crate) fn secret(operator: u8, seat: u8) -> SeatSecret {
    let mut material = [operator; 32];
    material[0] = seat;
    SeatSecret {
        identity: EdwardsPoint::mul_base_clamped(keccak256(material).0)
            .compress()
            .0
            .into(),
        bls: SecretBls::derive(&material).unwrap(),
    }
}

/// Operators with these stakes in ether and numbers of keys.
pub(crate) fn operators(shape: &[(u64, u8)]) -> Vec<GenesisOperator> {
    (1..)
        .zip(shape)
        .map(|(number, (stake, keys))| GenesisOperator {
            owner: Address::repeat_byte(number),
            stake_gwei: stake * ETHER,
            seats: (0..*keys).map(|seat| secret(number, seat)).collect(),
        })
        .collect()
}

/// A chain of blocks whose senders need no keys.
pub(crate) struct World {
    pub(crate) plan: GenesisPlan,
    spec: ChainSpec,
    head: ExecutedBlock,
    nonces: BTreeMap<Address, u64>,
}

impl World {
    pub(crate) fn new(config: &DeployConfig, operators: &[GenesisOperator]) -> Self {
        let plan = GenesisPlan::new(config, deployer(), operators, GENESIS).unwrap();
        let alloc = plan.alloc().unwrap();
        Self::starting(plan, alloc)
    }

    pub(crate) fn starting(plan: GenesisPlan, alloc: BTreeMap<Address, GenesisAccount>) -> Self {
        let spec = ChainSpec::ethereum(L1);
        let nonces = alloc
            .iter()
            .map(|(address, account)| (*address, account.nonce.unwrap_or(0)))
            .collect();
        let genesis = Genesis {
            timestamp: GENESIS,
            alloc,
            ..Genesis::default()
        };
        let head = genesis_block(&spec, &genesis);
        Self {
            plan,
            spec,
            head,
            nonces,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.head.header.timestamp
    }

    /// Executes one transaction in a block of its own, `after` seconds later.
    pub(crate) fn send(&mut self, after: u64, tx: GenesisTransaction) -> Result<TxOutcome, String> {
        let inputs = BlockInputs {
            timestamp: self.now() + after,
            base_fee: Some(0),
            ..BlockInputs::default()
        };
        let mut block = BlockBuilder::new(&self.spec, &self.head, inputs).unwrap();
        block.credit(tx.from, tx.value).unwrap();
        let nonce = self.nonces.entry(tx.from).or_default();
        let signed = TxEip1559 {
            chain_id: L1,
            nonce: *nonce,
            gas_limit: TX_GAS_LIMIT_MAX,
            to: tx.to.map_or(TxKind::Create, TxKind::Call),
            value: tx.value,
            input: tx.input,
            ..TxEip1559::default()
        }
        .into_signed(Signature::new(U256::ONE, U256::ONE, false));
        let outcome = block
            .push(&Recovered::new_unchecked(signed.into(), tx.from))
            .map_err(|rejection| rejection.to_string())?;
        *nonce += 1;
        self.head = block.finish().unwrap();
        if outcome.success() {
            Ok(outcome)
        } else {
            Err(describe_revert(&outcome.output))
        }
    }

    pub(crate) fn call<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: u64,
        call: &C,
    ) -> Result<TxOutcome, String> {
        self.call_raw(from, to, value, call.abi_encode().into())
    }

    pub(crate) fn call_raw(
        &mut self,
        from: Address,
        to: Address,
        value_gwei: u64,
        input: Bytes,
    ) -> Result<TxOutcome, String> {
        let tx = GenesisTransaction {
            from,
            to: Some(to),
            value: U256::from(value_gwei) * U256::from(crate::plan::GWEI),
            input,
            timestamp: 0,
        };
        self.send(1, tx)
    }

    pub(crate) fn view<C: SolCall>(&self, to: Address, query: &C) -> C::Return {
        let request = alloy_rpc_types_eth::TransactionRequest::default()
            .to(to)
            .input(Bytes::from(query.abi_encode()).into());
        let context = CallContext::after(&self.head);
        let limits = CallLimits::default();
        let outcome = call(&self.spec, &context, CallRequest::new(&request), &limits).unwrap();
        assert!(outcome.success(), "{}", describe_revert(&outcome.output));
        C::abi_decode_returns(&outcome.output).unwrap()
    }

    pub(crate) fn code(&self, address: &Address) -> Bytes {
        self.head.state.code_at(address)
    }
}
