//! Deploys what is missing, after a look at what is there.

use crate::{
    abi::LightClient,
    plan::{Addresses, Contract, DeployConfig, PlanError, Step},
    registry::{Registry, RegistryError},
    rpc::{L1, Request, RpcError, view},
    sender::{Intent, Outcome, Sender, SenderError},
};
use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use futures::future::BoxFuture;
use std::sync::Arc;
use thiserror::Error;
use tracing::info;

/// Why a deployment stops. What was deployed stays, and the next run goes on from there.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The configuration is refused.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The node does not answer well.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// A transaction did not get in.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The seats of the light client's anchor cannot be found.
    #[error("the light client cannot start: {0}")]
    Registry(#[from] RegistryError),
    /// Another network.
    #[error("the L1 node is of chain {got}, the configuration names l1_chain_id {want}")]
    Chain {
        /// The node's.
        got: u64,
        /// The configuration's.
        want: u64,
    },
    /// Something else is where a contract should be.
    #[error(
        "at {address} stands something else than {contract} with this configuration: code {got}, expected {want}"
    )]
    Other {
        /// Which contract.
        contract: Contract,
        /// Where it should be.
        address: Address,
        /// Hash of the code that is there.
        got: alloy_primitives::B256,
        /// Hash of the code that should be.
        want: alloy_primitives::B256,
    },
    /// The deployer has sent something else with the nonce that the contract needs.
    #[error(
        "{contract} needs nonce {nonce} of {deployer}, which is at {next} and has not deployed it: set {field} to {next}, or use a fresh account"
    )]
    Nonce {
        /// Which contract.
        contract: Contract,
        /// The nonce it needs.
        nonce: u64,
        /// Whose.
        deployer: Address,
        /// The deployer's next one.
        next: u64,
        /// What to change.
        field: &'static str,
    },
}

/// What stands where a contract should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// The contract, with the configuration's values in it.
    Right,
}

/// Looks at what is there, and refuses what is something else. The code a constructor would return
/// holds every value of the configuration, so equal code is the same contract.
///
/// # Errors
/// [`DeployError`].
pub async fn inspect(l1: &dyn L1, deployer: Address, step: &Step) -> Result<Found, DeployError> {
    let code = l1.code(step.address).await?;
    if code.is_empty() {
        return Ok(Found::Missing);
    }
    let request = Request {
        from: deployer,
        to: None,
        value: U256::ZERO,
        input: step.init_code.clone(),
    };
    let want: Bytes = l1.call(request).await?;
    if code == want {
        return Ok(Found::Right);
    }
    Err(DeployError::Other {
        contract: step.contract,
        address: step.address,
        got: keccak256(&code),
        want: keccak256(&want),
    })
}

/// Deploys what is missing and starts the light client, if there is to be one. Running it again
/// changes nothing.
///
/// # Errors
/// [`DeployError`]; everything before stays and is found by the next run.
pub fn deploy<'a>(
    sender: &'a Sender,
    config: &'a DeployConfig,
) -> BoxFuture<'a, Result<Addresses, DeployError>> {
    Box::pin(async move {
        let (got, want) = (sender.chain_id(), config.l1_chain_id);
        if got != want {
            return Err(DeployError::Chain { got, want });
        }
        let deployer = sender.account();
        let steps = config.steps(deployer)?;
        let mut missing = Vec::new();
        for step in steps {
            match inspect(&**sender.l1(), deployer, &step).await? {
                Found::Right => {
                    info!(contract = %step.contract, address = %step.address, "found and verified");
                }
                Found::Missing => missing.push(step),
            }
        }
        for step in missing {
            create(sender, step).await?;
        }
        let addresses = config.addresses(deployer);
        if let Some(address) = addresses.light_client {
            start(sender, config, &addresses, address).await?;
        }
        Ok(addresses)
    })
}

async fn create(sender: &Sender, step: Step) -> Result<(), DeployError> {
    let l1 = sender.l1().clone();
    let (address, nonce) = (step.address, step.nonce);
    let intent = Intent {
        label: format!("deploy {}", step.contract),
        to: None,
        value: U256::ZERO,
        input: step.init_code.clone(),
        nonce: Some(nonce),
        wanted: Box::new(move || {
            let l1 = l1.clone();
            Box::pin(async move { Ok(l1.code(address).await?.is_empty()) })
        }),
    };
    match sender.submit(intent).await {
        Ok(Outcome::Included { .. } | Outcome::NotWanted) => {}
        Err(SenderError::NonceTaken { next, .. }) => {
            return Err(DeployError::Nonce {
                contract: step.contract,
                nonce,
                deployer: sender.account(),
                next,
                field: match step.contract {
                    Contract::LightClient => "light_client.nonce",
                    Contract::Inbox(_) => "its nonce in inboxes",
                    _ => "first_nonce",
                },
            });
        }
        Err(error) => return Err(error.into()),
    }
    // What was made is looked at like what was found.
    inspect(&**sender.l1(), sender.account(), &step).await?;
    info!(contract = %step.contract, %address, "deployed");
    Ok(())
}

async fn start(
    sender: &Sender,
    config: &DeployConfig,
    addresses: &Addresses,
    address: Address,
) -> Result<(), DeployError> {
    let Some(settings) = &config.light_client else {
        return Ok(());
    };
    let l1: Arc<dyn L1> = sender.l1().clone();
    if !is_started(&*l1, address).await? {
        let registry = Registry::new(l1.clone(), addresses.registry);
        let places = registry.places().await?;
        let list = places.list(&settings.seats).map_err(RegistryError::from)?;
        let input = LightClient::startCall {
            header: settings.anchor.clone(),
            seats: list.into(),
        }
        .abi_encode();
        let asked = l1.clone();
        let wanted = Box::new(move || {
            let l1 = asked.clone();
            Box::pin(async move { Ok(!is_started(&*l1, address).await?) }) as BoxFuture<_>
        });
        let intent = Intent::call("start the light client", address, input.into(), wanted);
        sender.submit(intent).await?;
    }
    Ok(())
}

async fn is_started(l1: &dyn L1, address: Address) -> Result<bool, RpcError> {
    let renewal = view(l1, address, LightClient::renewalCall {}).await?;
    Ok(!renewal.table.is_zero())
}
