//! Who sits on a devnet: operators with stake, their keys, and the contracts that hold them.
//!
//! On the embedded L1 the contracts are there from its first block on, with operators registered and
//! seats settled: the transactions that do all this are executed before there is a chain, and what
//! they leave behind is its genesis. On an outside L1 the same is done by transactions.

use super::{
    accounts,
    layout::{Layout, read_toml, write_toml},
    plan::{CHAIN_ID, L1_CHAIN_ID, SLOTS_PER_EPOCH, Shape},
};
use anyhow::{Context, Result};
use cortado_contracts::{
    DeployConfig, GenesisOperator, GenesisPlan, SeatSecret,
    plan::{GWEI, InboxSettings, RegistrySettings, SlasherSettings, ValidatorSettings},
    sender::SenderSettings,
};
use cortado_node::{
    home::write_atomically,
    keys::{self, AccountKeys, SeatKeys, Secret},
};
use cortado_types::{Address, B256, ChainId, bls::SecretBls, ecdsa::SigningKey};
use std::time::Duration;

/// Stake behind each seat, ether: what a validator of Ethereum has.
const STAKE_ETHER: u64 = 32;
/// What an accusation costs if it is answered, ether.
const BOND_ETHER: u64 = 1;
/// How long a light client believes seats without news, seconds. A devnet's times are short, so that
/// whoever tries it out sees stake leave; on a real chain they are days and weeks.
const TRUST_SECONDS: u32 = 600;
/// How long an accused seat has to answer, seconds.
const ANSWER_SECONDS: u32 = 30;
/// How long evidence may take to be brought, seconds.
const EVIDENCE_SECONDS: u32 = 300;
/// How long stake takes to leave, seconds.
const UNBONDING_SECONDS: u32 = 960;

/// The deployer's nonce at the light client: three contracts, an inbox a rollup and the first
/// settlement come before.
pub fn light_client_nonce(shape: &Shape) -> u64 {
    4 + u64::from(shape.rollups)
}

/// Keys of seat number `index`.
pub fn seat_keys(seed: u64, index: u32) -> Result<SeatKeys> {
    let bls = SecretBls::derive(&accounts::material(seed, "seat bls", index))?;
    Ok(SeatKeys {
        identity: Secret(accounts::material(seed, "seat identity", index)),
        bls: Secret(bls.to_bytes()),
        test_only: true,
    })
}

/// The account of operator number `index` on L1.
pub fn operator_key(seed: u64, index: u32) -> SigningKey {
    accounts::signing_key(seed, "operator", index)
}

/// The account that deploys the contracts.
pub fn deployer_key(seed: u64) -> SigningKey {
    accounts::signing_key(seed, "deployer", 0)
}

/// The account that keeps the light client up to date and settles seats.
pub fn relayer_key(seed: u64) -> SigningKey {
    accounts::signing_key(seed, "relayer", 0)
}

/// The account with which attester number `index` brings evidence: not its operator's, so that no
/// two senders count the nonces of one account.
pub fn reporter_key(seed: u64, index: u32) -> SigningKey {
    accounts::signing_key(seed, "reporter", index)
}

/// Everybody who has something to pay on L1.
pub fn payers(shape: &Shape) -> Vec<Address> {
    let seed = shape.seed;
    let both = |index| [operator_key(seed, index), reporter_key(seed, index)];
    (0..shape.attesters)
        .flat_map(both)
        .chain([deployer_key(shape.seed), relayer_key(shape.seed)])
        .map(|key| key.address())
        .collect()
}

/// Writes the key files of all of them.
pub fn write_keys(layout: &Layout, shape: &Shape) -> Result<()> {
    let dir = layout.dir.join("keys");
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let save = |name: &str, key: SigningKey| {
        let account = Secret(key.to_bytes());
        let keys = AccountKeys {
            account,
            test_only: true,
        };
        keys::save(&layout.account(name), &keys)
    };
    for index in 0..shape.attesters {
        save(
            &format!("operator-{index}"),
            operator_key(shape.seed, index),
        )?;
        save(
            &format!("reporter-{index}"),
            reporter_key(shape.seed, index),
        )?;
    }
    for (index, key) in accounts::accounts(shape.seed).into_iter().enumerate() {
        save(&format!("account-{index}"), key)?;
    }
    save("deployer", deployer_key(shape.seed))?;
    save("relayer", relayer_key(shape.seed))?;
    Ok(())
}

/// Time without inclusion before a fee is raised: three slots of L1.
pub fn bump_after(shape: &Shape) -> Duration {
    Duration::from_secs((3 * shape.l1_slot_ms).div_ceil(1_000))
}

/// How the devnet's own transactions are sent.
pub fn sender_settings(shape: &Shape) -> SenderSettings {
    SenderSettings {
        confirmations: 1,
        bump_after: bump_after(shape),
        poll: Duration::from_millis(shape.l1_slot_ms / 4),
        fee_max: FEE_MAX,
    }
}

/// Most that is paid for gas, wei.
const FEE_MAX: u128 = 500_000_000_000;

/// Stake of each operator, gwei.
pub fn stake_gwei(shape: &Shape) -> u64 {
    u64::from(shape.seats_per_operator) * STAKE_ETHER * GWEI
}

/// What is deployed; `genesis` is when the registry's epoch 0 began, seconds since 1970.
pub fn deploy_config(
    shape: &Shape,
    l1_chain_id: u64,
    genesis: u64,
    epoch_seconds: u32,
) -> DeployConfig {
    let inbox = |namespace| InboxSettings {
        namespace,
        nonce: None,
    };
    DeployConfig {
        chain_id: ChainId::new(CHAIN_ID),
        l1_chain_id,
        first_nonce: 0,
        registry: RegistrySettings {
            genesis,
            epoch_seconds,
            trust_seconds: TRUST_SECONDS,
            answer_seconds: ANSWER_SECONDS,
            evidence_seconds: EVIDENCE_SECONDS,
            unbonding_seconds: UNBONDING_SECONDS,
            min_seat_gwei: GWEI,
            seats_max: 100,
        },
        slasher: SlasherSettings {
            bond_gwei: BOND_ETHER * GWEI,
        },
        validators: ValidatorSettings {
            min_collateral_gwei: GWEI,
            fraud_seconds: u64::from(EVIDENCE_SECONDS),
            leave_seconds: u64::from(UNBONDING_SECONDS),
            signing_id: B256::ZERO,
            genesis_fork_version: Default::default(),
        },
        restaking: None,
        inboxes: shape.namespaces().into_iter().map(inbox).collect(),
        light_client: None,
    }
}

/// Length of the registry's epochs: the L1's, in whole seconds.
pub fn epoch_seconds(shape: &Shape, slots_per_epoch: u64) -> Result<u32> {
    let seconds = (shape.l1_slot_ms * slots_per_epoch).div_ceil(1_000);
    u32::try_from(seconds).with_context(|| format!("an epoch of {seconds} s"))
}

/// The operators, each with its keys.
pub fn operators(shape: &Shape) -> Result<Vec<GenesisOperator>> {
    let seats = |operator: u32| -> Result<Vec<SeatSecret>> {
        (0..shape.seats_per_operator)
            .map(|seat| {
                let keys = seat_keys(shape.seed, operator * shape.seats_per_operator + seat)?;
                Ok(SeatSecret {
                    identity: keys.seat(0)?.identity,
                    bls: keys.secret_bls()?,
                })
            })
            .collect()
    };
    (0..shape.attesters)
        .map(|index| {
            Ok(GenesisOperator {
                owner: operator_key(shape.seed, index).address(),
                stake_gwei: stake_gwei(shape),
                seats: seats(index)?,
            })
        })
        .collect()
}

/// What the embedded L1 starts with, and writes the contracts' files. `l1_genesis` in seconds.
pub fn before_genesis(layout: &Layout, shape: &Shape, l1_genesis: u64) -> Result<GenesisPlan> {
    let epoch = epoch_seconds(shape, SLOTS_PER_EPOCH)?;
    let config = deploy_config(shape, L1_CHAIN_ID, l1_genesis - u64::from(epoch), epoch);
    write_toml(&layout.contracts_config(), &config)?;
    let deployer = deployer_key(shape.seed).address();
    let plan = GenesisPlan::new(&config, deployer, &operators(shape)?, l1_genesis)?;
    write_addresses(layout, &plan.addresses)?;
    Ok(plan)
}

/// The same plan again, from the file that [`before_genesis`] wrote.
pub fn planned(layout: &Layout, shape: &Shape) -> Result<GenesisPlan> {
    let config: DeployConfig = read_toml(&layout.contracts_config())?;
    let l1_genesis = config.epoch_start(1);
    let deployer = deployer_key(shape.seed).address();
    Ok(GenesisPlan::new(
        &config,
        deployer,
        &operators(shape)?,
        l1_genesis,
    )?)
}

/// Writes where the contracts are.
pub fn write_addresses(layout: &Layout, addresses: &cortado_contracts::Addresses) -> Result<()> {
    let text = serde_json::to_string_pretty(addresses)?;
    write_atomically(&layout.contracts(), text.as_bytes(), 0o644)
        .with_context(|| layout.contracts().display().to_string())
}
