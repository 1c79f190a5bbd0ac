//! Where L1 can be asked: one URL or a list of them.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, SeqAccess, Visitor},
};
use thiserror::Error;

/// Endpoints of one node. More would be more questions and no more truth: what is told needs a quorum
/// of seats, each with endpoints of its own.
pub const L1_ENDPOINTS_MAX: usize = 8;

/// The L1 of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1NodeConfig {
    /// Ethereum JSON-RPC over HTTP: a URL, or a list of them with the preferred one first.
    pub rpc: RpcUrls,
    /// Beacon REST; without it the proposer lookahead is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beacon: Option<String>,
}

/// Why a list of endpoints is none.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RpcUrlsError {
    /// None at all.
    #[error("rpc is an empty list: an L1 node needs at least one URL")]
    Empty,
    /// More than anybody needs.
    #[error("rpc lists {count} URLs, the limit is {L1_ENDPOINTS_MAX}")]
    TooMany {
        /// How many, as far as they were read.
        count: usize,
    },
}

/// URLs of JSON-RPC endpoints, preferred ones first.
///
/// - At least one, at most [`L1_ENDPOINTS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcUrls(Vec<String>);

impl RpcUrls {
    /// A list of URLs.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn new(urls: Vec<String>) -> Result<Self, RpcUrlsError> {
        match urls.len() {
            0 => Err(RpcUrlsError::Empty),
            count if count > L1_ENDPOINTS_MAX => Err(RpcUrlsError::TooMany { count }),
            _ => Ok(Self(urls)),
        }
    }

    /// The preferred one.
    pub fn first(&self) -> &str {
        &self.0[0]
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

impl From<String> for RpcUrls {
    fn from(url: String) -> Self {
        Self(vec![url])
    }
}

impl Serialize for RpcUrls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(one),
            all => all.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RpcUrls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = RpcUrls;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a URL or a list of URLs")
            }

            fn visit_str<E: serde::de::Error>(self, url: &str) -> Result<RpcUrls, E> {
                Ok(RpcUrls::from(url.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RpcUrls, A::Error> {
                let mut urls = Vec::new();
                while let Some(url) = list.next_element()? {
                    urls.push(url);
                }
                RpcUrls::new(urls).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rpc: &str) -> Result<L1NodeConfig, String> {
        toml::from_str(&format!("rpc = {rpc}")).map_err(|error| error.to_string())
    }

    #[test]
    fn l1_node_has_one_url_or_a_list_of_them() {
        let one = read(r#""http://a""#).unwrap();
        assert_eq!(one.rpc.all(), ["http://a"]);
        assert_eq!(toml::to_string(&one).unwrap(), "rpc = \"http://a\"\n");
        let two = read(r#"["http://a", "http://b"]"#).unwrap();
        assert_eq!(two.rpc.all(), ["http://a", "http://b"]);
        assert_eq!(two.rpc.first(), "http://a");
        assert_eq!(
            read(&toml::Value::try_from(&two.rpc).unwrap().to_string()),
            Ok(two)
        );
    }

    #[test]
    fn empty_list_of_endpoints_and_one_too_long_are_refused_with_the_limit() {
        assert!(read("[]").unwrap_err().contains("rpc is an empty list"));
        let many = ["\"http://a\""; L1_ENDPOINTS_MAX + 1].join(",");
        let error = read(&format!("[{many}]")).unwrap_err();
        assert!(
            error.contains("rpc lists 9 URLs, the limit is 8"),
            "{error}"
        );
        assert!(read("7").unwrap_err().contains("a URL or a list of URLs"));
    }
}
