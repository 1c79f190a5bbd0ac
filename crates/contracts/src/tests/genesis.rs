//! Deployment, registration and settlement, without a network.

use super::support::*;
use crate::{
    abi::{Inbox, Registry, Slasher, ValidatorRegister},
    genesis::{GenesisError, GenesisPlan, places},
    plan::{Contract, InboxSettings, PlanError},
    registration::KeyRegistration,
    seats::SeatsError,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use cortado_types::{ChainId, Namespace, SeatSet};

#[test]
fn a_genesis_has_contracts_operators_and_settled_seats() {
    let config = config(9_009);
    let world = World::new(&config, &operators(&[(5, 2), (4, 2), (3, 1), (2, 1)]));
    let at = world.plan.addresses.clone();
    assert_eq!(
        world.view(at.slasher, &Slasher::REGISTRYCall {}),
        at.registry
    );
    assert_eq!(
        world.view(at.registry, &Registry::SLASHERCall {}),
        at.slasher
    );
    assert_eq!(
        world.view(at.validator_register, &ValidatorRegister::CHAIN_IDCall {}),
        9_009
    );
    assert_eq!(world.view(at.registry, &Registry::operatorCountCall {}), 4);
    assert_eq!(world.view(at.registry, &Registry::keyCountCall {}), 6);
    let seats = SeatSet::new(world.plan.seats.clone()).unwrap();
    assert_eq!(
        world.view(at.registry, &Registry::latestCall {}),
        seats.hash()
    );
    let settled = world.view(
        at.registry,
        &Registry::settlementCall {
            seats: seats.hash(),
        },
    );
    assert_eq!(settled.price, world.plan.price_gwei);
    assert_eq!(settled.seats, 6);
    assert_eq!(settled.epoch.to::<u64>(), 1);
}

#[test]
fn a_genesis_leaves_no_ether_but_the_stake_and_nonces_go_on() {
    let plan = GenesisPlan::new(
        &config(1),
        deployer(),
        &operators(&[(5, 2), (4, 2)]),
        GENESIS,
    )
    .unwrap();
    let alloc = plan.alloc().unwrap();
    let total: U256 = alloc.values().map(|account| account.balance).sum();
    assert_eq!(total, U256::from(9 * ETHER) * U256::from(crate::plan::GWEI));
    assert_eq!(alloc[&plan.addresses.registry].balance, total);
    // Three contracts and one settlement; registration of the operator and of its keys.
    assert_eq!(alloc[&deployer()].nonce, Some(4));
    assert_eq!(alloc[&Address::repeat_byte(1)].nonce, Some(2));
    for (system, _) in cortado_evm::genesis::system_contracts() {
        assert!(!alloc.contains_key(&system));
    }
}

fn inbox(namespace: u64, nonce: Option<u64>) -> InboxSettings {
    InboxSettings {
        namespace: Namespace::new(namespace),
        nonce,
    }
}

#[test]
fn inboxes_of_a_genesis_know_their_rollup_and_keep_what_is_deposited() {
    let mut config = config(9_009);
    config.inboxes = vec![inbox(42_001, None), inbox(42_002, None)];
    let mut world = World::new(&config, &operators(&[(5, 4)]));
    let at = world.plan.addresses.inboxes.clone();
    for (namespace, inbox) in &at {
        let found = world.view(*inbox, &Inbox::NAMESPACECall {});
        assert_eq!(found, namespace.get());
        assert_eq!(world.view(*inbox, &Inbox::countCall {}), U256::ZERO);
    }
    // Two entries, and what they come to by hand.
    let inbox = at[&Namespace::new(42_001)];
    let (from, to) = (Address::repeat_byte(5), Address::repeat_byte(6));
    let mut accumulator = B256::ZERO;
    for gwei in [3_u64, 4] {
        let call = Inbox::depositCall { to };
        world.call(from, inbox, gwei, &call).expect("queued");
        let wei = U256::from(gwei) * U256::from(crate::plan::GWEI);
        let entry = [
            &21_000_u64.to_be_bytes()[..],
            &to[..],
            &wei.to_be_bytes::<32>(),
        ]
        .concat();
        accumulator = keccak256([accumulator, keccak256(entry)].concat());
    }
    assert_eq!(world.view(inbox, &Inbox::accumulatorCall {}), accumulator);
    assert_eq!(world.view(inbox, &Inbox::countCall {}), U256::from(2));
    let other = at[&Namespace::new(42_002)];
    assert_eq!(world.view(other, &Inbox::countCall {}), U256::ZERO);
    let refused = world.call(from, inbox, 0, &Inbox::depositCall { to });
    assert!(refused.expect_err("nothing").contains("ZeroValue"));
}

#[test]
fn places_of_inboxes_are_their_own_and_a_rollup_that_joins_moves_nothing() {
    let mut config = config(1);
    config.inboxes = vec![inbox(7, None), inbox(8, None)];
    let before = config.addresses(deployer());
    // The deployer has sent a settlement, and perhaps more, since.
    config.inboxes.push(inbox(9, Some(12)));
    config.inboxes.insert(0, inbox(10, Some(6)));
    let after = config.addresses(deployer());
    for namespace in [7, 8].map(Namespace::new) {
        assert_eq!(before.inboxes[&namespace], after.inboxes[&namespace]);
    }
    let nonces: Vec<u64> = config
        .steps(deployer())
        .unwrap()
        .iter()
        .map(|step| step.nonce)
        .collect();
    assert_eq!(nonces, [0, 1, 2, 3, 4, 6, 12]);

    let refused = |inboxes: &[InboxSettings]| {
        let mut config = config.clone();
        config.inboxes = inboxes.to_vec();
        config.check().expect_err("refused")
    };
    let namespace = Namespace::new(7);
    assert_eq!(
        refused(&[inbox(7, None), inbox(7, Some(9))]),
        PlanError::InboxTwice { namespace }
    );
    assert_eq!(
        refused(&[inbox(1, None)]),
        PlanError::NoRollup {
            namespace: Namespace::ROFR
        }
    );
    assert_eq!(
        refused(&[inbox(7, Some(2))]),
        PlanError::Nonce {
            contract: Contract::Inbox(namespace),
            nonce: 2,
            least: 3
        }
    );
    assert_eq!(
        refused(&[inbox(8, Some(3)), inbox(7, None)]),
        PlanError::SameNonce {
            contract: Contract::Inbox(namespace),
            other: Contract::Inbox(Namespace::new(8)),
            nonce: 3
        }
    );
}

#[test]
fn the_pages_of_a_genesis_hold_what_was_registered() {
    let world = World::new(&config(1), &operators(&[(5, 2), (4, 2), (60, 60)]));
    let registry = world.plan.addresses.registry;
    let alloc = world.plan.alloc().unwrap();
    let places = places(registry, &alloc).unwrap();
    assert_eq!(places.keys().count(), 64);
    // The third operator's keys did not fit one transaction.
    assert_eq!(world.view(registry, &Registry::pageCountCall {}), 4);
    for (seat, place) in places.keys() {
        let state = world.view(
            registry,
            &Registry::keyAtCall {
                page: U256::from(place.page),
                place: U256::from(place.entry),
            },
        );
        assert_eq!(state.index, seat.registry_index);
        let code = world.code(&crate::seats::page_address(registry, place.page));
        let entries = crate::seats::decode_page(place.page, &code).unwrap();
        assert!(entries.contains(&(seat.clone(), place)));
    }
    assert_eq!(places.list(&world.plan.seats).unwrap(), world.plan.list);
}

#[test]
fn seven_operators_with_a_few_keys_each_make_a_genesis() {
    let world = World::new(&config(1), &operators(&[(10, 3); 7]));
    assert_eq!(world.plan.seats.len(), 21);
    assert_eq!(world.plan.price_gwei, 10 * ETHER / 3);
}

#[test]
fn a_proof_of_possession_is_of_one_chain_registry_and_owner() {
    let config = config(9_009);
    let mut world = World::new(&config, &operators(&[(5, 2), (4, 2)]));
    let registry = world.plan.addresses.registry;
    let owner = Address::repeat_byte(1);
    let key = secret(9, 9);
    let mut try_with = |chain: u64, at: Address, by: Address| {
        let made = KeyRegistration::new(ChainId::new(chain), at, by, key.identity, &key.bls);
        let keys = vec![made.to_abi().unwrap()];
        let input = Registry::registerKeysCall { operator: 1, keys };
        world.call(owner, registry, 0, &input)
    };
    for (chain, at, by) in [
        (9_010, registry, owner),
        (9_009, Address::repeat_byte(3), owner),
        (9_009, registry, Address::repeat_byte(2)),
    ] {
        let error = try_with(chain, at, by).expect_err("another's proof");
        assert!(error.contains("WrongSignature"), "{error}");
    }
    try_with(9_009, registry, owner).expect("accepted");
}

#[test]
fn a_configuration_that_the_constructors_would_refuse_is_refused_first() {
    let refused = |change: fn(&mut crate::DeployConfig)| {
        let mut config = config(1);
        change(&mut config);
        config.check().expect_err("refused")
    };
    assert_eq!(
        refused(|config| config.registry.epoch_seconds = 0),
        PlanError::EpochLength
    );
    assert_eq!(
        refused(|config| config.registry.unbonding_seconds = 176_400),
        PlanError::Unbonding {
            unbonding: 176_400,
            least: 176_400
        }
    );
    assert_eq!(
        refused(|config| config.registry.min_seat_gwei = 0),
        PlanError::FreeSeat
    );
    assert_eq!(
        refused(|config| config.registry.seats_max = 3),
        PlanError::SeatsMax { seats: 3 }
    );
    let config = config(1);
    let late = GenesisPlan::new(&config, deployer(), &operators(&[(5, 4)]), GENESIS + 1);
    assert!(matches!(late, Err(GenesisError::Time { .. })), "{late:?}");
    let few = GenesisPlan::new(&config, deployer(), &operators(&[(3, 4)]), GENESIS);
    assert!(matches!(few, Err(GenesisError::Set(_))), "{few:?}");
}

#[test]
fn a_page_that_the_registry_cannot_have_written_is_refused() {
    let world = World::new(&config(1), &operators(&[(5, 4)]));
    let code = world.code(&crate::seats::page_address(
        world.plan.addresses.registry,
        1,
    ));
    let mut places = crate::Places::default();
    assert!(matches!(
        places.add_page(1, &code[1..]),
        Err(SeatsError::Page { page: 1, .. })
    ));
    let mut broken = code.to_vec();
    broken[1] = 0;
    assert!(places.add_page(1, &broken).is_err());
    places.add_page(1, &code).expect("the true one");
    let mut stranger = world.plan.seats[0].clone();
    stranger.registry_index = 99;
    assert_eq!(
        places.list(std::slice::from_ref(&stranger)),
        Err(SeatsError::NotRegistered {
            identity: stranger.identity,
            index: 99
        })
    );
}
