//! A deployment without a network: the transactions that make it, and the accounts that they leave
//! behind. A chain that starts with these accounts has the contracts, the operators and the settled
//! seats from its first block on.

use crate::{
    abi,
    plan::{Addresses, DeployConfig, GWEI, PlanError},
    registration::KeyRegistration,
    seats::{Candidate, PAGE_ENTRIES_MAX, Place, Places, SeatList, SeatsError, allocate, choose},
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_sol_types::{SolCall, SolError};
use cortado_evm::{
    BlockBuilder, BlockInputs, ChainSpec, Changes, TX_GAS_LIMIT_MAX, genesis::system_contracts,
    genesis_block,
};
use cortado_types::{
    Identity, Seat, SeatSetError,
    bls::{BlsError, SecretBls},
};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Keys of one registration: one costs up to 300,000 gas, and a transaction may use 2^24 (EIP-7825).
pub const KEYS_PER_TRANSACTION_MAX: usize = 48;
const _: () = assert!(KEYS_PER_TRANSACTION_MAX <= PAGE_ENTRIES_MAX);

/// The secrets of a seat, which its registration proves.
#[derive(Clone, Debug)]
pub struct SeatSecret {
    /// Public ed25519 key on the p2p network.
    pub identity: Identity,
    /// Secret BLS key.
    pub bls: SecretBls,
}

/// An operator that is registered from the beginning.
#[derive(Clone, Debug)]
pub struct GenesisOperator {
    /// Who acts for it.
    pub owner: Address,
    /// Its stake, gwei.
    pub stake_gwei: u64,
    /// Its keys.
    pub seats: Vec<SeatSecret>,
}

/// A transaction of which only the effect is kept: it has no signature and pays no fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisTransaction {
    /// Sender.
    pub from: Address,
    /// Receiver; none to create a contract.
    pub to: Option<Address>,
    /// Wei sent.
    pub value: U256,
    /// Call data, or creation code.
    pub input: Bytes,
    /// When it is executed, seconds since 1970.
    pub timestamp: u64,
}

/// Transactions that deploy, register and settle, in order of time, and what comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisPlan {
    /// Where the contracts are.
    pub addresses: Addresses,
    /// In order.
    pub transactions: Vec<GenesisTransaction>,
    /// The settled seats, ascending by identity.
    pub seats: Vec<Seat>,
    /// Where they stand in the registry.
    pub list: SeatList,
    /// What each has at risk, gwei.
    pub price_gwei: u64,
}

/// Why there is no such genesis.
#[derive(Debug, Error)]
pub enum GenesisError {
    /// The configuration is refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Keys are refused.
    #[error(transparent)]
    Bls(#[from] BlsError),
    /// Seats are refused.
    #[error(transparent)]
    Seats(#[from] SeatsError),
    /// The seats make no set.
    #[error(transparent)]
    Set(#[from] SeatSetError),
    /// Epoch 1 must start when the chain does: stake counts from the epoch after its registration.
    #[error("registry.genesis is {got}, it must be {want}: one epoch before the L1's genesis")]
    Time {
        /// In the configuration.
        got: u64,
        /// What it must be.
        want: u64,
    },
    /// EigenLayer is not there before the first block.
    #[error("a chain that starts with the contracts cannot have {0}: its surroundings are missing")]
    Unsupported(&'static str),
    /// A transaction is refused.
    #[error("genesis transaction {index} from {from}: {reason}")]
    Transaction {
        /// Its position.
        index: usize,
        /// Its sender.
        from: Address,
        /// What the machine says.
        reason: String,
    },
    /// The blocks that execute them cannot be built.
    #[error(transparent)]
    Block(#[from] cortado_evm::BuildError),
}

impl GenesisPlan {
    /// The transactions for an L1 that starts at `l1_genesis` (seconds since 1970): everything is
    /// deployed and registered one registry epoch before, and settled at that time.
    ///
    /// # Errors
    /// [`GenesisError`] if they would fail or seats do not suffice.
    pub fn new(
        config: &DeployConfig,
        deployer: Address,
        operators: &[GenesisOperator],
        l1_genesis: u64,
    ) -> Result<Self, GenesisError> {
        let epoch = u64::from(config.registry.epoch_seconds);
        let before = l1_genesis.saturating_sub(epoch);
        if config.registry.genesis != before {
            return Err(GenesisError::Time {
                got: config.registry.genesis,
                want: before,
            });
        }
        if config.restaking.is_some() {
            return Err(GenesisError::Unsupported("restaking"));
        }
        // Its anchor names the L1's first block, which is not there yet.
        if config.light_client.is_some() {
            return Err(GenesisError::Unsupported("a light client"));
        }
        let addresses = config.addresses(deployer);
        let mut transactions = Vec::new();
        let mut push = |from, to, value, input: Bytes, timestamp| {
            transactions.push(GenesisTransaction {
                from,
                to,
                value,
                input,
                timestamp,
            });
        };
        for step in config.steps(deployer)? {
            push(deployer, None, U256::ZERO, step.init_code, before);
        }
        let registry = Some(addresses.registry);
        let mut candidates = Vec::new();
        let mut places = Vec::new();
        for (number, operator) in (1_u32..).zip(operators) {
            let value = U256::from(operator.stake_gwei) * U256::from(GWEI);
            let input = abi::Registry::registerOperatorCall {}.abi_encode();
            push(operator.owner, registry, value, input.into(), before);
            for keys in operator.seats.chunks(KEYS_PER_TRANSACTION_MAX) {
                let page = places.last().map_or(1, |last: &Place| last.page + 1);
                let mut registrations = Vec::with_capacity(keys.len());
                for (entry, key) in (0_u8..).zip(keys) {
                    let made = KeyRegistration::new(
                        config.chain_id,
                        addresses.registry,
                        operator.owner,
                        key.identity,
                        &key.bls,
                    );
                    registrations.push(made.to_abi()?);
                    candidates.push(Candidate {
                        operator: number,
                        seat: Seat {
                            identity: made.identity,
                            bls: made.key,
                            registry_index: candidates.len() as u32,
                        },
                    });
                    places.push(Place { page, entry });
                }
                let input = abi::Registry::registerKeysCall {
                    operator: number,
                    keys: registrations,
                }
                .abi_encode();
                push(operator.owner, registry, U256::ZERO, input.into(), before);
            }
        }
        let stakes: Vec<u64> = operators.iter().map(|one| one.stake_gwei).collect();
        let keys: Vec<usize> = operators.iter().map(|one| one.seats.len()).collect();
        let limits = (&config.registry.min_seat_gwei, config.registry.seats_max);
        let (price, shares) = allocate(&stakes, &keys, *limits.0, usize::from(limits.1));
        let seats = choose(&candidates, &shares)?;
        // Order, keys and number, as every node will check them.
        cortado_types::SeatSet::new(seats.clone())?;
        let chosen: Vec<Place> = seats
            .iter()
            .filter_map(|seat| places.get(seat.registry_index as usize).copied())
            .collect();
        let list = SeatList::new(&chosen)?;
        let input = abi::Registry::settleCall {
            list: list.clone().into(),
            price,
        }
        .abi_encode();
        push(deployer, registry, U256::ZERO, input.into(), l1_genesis);
        Ok(Self {
            addresses,
            transactions,
            seats,
            list,
            price_gwei: price,
        })
    }

    /// Executes the transactions on an empty state; see [`execute`].
    ///
    /// # Errors
    /// If one fails.
    pub fn alloc(&self) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
        execute(self.addresses.l1_chain_id, &self.transactions)
    }
}

/// Executes transactions on an empty state and returns the accounts that they leave behind: code,
/// storage, balances and nonces. Each sender has exactly what it sends, so what it has besides at
/// genesis is the caller's to add. Times must not decrease.
///
/// # Errors
/// If a transaction is refused, or does not succeed.
pub fn execute(
    l1_chain_id: u64,
    transactions: &[GenesisTransaction],
) -> Result<BTreeMap<Address, GenesisAccount>, GenesisError> {
    let spec = ChainSpec::ethereum(l1_chain_id);
    let genesis = Genesis {
        timestamp: transactions.first().map_or(0, |first| first.timestamp),
        ..Genesis::default()
    };
    let mut parent = genesis_block(&spec, &genesis);
    let mut state = BTreeMap::<Address, GenesisAccount>::new();
    let mut nonces = BTreeMap::<Address, u64>::new();
    let mut index = 0;
    for group in transactions.chunk_by(|left, right| left.timestamp == right.timestamp) {
        let inputs = BlockInputs {
            timestamp: group[0].timestamp,
            // Room for all of them, and no fees.
            gas_limit: Some((group.len() as u64).saturating_mul(TX_GAS_LIMIT_MAX)),
            base_fee: Some(0),
            ..BlockInputs::default()
        };
        let mut block = BlockBuilder::new(&spec, &parent, inputs)?;
        for transaction in group.iter().filter(|one| !one.value.is_zero()) {
            block.credit(transaction.from, transaction.value)?;
        }
        for transaction in group {
            let nonce = nonces.entry(transaction.from).or_default();
            let failed = |reason: String| GenesisError::Transaction {
                index,
                from: transaction.from,
                reason,
            };
            let outcome = block
                .push(&unsigned(l1_chain_id, *nonce, transaction))
                .map_err(|rejection| failed(rejection.to_string()))?;
            if !outcome.success() {
                return Err(failed(format!(
                    "{:?} {}",
                    outcome.status,
                    describe_revert(&outcome.output)
                )));
            }
            *nonce += 1;
            index += 1;
        }
        parent = block.finish()?;
        merge(&mut state, &parent.changes);
    }
    for (address, _) in system_contracts() {
        state.remove(&address);
    }
    Ok(state)
}

fn unsigned(chain_id: u64, nonce: u64, given: &GenesisTransaction) -> Recovered<TxEnvelope> {
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: TX_GAS_LIMIT_MAX,
        to: given.to.map_or(TxKind::Create, TxKind::Call),
        value: given.value,
        input: given.input.clone(),
        ..TxEip1559::default()
    };
    // Execution takes the sender from the caller; nobody sees the signature.
    let nobody = Signature::new(U256::ONE, U256::ONE, false);
    Recovered::new_unchecked(transaction.into_signed(nobody).into(), given.from)
}

fn merge(state: &mut BTreeMap<Address, GenesisAccount>, changes: &Changes) {
    for (address, change) in &changes.accounts {
        let Some((nonce, balance, code_hash)) = change.account else {
            state.remove(address);
            continue;
        };
        let account = state.entry(*address).or_default();
        account.nonce = Some(nonce);
        account.balance = balance;
        if let Some(code) = changes.codes.get(&code_hash) {
            account.code = Some(code.clone());
        }
        let mut storage = account.storage.take().unwrap_or_default();
        if change.wiped {
            storage.clear();
        }
        for (slot, value) in &change.slots {
            let slot = B256::from(*slot);
            if value.is_zero() {
                storage.remove(&slot);
            } else {
                storage.insert(slot, B256::from(*value));
            }
        }
        account.storage = (!storage.is_empty()).then_some(storage);
    }
}

/// The error of a contract in words, or its bytes.
pub fn describe_revert(output: &Bytes) -> String {
    fn named<E: alloy_sol_types::SolInterface + std::fmt::Debug>(output: &[u8]) -> Option<String> {
        E::abi_decode(output).ok().map(|error| format!("{error:?}"))
    }
    if let Ok(revert) = alloy_sol_types::Revert::abi_decode(output) {
        return revert.reason().to_owned();
    }
    named::<abi::Registry::RegistryErrors>(output)
        .or_else(|| named::<abi::LightClient::LightClientErrors>(output))
        .or_else(|| named::<abi::Slasher::SlasherErrors>(output))
        .or_else(|| named::<abi::Inbox::InboxErrors>(output))
        .unwrap_or_else(|| output.to_string())
}

/// The places of all keys that stand in the pages of a genesis.
///
/// # Errors
/// If a page is none.
pub fn places(
    registry: Address,
    alloc: &BTreeMap<Address, GenesisAccount>,
) -> Result<Places, SeatsError> {
    let mut places = Places::default();
    let seen: BTreeSet<&Address> = alloc.keys().collect();
    let pages = (1_u32..).map(|page| (page, crate::seats::page_address(registry, page)));
    for (page, address) in pages.take_while(|(_, address)| seen.contains(address)) {
        let code = alloc
            .get(&address)
            .and_then(|account| account.code.as_ref());
        places.add_page(page, code.map_or(&[][..], |code| code))?;
    }
    Ok(places)
}
