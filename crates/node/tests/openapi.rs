//! The document that describes the interface, held against the interface.

#[path = "support/ask.rs"]
mod ask;
#[path = "../../client/tests/support/chain.rs"]
mod chain;
#[path = "support/reader.rs"]
mod reader;

use ask::{ask, good, node};
use chain::{OTHER, ROLLUP, transactions};
use cortado_node::api::{openapi_document, paths};
use cortado_types::{Height, keccak256};
use serde_json::Value;

/// Whether `value` is what `schema` says: types, names, patterns. Enough of JSON Schema for the
/// document that we write ourselves.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let wrong = |what: String| Err(format!("{at}: {what} in {value}"));
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.trim_start_matches('#');
        let target = document
            .pointer(pointer)
            .ok_or(format!("{name} is not there"))?;
        return conforms(document, target, value, at);
    }
    for all in schema["allOf"].as_array().into_iter().flatten() {
        conforms(document, all, value, at)?;
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[key].as_array()
            && !choices
                .iter()
                .any(|choice| conforms(document, choice, value, at).is_ok())
        {
            return wrong(format!("fits none of {key}"));
        }
    }
    if let Some(constant) = schema.get("const")
        && constant != value
    {
        return wrong(format!("is not {constant}"));
    }
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => true,
    };
    if !fits {
        return wrong(format!("is no {}", schema["type"]));
    }
    if schema["pattern"]
        .as_str()
        .is_some_and(|pattern| pattern.starts_with("^0x"))
    {
        let text = value.as_str().unwrap_or_default();
        if !text.starts_with("0x") || !text[2..].bytes().all(|b| b.is_ascii_hexdigit()) {
            return wrong("is no hex".into());
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(document, &schema["items"], item, at)?;
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap_or_default()) {
                return wrong(format!("{name} is missing"));
            }
        }
        for (name, field) in fields {
            let Some(schema) = known.get(name) else {
                return wrong(format!("{name} is not documented"));
            };
            conforms(document, schema, field, &format!("{at}/{name}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn document_has_every_route_and_no_other() {
    let document = openapi_document();
    let mut documented: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut served: Vec<_> = paths().into_iter().map(str::to_owned).collect();
    documented.sort();
    served.sort();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn answers_are_as_documented() {
    let (reader, server) = node().await;
    reader.accuse();
    let document: Value = good(&server, "/openapi.json").await;
    assert_eq!(document, openapi_document());
    let hash = keccak256(&transactions("one", 3)[1]);
    let examples = [
        ("/health", "/health".to_owned()),
        ("/openapi.json", "/openapi.json".into()),
        ("/v1/status", "/v1/status".into()),
        ("/v1/genesis", "/v1/genesis".into()),
        ("/v1/seats/{epoch}", "/v1/seats/0".into()),
        ("/v1/terms/{epoch}/boundary", "/v1/terms/0/boundary".into()),
        ("/v1/votes/{epoch}/{view}", "/v1/votes/0/5".into()),
        ("/v1/evidence", "/v1/evidence".into()),
        ("/v1/blocks", "/v1/blocks?from=0&to=3".into()),
        ("/v1/blocks/{id}", "/v1/blocks/1".into()),
        ("/v1/blocks/{id}/header", "/v1/blocks/0/header".into()),
        (
            "/v1/blocks/{id}/certificate",
            "/v1/blocks/2/certificate".into(),
        ),
        ("/v1/namespaces", "/v1/namespaces".into()),
        (
            "/v1/namespaces/{namespace}",
            format!("/v1/namespaces/{ROLLUP}"),
        ),
        (
            "/v1/namespaces/{namespace}/lanes",
            format!("/v1/namespaces/{ROLLUP}/lanes?bodies=1"),
        ),
        (
            "/v1/namespaces/{namespace}/lanes/{lane_height}/body",
            format!("/v1/namespaces/{ROLLUP}/lanes/1/body"),
        ),
        (
            "/v1/proofs/lane/{height}/{index}",
            "/v1/proofs/lane/1/1".into(),
        ),
        (
            "/v1/proofs/transaction/{hash}",
            format!("/v1/proofs/transaction/{hash}"),
        ),
        (
            "/v1/proofs/transaction/{namespace}/{lane_height}/{index}",
            format!("/v1/proofs/transaction/{OTHER}/1/20"),
        ),
        (
            "/v1/proofs/state/{height}/{kind}/{id}",
            format!("/v1/proofs/state/3/namespace/{ROLLUP}"),
        ),
        (
            "/v1/proofs/history/{from}/{at}",
            "/v1/proofs/history/0/3".into(),
        ),
    ];
    for path in paths() {
        let known = examples.iter().any(|(example, _)| *example == path);
        let is_text = path == "/metrics" || path == "/v1/events";
        assert!(known || is_text, "{path} has no example here");
    }
    for (path, example) in examples {
        let answer: Value = good(&server, &example).await;
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        conforms(&document, schema, &answer, path).unwrap();
    }
    let event = serde_json::to_value(reader.chain().event(Height::new(1))).unwrap();
    let schema = &document["components"]["schemas"]["BlockEvent"];
    conforms(&document, schema, &event, "event").unwrap();
    let (_, refusal) = ask(&server, "/v1/blocks/x").await;
    conforms(
        &document,
        &document["components"]["schemas"]["Error"],
        &refusal,
        "error",
    )
    .unwrap();
}
