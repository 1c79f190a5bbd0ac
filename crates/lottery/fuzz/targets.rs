//! What is fuzzed, as plain functions of bytes. They panic if a property fails.
#![allow(dead_code, reason = "every fuzz binary uses one of them")]

use arbitrary::{Arbitrary, Unstructured};
use cortado_lottery::file::{self, Answer, Instance, OneOrMany, SlotAnswer};
use cortado_lottery::{
    Batch, Beacon, BundleIndex, Bundles, Gwei, Index, Lottery, Member, Opening, OwnerId, Sum,
    Ticket, TicketId,
};

#[derive(Arbitrary, Debug)]
struct Wish {
    reserves: Vec<u64>,
    bundles: Vec<Vec<u8>>,
    tickets: Vec<(u16, u8, u8, u64)>,
    beacon: [u8; 32],
    slots: Vec<u64>,
    /// Where to lie: slot, draw, field, by how much.
    lie: (u8, u8, u8, u64),
}

/// Namespaces of a fuzzed batch; small numbers make overlaps likely.
const NAMESPACES: usize = 24;
const SLOTS: usize = 4;

fn instance(wish: &Wish) -> Option<Instance> {
    let mut bundles = Bundles::default();
    for bundle in &wish.bundles {
        let mut members: Vec<u32> = bundle
            .iter()
            .map(|member| u32::from(*member) % NAMESPACES as u32)
            .collect();
        members.sort_unstable();
        members.dedup();
        let members: Vec<Member> = members.into_iter().map(Member::new).collect();
        bundles.push(&members).ok()?;
    }
    let reserves = (0..NAMESPACES)
        .map(|at| Gwei::new(wish.reserves.get(at).copied().unwrap_or_default()))
        .collect();
    let count = bundles.len().max(1) as u32;
    let tickets = wish
        .tickets
        .iter()
        .map(|&(id, owner, bundle, stake)| Ticket {
            id: TicketId::new(id.into()),
            owner: OwnerId::new(u64::from(owner) % 4),
            bundle: BundleIndex::new(u32::from(bundle) % count),
            stake: Gwei::new(stake),
        });
    let batch = Batch::new(reserves, bundles, tickets.collect()).ok()?;
    let slots = wish.slots.iter().copied().take(SLOTS).collect();
    Some(Instance {
        name: "fuzz".into(),
        beacon: Beacon(wish.beacon),
        batch,
        slots,
    })
}

fn answer(instance: &Instance) -> Answer {
    let index = Index::new(&instance.batch);
    let mut lottery = Lottery::new(&index);
    let slots = instance.slots.iter();
    let draw = |slot: &u64| SlotAnswer::new(&index, &lottery.draw(instance.beacon, *slot));
    Answer {
        name: instance.name.clone(),
        slots: slots.map(draw).collect(),
    }
}

/// Every batch that is accepted can be drawn; what is drawn verifies; what is changed does not.
pub fn run_verify(data: &[u8]) {
    let Ok(wish) = Wish::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let Some(instance) = instance(&wish) else {
        return;
    };
    let truth = answer(&instance);
    truth
        .verify(&instance, |_| ())
        .expect("what was drawn verifies");

    let (slot, draw, field, by) = wish.lie;
    let mut claim = truth.clone();
    let by = u128::from(by);
    if let Some(slot) = claim.slots.get_mut(slot as usize) {
        let revenue = draw as usize % slot.revenue.len();
        match (slot.draws.get_mut(draw as usize), field % 7) {
            (_, 0) => slot.revenue[revenue] ^= by,
            (Some(draw), 1) => draw.live ^= by,
            (Some(draw), 2) => draw.u ^= by,
            (Some(draw), 3) => draw.pot ^= by,
            (Some(draw), 4) => draw.ticket ^= by as u64,
            (Some(draw), 5) => draw.standby = draw.standby.xor(Some(by as u64)),
            (Some(draw), _) => draw.bundle = vec![by as u32],
            (None, _) => slot.seed[0] ^= by as u8,
        }
    }
    let accepted = claim.verify(&instance, |_| ()).is_ok();
    assert_eq!(
        accepted,
        claim == truth,
        "a changed claim was accepted, or the truth refused"
    );
}

/// No bytes make the parsers panic; what parses is written and read back the same.
pub fn file_parser(data: &[u8]) {
    let _ = file::parse_answers(data);
    let Ok(parsed) = file::parse(data) else {
        return;
    };
    let text = file::write(&parsed);
    assert_eq!(file::parse(text.as_bytes()).as_ref(), Ok(&parsed), "{text}");
    if let OneOrMany::One(instance) = &parsed
        && instance.slots.len() <= SLOTS
        && instance.batch.reserves().len() <= 1_000
    {
        answer(instance)
            .verify(instance, |_| ())
            .expect("what was drawn verifies");
    }
}

/// Bytes are no proof, or the only encoding of what they decode to; checking never panics. Every
/// true proof holds, and with any field of its ticket changed does not.
pub fn proofs(data: &[u8]) {
    if let Ok(opening) = Opening::decode(data) {
        assert_eq!(opening.encode(), data);
        let _ = opening.check();
    }
    let Ok(wish) = Wish::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let Some(instance) = instance(&wish) else {
        return;
    };
    let index = Index::new(&instance.batch);
    let slot = instance.slots.first().copied().unwrap_or_default();
    let result = Lottery::new(&index).draw(instance.beacon, slot);
    let namespace = Member::new(u32::from(wish.lie.0) % NAMESPACES as u32);
    let truth = Opening::prove(&index, instance.beacon, &result, namespace);
    assert_eq!(
        truth.is_some(),
        result.holder_of(&index, namespace).is_some()
    );
    let Some(truth) = truth else { return };
    truth.check().expect("a true proof holds");
    let mut lie = truth.clone();
    match wish.lie.2 % 5 {
        0 => lie.ticket = TicketId::new(lie.ticket.get() ^ wish.lie.3),
        1 => lie.owner = OwnerId::new(lie.owner.get() ^ wish.lie.3),
        2 => lie.stake = Gwei::new(lie.stake.get() ^ wish.lie.3),
        3 => lie.before = Sum::new(lie.before.get() ^ u128::from(wish.lie.3)),
        _ => lie.pot = Sum::new(lie.pot.get() ^ u128::from(wish.lie.3)),
    }
    assert_eq!(lie.check().is_ok(), lie == truth);
}
