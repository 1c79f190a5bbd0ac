//! What is deployed, from which configuration, and where it ends up: pure.
//!
//! Registry and slasher name each other, so their addresses must be known before there is either.
//! They follow from the deployer and its nonces: the contracts take the nonces from
//! [`DeployConfig::first_nonce`] on, in the order of [`Contract`]. So a configuration and a deployer
//! say everything, and deploying again finds what is there.

mod error;

use crate::abi;
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, aliases::U48};
use alloy_sol_types::SolValue;
use cortado_types::{ChainId, Header, Namespace, Seat, SeatSet, decode_exact, keccak256, limits};
pub use error::PlanError;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Wei in a gwei, the unit of stake.
pub const GWEI: u64 = 1_000_000_000;

/// RLP of a header: 17 fields, at most 33 bytes each but for a few.
pub const HEADER_BYTES_MAX: usize = 1 << 10;

/// Most seats of a set that the contracts accept.
const SEATS_MAX: u16 = limits::SEATS_MAX as u16;

/// Everything that defines a deployment, but for the account that makes it. Amounts are in gwei.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployConfig {
    /// The Cortado chain.
    pub chain_id: ChainId,
    /// EIP-155 id of the L1 that the contracts stand on.
    pub l1_chain_id: u64,
    /// Nonce of the deployer at its first contract.
    #[serde(default)]
    pub first_nonce: u64,
    /// Operators, stake and keys.
    pub registry: RegistrySettings,
    /// Evidence.
    pub slasher: SlasherSettings,
    /// Validators with the right of first refusal.
    pub validators: ValidatorSettings,
    /// Stake restaked through EigenLayer; none if absent.
    #[serde(default)]
    pub restaking: Option<RestakingSettings>,
    /// Rollups that get an inbox.
    #[serde(default)]
    pub inboxes: Vec<InboxSettings>,
    /// The light client; none yet if absent.
    #[serde(default)]
    pub light_client: Option<LightClientSettings>,
}

/// What the registry is set up with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// When epoch 0 began, seconds since 1970; not in the future.
    pub genesis: u64,
    /// Length of an epoch.
    pub epoch_seconds: u32,
    /// How long light clients believe seats without news.
    pub trust_seconds: u32,
    /// How long an accused seat has to answer.
    pub answer_seconds: u32,
    /// How long evidence may take to be brought.
    pub evidence_seconds: u32,
    /// How long stake takes to leave: more than the three together.
    pub unbonding_seconds: u32,
    /// Least stake of a seat, gwei.
    pub min_seat_gwei: u64,
    /// Most seats of a set.
    pub seats_max: u16,
}

/// What the slasher is set up with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlasherSettings {
    /// What an accusation costs if it is answered, gwei.
    pub bond_gwei: u64,
}

/// What the register of validators is set up with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSettings {
    /// Least collateral of a batch, gwei.
    pub min_collateral_gwei: u64,
    /// How long a batch can be challenged before it counts.
    pub fraud_seconds: u64,
    /// From leaving until the collateral is paid back.
    pub leave_seconds: u64,
    /// Which module of a Commit-Boost signer signs registrations.
    pub signing_id: B256,
    /// Fork version of the beacon chain's genesis.
    pub genesis_fork_version: FixedBytes<4>,
}

/// Where EigenLayer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestakingSettings {
    /// Its allocation manager.
    pub manager: Address,
    /// The strategy whose shares are wei of ether.
    pub strategy: Address,
    /// Where the service describes itself.
    pub metadata_uri: String,
}

/// A rollup's queue of L1→L2 calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboxSettings {
    /// The rollup.
    pub namespace: Namespace,
    /// The deployer's nonce at it; if absent, inboxes follow the other contracts in order. Needed for
    /// a rollup that joins a deployment which is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<u64>,
}

/// What the light client starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LightClientSettings {
    /// RLP of a header that is known to be final: block 0 as a rule.
    pub anchor: Bytes,
    /// The seats that finalise what follows the anchor, ascending by identity.
    pub seats: Vec<Seat>,
    /// The deployer's nonce at the light client; the one after all other contracts if absent. Needed
    /// if the deployer has sent something else since.
    #[serde(default)]
    pub nonce: Option<u64>,
}

/// What is deployed, in the order of nonces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contract {
    /// `Slasher`.
    Slasher,
    /// `Registry`.
    Registry,
    /// `ValidatorRegister`.
    ValidatorRegister,
    /// `EigenLayerAdapter`.
    Restaking,
    /// `Inbox` of a rollup.
    Inbox(Namespace),
    /// `LightClient`.
    LightClient,
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Slasher => "Slasher",
            Self::Registry => "Registry",
            Self::ValidatorRegister => "ValidatorRegister",
            Self::Restaking => "EigenLayerAdapter",
            Self::Inbox(namespace) => return write!(f, "Inbox of rollup {namespace}"),
            Self::LightClient => "LightClient",
        })
    }
}

/// Where the contracts of a deployment are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The Cortado chain.
    pub chain_id: ChainId,
    /// EIP-155 id of the L1.
    pub l1_chain_id: u64,
    /// Who deployed them.
    pub deployer: Address,
    /// `Registry`.
    pub registry: Address,
    /// `Slasher`.
    pub slasher: Address,
    /// `ValidatorRegister`.
    pub validator_register: Address,
    /// `EigenLayerAdapter`, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restaking: Option<Address>,
    /// `Inbox` of each rollup.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inboxes: BTreeMap<Namespace, Address>,
    /// `LightClient`, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_client: Option<Address>,
}

/// A contract to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub contract: Contract,
    /// The deployer's nonce that creates it.
    pub nonce: u64,
    /// Where it will be.
    pub address: Address,
    /// Creation code with the constructor's arguments.
    pub init_code: Bytes,
}

impl DeployConfig {
    /// Checks what the constructors check, so that a mistake costs no gas.
    ///
    /// # Errors
    /// [`PlanError`] names the field and its limit.
    pub fn check(&self) -> Result<(), PlanError> {
        let registry = &self.registry;
        let windows = [
            registry.trust_seconds,
            registry.answer_seconds,
            registry.evidence_seconds,
        ];
        let least = windows.into_iter().map(u64::from).sum();
        if registry.epoch_seconds == 0 {
            return Err(PlanError::EpochLength);
        }
        if u64::from(registry.unbonding_seconds) <= least {
            let unbonding = registry.unbonding_seconds;
            return Err(PlanError::Unbonding { unbonding, least });
        }
        if registry.min_seat_gwei == 0 {
            return Err(PlanError::FreeSeat);
        }
        let seats = registry.seats_max;
        if !(limits::SEATS_MIN..=limits::SEATS_MAX).contains(&usize::from(seats)) {
            return Err(PlanError::SeatsMax { seats });
        }
        if registry.genesis >> 48 != 0 {
            let genesis = registry.genesis;
            return Err(PlanError::Genesis { genesis });
        }
        let mut named = BTreeSet::new();
        for InboxSettings { namespace, .. } in self.inboxes.iter().copied() {
            if !namespace.is_rollup() {
                return Err(PlanError::NoRollup { namespace });
            }
            if !named.insert(namespace) {
                return Err(PlanError::InboxTwice { namespace });
            }
        }
        self.check_nonces()?;
        self.anchor().map(drop)
    }

    /// A nonce that was given must not be another contract's.
    fn check_nonces(&self) -> Result<(), PlanError> {
        let least = self.first_nonce + self.core();
        let mut taken = BTreeMap::new();
        let inboxes = self.inbox_nonces();
        let inboxes = inboxes.map(|(namespace, nonce)| (Contract::Inbox(namespace), nonce));
        let light = self.light_client.as_ref();
        let light = light.map(|_| (Contract::LightClient, self.light_client_nonce()));
        for (contract, nonce) in inboxes.chain(light) {
            if nonce < least {
                return Err(PlanError::Nonce {
                    contract,
                    nonce,
                    least,
                });
            }
            if let Some(other) = taken.insert(nonce, contract) {
                return Err(PlanError::SameNonce {
                    contract,
                    other,
                    nonce,
                });
            }
        }
        Ok(())
    }

    /// The header that the light client starts from.
    ///
    /// # Errors
    /// If it is none, or of another chain.
    pub fn anchor(&self) -> Result<Option<Header>, PlanError> {
        let wrong = |reason: String| PlanError::Anchor {
            chain_id: self.chain_id,
            reason,
        };
        let Some(settings) = &self.light_client else {
            return Ok(None);
        };
        let header: Header = decode_exact("anchor", &settings.anchor, HEADER_BYTES_MAX)
            .map_err(|error| wrong(error.to_string()))?;
        if header.chain_id != self.chain_id {
            return Err(wrong(format!("it is of chain {}", header.chain_id)));
        }
        let want = header.next_seats_hash;
        let differ = |got, reason: String| PlanError::Seats { got, want, reason };
        match SeatSet::new(settings.seats.clone()) {
            Ok(seats) if seats.hash() == want => Ok(Some(header)),
            Ok(seats) => Err(differ(seats.hash(), "they are others".to_owned())),
            Err(error) => Err(differ(B256::ZERO, error.to_string())),
        }
    }

    /// When an epoch of the registry starts, seconds.
    pub fn epoch_start(&self, epoch: u64) -> u64 {
        let length = u64::from(self.registry.epoch_seconds);
        let since = epoch.saturating_mul(length);
        self.registry.genesis.saturating_add(since)
    }

    /// How many contracts come first: slasher, registry, register of validators, adapter.
    fn core(&self) -> u64 {
        3 + u64::from(self.restaking.is_some())
    }

    fn inbox_nonces(&self) -> impl Iterator<Item = (Namespace, u64)> {
        let mut next = self.first_nonce + self.core();
        self.inboxes.iter().map(move |inbox| {
            let nonce = inbox.nonce.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            (inbox.namespace, nonce)
        })
    }

    fn light_client_nonce(&self) -> u64 {
        let following = self.inboxes.iter().filter(|inbox| inbox.nonce.is_none());
        let after = self.first_nonce + self.core() + following.count() as u64;
        let given = self.light_client.as_ref().and_then(|light| light.nonce);
        given.unwrap_or(after)
    }

    /// Where everything will be if `deployer` deploys it.
    pub fn addresses(&self, deployer: Address) -> Addresses {
        let at = |offset: u64| deployer.create(self.first_nonce + offset);
        Addresses {
            chain_id: self.chain_id,
            l1_chain_id: self.l1_chain_id,
            deployer,
            slasher: at(0),
            registry: at(1),
            validator_register: at(2),
            restaking: self.restaking.as_ref().map(|_| at(3)),
            inboxes: self
                .inbox_nonces()
                .map(|(namespace, nonce)| (namespace, deployer.create(nonce)))
                .collect(),
            light_client: self
                .light_client
                .as_ref()
                .map(|_| deployer.create(self.light_client_nonce())),
        }
    }

    /// The contracts to create, in the order of their nonces.
    ///
    /// # Errors
    /// If the configuration makes none.
    pub fn steps(&self, deployer: Address) -> Result<Vec<Step>, PlanError> {
        self.check()?;
        let at = self.addresses(deployer);
        let mut steps = Vec::new();
        let mut push = |contract, nonce, code: &Bytes, arguments: Vec<u8>| {
            steps.push(Step {
                contract,
                nonce,
                address: deployer.create(nonce),
                init_code: [code.as_ref(), &arguments].concat().into(),
            });
        };
        let wei = |gwei: u64| U256::from(gwei) * U256::from(GWEI);
        let first = self.first_nonce;
        push(
            Contract::Slasher,
            first,
            &abi::Slasher::BYTECODE,
            (at.registry, wei(self.slasher.bond_gwei)).abi_encode_params(),
        );
        push(
            Contract::Registry,
            first + 1,
            &abi::Registry::BYTECODE,
            self.registry_config(&at).abi_encode(),
        );
        let validators = &self.validators;
        push(
            Contract::ValidatorRegister,
            first + 2,
            &abi::ValidatorRegister::BYTECODE,
            (
                self.chain_id.get(),
                wei(validators.min_collateral_gwei),
                U256::from(validators.fraud_seconds),
                U256::from(validators.leave_seconds),
                validators.signing_id,
                validators.genesis_fork_version,
            )
                .abi_encode_params(),
        );
        if let Some(restaking) = &self.restaking {
            push(
                Contract::Restaking,
                first + 3,
                &abi::EigenLayerAdapter::BYTECODE,
                (
                    at.registry,
                    U256::from(self.registry.unbonding_seconds),
                    restaking.manager,
                    restaking.strategy,
                    restaking.metadata_uri.clone(),
                )
                    .abi_encode_params(),
            );
        }
        for (namespace, nonce) in self.inbox_nonces() {
            push(
                Contract::Inbox(namespace),
                nonce,
                &abi::Inbox::BYTECODE,
                namespace.get().abi_encode(),
            );
        }
        if let Some(light) = &self.light_client {
            push(
                Contract::LightClient,
                self.light_client_nonce(),
                &abi::LightClient::BYTECODE,
                (
                    at.registry,
                    self.chain_id.get(),
                    u64::from(self.registry.trust_seconds) * 1_000,
                    keccak256(&light.anchor),
                )
                    .abi_encode_params(),
            );
        }
        steps.sort_by_key(|step| step.nonce);
        Ok(steps)
    }

    fn registry_config(&self, at: &Addresses) -> abi::Registry::RegistryConfig {
        let registry = &self.registry;
        abi::Registry::RegistryConfig {
            chainId: self.chain_id.get(),
            genesis: U48::from(registry.genesis),
            epochSeconds: registry.epoch_seconds,
            trustSeconds: registry.trust_seconds,
            answerSeconds: registry.answer_seconds,
            evidenceSeconds: registry.evidence_seconds,
            unbondingSeconds: registry.unbonding_seconds,
            minSeat: registry.min_seat_gwei,
            seatsMax: registry.seats_max,
            slasher: at.slasher,
            restaking: at.restaking.unwrap_or_default(),
        }
    }
}
