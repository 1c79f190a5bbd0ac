//! Positional parameters, with errors that name the position.

use jsonrpsee::types::Params;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::RpcError;

/// The positional parameters of one call, taken from the front.
pub struct Args {
    values: std::vec::IntoIter<Value>,
    position: usize,
}

impl Args {
    /// Reads the parameters of a call that takes at most `max` of them.
    ///
    /// # Errors
    /// Parameters by name, and more than `max`.
    pub fn new(params: &Params<'_>, max: usize) -> Result<Self, RpcError> {
        let values: Vec<Value> = match params.as_str() {
            None => Vec::new(),
            Some(text) => serde_json::from_str(text).map_err(|_| {
                RpcError::InvalidParams("parameters must be a positional array".to_owned())
            })?,
        };
        if values.len() > max {
            return Err(RpcError::InvalidParams(format!(
                "too many arguments: got {}, want at most {max}",
                values.len()
            )));
        }
        Ok(Self {
            values: values.into_iter(),
            position: 0,
        })
    }

    /// The next parameter, which must be there.
    ///
    /// # Errors
    /// When it is missing or not a `T`.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, RpcError> {
        let position = self.position;
        self.optional(name)?.ok_or_else(|| {
            RpcError::InvalidParams(format!(
                "missing value for required argument {position} ({name})"
            ))
        })
    }

    /// The next parameter; `None` when it is missing or null.
    ///
    /// # Errors
    /// When it is not a `T`.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, RpcError> {
        let position = self.position;
        self.position += 1;
        match self.values.next() {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| {
                RpcError::InvalidParams(format!("invalid argument {position} ({name}): {error}"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &'static str, max: usize) -> Result<Args, String> {
        Args::new(&Params::new(Some(text)), max).map_err(|error| error.to_string())
    }

    #[test]
    fn a_missing_argument_is_named_by_position_and_name() {
        let mut args = args("[1]", 2).expect("one argument");
        assert_eq!(args.required::<u64>("count").expect("there"), 1);
        let error = args
            .required::<u64>("block")
            .expect_err("not there")
            .to_string();
        assert_eq!(error, "missing value for required argument 1 (block)");
    }

    #[test]
    fn a_wrong_argument_says_what_is_wrong() {
        let mut args = args("[\"x\"]", 1).expect("one argument");
        let error = args
            .required::<u64>("count")
            .expect_err("no number")
            .to_string();
        assert!(
            error.starts_with("invalid argument 0 (count): invalid type"),
            "{error}"
        );
    }

    #[test]
    fn too_many_arguments_and_named_ones_are_refused() {
        assert_eq!(
            args("[1,2,3]", 2).err().as_deref(),
            Some("too many arguments: got 3, want at most 2")
        );
        assert_eq!(
            args("{\"a\":1}", 2).err().as_deref(),
            Some("parameters must be a positional array")
        );
    }

    #[test]
    fn null_and_absent_are_the_same_to_an_optional_argument() {
        let mut args = args("[null]", 2).expect("one argument");
        assert_eq!(args.optional::<u64>("a").expect("null"), None);
        assert_eq!(args.optional::<u64>("b").expect("absent"), None);
    }
}
