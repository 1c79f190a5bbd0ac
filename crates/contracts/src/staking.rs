//! What an operator does with its stake: each as an intent that knows when it is done.

use crate::{
    abi::Registry as abi,
    genesis::KEYS_PER_TRANSACTION_MAX,
    plan::GWEI,
    registration::KeyRegistration,
    registry::{Registry, RegistryError},
    rpc::RpcError,
    sender::{Intent, Wanted},
};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use cortado_types::bls::BlsError;
use futures::future::BoxFuture;
use std::collections::BTreeSet;

fn wei(gwei: u64) -> U256 {
    U256::from(gwei) * U256::from(GWEI)
}

fn wanted<F>(registry: &Registry, ask: F) -> Wanted
where
    F: Fn(Registry) -> BoxFuture<'static, Result<bool, RpcError>> + Send + Sync + 'static,
{
    let registry = registry.clone();
    Box::new(move || ask(registry.clone()))
}

fn intent(
    registry: &Registry,
    label: String,
    gwei: u64,
    call: impl SolCall,
    ask: Wanted,
) -> Intent {
    let mut intent = Intent::call(label, registry.address(), call.abi_encode().into(), ask);
    intent.value = wei(gwei);
    intent
}

/// Registers `owner` as an operator with a stake.
pub fn register_operator(registry: &Registry, owner: Address, stake_gwei: u64) -> Intent {
    let ask = wanted(registry, move |registry| {
        Box::pin(async move { Ok(registry.operator_of(owner).await?.is_none()) })
    });
    let label = "register the operator".to_owned();
    intent(
        registry,
        label,
        stake_gwei,
        abi::registerOperatorCall {},
        ask,
    )
}

/// Adds to an operator's stake. `bonded_gwei` is what it had before, so that the same deposit is not
/// made twice.
pub fn deposit(registry: &Registry, operator: u32, bonded_gwei: u64, amount_gwei: u64) -> Intent {
    let ask = wanted(registry, move |registry| {
        Box::pin(async move { Ok(registry.operator(operator).await?.bonded_gwei <= bonded_gwei) })
    });
    let label = format!("deposit {amount_gwei} gwei");
    intent(
        registry,
        label,
        amount_gwei,
        abi::depositCall { operator },
        ask,
    )
}

/// Takes stake out of the count. `bonded_gwei` is what it had before.
pub fn exit(registry: &Registry, operator: u32, bonded_gwei: u64, amount_gwei: u64) -> Intent {
    let ask = wanted(registry, move |registry| {
        Box::pin(async move { Ok(registry.operator(operator).await?.bonded_gwei >= bonded_gwei) })
    });
    let call = abi::requestExitCall {
        operator,
        amount: amount_gwei,
    };
    intent(registry, format!("exit {amount_gwei} gwei"), 0, call, ask)
}

/// Pays out what has finished leaving.
pub fn withdraw(registry: &Registry, operator: u32, to: Address) -> Intent {
    let ask = wanted(registry, move |registry| {
        Box::pin(async move { Ok(registry.operator(operator).await?.unbonding_gwei > 0) })
    });
    let call = abi::withdrawCall { operator, to };
    intent(registry, "withdraw".to_owned(), 0, call, ask)
}

/// Registers those of `keys` that are not registered yet, as many in each transaction as fit.
///
/// # Errors
/// If the registry cannot be read, or a key is no point of its group.
pub async fn register_keys(
    registry: &Registry,
    operator: u32,
    keys: &[KeyRegistration],
) -> Result<Vec<Intent>, RegisterKeysError> {
    let known: BTreeSet<_> = registry
        .places()
        .await?
        .keys()
        .map(|(seat, _)| seat.bls)
        .collect();
    let missing: Vec<&KeyRegistration> = keys
        .iter()
        .filter(|key| !known.contains(&key.key))
        .collect();
    let mut intents = Vec::new();
    for chunk in missing.chunks(KEYS_PER_TRANSACTION_MAX) {
        let registrations = chunk.iter().map(|key| key.to_abi());
        let call = abi::registerKeysCall {
            operator,
            keys: registrations.collect::<Result<_, _>>()?,
        };
        let first = chunk[0].key;
        let ask = wanted(registry, move |registry| {
            Box::pin(async move {
                // A page that is none is not a key of ours; settling will say what is wrong with it.
                let places = match registry.places().await {
                    Ok(places) => places,
                    Err(RegistryError::Rpc(error)) => return Err(error),
                    Err(_) => return Ok(true),
                };
                Ok(!places.keys().any(|(seat, _)| seat.bls == first))
            })
        });
        let label = format!("register {} keys", chunk.len());
        intents.push(intent(registry, label, 0, call, ask));
    }
    Ok(intents)
}

/// Why keys are not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterKeysError {
    /// The registry cannot be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A key is none.
    #[error(transparent)]
    Bls(#[from] BlsError),
}

/// Settles an allocation, as long as it changes something.
pub fn settle(registry: &Registry, allocation: &crate::registry::Allocation) -> Intent {
    let allocation = allocation.clone();
    let label = format!("settle epoch {}", allocation.epoch);
    let call = abi::settleCall {
        list: allocation.list.clone().into(),
        price: allocation.price_gwei,
    };
    let ask = wanted(registry, move |registry| {
        let allocation = allocation.clone();
        Box::pin(async move { registry.changes(&allocation).await })
    });
    intent(registry, label, 0, call, ask)
}
