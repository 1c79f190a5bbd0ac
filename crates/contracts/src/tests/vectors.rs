//! The same certificate for the Rust client and for the contract.

use super::support::*;
use crate::{
    GenesisOperator, SeatSecret, abi::LightClient, finality::update_call, plan::LightClientSettings,
};
use alloy_primitives::{Address, B256, U256};
use cortado_types::{
    FinalityCertificate, Genesis, Header, Seat, SeatBitmap, SeatSet, Term, View, bls::SecretBls,
    codec, decode_exact, keccak256,
};
use serde_json::Value;

const RECORDED: &str = include_str!("../../../../vectors/finality.json");

fn field<T: serde::de::DeserializeOwned>(value: &Value, name: &str) -> T {
    serde_json::from_value(value[name].clone()).unwrap()
}

struct Recorded {
    genesis: Genesis,
    seats: Vec<Seat>,
    header: Header,
    certificate: FinalityCertificate,
}

fn recorded() -> Recorded {
    let all: Value = serde_json::from_str(RECORDED).unwrap();
    let answers = &all["answers"];
    let raw: alloy_primitives::Bytes = field(&answers["/v1/blocks/3/header"], "header_rlp");
    let view = &answers["/v1/blocks/3/certificate"];
    let bitmap: alloy_primitives::Bytes = field(view, "bitmap");
    Recorded {
        genesis: serde_json::from_value(answers["/v1/genesis"].clone()).unwrap(),
        seats: field(&answers["/v1/seats/0"], "seats"),
        header: decode_exact("header", &raw, 1 << 10).unwrap(),
        certificate: FinalityCertificate {
            term: Term::new(field(view, "epoch")),
            view: View::new(field(view, "view")),
            parent_view: View::new(field(view, "parent_view")),
            payload: field(view, "payload"),
            signers: SeatBitmap::from_bytes(bitmap),
            signature: field(view, "signature"),
        },
    }
}

/// The recorded seats' secrets are public: derived from a byte and their position.
fn secrets(seats: &[Seat]) -> Vec<SeatSecret> {
    let derive = |seed: u8, position: u8| {
        let mut material = [seed; 32];
        material[0] = position;
        SecretBls::derive(&material).unwrap()
    };
    let seed = (0..=255)
        .find(|seed| derive(*seed, 0).public() == seats[0].bls)
        .expect("a seed");
    (0..)
        .zip(seats)
        .map(|(position, seat)| SeatSecret {
            identity: seat.identity,
            bls: derive(seed, position),
        })
        .collect()
}

/// A chain with the recorded seats and a started light client.
fn world(recorded: &Recorded) -> (World, Address) {
    let config = config(recorded.genesis.chain_id.get());
    let operator = GenesisOperator {
        owner: Address::repeat_byte(1),
        stake_gwei: 8 * ETHER,
        seats: secrets(&recorded.seats),
    };
    let mut world = World::new(&config, &[operator]);
    assert_eq!(world.plan.seats, recorded.seats);
    // The recorded chain began when this one did.
    let anchor = cortado_chain::State::genesis(&recorded.genesis)
        .unwrap()
        .genesis_block()
        .header;
    let mut later = config;
    later.light_client = Some(LightClientSettings {
        anchor: codec::encode(&anchor).into(),
        seats: recorded.seats.clone(),
        nonce: Some(4),
    });
    let step = later.steps(deployer()).unwrap().pop().unwrap();
    let create = crate::GenesisTransaction {
        from: deployer(),
        to: None,
        value: U256::ZERO,
        input: step.init_code,
        timestamp: 0,
    };
    let created = world.send(1, create).unwrap().created;
    assert_eq!(created, Some(step.address));
    let start = LightClient::startCall {
        header: codec::encode(&anchor).into(),
        seats: world.plan.list.clone().into(),
    };
    world.call(deployer(), step.address, 0, &start).unwrap();
    (world, step.address)
}

#[test]
fn the_recorded_certificate_is_accepted_by_the_client_and_by_the_contract() {
    let recorded = recorded();
    let Recorded {
        header,
        certificate,
        ..
    } = &recorded;
    let seats = SeatSet::new(recorded.seats.clone()).unwrap();
    certificate
        .verify(header.hash(), header.chain_id, Term::ZERO, &seats)
        .expect("by the client");
    let (mut world, light) = world(&recorded);
    let input = update_call(header, certificate, None).unwrap();
    let outcome = world
        .call_raw(deployer(), light, 0, input)
        .expect("by the contract");
    assert!(outcome.gas_used < 190_000, "{} gas", outcome.gas_used);
    let stored = world.view(light, &LightClient::headerAtCall { height: 3 });
    assert_eq!(stored, header.hash());
}

#[test]
fn altered_certificates_are_refused_by_the_client_and_by_the_contract() {
    let recorded = recorded();
    let (header, good) = (&recorded.header, &recorded.certificate);
    let seats = SeatSet::new(recorded.seats.clone()).unwrap();
    let (mut world, light) = world(&recorded);
    let altered = |change: &dyn Fn(&mut FinalityCertificate)| {
        let mut certificate = good.clone();
        change(&mut certificate);
        certificate
    };
    for (certificate, name) in [
        (altered(&|c| c.view = View::new(4)), "WrongSignature"),
        (altered(&|c| c.parent_view = View::new(1)), "WrongSignature"),
        (
            altered(&|c| c.signers = SeatBitmap::from_bytes(vec![0x0b])),
            "WrongSignature",
        ),
        (
            altered(&|c| c.signers = SeatBitmap::from_bytes(vec![0x03])),
            "BelowQuorum",
        ),
        (
            altered(&|c| c.signers = SeatBitmap::from_bytes(vec![0x17])),
            "WrongBitmap",
        ),
        (
            altered(&|c| c.signers = SeatBitmap::from_bytes(vec![0x07, 0])),
            "WrongBitmap",
        ),
    ] {
        assert!(
            certificate
                .verify(header.hash(), header.chain_id, Term::ZERO, &seats)
                .is_err()
        );
        let input = update_call(header, &certificate, None).unwrap();
        let error = world.call_raw(deployer(), light, 0, input).expect_err(name);
        assert!(error.contains(name), "{error}, expected {name}");
    }
    // Another header under the same certificate.
    let mut other = header.clone();
    other.state_root = keccak256("another");
    let input = update_call(&other, good, None).unwrap();
    world
        .call_raw(deployer(), light, 0, input)
        .expect_err("another header");
    assert_eq!(
        world.view(light, &LightClient::headerAtCall { height: 3 }),
        B256::ZERO
    );
}
