//! Refusals: a code for programs, a sentence for people, the value and the limit.

use super::limits;
use axum::{
    Json,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use cortado_client::api::ErrorBody;
use cortado_types::{Height, Namespace};
use std::{fmt::Display, time::Duration};

/// Characters of a foreign value that are repeated in a refusal.
const VALUE_CHARS_MAX: usize = 100;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    value: Option<String>,
    limit: Option<String>,
}

/// Marks a refusal, so that it is counted once and in one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code(pub(super) &'static str);

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            value: None,
            limit: None,
        }
    }

    fn value(mut self, value: impl Display) -> Self {
        self.value = Some(value.to_string().chars().take(VALUE_CHARS_MAX).collect());
        self
    }

    fn limit(mut self, limit: impl Display) -> Self {
        self.limit = Some(limit.to_string());
        self
    }

    /// The code of this refusal.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What the client reads.
    pub fn body(length: Option<&HeaderValue>) -> Self {
        let length = length
            .and_then(|length| length.to_str().ok())
            .unwrap_or("unknown length");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_not_allowed",
            "requests carry no body here",
        )
        .value(length)
        .limit(0)
    }

    pub(super) fn parameter(
        code: &'static str,
        what: &str,
        value: &str,
        expected: impl Display,
    ) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            code,
            format!("{what} must be {expected}"),
        )
        .value(value)
        .limit(expected)
    }

    pub(super) fn unknown_parameter(name: &str, known: &[&str]) -> Self {
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let message = "there is no such query parameter here";
        Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", message)
            .value(name)
            .limit(known)
    }

    pub(super) fn range(code: &'static str, message: &str, value: u64, limit: u64) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
            .value(value)
            .limit(limit)
    }

    pub(super) fn no_route(path: &str) -> Self {
        let message = "there is nothing here; /openapi.json lists what there is";
        Self::new(StatusCode::NOT_FOUND, "no_route", message).value(path)
    }

    pub(super) fn method(method: &str) -> Self {
        let message = "this interface only reads";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
            .value(method)
            .limit("GET")
    }

    pub(super) fn target(length: usize) -> Self {
        Self::new(
            StatusCode::URI_TOO_LONG,
            "target_too_long",
            "path and query are too long",
        )
        .value(length)
        .limit(limits::TARGET_BYTES_MAX)
    }

    pub(super) fn too_slow() -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "too_slow",
            "the answer took too long to make",
        )
        .limit(format!("{} ms", limits::ANSWER_TIME.as_millis()))
    }

    pub(super) fn unavailable(error: impl Display) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            error.to_string(),
        )
    }

    pub(super) fn pruned(what: &str, value: impl Display, oldest: impl Display) -> Self {
        let message = format!("this {what} is past the retention period of this node");
        Self::new(StatusCode::GONE, "pruned", message)
            .value(value)
            .limit(oldest)
    }

    pub(super) fn not_final(height: Height, latest: Height) -> Self {
        let message = "this block is not final yet";
        Self::new(StatusCode::NOT_FOUND, "not_final", message)
            .value(height)
            .limit(latest)
    }

    pub(super) fn no_certificate(height: Height) -> Self {
        let message = "no certificate of this block or of a descendant is known yet";
        Self::new(StatusCode::NOT_FOUND, "no_certificate", message)
            .value(height)
            .limit(cortado_client::api::limits::DESCENDANTS_MAX)
    }

    pub(super) fn unknown(what: &str, value: impl Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("this {what} is not known"),
        )
        .value(value)
    }

    pub(super) fn unknown_namespace(namespace: Namespace) -> Self {
        let message = "no such namespace is registered";
        Self::new(StatusCode::NOT_FOUND, "unknown_namespace", message).value(namespace)
    }

    pub(super) fn past_end(what: &str, index: usize, count: usize) -> Self {
        let message = format!("there are not that many {what}");
        Self::new(StatusCode::NOT_FOUND, "past_end", message)
            .value(index)
            .limit(count)
    }

    pub(super) fn too_many_readers(limit: usize) -> Self {
        let message = "all places on the event stream are taken";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", message).limit(limit)
    }

    pub(super) fn slow_reader(stall: Duration) -> Self {
        let message = "events were not read for too long; resume after the last one";
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_reader", message)
            .limit(format!("{} ms", stall.as_millis()))
    }

    pub(super) fn connections(limit: usize) -> Self {
        let message = "the limit of open connections is reached";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "connections", message).limit(limit)
    }

    pub(super) fn into_body(self) -> ErrorBody {
        ErrorBody {
            code: self.code.to_owned(),
            message: self.message,
            value: self.value,
            limit: self.limit,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = (self.status, Code(self.code));
        let mut response = (status, Json(self.into_body())).into_response();
        response.extensions_mut().insert(code);
        response
    }
}
