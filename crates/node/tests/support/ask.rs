//! A node with a small chain, and how to ask it over HTTP.

#![allow(dead_code)]

use crate::{
    chain::{OTHER, ROLLUP, TestChain, transactions},
    reader::TestReader,
};
use cortado_client::api::ErrorBody;
use cortado_node::api::Server;
use serde_json::Value;
use std::sync::Arc;

/// Three blocks, the second final through the third, and a server over them.
pub async fn node() -> (Arc<TestReader>, Server) {
    let mut chain = TestChain::new();
    chain.extend(&[
        (ROLLUP, transactions("one", 3)),
        (OTHER, transactions("b", 40)),
    ]);
    chain.extend_uncertified(&[(ROLLUP, transactions("two", 1))]);
    chain.extend(&[]);
    let reader = TestReader::new(chain);
    let server = reader.serve().await;
    (reader, server)
}

pub async fn ask(server: &Server, path: &str) -> (u16, Value) {
    let response = reqwest::get(format!("{}{path}", server.url()))
        .await
        .unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

pub async fn good<T: serde::de::DeserializeOwned>(server: &Server, path: &str) -> T {
    let (status, value) = ask(server, path).await;
    assert_eq!(status, 200, "{path}: {value}");
    serde_json::from_value(value).unwrap()
}

pub async fn refused(server: &Server, path: &str) -> (u16, ErrorBody) {
    let (status, value) = ask(server, path).await;
    assert!(status >= 400, "{path} was answered: {value}");
    (status, serde_json::from_value(value).unwrap())
}
