//! Reading instances.
//!
//! The first pass reads everything within its limits and lets [`Batch::new`] judge. Only if that
//! refuses, a second pass that knows the sizes in advance repeats every check at the value it
//! concerns, so that the error carries its line whatever the order of the fields.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{FILE_BYTES_MAX, FileError, Instance, OneOrMany, SLOTS_MAX, hash_from_hex};
use crate::amount::Gwei;
use crate::batch::{
    BUNDLE_MEMBERS_MAX, Batch, BatchError, BundleIndex, Bundles, Member, NAMESPACES_MAX, OwnerId,
    TICKETS_MAX, Ticket, TicketId,
};
use crate::uniform::Beacon;

/// Reads an instance file.
///
/// # Errors
/// A [`FileError`] with line, column and the offending value.
pub fn parse(bytes: &[u8]) -> Result<OneOrMany<Instance>, FileError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLong);
    }
    let mut shapes = Vec::new();
    let first = read(
        bytes,
        &mut FileVisitor {
            known: None,
            shapes: &mut shapes,
        },
    );
    match first {
        Err(_) if !shapes.is_empty() => {
            let mut again = Vec::new();
            read(
                bytes,
                &mut FileVisitor {
                    known: Some(&shapes),
                    shapes: &mut again,
                },
            )
        }
        read => read,
    }
}

fn read(bytes: &[u8], visitor: &mut FileVisitor<'_>) -> Result<OneOrMany<Instance>, FileError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let file = json.deserialize_any(visitor)?;
    json.end()?;
    Ok(file)
}

/// The sizes the fields of an instance refer to.
#[derive(Clone, Copy, Debug)]
struct Shape {
    namespaces: u64,
    bundles: usize,
}

struct FileVisitor<'a> {
    /// Sizes of the instances, from the first pass.
    known: Option<&'a [Shape]>,
    /// Sizes found by this pass.
    shapes: &'a mut Vec<Shape>,
}

impl<'de> Visitor<'de> for &mut FileVisitor<'_> {
    type Value = OneOrMany<Instance>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instance or an array of instances")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        self.instance().visit_map(map).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut instances = Vec::new();
        while let Some(instance) = items.next_element_seed(self.instance())? {
            instances.push(instance);
        }
        Ok(OneOrMany::Many(instances))
    }
}

impl FileVisitor<'_> {
    fn instance(&mut self) -> InstanceVisitor<'_> {
        let known = self
            .known
            .and_then(|known| known.get(self.shapes.len()))
            .copied();
        InstanceVisitor {
            known,
            shapes: self.shapes,
        }
    }
}

struct InstanceVisitor<'a> {
    known: Option<Shape>,
    shapes: &'a mut Vec<Shape>,
}

impl<'de> DeserializeSeed<'de> for InstanceVisitor<'_> {
    type Value = Instance;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Instance, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for InstanceVisitor<'_> {
    type Value = Instance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instance: an object with name, n, beacon, reserve, bundles, tickets, slots")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Instance, A::Error> {
        let mut name = Field::new("name");
        let mut namespaces = Field::new("n");
        let mut beacon = Field::new("beacon");
        let mut reserve = Field::new("reserve");
        let mut bundles = Field::new("bundles");
        let mut tickets = Field::new("tickets");
        let mut slots = Field::new("slots");
        let known = self.known;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name.set(map.next_value()?)?,
                "n" => namespaces.set(map.next_value_seed(Count)?)?,
                "beacon" => beacon.set(map.next_value_seed(BeaconSeed)?)?,
                "reserve" => {
                    let namespaces = known.map(|shape| shape.namespaces);
                    reserve.set(map.next_value_seed(ReserveSeed { namespaces })?)?;
                }
                "bundles" => {
                    let namespaces = known.map(|shape| shape.namespaces);
                    bundles.set(map.next_value_seed(BundlesSeed { namespaces })?)?;
                }
                "tickets" => {
                    let seed = TicketsSeed {
                        bundles: known.map(|shape| shape.bundles),
                    };
                    tickets.set(map.next_value_seed(seed)?)?;
                }
                "slots" => slots.set(map.next_value_seed(SlotsSeed)?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let namespaces = namespaces.get()?;
        let reserve = reserve.get()?;
        let bundles = bundles.get()?;
        self.shapes.push(Shape {
            namespaces,
            bundles: bundles.len(),
        });
        if reserve.len() as u64 != namespaces {
            return Err(reserve_length(reserve.len(), namespaces));
        }
        let batch = Batch::new(reserve, bundles, tickets.get()?).map_err(de::Error::custom)?;
        Ok(Instance {
            name: name.get()?,
            beacon: beacon.get()?,
            batch,
            slots: slots.get()?,
        })
    }
}

fn reserve_length<E: de::Error>(found: usize, namespaces: u64) -> E {
    E::custom(format_args!(
        "reserve has {found} prices for n = {namespaces} namespaces"
    ))
}

/// A field that appears once.
struct Field<T> {
    name: &'static str,
    value: Option<T>,
}

impl<T> Field<T> {
    fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set<E: de::Error>(&mut self, value: T) -> Result<(), E> {
        if self.value.replace(value).is_some() {
            return Err(E::duplicate_field(self.name));
        }
        Ok(())
    }

    fn get<E: de::Error>(self) -> Result<T, E> {
        self.value.ok_or_else(|| E::missing_field(self.name))
    }
}

struct Count;

impl<'de> DeserializeSeed<'de> for Count {
    type Value = u64;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<u64, D::Error> {
        json.deserialize_u64(self)
    }
}

impl Visitor<'_> for Count {
    type Value = u64;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number of namespaces, 1 to {NAMESPACES_MAX}")
    }
    fn visit_u64<E: de::Error>(self, found: u64) -> Result<u64, E> {
        if found == 0 || found > NAMESPACES_MAX as u64 {
            return Err(E::custom(BatchError::Namespaces { found }));
        }
        Ok(found)
    }
}

struct BeaconSeed;

impl<'de> DeserializeSeed<'de> for BeaconSeed {
    type Value = Beacon;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Beacon, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for BeaconSeed {
    type Value = Beacon;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a beacon of 64 hex digits")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Beacon, E> {
        let fail = |reason| E::custom(format_args!("beacon {text:.80?}: {reason}"));
        hash_from_hex(text).map(Beacon).map_err(fail)
    }
}

/// Implements a seed that reads an array.
macro_rules! array_seed {
    ($seed:ident => $value:ty, $expecting:literal) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<$value, D::Error> {
                json.deserialize_seq(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<$value, A::Error> {
                self.read(items)
            }
        }
    };
}

struct ReserveSeed {
    namespaces: Option<u64>,
}

array_seed!(ReserveSeed => Vec<Gwei>, "an array of reserve prices, gwei as unsigned 64-bit");

impl ReserveSeed {
    fn read<'de, A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Gwei>, A::Error> {
        let mut reserve = Vec::new();
        while let Some(price) = items.next_element::<u64>()? {
            if reserve.len() == NAMESPACES_MAX {
                let found = NAMESPACES_MAX as u64 + 1;
                return Err(de::Error::custom(BatchError::Namespaces { found }));
            }
            reserve.push(Gwei::new(price));
        }
        match self.namespaces {
            Some(namespaces) if reserve.len() as u64 != namespaces => {
                Err(reserve_length(reserve.len(), namespaces))
            }
            _ => Ok(reserve),
        }
    }
}

struct BundlesSeed {
    namespaces: Option<u64>,
}

array_seed!(BundlesSeed => Bundles, "an array of bundles");

impl BundlesSeed {
    fn read<'de, A: SeqAccess<'de>>(self, mut items: A) -> Result<Bundles, A::Error> {
        let mut bundles = Bundles::default();
        let mut members = Vec::new();
        loop {
            let seed = MembersSeed {
                bundle: bundles.len(),
                namespaces: self.namespaces,
                into: &mut members,
            };
            if items.next_element_seed(seed)?.is_none() {
                return Ok(bundles);
            }
            bundles.push(&members).map_err(de::Error::custom)?;
        }
    }
}

struct MembersSeed<'a> {
    bundle: usize,
    namespaces: Option<u64>,
    into: &'a mut Vec<Member>,
}

impl<'de> DeserializeSeed<'de> for MembersSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for MembersSeed<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bundle {}: an array of 1 to {BUNDLE_MEMBERS_MAX} members",
            self.bundle
        )
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let bundle = self.bundle;
        self.into.clear();
        while let Some(found) = items.next_element::<u64>()? {
            if self.into.len() == BUNDLE_MEMBERS_MAX {
                let found = BUNDLE_MEMBERS_MAX + 1;
                return Err(de::Error::custom(BatchError::BundleSize { bundle, found }));
            }
            let previous = self.into.last().map(|member| u64::from(member.get()));
            if let Some(previous) = previous.filter(|previous| *previous >= found) {
                let error = BatchError::BundleOrder {
                    bundle,
                    previous,
                    found,
                };
                return Err(de::Error::custom(error));
            }
            let namespaces = self.namespaces.unwrap_or(NAMESPACES_MAX as u64);
            if found >= namespaces {
                let namespaces = namespaces as usize;
                let error = BatchError::UnknownMember {
                    bundle,
                    found,
                    namespaces,
                };
                return Err(de::Error::custom(error));
            }
            self.into.push(Member::new(found as u32));
        }
        if self.into.is_empty() {
            return Err(de::Error::custom(BatchError::BundleSize {
                bundle,
                found: 0,
            }));
        }
        Ok(())
    }
}

struct TicketsSeed {
    bundles: Option<usize>,
}

array_seed!(TicketsSeed => Vec<Ticket>, "an array of tickets");

impl TicketsSeed {
    fn read<'de, A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<Ticket>, A::Error> {
        let mut tickets = Vec::new();
        // Only the second pass looks for duplicates one by one.
        let mut ids = self.bundles.map(|_| BTreeSet::new());
        while let Some(ticket) = items.next_element_seed(TicketSeed {
            bundles: self.bundles,
            ids: ids.as_mut(),
        })? {
            if tickets.len() == TICKETS_MAX {
                return Err(de::Error::custom(BatchError::TooManyTickets));
            }
            tickets.push(ticket);
        }
        Ok(tickets)
    }
}

struct TicketSeed<'a> {
    bundles: Option<usize>,
    ids: Option<&'a mut BTreeSet<TicketId>>,
}

impl<'de> DeserializeSeed<'de> for TicketSeed<'_> {
    type Value = Ticket;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Ticket, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for TicketSeed<'_> {
    type Value = Ticket;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a ticket: [id, owner, bundle index, stake], each an unsigned 64-bit number")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Ticket, A::Error> {
        let mut row = [0u64; 4];
        for (at, value) in row.iter_mut().enumerate() {
            *value = items
                .next_element()?
                .ok_or_else(|| de::Error::invalid_length(at, &self))?;
        }
        if items.next_element::<IgnoredAny>()?.is_some() {
            return Err(de::Error::invalid_length(row.len() + 1, &self));
        }
        let [id, owner, found, stake] = row;
        let ticket = TicketId::new(id);
        if stake == 0 {
            return Err(de::Error::custom(BatchError::ZeroStake { ticket }));
        }
        let bundles = self.bundles.unwrap_or(u32::MAX as usize);
        let bundle = u32::try_from(found)
            .ok()
            .filter(|bundle| (*bundle as usize) < bundles);
        let Some(bundle) = bundle else {
            return Err(de::Error::custom(BatchError::UnknownBundle {
                ticket,
                found,
                bundles,
            }));
        };
        if self.ids.is_some_and(|ids| !ids.insert(ticket)) {
            return Err(de::Error::custom(BatchError::DuplicateTicket { ticket }));
        }
        Ok(Ticket {
            id: ticket,
            owner: OwnerId::new(owner),
            bundle: BundleIndex::new(bundle),
            stake: Gwei::new(stake),
        })
    }
}

struct SlotsSeed;

array_seed!(SlotsSeed => Vec<u64>, "an array of objects with a slot");

impl SlotsSeed {
    fn read<'de, A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u64>, A::Error> {
        let mut slots = Vec::new();
        while let Some(SlotItem { slot }) = items.next_element()? {
            if slots.len() == SLOTS_MAX {
                return Err(de::Error::custom(format_args!(
                    "more than {SLOTS_MAX} slots"
                )));
            }
            slots.push(slot);
        }
        Ok(slots)
    }
}

#[derive(serde::Deserialize)]
struct SlotItem {
    slot: u64,
}
