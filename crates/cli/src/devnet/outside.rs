//! Puts the contracts, the operators and their seats on an outside L1, by transactions.
//!
//! Every step looks first whether it is done, so a devnet that was interrupted goes on.

use super::{
    layout::{Layout, read_toml, write_toml},
    plan::{Beginning, Shape},
    stake,
};
use crate::contracts::open_sender;
use anyhow::{Context, Result};
use cortado_contracts::{
    DeployConfig, GenesisOperator, KeyRegistration,
    deploy::deploy,
    plan::GWEI,
    registry::Registry,
    sender::{Intent, Sender, SenderSettings},
    staking,
};
use cortado_node::l1::L1Rpc;
use cortado_types::{Address, Bytes, ChainId, U256};
use std::{path::Path, sync::Arc, time::Duration};

/// What an account needs beside what it stakes, gwei: it is a devnet, and gas costs little.
const GAS_GWEI: u64 = 5 * GWEI;

/// Says what takes its time.
fn say(what: &str) {
    println!("L1: {what}");
}

/// Makes everything on the L1 at `url` and waits until it is final. `payer` is the key file of an
/// account that has ether there.
///
/// # Errors
/// If the L1 does not answer or refuses, or the payer has too little.
pub async fn begin(
    layout: &Layout,
    shape: &Shape,
    (url, l1_chain_id, slots_per_epoch): (&str, u64, u64),
    payer: &Path,
) -> Result<Beginning> {
    let rpc = L1Rpc::new(url)?;
    // One block is enough for each step: all of it must be final in the end.
    let settings = || SenderSettings {
        confirmations: 0,
        ..stake::sender_settings(shape)
    };
    let payer = open_sender(url, payer, None, settings()).await?;
    let deployer = open_sender(url, &layout.account("deployer"), None, settings()).await?;
    let config = config(
        layout,
        shape,
        &rpc,
        &deployer,
        (l1_chain_id, slots_per_epoch),
    )
    .await?;
    let since = rpc
        .tagged("latest")
        .await?
        .map_or(0, |head| head.block.number);

    say("giving the devnet's accounts ether");
    for address in stake::payers(shape) {
        let operator = (0..shape.attesters)
            .any(|index| stake::operator_key(shape.seed, index).address() == address);
        let stake = if operator {
            stake::stake_gwei(shape)
        } else {
            0
        };
        fund(&payer, address, stake + GAS_GWEI).await?;
    }
    say("deploying the contracts");
    let addresses = deploy(&deployer, &config).await?;
    stake::write_addresses(layout, &addresses)?;
    let registry = Registry::new(deployer.l1().clone(), addresses.registry);
    say("registering the operators and their keys");
    let registrations = (0..)
        .zip(stake::operators(shape)?)
        .map(|(index, operator)| {
            let (key, settings) = (layout.account(&format!("operator-{index}")), settings());
            let (registry, chain_id) = (registry.clone(), config.chain_id);
            async move {
                let sender = open_sender(url, &key, None, settings).await?;
                register(&sender, &registry, chain_id, &operator).await
            }
        });
    futures::future::try_join_all(registrations).await?;
    say("waiting for the epoch in which their stake counts, then settling seats");
    loop {
        let allocation = registry.allocation().await;
        if let Ok(allocation) = allocation
            && allocation.seats.len() as u64
                == u64::from(shape.attesters) * u64::from(shape.seats_per_operator)
        {
            deployer
                .submit(staking::settle(&registry, &allocation))
                .await?;
            if registry.latest().await?.is_some() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(shape.l1_slot_ms / 2)).await;
    }
    say("waiting until this is final");
    let (anchor, hash) = loop {
        if let Some(header) = rpc.tagged("finalized").await?
            && let Some((hash, _)) = rpc.settled(addresses.registry, header.block.hash).await?
        {
            break (header, hash);
        }
        tokio::time::sleep(Duration::from_millis(shape.l1_slot_ms / 2)).await;
    };
    let blocks = (since, anchor.block.number);
    let seats = rpc.seats_of(addresses.registry, hash, blocks).await?;
    let seats = seats.context("the registry does not say which seats it has settled")?;
    Ok(Beginning {
        seats: rpc.prove_seats(addresses.registry, seats, &anchor).await?,
        anchor,
        contracts: addresses,
        since,
    })
}

/// Registers an operator with its stake and its keys.
async fn register(
    sender: &Sender,
    registry: &Registry,
    chain_id: ChainId,
    operator: &GenesisOperator,
) -> Result<()> {
    let (owner, stake) = (operator.owner, operator.stake_gwei);
    let intent = staking::register_operator(registry, owner, stake);
    sender.submit(intent).await?;
    let number = registry.operator_of(owner).await?;
    let number = number.context("an operator that was registered is not there")?;
    let at = registry.address();
    let keys: Vec<_> = operator
        .seats
        .iter()
        .map(|seat| KeyRegistration::new(chain_id, at, owner, seat.identity, &seat.bls))
        .collect();
    for intent in staking::register_keys(registry, number, &keys).await? {
        sender.submit(intent).await?;
    }
    Ok(())
}

/// What is deployed: from the file of an earlier run, or made now and written.
async fn config(
    layout: &Layout,
    shape: &Shape,
    rpc: &L1Rpc,
    deployer: &Sender,
    (l1_chain_id, slots_per_epoch): (u64, u64),
) -> Result<DeployConfig> {
    let path = layout.contracts_config();
    if path.exists() {
        return read_toml(&path);
    }
    let head = rpc.tagged("latest").await?.context("the L1 has no block")?;
    let epoch = stake::epoch_seconds(shape, slots_per_epoch)?;
    let config = DeployConfig {
        // Another devnet of this seed may have been here before.
        first_nonce: deployer.l1().nonce(deployer.account()).await?,
        ..stake::deploy_config(shape, l1_chain_id, head.timestamp, epoch)
    };
    write_toml(&path, &config)?;
    Ok(config)
}

/// Sends `to` ether until it has at least so much.
async fn fund(payer: &Sender, to: Address, least_gwei: u64) -> Result<()> {
    let least = U256::from(least_gwei) * U256::from(GWEI);
    let l1 = payer.l1().clone();
    let has = l1.balance(to).await?;
    let asked = Arc::clone(&l1);
    let intent = Intent {
        label: format!("give {to} ether"),
        to: Some(to),
        value: least.saturating_sub(has),
        input: Bytes::new(),
        nonce: None,
        wanted: Box::new(move || {
            let l1 = asked.clone();
            Box::pin(async move { Ok(l1.balance(to).await? < least) })
        }),
    };
    let sent = payer.submit(intent).await;
    sent.with_context(|| format!("giving {to} {least_gwei} gwei from {}", payer.account()))?;
    Ok(())
}
