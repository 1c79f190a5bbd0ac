//! Answers: what a lottery run says of an instance, and the check of such a claim.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{FILE_BYTES_MAX, FileError, Instance, OneOrMany, hash_from_hex};
use crate::amount::Sum;
use crate::batch::{BUNDLE_MEMBERS_MAX, Member, NAMESPACES_MAX, TicketId};
use crate::draw::{Assignment, Draw};
use crate::index::{Index, PoolIndex};
use crate::uniform::Seed;
use crate::verify::{Difference, DrawField, Place, Tickets, check_transcript_hash};

/// The answer to one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Name of the instance.
    pub name: String,
    /// One answer per slot asked for, in the same order.
    pub slots: Vec<SlotAnswer>,
}

/// The answer for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotAnswer {
    /// The slot.
    pub slot: u64,
    /// Its seed.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub seed: [u8; 32],
    /// SHA-256 over the draws.
    #[serde(serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub transcript_sha256: [u8; 32],
    /// The draws in order.
    pub draws: Vec<DrawAnswer>,
    /// What every namespace receives; decimal strings.
    #[serde(serialize_with = "to_decimals", deserialize_with = "from_decimals")]
    pub revenue: Vec<u128>,
}

/// One draw, its pool named by members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawAnswer {
    /// Number of the draw.
    pub k: u32,
    /// Stake in the urn; a decimal string.
    #[serde(serialize_with = "to_decimal", deserialize_with = "from_decimal")]
    pub live: u128,
    /// The ball; a decimal string.
    #[serde(serialize_with = "to_decimal", deserialize_with = "from_decimal")]
    pub u: u128,
    /// Members of the bundle.
    #[serde(deserialize_with = "short_list")]
    pub bundle: Vec<u32>,
    /// The winning ticket.
    pub ticket: u64,
    /// Stake knocked out; a decimal string.
    #[serde(serialize_with = "to_decimal", deserialize_with = "from_decimal")]
    pub pot: u128,
    /// The standby ticket or `null`. The field must be there: silence is not a claim.
    #[serde(deserialize_with = "required_option")]
    pub standby: Option<u64>,
}

/// Reads an answer file.
///
/// # Errors
/// A [`FileError`] with line, column and the offending value.
pub fn parse_answers(bytes: &[u8]) -> Result<OneOrMany<Answer>, FileError> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(FileError::TooLong);
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match first {
        Some(b'[') => OneOrMany::Many(serde_json::from_slice(bytes)?),
        _ => OneOrMany::One(serde_json::from_slice(bytes)?),
    })
}

impl SlotAnswer {
    /// The answer of an assignment.
    pub fn new(index: &Index, assignment: &Assignment) -> Self {
        let draws = assignment.draws.iter().map(|draw| DrawAnswer {
            k: draw.k,
            live: draw.live.get(),
            u: draw.u.get(),
            bundle: index
                .members(draw.pool)
                .iter()
                .map(|member| member.get())
                .collect(),
            ticket: draw.ticket.get(),
            pot: draw.pot.get(),
            standby: draw.standby.map(TicketId::get),
        });
        Self {
            slot: assignment.slot,
            seed: assignment.seed.0,
            transcript_sha256: assignment.transcript_hash(),
            draws: draws.collect(),
            revenue: assignment
                .revenue
                .iter()
                .map(|revenue| revenue.get())
                .collect(),
        }
    }
}

/// The first place where an answer differs from what its instance says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AnswerDifference {
    /// The answer is of another instance.
    #[error("the answer is named {claimed:?}, the instance {correct:?}")]
    Name {
        /// Name in the answer.
        claimed: String,
        /// Name of the instance.
        correct: String,
    },
    /// Slots are missing or too many.
    #[error("instance {instance:?}: {claimed} slots are answered, {correct} are asked for")]
    Slots {
        /// The instance.
        instance: String,
        /// Slots in the answer.
        claimed: usize,
        /// Slots asked for.
        correct: usize,
    },
    /// The answer at a position is for another slot.
    #[error(
        "instance {instance:?}: answer {at} is for slot {claimed}, slot {correct} is asked for"
    )]
    SlotNumber {
        /// The instance.
        instance: String,
        /// Position in the answer.
        at: usize,
        /// Slot in the answer.
        claimed: u64,
        /// Slot asked for.
        correct: u64,
    },
    /// A slot differs.
    #[error("instance {instance:?}: {difference}")]
    Slot {
        /// The instance.
        instance: String,
        /// Where and how.
        difference: Difference,
    },
}

impl Answer {
    /// Checks every field of the answer against the instance with the independent verifier;
    /// `after_slot` is called with each finished position.
    ///
    /// # Errors
    /// The first [`AnswerDifference`].
    pub fn verify(
        &self,
        instance: &Instance,
        mut after_slot: impl FnMut(usize),
    ) -> Result<(), AnswerDifference> {
        let name = || instance.name.clone();
        if self.name != instance.name {
            return Err(AnswerDifference::Name {
                claimed: self.name.clone(),
                correct: name(),
            });
        }
        let (claimed, correct) = (self.slots.len(), instance.slots.len());
        if claimed != correct {
            return Err(AnswerDifference::Slots {
                instance: name(),
                claimed,
                correct,
            });
        }
        let tickets = Tickets::new(&instance.batch);
        let pools = tickets.pools(&instance.batch);
        for (at, (answer, &slot)) in self.slots.iter().zip(&instance.slots).enumerate() {
            if answer.slot != slot {
                return Err(AnswerDifference::SlotNumber {
                    instance: name(),
                    at,
                    claimed: answer.slot,
                    correct: slot,
                });
            }
            let pool_of = |bundle: &[u32]| {
                let members: Vec<Member> = bundle.iter().copied().map(Member::new).collect();
                pools.find(&members).unwrap_or(PoolIndex::new(u32::MAX))
            };
            let claim = answer.claim(pool_of);
            tickets
                .verify(&pools, instance.beacon, &claim)
                .and_then(|()| check_transcript_hash(&claim, answer.transcript_sha256))
                .map_err(|difference| AnswerDifference::Slot {
                    instance: name(),
                    difference: answer.name_bundle(difference),
                })?;
            after_slot(at);
        }
        Ok(())
    }
}

impl SlotAnswer {
    /// The claim in the verifier's words; an unknown bundle becomes a pool that cannot exist.
    fn claim(&self, pool_of: impl Fn(&[u32]) -> PoolIndex) -> Assignment {
        let draws = self.draws.iter().map(|draw| Draw {
            k: draw.k,
            live: Sum::new(draw.live),
            u: Sum::new(draw.u),
            pool: pool_of(&draw.bundle),
            ticket: TicketId::new(draw.ticket),
            pot: Sum::new(draw.pot),
            standby: draw.standby.map(TicketId::new),
        });
        Assignment {
            slot: self.slot,
            seed: Seed(self.seed),
            draws: draws.collect(),
            revenue: self.revenue.iter().copied().map(Sum::new).collect(),
        }
    }

    /// Puts the claimed list in place of a pool number the file does not know.
    fn name_bundle(&self, mut difference: Difference) -> Difference {
        if let Place::Draw(at, DrawField::Bundle) = difference.place
            && let Some(draw) = self.draws.get(at)
        {
            difference.claimed = format!("{:?}", draw.bundle);
        }
        difference
    }
}

fn to_hex<S: Serializer>(bytes: &[u8; 32], out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&hex::encode(bytes))
}

fn from_hex<'de, D: Deserializer<'de>>(json: D) -> Result<[u8; 32], D::Error> {
    struct Hash;
    impl Visitor<'_> for Hash {
        type Value = [u8; 32];
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("64 hex digits")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<[u8; 32], E> {
            hash_from_hex(text).map_err(|reason| E::custom(format_args!("{text:.80?}: {reason}")))
        }
    }
    json.deserialize_str(Hash)
}

fn to_decimal<S: Serializer>(amount: &u128, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(amount)
}

fn from_decimal<'de, D: Deserializer<'de>>(json: D) -> Result<u128, D::Error> {
    Decimal::deserialize(json).map(|Decimal(amount)| amount)
}

fn to_decimals<S: Serializer>(amounts: &[u128], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(amounts.iter().copied().map(Decimal))
}

fn from_decimals<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u128>, D::Error> {
    let amounts = bounded::<Decimal, D>(json, NAMESPACES_MAX, "revenue column")?;
    Ok(amounts.into_iter().map(|Decimal(amount)| amount).collect())
}

fn short_list<'de, D: Deserializer<'de>>(json: D) -> Result<Vec<u32>, D::Error> {
    bounded(json, BUNDLE_MEMBERS_MAX, "bundle")
}

fn required_option<'de, D: Deserializer<'de>>(json: D) -> Result<Option<u64>, D::Error> {
    Option::deserialize(json)
}

/// A total as a decimal string in its one form.
struct Decimal(u128);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        to_decimal(&self.0, out)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal string below 2^128")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                let plain = text.bytes().all(|byte| byte.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'));
                let amount = text.parse().ok().filter(|_| plain);
                amount.map(Decimal).ok_or_else(|| {
                    E::custom(format_args!("{text:.80?} is no decimal number below 2^128"))
                })
            }
        }
        json.deserialize_str(Text)
    }
}

/// Reads an array of at most `limit` items.
fn bounded<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    json: D,
    limit: usize,
    what: &'static str,
) -> Result<Vec<T>, D::Error> {
    struct Items<T> {
        limit: usize,
        what: &'static str,
        of: core::marker::PhantomData<T>,
    }
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a {} of at most {} items", self.what, self.limit)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == self.limit {
                    return Err(de::Error::invalid_length(self.limit + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    json.deserialize_seq(Items {
        limit,
        what,
        of: core::marker::PhantomData,
    })
}
