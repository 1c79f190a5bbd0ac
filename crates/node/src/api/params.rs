//! Path and query parameters, each read with a clear refusal.

use super::error::ApiError;
use cortado_types::{B256, Height, Namespace};
use std::collections::BTreeMap;

/// A number in a path.
pub(super) fn number(code: &'static str, what: &str, text: &str) -> Result<u64, ApiError> {
    // `parse` would take a plus sign, and there is one way to write a number here.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ApiError::parameter(code, what, text, "a decimal number"));
    }
    text.parse().map_err(|_| {
        ApiError::parameter(
            code,
            what,
            text,
            format!("a decimal number up to {}", u64::MAX),
        )
    })
}

pub(super) fn height(text: &str) -> Result<Height, ApiError> {
    number("bad_height", "a height", text).map(Height::new)
}

pub(super) fn lane_height(text: &str) -> Result<Height, ApiError> {
    number("bad_lane_height", "a lane height", text).map(Height::new)
}

pub(super) fn namespace(text: &str) -> Result<Namespace, ApiError> {
    number("bad_namespace", "a namespace", text).map(Namespace::new)
}

pub(super) fn index(text: &str) -> Result<usize, ApiError> {
    let number = number("bad_index", "an index", text)?;
    usize::try_from(number)
        .map_err(|_| ApiError::parameter("bad_index", "an index", text, "a small number"))
}

pub(super) fn hash(text: &str) -> Result<B256, ApiError> {
    let bad = || ApiError::parameter("bad_hash", "a hash", text, "0x and 64 hex digits");
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| digits.len() == 64)
        .ok_or_else(bad)?;
    digits.parse().map_err(|_| bad())
}

/// A query string with known names only, each at most once.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(ApiError::unknown_parameter(name, known));
            }
            if found.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(ApiError::parameter("twice", name, value, "given once"));
            }
        }
        Ok(Self(found))
    }

    pub(super) fn get<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, ApiError>,
    ) -> Result<Option<T>, ApiError> {
        self.0.get(name).map(|text| read(text)).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        let read = |text: &str| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(ApiError::parameter("bad_flag", name, text, "true or false")),
        };
        Ok(self.get(name, read)?.unwrap_or(false))
    }
}

/// `from..=to`, not empty and not longer than `limit`.
pub(super) fn span(
    from: Height,
    to: Height,
    limit: u64,
) -> Result<std::ops::RangeInclusive<u64>, ApiError> {
    let (from, to) = (from.get(), to.get());
    if from > to {
        return Err(ApiError::range(
            "empty_range",
            "from must not be above to",
            from,
            to,
        ));
    }
    if to - from >= limit {
        let count = (to - from).saturating_add(1);
        return Err(ApiError::range(
            "range_too_long",
            "the range is too long",
            count,
            limit,
        ));
    }
    Ok(from..=to)
}
