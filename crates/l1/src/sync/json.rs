//! The form in which beacon nodes answer over HTTP: numbers quoted, bytes in hex.

use super::ForkName;
use serde::{Deserialize, Serialize};

/// An answer of the beacon API: `{"version":"electra","data":{…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// The fork whose containers the data has.
    pub version: ForkName,
    /// The answer.
    pub data: T,
}

/// Numbers as decimal strings.
pub(super) mod quoted {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::{borrow::Cow, fmt::Display, str::FromStr};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Cow::<str>::deserialize(from)?;
        // `from_str` of the wide integers also takes hex, and all take signs or nothing.
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(D::Error::custom(format!("{text:?} is no decimal number")));
        }
        text.parse().map_err(D::Error::custom)
    }
}
