//! `cortado stake`: seats are held by stake on L1, from the next epoch on.

mod words;

use crate::{
    contracts::{AccountArgs, load_addresses},
    logs,
    service::runtime,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use cortado_contracts::{
    Addresses, KeyRegistration,
    registry::{OperatorView, Registry, RegistryError},
    rpc::{L1, Rpc},
    sender::{Intent, Outcome, Sender},
    staking,
};
use cortado_node::keys::{self, SeatKeys};
use cortado_types::Address;
use std::{path::PathBuf, sync::Arc};
use words::{ether, parse_ether, span, when};

/// Arguments of `cortado stake`.
#[derive(Args)]
pub struct StakeArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// What `cortado contracts deploy` wrote.
    #[arg(long, value_name = "FILE")]
    contracts: PathBuf,
    #[command(flatten)]
    account: AccountArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Become an operator with a stake, and register keys for seats.
    Register {
        #[command(flatten)]
        common: Common,
        /// Stake in ether; not needed to register further keys.
        #[arg(long, value_name = "ETHER")]
        stake: Option<String>,
        /// Key files of seats (`cortado keys seat`).
        #[arg(long = "seat", value_name = "FILE")]
        seats: Vec<PathBuf>,
    },
    /// Add to the stake.
    Deposit {
        #[command(flatten)]
        common: Common,
        /// Amount in ether.
        amount: String,
    },
    /// Take stake out; it leaves after the unbonding time.
    Exit {
        #[command(flatten)]
        common: Common,
        /// Amount in ether, or `all`.
        amount: String,
    },
    /// Pay out what has finished leaving.
    Withdraw {
        #[command(flatten)]
        common: Common,
        /// Who gets it; the operator's account if absent.
        #[arg(long)]
        to: Option<Address>,
    },
    /// Show an operator, and what happens next.
    Status {
        /// What `cortado contracts deploy` wrote.
        #[arg(long, value_name = "FILE")]
        contracts: PathBuf,
        /// Ethereum JSON-RPC of the L1.
        #[arg(long, value_name = "URL")]
        rpc: String,
        /// The operator's account; all operators if absent.
        #[arg(long)]
        owner: Option<Address>,
    },
    /// Settle the seats of this epoch from stake and keys.
    Settle {
        #[command(flatten)]
        common: Common,
    },
}

/// Runs `cortado stake`.
pub fn run(args: StakeArgs) -> Result<()> {
    logs::to_stderr();
    runtime()?.block_on(async {
        match args.command {
            Command::Register {
                common,
                stake,
                seats,
            } => register(&Operator::open(&common).await?, stake, &seats).await,
            Command::Deposit { common, amount } => {
                deposit(&Operator::open(&common).await?, &amount).await
            }
            Command::Exit { common, amount } => {
                exit(&Operator::open(&common).await?, &amount).await
            }
            Command::Withdraw { common, to } => withdraw(&Operator::open(&common).await?, to).await,
            Command::Status {
                contracts,
                rpc,
                owner,
            } => {
                let at = load_addresses(&contracts)?;
                let l1: Arc<dyn L1> = Arc::new(Rpc::new(&rpc)?);
                on_chain(&at, l1.chain_id().await?)?;
                let view = View::open(l1, at).await?;
                status(&view, owner).await
            }
            Command::Settle { common } => settle(&Operator::open(&common).await?).await,
        }
    })
}

fn on_chain(at: &Addresses, chain_id: u64) -> Result<()> {
    if at.l1_chain_id != chain_id {
        bail!(
            "the L1 node is of chain {chain_id}, the contracts are on {}",
            at.l1_chain_id
        );
    }
    Ok(())
}

/// The registry and its clock.
struct View {
    l1: Arc<dyn L1>,
    at: Addresses,
    registry: Registry,
    genesis: u64,
    epoch_seconds: u64,
    unbonding_seconds: u64,
}

impl View {
    async fn open(l1: Arc<dyn L1>, at: Addresses) -> Result<Self> {
        let registry = Registry::new(l1.clone(), at.registry);
        let (genesis, epoch_seconds) = registry.clock().await?;
        let unbonding_seconds = registry.unbonding_seconds().await?;
        Ok(Self {
            l1,
            at,
            registry,
            genesis,
            epoch_seconds,
            unbonding_seconds,
        })
    }

    fn epoch_start(&self, epoch: u64) -> u64 {
        self.genesis
            .saturating_add(epoch.saturating_mul(self.epoch_seconds))
    }

    /// The time of the newest L1 block, by which contracts go.
    async fn now(&self) -> Result<u64> {
        Ok(self.l1.head().await?.timestamp)
    }

    /// From when a change of an operator counts, in words. The registry knows the epoch; what the
    /// clock says now may be the next one already.
    async fn counts_from(&self, operator: u32) -> Result<String> {
        let epoch = self.registry.operator(operator).await?.change_at;
        Ok(format!(
            "epoch {epoch}, {}",
            when(self.epoch_start(epoch), self.now().await?)
        ))
    }
}

/// An account that acts on the registry.
struct Operator {
    view: View,
    sender: Sender,
}

impl Operator {
    async fn open(common: &Common) -> Result<Self> {
        let at = load_addresses(&common.contracts)?;
        let sender = common.account.sender().await?;
        on_chain(&at, sender.chain_id())?;
        let view = View::open(sender.l1().clone(), at).await?;
        Ok(Self { view, sender })
    }

    async fn number(&self) -> Result<u32> {
        let owner = self.sender.account();
        self.view
            .registry
            .operator_of(owner)
            .await?
            .with_context(|| {
                format!("account {owner} is no operator: `cortado stake register` first")
            })
    }

    /// Sends, and says what was paid. Whether it was needed.
    async fn submit(&self, intent: Intent) -> Result<bool> {
        let label = intent.label.clone();
        match self.sender.submit(intent).await? {
            Outcome::Included { hash, receipt } => {
                println!(
                    "{label}: in block {} ({hash}), {} gas",
                    receipt.block_number, receipt.gas_used
                );
                Ok(true)
            }
            Outcome::NotWanted => {
                println!("{label}: already done");
                Ok(false)
            }
        }
    }
}

async fn register(operator: &Operator, stake: Option<String>, seats: &[PathBuf]) -> Result<()> {
    let (view, owner) = (&operator.view, operator.sender.account());
    let registry = &view.registry;
    // Key files are read before anything is paid.
    let mut registrations = Vec::with_capacity(seats.len());
    for path in seats {
        let keys: SeatKeys = keys::load_for(path, operator.sender.chain_id())?;
        let seat = keys.seat(0)?;
        let secret = keys.secret_bls()?;
        registrations.push(KeyRegistration::new(
            view.at.chain_id,
            view.at.registry,
            owner,
            seat.identity,
            &secret,
        ));
    }
    if registry.operator_of(owner).await?.is_none() {
        let Some(stake) = stake else {
            bail!("account {owner} is no operator yet: give --stake");
        };
        let gwei = parse_ether(&stake)?;
        operator
            .submit(staking::register_operator(registry, owner, gwei))
            .await?;
        let from = view.counts_from(operator.number().await?).await?;
        println!("{} count from {from}.", ether(gwei));
    } else if stake.is_some() {
        println!("The account is an operator already; `cortado stake deposit` adds to its stake.");
    }
    let number = operator.number().await?;
    let intents = staking::register_keys(registry, number, &registrations).await?;
    if intents.is_empty() && !registrations.is_empty() {
        println!("All keys are registered already.");
    }
    for intent in intents {
        operator.submit(intent).await?;
        println!("The keys may sit from {}.", view.counts_from(number).await?);
    }
    println!(
        "Seats follow with the first settlement after that, once the chain has seen it final."
    );
    Ok(())
}

async fn deposit(operator: &Operator, amount: &str) -> Result<()> {
    let gwei = parse_ether(amount)?;
    let number = operator.number().await?;
    let registry = &operator.view.registry;
    let before = registry.operator(number).await?.bonded_gwei;
    operator
        .submit(staking::deposit(registry, number, before, gwei))
        .await?;
    println!(
        "{} more count from {}.",
        ether(gwei),
        operator.view.counts_from(number).await?
    );
    Ok(())
}

async fn exit(operator: &Operator, amount: &str) -> Result<()> {
    let number = operator.number().await?;
    let (view, registry) = (&operator.view, &operator.view.registry);
    let before = registry.operator(number).await?;
    let gwei = match amount {
        "all" => before.bonded_gwei,
        _ => parse_ether(amount)?,
    };
    if gwei == 0 || gwei > before.bonded_gwei {
        bail!(
            "operator {number} has {} bonded, {} cannot leave",
            ether(before.bonded_gwei),
            ether(gwei)
        );
    }
    operator
        .submit(staking::exit(registry, number, before.bonded_gwei, gwei))
        .await?;
    let (after, now) = (registry.operator(number).await?, view.now().await?);
    println!(
        "{} do not count any more from {}. They can still be confiscated until they leave, and may \
         leave {} (unbonding takes {}).",
        ether(gwei),
        view.counts_from(number).await?,
        when(after.release_at, now),
        span(view.unbonding_seconds)
    );
    Ok(())
}

async fn withdraw(operator: &Operator, to: Option<Address>) -> Result<()> {
    let number = operator.number().await?;
    let (view, registry) = (&operator.view, &operator.view.registry);
    let (found, now) = (registry.operator(number).await?, view.now().await?);
    if found.unbonding_gwei == 0 {
        bail!("nothing is leaving: `cortado stake exit` first");
    }
    let from = found.release_at.max(found.frozen_until);
    if now < from {
        let why = if found.frozen_until > found.release_at {
            "frozen by evidence or an accusation until then"
        } else {
            "still unbonding"
        };
        bail!(
            "{} may leave {}: {why}",
            ether(found.unbonding_gwei),
            when(from, now)
        );
    }
    let to = to.unwrap_or_else(|| operator.sender.account());
    operator
        .submit(staking::withdraw(registry, number, to))
        .await?;
    println!("{} were paid out to {to}.", ether(found.unbonding_gwei));
    Ok(())
}

async fn settle(operator: &Operator) -> Result<()> {
    let registry = &operator.view.registry;
    let allocation = registry.allocation().await?;
    println!(
        "Epoch {}: {} seats at {} each.",
        allocation.epoch,
        allocation.seats.len(),
        ether(allocation.price_gwei)
    );
    if !registry.changes(&allocation).await? {
        println!("Nothing to settle: these seats are settled, or this epoch was.");
        return Ok(());
    }
    operator
        .submit(staking::settle(registry, &allocation))
        .await?;
    println!("The chain follows once the settlement is final on L1, at the end of its term.");
    Ok(())
}

async fn status(view: &View, owner: Option<Address>) -> Result<()> {
    let registry = &view.registry;
    let (now, epoch) = (view.now().await?, registry.epoch().await?);
    println!(
        "Epoch {epoch} since {}; the next starts {}.",
        when(view.epoch_start(epoch), now),
        when(view.epoch_start(epoch + 1), now)
    );
    match registry.latest().await? {
        None => println!("No seats were settled yet."),
        Some(settled) => println!(
            "Settled in epoch {}: seats {} at {} each.",
            settled.epoch,
            settled.seats,
            ether(settled.price_gwei)
        ),
    }
    let keys = registry.keys().await?;
    let shares = match registry.allocation().await {
        Ok(allocation) => {
            println!(
                "Stake and keys now give {} seats at {} each{}.",
                allocation.seats.len(),
                ether(allocation.price_gwei),
                if registry.changes(&allocation).await? {
                    ": `cortado stake settle` would change the seats"
                } else {
                    ""
                }
            );
            allocation.shares
        }
        Err(RegistryError::Set(error)) => {
            println!("Stake and keys now give no seat set: {error}");
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    let numbers: Vec<u32> = match owner {
        Some(owner) => vec![
            registry
                .operator_of(owner)
                .await?
                .with_context(|| format!("{owner} is no operator"))?,
        ],
        None => (1..=registry.operators().await?).collect(),
    };
    for number in numbers {
        let found = registry.operator(number).await?;
        let own: Vec<_> = keys.iter().filter(|key| key.operator == number).collect();
        let active = own.iter().filter(|key| key.is_active(epoch)).count();
        let seats = shares.get(number as usize - 1).copied().unwrap_or(0);
        println!("\nOperator {number}, {}", found.owner);
        println!(
            "  stake  {} bonded, {} restaked; {} count now",
            ether(found.bonded_gwei),
            ether(found.restaked_gwei),
            ether(found.stake_gwei)
        );
        println!(
            "  seats  {seats} by stake and keys, {active} of {} keys active",
            own.len()
        );
        for line in next(view, &found, epoch, now) {
            println!("  next   {line}");
        }
        for key in own {
            let state = match key.until {
                _ if key.taken_gwei > 0 => {
                    format!("slashed for {}", ether(key.taken_gwei))
                }
                Some(until) if until <= epoch => "retired".to_owned(),
                Some(until) => format!("retires {}", when(view.epoch_start(until), now)),
                None if key.from > epoch => {
                    format!("may sit {}", when(view.epoch_start(key.from), now))
                }
                None => "active".to_owned(),
            };
            println!(
                "  key    {} {} {state}",
                key.seat.registry_index, key.seat.identity
            );
        }
    }
    Ok(())
}

/// What happens to an operator by itself, or can be done.
fn next(view: &View, found: &OperatorView, epoch: u64, now: u64) -> Vec<String> {
    let mut lines = Vec::new();
    if found.change_at > epoch && found.next_stake_gwei != found.stake_gwei {
        lines.push(format!(
            "{} count from epoch {}, {}",
            ether(found.next_stake_gwei),
            found.change_at,
            when(view.epoch_start(found.change_at), now)
        ));
    }
    if found.unbonding_gwei > 0 {
        let from = found.release_at.max(found.frozen_until);
        let leaving = ether(found.unbonding_gwei);
        lines.push(if now < from {
            format!("{leaving} may leave {}", when(from, now))
        } else {
            format!("{leaving} may leave: `cortado stake withdraw`")
        });
    }
    if found.frozen_until > now {
        lines.push(format!("frozen until {}", when(found.frozen_until, now)));
    }
    lines
}
