//! What a devnet consists of: made once from the options, written as the same TOML files that the
//! services read alone, and read back at every later start.

use super::{
    accounts,
    byzantine::{LiarConfig, Lie},
    layout::{Layout, Part},
    ports::Ports,
    stake,
};
use crate::relay::RelayConfig;
use alloy_genesis::Genesis as EthGenesis;
use anyhow::{Context, Result, bail};
use cortado_contracts::Addresses;
use cortado_devl1::{Config as L1Node, Prefunded};
use cortado_node::{
    attester::{AttesterConfig, PeerConfig, SeatConfig},
    home::write_atomically,
    keys::{self, ProposerKeys, Secret},
    l1::{L1NodeConfig, VerifiedHeader},
    proposer::ProposerNodeConfig,
    rollup::RollupNodeConfig,
    slashing::SlashingConfig,
};
use cortado_rollup::{
    engine::Tips,
    service::{LANE_MS, ProposedRollup, ProposerConfig, RollupConfig},
};
use cortado_types::{
    ChainId, Genesis, L1Config, Namespace, NamespaceConfig, SeatsRead, TimestampMs, U256,
    genesis::{TERM_MS_MAX, TERM_MS_MIN},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Chain id of the finality chain.
pub const CHAIN_ID: u64 = 2_718_281;
/// Chain id of the embedded L1.
pub const L1_CHAIN_ID: u64 = 3_141_592;
/// Chain id of the first rollup; the others follow.
pub const FIRST_NAMESPACE: u64 = 42_001;
/// Most attesters, rollups and seats an operator: all of it runs on one machine.
pub const PARTS_MAX: u32 = 32;
/// Bytes of bodies that attesters acknowledge for one slot of one rollup.
const SLOT_BYTES_MAX: u64 = 256 << 20;
/// Longest slot of the finality chain that the devnet chooses, ms.
const SLOT_MS: u64 = 2_000;
/// How long attesters keep bodies, ms: a day.
const RETENTION_MS: u64 = 24 * 3_600_000;
/// Slots in an epoch of the embedded L1.
pub const SLOTS_PER_EPOCH: u64 = 8;
/// Proposers: two, so that lane blocks meet from both, each with several rollups if there are more.
const PROPOSERS_MAX: u32 = 2;

/// What stands for a command in the part that lies. There is none: it runs in the devnet only.
pub const LIAR: &str = "byzantine";

/// The command of the relay.
pub const RELAY: &str = "relay";

/// What cannot change once a devnet exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Attesters.
    pub attesters: u32,
    /// Seats of each.
    pub seats_per_operator: u32,
    /// Rollups.
    pub rollups: u32,
    /// Length of an L1 slot, ms.
    pub l1_slot_ms: u64,
    /// Length of a term, ms.
    pub term_ms: u64,
    /// What keys are derived from.
    pub seed: u64,
    /// An outside L1's JSON-RPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub l1: Option<String>,
    /// Its beacon REST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beacon: Option<String>,
    /// How the last attester lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byzantine: Option<Lie>,
}

impl Shape {
    /// Checks every number against its limit.
    ///
    /// # Errors
    /// Names the option, the value and the limit.
    pub fn check(&self) -> Result<()> {
        let seats = u64::from(self.attesters) * u64::from(self.seats_per_operator);
        let limits = [
            (
                "--attesters",
                u64::from(self.attesters),
                1,
                u64::from(PARTS_MAX),
            ),
            (
                "--seats-per-operator",
                u64::from(self.seats_per_operator),
                1,
                u64::from(PARTS_MAX),
            ),
            (
                "--rollups",
                u64::from(self.rollups),
                1,
                u64::from(PARTS_MAX),
            ),
            ("--l1-slot-ms", self.l1_slot_ms, 1_000, 600_000),
            ("--term-ms", self.term_ms, TERM_MS_MIN, TERM_MS_MAX),
            ("attesters times seats", seats, 4, 100),
        ];
        for (what, value, least, most) in limits {
            if value < least || value > most {
                bail!("{what} is {value}, it must be within {least} and {most}");
            }
        }
        if self.byzantine.is_some() && self.attesters < 4 {
            bail!(
                "--byzantine is one of {} attesters, the rest must be more than two thirds: the least \
                 is 4",
                self.attesters
            );
        }
        if self.beacon.is_some() && self.l1.is_none() {
            bail!("--beacon is of an outside L1 and needs --l1");
        }
        Ok(())
    }

    /// A devnet's keys are public and do not belong where money is real.
    ///
    /// # Errors
    /// If the L1 is Ethereum mainnet.
    pub fn check_l1(&self, l1_chain_id: u64) -> Result<()> {
        if l1_chain_id == keys::MAINNET {
            bail!(
                "the L1 at {} has chain id {l1_chain_id}, Ethereum mainnet: the keys of a devnet are \
                 public and refused there",
                self.l1.as_deref().unwrap_or("this process")
            );
        }
        Ok(())
    }

    /// Says which options differ from those the directory was made with.
    ///
    /// # Errors
    /// If any does.
    pub fn must_equal(&self, made: &Self, dir: &Path) -> Result<()> {
        if self == made {
            return Ok(());
        }
        bail!(
            "{} was made with {}, not with {}; use these options or another --data-dir",
            dir.display(),
            serde_json::to_string(made)?,
            serde_json::to_string(self)?
        );
    }

    /// Slots of the finality chain: as long as the L1's, or a whole fraction of at most two
    /// seconds.
    fn slot_ms(&self) -> u64 {
        let whole = (SLOT_MS / 2..=SLOT_MS)
            .rev()
            .find(|ms| self.l1_slot_ms.is_multiple_of(*ms));
        if self.l1_slot_ms <= SLOT_MS {
            self.l1_slot_ms
        } else {
            whole.unwrap_or(self.l1_slot_ms)
        }
    }

    /// The rollups' namespaces.
    pub fn namespaces(&self) -> Vec<Namespace> {
        (0..u64::from(self.rollups))
            .map(|i| Namespace::new(FIRST_NAMESPACE + i))
            .collect()
    }

    fn proposers(&self) -> u32 {
        self.rollups.min(PROPOSERS_MAX)
    }

    /// Namespaces of one proposer.
    fn namespaces_of(&self, proposer: u32) -> Vec<Namespace> {
        let step = self.proposers() as usize;
        self.namespaces()
            .into_iter()
            .skip(proposer as usize)
            .step_by(step)
            .collect()
    }
}

fn balance() -> U256 {
    U256::from(accounts::BALANCE_ETHER) * U256::from(10).pow(U256::from(18))
}

/// Makes the embedded L1's file.
///
/// # Errors
/// If no port is free or the file cannot be written.
pub fn make_l1(layout: &Layout, shape: &Shape, ports: &mut Ports) -> Result<Part> {
    // Block times are whole seconds; the current second has begun, so the first slot is near.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let mut funded = accounts::funded(shape.seed);
    funded.extend(stake::payers(shape));
    stake::write_keys(layout, shape)?;
    let plan = stake::before_genesis(layout, shape, now.as_secs())?;
    let config = L1Node {
        chain_id: L1_CHAIN_ID,
        slot_ms: shape.l1_slot_ms,
        slots_per_epoch: SLOTS_PER_EPOCH,
        genesis_time_ms: now.as_secs() * 1_000,
        prefunded: funded
            .into_iter()
            .map(|address| Prefunded {
                address,
                wei: balance(),
            })
            .collect(),
        alloc: plan.alloc()?,
        data_dir: layout.data("l1"),
        rpc_addr: ports.take(8545)?,
        beacon_addr: ports.take(5052)?,
        seed: shape.seed,
        validators: 64,
        finality_lag_epochs: 2,
    };
    layout.part("l1", "l1", &config)
}

/// What the finality chain begins with on L1.
pub struct Beginning {
    /// The block its pointer starts at.
    pub anchor: VerifiedHeader,
    /// Where the contracts are.
    pub contracts: Addresses,
    /// A block of L1 not after their deployment.
    pub since: u64,
    /// The seats that it has settled there.
    pub seats: SeatsRead,
}

/// Makes genesis, keys and files of everything beside the L1, on which `l1_state` was found.
///
/// # Errors
/// If no port is free or a file cannot be written.
pub fn make_chain(
    layout: &Layout,
    shape: &Shape,
    ports: &mut Ports,
    l1: &L1NodeConfig,
    (l1_chain_id, slots_per_epoch): (u64, u64),
    l1_state: &Beginning,
) -> Result<Vec<Part>> {
    let mut peers = Vec::new();
    let mut operators = Vec::new();
    let keys_dir = layout.data("keys");
    for attester in 0..shape.attesters {
        let mut own = Vec::new();
        for seat in 0..shape.seats_per_operator {
            let index = attester * shape.seats_per_operator + seat;
            let secrets = stake::seat_keys(shape.seed, index)?;
            let file = keys_dir.join(format!("seat-{index}.toml"));
            keys::save(&file, &secrets)?;
            let public = secrets.seat(index)?;
            let listen = ports.take(9_100 + index as u16)?;
            peers.push(PeerConfig {
                identity: public.identity,
                address: listen,
            });
            own.push(SeatConfig { keys: file, listen });
        }
        operators.push(own);
    }
    let mut namespaces = vec![
        NamespaceConfig {
            namespace: Namespace::L1_POINTER,
            reserve_holder: None,
            slot_bytes_max: 0,
        },
        NamespaceConfig {
            namespace: Namespace::ROFR,
            reserve_holder: None,
            slot_bytes_max: 0,
        },
    ];
    let mut proposers = Vec::new();
    for proposer in 0..shape.proposers() {
        let signing = accounts::signing_key(shape.seed, "proposer", proposer);
        let secrets = ProposerKeys {
            identity: Secret(accounts::material(
                shape.seed,
                "proposer identity",
                proposer,
            )),
            signing: Secret(signing.to_bytes()),
            test_only: true,
        };
        keys::save(
            &keys_dir.join(format!("proposer-{proposer}.toml")),
            &secrets,
        )?;
        proposers.push(secrets.identity()?);
        for namespace in shape.namespaces_of(proposer) {
            namespaces.push(NamespaceConfig {
                namespace,
                reserve_holder: Some(signing.address()),
                slot_bytes_max: SLOT_BYTES_MAX,
            });
        }
    }
    namespaces.sort_by_key(|config| config.namespace);
    let genesis = Genesis {
        chain_id: ChainId::new(CHAIN_ID),
        time: TimestampMs::new(l1_state.anchor.timestamp * 1_000),
        slot_ms: shape.slot_ms(),
        term_ms: shape.term_ms,
        l1: L1Config {
            chain_id: l1_chain_id,
            slot_ms: shape.l1_slot_ms,
            slots_per_epoch,
            anchor: l1_state.anchor.raw.clone(),
            registry: l1_state.contracts.registry,
        },
        namespaces,
        seats: l1_state.seats.clone(),
        proposers,
    };
    genesis.validate()?;
    write_atomically(
        &layout.genesis(),
        serde_json::to_string_pretty(&genesis)?.as_bytes(),
        0o644,
    )?;
    let mut parts = Vec::new();
    let mut apis: Vec<SocketAddr> = Vec::new();
    for (i, own) in operators.into_iter().enumerate() {
        let name = format!("attester-{i}");
        if let Some(lie) = shape.byzantine
            && i as u32 + 1 == shape.attesters
        {
            let config = LiarConfig {
                lie,
                genesis: layout.genesis(),
                data_dir: layout.data(&name),
                seats: own,
                peers: peers.clone(),
            };
            parts.push(layout.part(&name, LIAR, &config)?);
            continue;
        }
        let api = ports.take(9_000 + i as u16)?;
        apis.push(api);
        let config = AttesterConfig {
            genesis: layout.genesis(),
            data_dir: layout.data(&name),
            api,
            allow_private_peers: true,
            retention_ms: RETENTION_MS,
            worker_threads: 2,
            l1: Some(l1.clone()),
            slashing: Some(SlashingConfig {
                key: layout.account(&format!("reporter-{i}")),
                slasher: l1_state.contracts.slasher,
                since: l1_state.since,
            }),
            seats: own,
            peers: peers.clone(),
        };
        parts.push(layout.part(&name, "node", &config)?);
    }
    let attesters: Vec<String> = apis.iter().map(|api| format!("http://{api}")).collect();
    let mut nodes = Vec::new();
    for proposer in 0..shape.proposers() {
        let name = format!("proposer-{proposer}");
        let listen = ports.take(9_700 + proposer as u16)?;
        let mut rollups = Vec::new();
        for namespace in shape.namespaces_of(proposer) {
            let inbox = l1_state.contracts.inboxes.get(&namespace).copied();
            let genesis = layout.dir.join(format!("rollup-{namespace}.genesis.json"));
            let text =
                serde_json::to_string_pretty(&rollup_genesis(shape, namespace, &l1_state.anchor))?;
            write_atomically(&genesis, text.as_bytes(), 0o644)?;
            rollups.push(ProposedRollup {
                tips: Tips::default(),
                namespace,
                genesis: genesis.clone(),
                inbox,
            });
            let offset = (namespace.get() - FIRST_NAMESPACE) as u16;
            nodes.push(RollupNodeConfig {
                genesis: layout.genesis(),
                attesters: attesters.clone(),
                rollup: RollupConfig {
                    tips: Tips::default(),
                    namespace,
                    genesis,
                    data_dir: layout.data(&format!("rollup-{namespace}")),
                    listen: ports.take(9_545 + offset)?,
                    proposer: format!("ws://{listen}"),
                    inbox,
                },
                l1: Some(l1.clone()),
            });
        }
        let config = ProposerNodeConfig {
            genesis: layout.genesis(),
            keys: keys_dir.join(format!("{name}.toml")),
            data_dir: layout.data(&name),
            listen: ports.take(9_600 + proposer as u16)?,
            allow_private_peers: true,
            worker_threads: 2,
            peers: peers.clone(),
            l1: Some(l1.clone()),
            gateway: ProposerConfig {
                rollups,
                data_dir: layout.data(&format!("{name}-gateway")),
                listen,
                lane_ms: LANE_MS,
            },
        };
        parts.push(layout.part(&name, "proposer", &config)?);
    }
    nodes.sort_by_key(|node| node.rollup.namespace);
    for node in &nodes {
        let name = format!("rollup-{}", node.rollup.namespace);
        parts.push(layout.part(&name, "rollup", node)?);
    }
    let relay = RelayConfig {
        genesis: layout.genesis(),
        nodes: attesters,
        rpc: l1.rpc.first().to_owned(),
        contracts: layout.contracts(),
        key: layout.account("relayer"),
        data_dir: layout.data("relay"),
        listen: ports.take(9_800)?,
        interval_seconds: None,
        settle: true,
        confirmations: 1,
        fee_max_gwei: 500,
        bump_after_seconds: stake::bump_after(shape).as_secs(),
        poll_ms: shape.l1_slot_ms / 2,
    };
    parts.push(layout.part("relay", RELAY, &relay)?);
    Ok(parts)
}

/// Block 0 of a rollup: the devnet's accounts have money.
fn rollup_genesis(shape: &Shape, namespace: Namespace, anchor: &VerifiedHeader) -> EthGenesis {
    let mut genesis = EthGenesis {
        timestamp: anchor.timestamp,
        ..EthGenesis::default()
    };
    genesis.config.chain_id = namespace.get();
    for address in accounts::funded(shape.seed) {
        genesis.alloc.entry(address).or_default().balance = balance();
    }
    genesis
}
