//! `GET /v1/events`: finalised blocks as server-sent events.

use super::CertificateView;
use cortado_types::{B256, Bytes, Height};
use serde::{Deserialize, Serialize};

/// Name of the event that carries a [`BlockEvent`]; its SSE id is the height.
pub const EVENT_BLOCK: &str = "block";
/// Name of the last event before the server hangs up; it carries an [`super::ErrorBody`].
pub const EVENT_ERROR: &str = "error";

/// One finalised block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvent {
    /// Its number; resume with `Last-Event-ID: height` or `?from=height + 1`.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
    /// RLP of the whole block.
    pub block: Bytes,
    /// What makes it final.
    pub certificate: CertificateView,
}
