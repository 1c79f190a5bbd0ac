//! 100,000 lies, each in a single field of a true transcript or a true proof: every one must be
//! refused.

use std::panic::catch_unwind;

use cortado_lottery::file::{Answer, Instance, SlotAnswer};
use cortado_lottery::lab::families::{Family, Size, instance};
use cortado_lottery::mix::Mix;
use cortado_lottery::{Gwei, Index, Lottery, Member, Opening, OwnerId, Sum, TicketId};

const TRANSCRIPT_LIES: usize = 50_000;
const PROOF_LIES: usize = 50_000;

fn small(family: Family, seed: u64) -> Instance {
    let size = Size {
        namespaces: 12,
        bundles: 20,
        tickets: 60,
        slots: 2,
    };
    instance(family, size, seed).unwrap()
}

fn families() -> impl Iterator<Item = Family> {
    Family::ALL.into_iter().cycle()
}

/// A different number: a neighbour, one bit changed, or something else.
fn other(random: &mut Mix, number: u128, bits: u32) -> u128 {
    let mask = if bits == 128 {
        u128::MAX
    } else {
        (1 << bits) - 1
    };
    loop {
        let lie = mask
            & match random.below(4) {
                0 => number.wrapping_add(1),
                1 => number.wrapping_sub(1),
                2 => number ^ 1 << random.below(bits.into()),
                _ => u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()),
            };
        if lie != number {
            return lie;
        }
    }
}

fn other_hash(random: &mut Mix, hash: &mut [u8; 32]) {
    hash[random.below(32) as usize] ^= 1 << random.below(8);
}

fn truth(instance: &Instance) -> Answer {
    let index = Index::new(&instance.batch);
    let mut lottery = Lottery::new(&index);
    let slots = instance.slots.iter();
    let answer = |slot: &u64| SlotAnswer::new(&index, &lottery.draw(instance.beacon, *slot));
    Answer {
        name: instance.name.clone(),
        slots: slots.map(answer).collect(),
    }
}

/// Changes one field of an answer; tells which.
fn lie(random: &mut Mix, answer: &mut Answer) -> &'static str {
    let at = random.below(answer.slots.len() as u64) as usize;
    let all = answer.slots.clone();
    let slot = &mut answer.slots[at];
    let draws = slot.draws.len();
    let pick = random.below(draws as u64) as usize;
    match random.below(18) {
        0 => {
            answer.name.push('x');
            "name"
        }
        1 => {
            slot.slot = other(random, slot.slot.into(), 64) as u64;
            "slot"
        }
        2 => {
            other_hash(random, &mut slot.seed);
            "seed"
        }
        3 => {
            other_hash(random, &mut slot.transcript_sha256);
            "transcript_sha256"
        }
        4 => {
            let revenue = random.below(slot.revenue.len() as u64) as usize;
            slot.revenue[revenue] = other(random, slot.revenue[revenue], 128);
            "revenue"
        }
        5 => {
            slot.revenue.pop();
            "revenue cut"
        }
        6 => {
            slot.revenue.push(0);
            "revenue longer"
        }
        7 => {
            slot.draws.pop();
            "draws cut"
        }
        8 => {
            let again = slot.draws[pick].clone();
            slot.draws.push(again);
            "draw twice"
        }
        9 if draws > 1 => {
            slot.draws.swap(pick, (pick + 1) % draws);
            "order"
        }
        10 => {
            answer.slots.truncate(all.len() - 1);
            "slots cut"
        }
        11 => {
            slot.draws[pick].k = other(random, slot.draws[pick].k.into(), 32) as u32;
            "k"
        }
        12 => {
            slot.draws[pick].live = other(random, slot.draws[pick].live, 128);
            "live"
        }
        13 => {
            slot.draws[pick].u = other(random, slot.draws[pick].u, 128);
            "u"
        }
        14 => {
            // Another member, a shorter or a longer list, or another draw's bundle.
            let bundle = &mut slot.draws[pick].bundle;
            let member = random.below(bundle.len() as u64) as usize;
            match random.below(3) {
                0 => bundle[member] = other(random, bundle[member].into(), 4) as u32,
                1 => drop(bundle.remove(member)),
                _ => bundle.push(random.below(16) as u32),
            }
            "bundle"
        }
        15 => {
            slot.draws[pick].ticket = other(random, slot.draws[pick].ticket.into(), 64) as u64;
            "ticket"
        }
        16 => {
            slot.draws[pick].pot = other(random, slot.draws[pick].pot, 128);
            "pot"
        }
        _ => {
            let standby = &mut slot.draws[pick].standby;
            *standby = match *standby {
                Some(_) if random.below(2) == 0 => None,
                Some(ticket) => Some(other(random, ticket.into(), 6) as u64),
                None => Some(random.below(60)),
            };
            "standby"
        }
    }
}

#[test]
fn the_verifier_refuses_50_000_transcripts_with_one_false_field() {
    let mut random = Mix::new(1);
    let mut told = 0;
    for (seed, family) in families().enumerate() {
        let instance = small(family, seed as u64);
        let truth = truth(&instance);
        truth.verify(&instance, |_| ()).unwrap();
        for _ in 0..500 {
            let mut claim = truth.clone();
            let field = lie(&mut random, &mut claim);
            assert_ne!(claim, truth, "{field} was not changed");
            let verdict = catch_unwind(|| claim.verify(&instance, |_| ()));
            let verdict = verdict.unwrap_or_else(|_| panic!("a false {field} made it panic"));
            assert!(
                verdict.is_err(),
                "a false {field} went through in {}",
                instance.name
            );
            told += 1;
        }
        if told >= TRANSCRIPT_LIES {
            break;
        }
    }
}

/// Fields of a proof that every proof has, and fields of a step of its path.
const FIELDS: u64 = 11;
const STEP_FIELDS: u64 = 5;

/// Changes one field of a proof.
fn lie_in_proof(random: &mut Mix, proof: &mut Opening) {
    let steps = proof.path.len() as u64;
    let field = random.below(if steps > 0 {
        FIELDS + STEP_FIELDS
    } else {
        FIELDS
    });
    let step = random.below(steps) as usize;
    let other_sum = |random: &mut Mix, sum: Sum| Sum::new(other(random, sum.get(), 128));
    match field {
        0 => other_hash(random, &mut proof.beacon.0),
        1 => proof.slot = other(random, proof.slot.into(), 64) as u64,
        2 => proof.k = other(random, proof.k.into(), 32) as u32,
        3 => proof.live = other_sum(random, proof.live),
        4 => proof.before = other_sum(random, proof.before),
        5 => proof.pot = other_sum(random, proof.pot),
        6 => {
            let at = random.below(proof.members.len() as u64) as usize;
            match random.below(3) {
                0 => {
                    let member = proof.members[at].get().into();
                    proof.members[at] = Member::new(other(random, member, 32) as u32);
                }
                1 => drop(proof.members.remove(at)),
                _ => proof
                    .members
                    .push(Member::new(random.next_u64() as u32 | 16)),
            }
        }
        7 => proof.ticket = TicketId::new(other(random, proof.ticket.get().into(), 64) as u64),
        8 => proof.owner = OwnerId::new(other(random, proof.owner.get().into(), 64) as u64),
        9 => proof.stake = Gwei::new(other(random, proof.stake.get().into(), 64) as u64),
        10 => other_hash(random, &mut proof.commitment),
        11 => proof.path[step].sibling_is_left ^= true,
        12 => other_hash(random, &mut proof.path[step].sibling.hash),
        13 => {
            let sibling = &mut proof.path[step].sibling;
            sibling.sum = other_sum(random, sibling.sum);
        }
        14 => drop(proof.path.remove(step)),
        _ => proof.path.push(proof.path[step]),
    }
}

#[test]
fn the_check_refuses_50_000_proofs_with_one_false_field() {
    let mut random = Mix::new(2);
    let mut told = 0;
    for (seed, family) in families().enumerate() {
        let instance = small(family, seed as u64);
        let index = Index::new(&instance.batch);
        let result = Lottery::new(&index).draw(instance.beacon, 0);
        let holder = |at: u32| Opening::prove(&index, instance.beacon, &result, Member::new(at));
        for truth in (0..12).filter_map(holder) {
            truth.check().unwrap();
            for _ in 0..50 {
                let mut proof = truth.clone();
                lie_in_proof(&mut random, &mut proof);
                assert_ne!(proof, truth);
                let verdict = catch_unwind(|| proof.check());
                let verdict = verdict.unwrap_or_else(|_| panic!("{proof:?} made it panic"));
                assert!(
                    verdict.is_err(),
                    "{proof:?} went through, the truth is {truth:?}"
                );
                told += 1;
            }
        }
        if told >= PROOF_LIES {
            break;
        }
    }
}

#[test]
fn every_single_bit_of_an_encoded_proof_matters() {
    let instance = small(Family::L2Like, 3);
    let index = Index::new(&instance.batch);
    let result = Lottery::new(&index).draw(instance.beacon, 0);
    let namespace = index.members(result.draws[0].pool)[0];
    let proof = Opening::prove(&index, instance.beacon, &result, namespace).unwrap();
    let bytes = proof.encode();
    assert_eq!(Opening::decode(&bytes), Ok(proof));
    for bit in 0..bytes.len() * 8 {
        let mut lie = bytes.clone();
        lie[bit / 8] ^= 1 << (bit % 8);
        let verdict = Opening::decode(&lie)
            .map_err(drop)
            .and_then(|p| p.check().map_err(drop));
        assert_eq!(
            verdict,
            Err(()),
            "bit {bit} of {} makes no difference",
            bytes.len() * 8
        );
    }
    for len in 0..bytes.len() {
        assert!(
            Opening::decode(&bytes[..len]).is_err(),
            "cut to {len} bytes"
        );
    }
}
