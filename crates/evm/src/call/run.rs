//! One request, executed as often as its answer needs, within one time limit.

use std::time::Instant;

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, TxKind};
use revm::{
    Context, InspectEvm, Inspector, MainBuilder,
    context::{
        BlockEnv, CfgEnv, Journal, TxEnv,
        result::{EVMError, InvalidTransaction},
    },
    interpreter::{
        InstructionResult, Interpreter, InterpreterTypes, interpreter_types::LoopControl,
    },
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
    state::EvmState,
};

use super::{CallContext, CallError, CallLimits, CallOutcome, CallRequest, access_list, prepare};
use crate::{
    builder::executed,
    env::{self, EvmError},
    overlay::Overlay,
    spec::{ChainSpec, HARDFORK},
};

/// The clock is read once in this many steps: a step takes nanoseconds, reading the clock tens.
const STEPS_PER_CLOCK_READ: u32 = 1024;

/// Stops an execution when its time is over.
struct Deadline {
    until: Instant,
    steps: u32,
    passed: bool,
}

impl<CTX, INTR> Inspector<CTX, INTR> for Deadline
where
    INTR: InterpreterTypes<Bytecode: LoopControl>,
{
    fn step(&mut self, interpreter: &mut Interpreter<INTR>, _: &mut CTX) {
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(STEPS_PER_CLOCK_READ) && Instant::now() > self.until {
            self.passed = true;
        }
        if self.passed {
            // Every frame that is still open ends the same way at its next step.
            interpreter.halt(InstructionResult::OutOfGas);
        }
    }
}

pub(super) struct Run<'a> {
    spec: &'a ChainSpec,
    cfg: CfgEnv<SpecId>,
    block: BlockEnv,
    overlay: Overlay,
    tx: TxEnv,
    until: Instant,
    limit_ms: u64,
    last_state: EvmState,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        spec: &'a ChainSpec,
        context: &CallContext,
        request: CallRequest<'_>,
        limits: &CallLimits,
    ) -> Result<Self, CallError> {
        let mut overlay = Overlay::new(context.state.clone(), context.hashes.clone());
        if let Some(overrides) = request.state {
            prepare::state(&mut overlay, overrides, limits)?;
        }
        let mut block = env::block_env(spec, &context.header);
        if let Some(overrides) = request.block {
            prepare::block(&mut block, overrides)?;
        }
        let tx = prepare::transaction(spec, request.transaction, &overlay, limits)?;
        let mut cfg = env::cfg_env(spec);
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true;
        cfg.disable_block_gas_limit = true;
        cfg.disable_base_fee = tx.gas_price == 0;
        cfg.tx_gas_limit_cap = Some(limits.gas);
        Ok(Self {
            spec,
            cfg,
            block,
            overlay,
            tx,
            until: Instant::now() + limits.time,
            limit_ms: u64::try_from(limits.time.as_millis()).unwrap_or(u64::MAX),
            last_state: EvmState::default(),
        })
    }

    pub(super) fn gas_limit(&self) -> u64 {
        self.tx.gas_limit
    }

    pub(super) fn block_gas_limit(&self) -> u64 {
        self.block.gas_limit
    }

    /// Nothing but wei for an account without code.
    pub(super) fn is_plain_transfer(&self) -> bool {
        let TxKind::Call(to) = self.tx.kind else {
            return false;
        };
        let without_code = self
            .overlay
            .account(&to)
            .is_none_or(|(_, _, code)| code == KECCAK256_EMPTY);
        self.tx.data.is_empty()
            && self.tx.access_list.is_empty()
            && self.tx.authorization_list.is_empty()
            && without_code
            && !Precompiles::new(PrecompileSpecId::from_spec_id(HARDFORK)).contains(&to)
    }

    pub(super) fn set_access_list(&mut self, list: AccessList) {
        if self.tx.tx_type == 0 {
            self.tx.tx_type = 1;
        }
        self.tx.access_list = list;
    }

    /// The outcome, and the gas spent before refunds.
    pub(super) fn execute(&mut self, gas: Option<u64>) -> Result<(CallOutcome, u64), CallError> {
        let mut tx = self.tx.clone();
        tx.gas_limit = gas.unwrap_or(tx.gas_limit);
        self.try_execute(tx.clone())?
            .map_err(|error| env::rejection(error, &tx, self.spec, &self.block).into())
    }

    /// Whether the request succeeds with this gas limit.
    pub(super) fn succeeds(&mut self, gas: u64) -> Result<bool, CallError> {
        let mut tx = self.tx.clone();
        tx.gas_limit = gas;
        match self.try_execute(tx.clone())? {
            Ok((outcome, _)) => Ok(outcome.success()),
            Err(EVMError::Transaction(
                InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
            )) => Ok(false),
            Err(error) => Err(env::rejection(error, &tx, self.spec, &self.block).into()),
        }
    }

    fn try_execute(
        &mut self,
        tx: TxEnv,
    ) -> Result<Result<(CallOutcome, u64), EvmError>, CallError> {
        let timed_out = CallError::TimedOut {
            limit_ms: self.limit_ms,
        };
        if Instant::now() > self.until {
            return Err(timed_out);
        }
        let deadline = Deadline {
            until: self.until,
            steps: 0,
            passed: false,
        };
        let context: Context<BlockEnv, TxEnv, CfgEnv<SpecId>, _, Journal<_>, ()> =
            Context::new(&mut self.overlay, HARDFORK);
        let mut evm = context
            .with_cfg(self.cfg.clone())
            .with_block(self.block.clone())
            .build_mainnet_with_inspector(deadline);
        let result = evm.inspect_tx(tx);
        if evm.inspector.passed {
            return Err(timed_out);
        }
        drop(evm);
        Ok(result.map(|done| {
            self.last_state = done.state;
            let gas_used = done.result.tx_gas_used();
            let spent = done.result.gas().total_gas_spent().max(gas_used);
            let (status, output, _, logs) = executed(done.result);
            (
                CallOutcome {
                    status,
                    output,
                    gas_used,
                    logs,
                },
                spent,
            )
        }))
    }

    /// What the last execution touched and a list could have warmed.
    pub(super) fn touched(&self) -> AccessList {
        let precompiles = Precompiles::new(PrecompileSpecId::from_spec_id(HARDFORK));
        let warm_anyway = |address: &Address| {
            *address == self.tx.caller
                || self.tx.kind.to() == Some(address)
                || *address == self.block.beneficiary
        };
        access_list(self.last_state.iter().filter_map(|(address, account)| {
            let slots: Vec<B256> = account
                .storage
                .keys()
                .map(|slot| B256::from(slot.to_be_bytes::<32>()))
                .collect();
            let listed =
                !precompiles.contains(address) && (!slots.is_empty() || !warm_anyway(address));
            listed.then_some((*address, slots))
        }))
    }
}
