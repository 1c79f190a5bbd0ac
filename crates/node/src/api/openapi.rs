//! The interface described for machines (OpenAPI 3.1).

/// The document, as it is served.
pub(super) const TEXT: &str = include_str!("openapi.json");

/// The document, read.
///
/// # Panics
/// Never: a test reads it.
pub fn document() -> serde_json::Value {
    serde_json::from_str(TEXT).expect("the document is JSON")
}
