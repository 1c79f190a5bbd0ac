//! The fuzz targets on stable: seeded bytes, and seeded damage to true files and proofs.

#[path = "../fuzz/targets.rs"]
mod targets;

use cortado_lottery::file::{self, OneOrMany};
use cortado_lottery::lab::families::{Family, Size, instance};
use cortado_lottery::mix::Mix;
use cortado_lottery::{Index, Lottery, Opening};

fn bytes(random: &mut Mix, most: u64) -> Vec<u8> {
    let len = random.below(most);
    // Small bytes now and then, so that lengths and overlaps are likely.
    let mask = if random.below(2) == 0 { 0xff } else { 0x1f };
    (0..len).map(|_| random.next_u64() as u8 & mask).collect()
}

/// Flips, cuts, doubles or inserts.
fn damage(random: &mut Mix, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len().max(1) as u64) as usize;
        match random.below(5) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.next_u64() as u8),
            3 => {
                let digits = b"0123456789-.e[]{},:\"";
                bytes.insert(at, digits[random.below(digits.len() as u64) as usize]);
            }
            _ => {
                let end = (at + random.below(40) as usize).min(bytes.len());
                let part = bytes[at.min(end)..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
}

#[test]
fn run_and_verify_agree_on_seeded_bytes() {
    let mut random = Mix::new(11);
    for _ in 0..20_000 {
        targets::run_verify(&bytes(&mut random, 600));
    }
}

#[test]
fn the_file_parser_survives_damaged_files() {
    let size = Size {
        namespaces: 8,
        bundles: 10,
        tickets: 20,
        slots: 2,
    };
    let small = |family| instance(family, size, 1).unwrap();
    let one = file::write(&OneOrMany::One(small(Family::L2Like)));
    let many = vec![small(Family::Regions), small(Family::Scheduling)];
    let many = file::write(&OneOrMany::Many(many));
    let mut random = Mix::new(12);
    let mut read = 0;
    for round in 0..20_000 {
        let mut text = if round % 2 == 0 {
            one.clone()
        } else {
            many.clone()
        }
        .into_bytes();
        damage(&mut random, &mut text);
        read += usize::from(file::parse(&text).is_ok());
        targets::file_parser(&text);
    }
    assert!(read > 500, "only {read} damaged files were still files");
    for _ in 0..5_000 {
        targets::file_parser(&bytes(&mut random, 300));
    }
}

#[test]
fn proofs_survive_damage_and_seeded_bytes() {
    let size = Size {
        namespaces: 8,
        bundles: 10,
        tickets: 200,
        slots: 1,
    };
    let instance = instance(Family::L2Like, size, 2).unwrap();
    let index = Index::new(&instance.batch);
    let result = Lottery::new(&index).draw(instance.beacon, 0);
    let namespace = index.members(result.draws[0].pool)[0];
    let proof = Opening::prove(&index, instance.beacon, &result, namespace)
        .unwrap()
        .encode();
    let mut random = Mix::new(13);
    for _ in 0..20_000 {
        let mut damaged = proof.clone();
        damage(&mut random, &mut damaged);
        targets::proofs(&damaged);
        targets::proofs(&bytes(&mut random, 600));
    }
}
