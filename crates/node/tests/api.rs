//! Stories over real HTTP: what the node serves, and every way to ask wrongly.

#[path = "support/ask.rs"]
mod ask;
#[path = "../../client/tests/support/chain.rs"]
mod chain;
#[path = "support/reader.rs"]
mod reader;

use ask::{ask, good, node, refused};
use chain::{ROLLUP, TestChain, transactions};
use cortado_client::api::{
    CertificateView, ErrorBody, LanesView, SeatsView, Status, limits::LANES_RANGE_MAX,
};
use cortado_node::api::{Limits, Server};
use cortado_types::{Height, SeatSet, Term, keccak256};
use reader::TestReader;
use serde_json::Value;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn certificate_and_seats_are_all_that_a_verifier_needs() {
    let (reader, server) = node().await;
    let view: CertificateView = good(&server, "/v1/blocks/1/certificate").await;
    let seats: SeatsView = good(&server, "/v1/seats/0").await;
    assert_eq!(view.base_namespace, seats.base_namespace);
    assert_eq!(view.payload, reader.chain().blocks[1].hash());
    let set = SeatSet::new(seats.seats).unwrap();
    assert_eq!(set.hash(), seats.seats_hash);
    let chain_id = reader.chain().genesis.chain_id;
    view.certificate()
        .verify(view.payload, chain_id, Term::ZERO, &set)
        .unwrap();

    let names: Value = good(&server, "/v1/blocks/1/certificate").await;
    for name in [
        "base_namespace",
        "epoch",
        "view",
        "parent_view",
        "payload",
        "bitmap",
        "signature",
    ] {
        assert!(names.get(name).is_some(), "{name} is missing");
    }
    assert_eq!(names["bitmap"], "0x07");
}

#[tokio::test]
async fn block_is_found_by_height_hash_and_latest() {
    let (reader, server) = node().await;
    let hash = reader.chain().blocks[3].hash();
    for id in ["3".to_owned(), "latest".to_owned(), hash.to_string()] {
        let block: Value = good(&server, &format!("/v1/blocks/{id}")).await;
        assert_eq!(block["hash"], hash.to_string());
        assert_eq!(block["header"]["height"], 3);
        let header: Value = good(&server, &format!("/v1/blocks/{id}/header")).await;
        assert_eq!(header["header_rlp"], block["header_rlp"]);
    }
    let raw: cortado_types::Bytes =
        serde_json::from_value(good::<Value>(&server, "/v1/blocks/3").await["header_rlp"].clone())
            .unwrap();
    assert_eq!(keccak256(&raw), hash);
}

#[tokio::test]
async fn status_says_where_the_node_stands() {
    let (reader, server) = node().await;
    let status: Status = good(&server, "/v1/status").await;
    assert_eq!(status.height, Height::new(3));
    assert_eq!(status.hash, reader.chain().blocks[3].hash());
    assert_eq!(status.genesis_hash, reader.chain().blocks[0].hash());
    assert_eq!((status.seats, status.quorum), (4, 3));
}

#[tokio::test]
async fn lanes_come_by_range_with_their_bodies() {
    let (_, server) = node().await;
    let path = format!("/v1/namespaces/{ROLLUP}/lanes?from=1&to=2&bodies=true");
    let lanes: LanesView = good(&server, &path).await;
    let bodies: Vec<_> = lanes
        .lanes
        .iter()
        .map(|lane| lane.transactions.clone())
        .collect();
    assert_eq!(
        bodies,
        [Some(transactions("one", 3)), Some(transactions("two", 1))]
    );
    let all: LanesView = good(&server, &format!("/v1/namespaces/{ROLLUP}/lanes")).await;
    assert_eq!(all.lanes.len(), 2);
    assert_eq!(all.lanes[1].height, Height::new(2));
    let past: LanesView = good(&server, &format!("/v1/namespaces/{ROLLUP}/lanes?from=3")).await;
    assert_eq!(past.lanes, []);
}

#[tokio::test]
async fn answer_with_many_bodies_is_cut_and_says_where_to_go_on() {
    let mut chain = TestChain::new();
    let big = |n: u8| vec![cortado_types::Bytes::from(vec![n; 100_000]); 35];
    for n in 1..=4 {
        chain.extend(&[(ROLLUP, big(n))]);
    }
    let server = TestReader::new(chain).serve().await;
    let path = format!("/v1/namespaces/{ROLLUP}/lanes?from=1&to=4&bodies=1");
    let first: LanesView = good(&server, &path).await;
    assert_eq!((first.lanes.len(), first.next), (2, Some(Height::new(3))));
    let path = format!("/v1/namespaces/{ROLLUP}/lanes?from=3&to=4&bodies=1");
    let second: LanesView = good(&server, &path).await;
    assert_eq!((second.lanes.len(), second.next), (2, None));
}

#[tokio::test]
async fn every_wrong_question_is_refused_with_value_and_limit() {
    let (reader, server) = node().await;
    let lanes = |query: &str| format!("/v1/namespaces/{ROLLUP}/lanes?{query}");
    let long = format!("/v1/blocks/{}", "9".repeat(600));
    let cases: Vec<(String, u16, &str, &str)> = vec![
        ("/v1/blocks/-1".into(), 400, "bad_height", "-1"),
        ("/v1/blocks/+1".into(), 400, "bad_height", "+1"),
        (
            "/v1/blocks/18446744073709551616".into(),
            400,
            "bad_height",
            "18446744073709551616",
        ),
        ("/v1/blocks/tall".into(), 400, "bad_height", "tall"),
        ("/v1/blocks/0x12".into(), 400, "bad_hash", "0x12"),
        (
            format!("/v1/blocks/0x{}", "zz".repeat(32)),
            400,
            "bad_hash",
            "0xzz",
        ),
        (
            format!("/v1/blocks/0x{}", "00".repeat(32)),
            404,
            "not_found",
            "0x00",
        ),
        ("/v1/blocks/4".into(), 404, "not_final", "4"),
        ("/v1/blocks/4/certificate".into(), 404, "not_final", "4"),
        (
            "/v1/blocks?from=0&to=64".into(),
            400,
            "range_too_long",
            "65",
        ),
        ("/v1/blocks?from=3&to=1".into(), 400, "empty_range", "3"),
        ("/v1/seats/2".into(), 404, "not_found", "2"),
        ("/v1/terms/1/boundary".into(), 404, "not_found", "1"),
        ("/v1/terms/one/boundary".into(), 400, "bad_epoch", "one"),
        ("/v1/seats/one".into(), 400, "bad_epoch", "one"),
        ("/v1/namespaces/5".into(), 404, "unknown_namespace", "5"),
        ("/v1/namespaces/x".into(), 400, "bad_namespace", "x"),
        (lanes("from=1&to=300"), 400, "range_too_long", "300"),
        (lanes("from=2&to=1"), 400, "empty_range", "2"),
        (lanes("from=0"), 400, "bad_lane_height", "0"),
        (lanes("from=a"), 400, "bad_lane_height", "a"),
        (lanes("bodies=maybe"), 400, "bad_flag", "maybe"),
        (lanes("from=1&from=2"), 400, "twice", "2"),
        (lanes("form=1"), 400, "unknown_parameter", "form"),
        (
            format!("/v1/namespaces/{ROLLUP}/lanes/9/body"),
            404,
            "not_final",
            "9",
        ),
        (
            format!("/v1/namespaces/{ROLLUP}/lanes/0/body"),
            400,
            "bad_lane_height",
            "0",
        ),
        ("/v1/proofs/lane/1/2".into(), 404, "past_end", "2"),
        ("/v1/proofs/lane/1/x".into(), 400, "bad_index", "x"),
        (
            format!("/v1/proofs/transaction/{ROLLUP}/1/3"),
            404,
            "past_end",
            "3",
        ),
        (
            format!("/v1/proofs/transaction/0x{}", "11".repeat(32)),
            404,
            "not_found",
            "0x11",
        ),
        (
            "/v1/proofs/state/1/balance/1".into(),
            400,
            "bad_kind",
            "balance",
        ),
        ("/v1/proofs/state/1/namespace/x".into(), 400, "bad_id", "x"),
        ("/v1/proofs/history/2/2".into(), 400, "not_below", "2"),
        ("/v1/events?from=x".into(), 400, "bad_height", "x"),
        (
            "/v1/status?verbose=1".into(),
            400,
            "unknown_parameter",
            "verbose",
        ),
        ("/v2/status".into(), 404, "no_route", "/v2/status"),
        (long, 414, "target_too_long", "611"),
    ];
    for (path, status, code, value) in cases {
        let before = reader_count(&server, code);
        let (got, body) = refused(&server, &path).await;
        assert_eq!(
            (got, body.code.as_str()),
            (status, code),
            "{path}: {body:?}"
        );
        let given = body.value.unwrap_or_default();
        assert!(
            given.starts_with(value),
            "{path}: value is {given}, expected {value}"
        );
        assert_eq!(
            reader_count(&server, code),
            before + 1,
            "{path} is not counted"
        );
    }
    let (_, body) = refused(&server, &lanes("from=1&to=300")).await;
    assert_eq!(body.limit, Some(LANES_RANGE_MAX.to_string()));
    *reader.oldest.lock().unwrap() = Height::new(2);
    let (status, body) = refused(&server, "/v1/blocks/1").await;
    assert_eq!((status, body.code.as_str()), (410, "pruned"));
    assert_eq!(body.limit.as_deref(), Some("2"));
    let (status, body) = refused(&server, "/v1/events?from=1").await;
    assert_eq!((status, body.code.as_str()), (410, "pruned"));
}

fn reader_count(server: &Server, code: &str) -> u64 {
    // Codes are static; a leak in a test makes the lookup simple.
    server.metrics().refusals(code.to_owned().leak())
}

#[tokio::test]
async fn bodies_and_other_methods_are_refused() {
    let (_, server) = node().await;
    let url = format!("{}/v1/status", server.url());
    let client = reqwest::Client::new();
    let response = client.post(&url).send().await.unwrap();
    assert_eq!(response.status(), 405);
    let body: ErrorBody = response.json().await.unwrap();
    assert_eq!(
        (body.code.as_str(), body.value.as_deref()),
        ("method", Some("POST"))
    );
    let response = client.get(&url).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 413);
    let body: ErrorBody = response.json().await.unwrap();
    assert_eq!(
        (body.code.as_str(), body.value.as_deref()),
        ("body_not_allowed", Some("2"))
    );
}

#[tokio::test]
async fn browsers_of_any_origin_may_read() {
    let (_, server) = node().await;
    let client = reqwest::Client::new();
    let request = client.get(format!("{}/v1/status", server.url()));
    let response = request
        .header("origin", "https://explorer.example")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
}

async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A server that hangs up while we still write is what is tested here.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn hostile_request_heads_are_refused_and_counted() {
    let (_, server) = node().await;
    let huge = format!(
        "GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n",
        "c".repeat(64 << 10)
    );
    assert!(
        raw(&server, huge.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert!(
        raw(&server, many.as_bytes())
            .await
            .starts_with("HTTP/1.1 431")
    );
    assert!(
        raw(&server, b"\x16\x03\x01 not http\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400")
    );
    eventually(|| server.metrics().refusals("head_too_long") == 2).await;
    eventually(|| server.metrics().refusals("bad_request_head") == 1).await;
}

/// Waits for something that has to happen, however slow the machine is.
async fn eventually(happened: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen within a minute");
}

#[tokio::test]
async fn connections_above_the_limit_are_told_so() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = TestReader::new(TestChain::new()).serve_with(limits).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        held.push(stream);
    }
    let answer = raw(&server, b"").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let body: ErrorBody = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        (body.code.as_str(), body.limit.as_deref()),
        ("connections", Some("2"))
    );
    assert_eq!(server.metrics().refusals("connections"), 1);
    held.clear();
    eventually(|| server.metrics().connections_open() == 0).await;
    assert_eq!(ask(&server, "/health").await.0, 200);
}

#[tokio::test]
async fn connection_that_sends_no_request_is_closed() {
    let limits = Limits {
        head_time: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = TestReader::new(TestChain::new()).serve_with(limits).await;
    for head in [&b""[..], b"GET /health HTTP/1.1\r\nhost:"] {
        // Ends only because the server hangs up.
        raw(&server, head).await;
    }
    eventually(|| server.metrics().refusals("head_timeout") >= 1).await;
    eventually(|| server.metrics().connections_open() == 0).await;
}

#[tokio::test]
async fn places_on_the_event_stream_are_counted() {
    let limits = Limits {
        event_readers: 1,
        ..Limits::default()
    };
    let server = TestReader::new(TestChain::new()).serve_with(limits).await;
    let mut first = reqwest::get(format!("{}/v1/events", server.url()))
        .await
        .unwrap();
    read_until(&mut first, ": open").await;
    let (status, body) = refused(&server, "/v1/events").await;
    assert_eq!((status, body.code.as_str()), (503, "too_many_readers"));
    assert_eq!(body.limit.as_deref(), Some("1"));
    drop(first);
    for _ in 0..6_000 {
        let again = reqwest::get(format!("{}/v1/events", server.url()))
            .await
            .unwrap();
        if again.status().is_success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place of a reader that left stayed taken");
}

#[tokio::test]
async fn metrics_count_requests_and_refusals() {
    let (_, server) = node().await;
    ask(&server, "/v1/blocks/1").await;
    ask(&server, "/v1/blocks/x").await;
    let text = reqwest::get(format!("{}/metrics", server.url()))
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    for line in [
        "below_total 7",
        "cortado_api_requests_total{route=\"/v1/blocks/{id}\"} 2",
        "cortado_api_refused_total{code=\"bad_height\"} 1",
        "cortado_height 3",
        "# EOF",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in:\n{text}"
        );
    }
}

async fn read_until(response: &mut reqwest::Response, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        match response.chunk().await.unwrap() {
            Some(chunk) => text.push_str(&String::from_utf8_lossy(&chunk)),
            None => panic!("the stream ended before {end}: {text}"),
        }
    }
    text
}

#[tokio::test]
async fn events_resume_after_the_last_one_seen() {
    let (reader, server) = node().await;
    let client = reqwest::Client::new();
    let url = format!("{}/v1/events", server.url());
    let mut all = client.get(format!("{url}?from=1")).send().await.unwrap();
    let text = read_until(&mut all, "id: 3\n").await;
    assert!(text.find("id: 1\n") < text.find("id: 2\n"));
    let request = client
        .get(format!("{url}?from=1"))
        .header("last-event-id", "2");
    let mut resumed = request.send().await.unwrap();
    let text = read_until(&mut resumed, "id: 3\n").await;
    assert!(!text.contains("id: 2\n"), "{text}");
    let mut fresh = client.get(&url).send().await.unwrap();
    read_until(&mut fresh, ": open").await;
    reader.extend(&[]);
    for stream in [&mut all, &mut resumed, &mut fresh] {
        read_until(stream, "id: 4\n").await;
    }
}

#[tokio::test]
async fn event_waits_for_a_certificate() {
    let (reader, server) = node().await;
    let client = reqwest::Client::new();
    let url = format!("{}/v1/events?from=4", server.url());
    let mut stream = client.get(url).send().await.unwrap();
    read_until(&mut stream, ": open").await;
    reader.extend_uncertified();
    let (_, body) = refused(&server, "/v1/blocks/4/certificate").await;
    assert_eq!(body.code, "no_certificate");
    reader.extend(&[]);
    let text = read_until(&mut stream, "id: 5\n").await;
    assert!(text.contains("id: 4\n"), "{text}");
}

#[tokio::test]
async fn reader_that_does_not_read_is_cut_off_and_told_why() {
    // More than socket buffers hold: each event carries the headers up to the certified one.
    let mut chain = TestChain::new();
    for _ in 0..250 {
        chain.extend_uncertified(&[]);
    }
    chain.extend(&[]);
    let limits = Limits {
        event_stall: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = TestReader::new(chain).serve_with(limits).await;
    let mut slow = TcpStream::connect(server.address()).await.unwrap();
    let request = b"GET /v1/events?from=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    slow.write_all(request).await.unwrap();
    eventually(|| server.metrics().refusals("slow_reader") == 1).await;
    let mut text = Vec::new();
    let _ = slow.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("event: error"), "the last words are missing");
    assert!(text.contains("\"slow_reader\""));
}

#[tokio::test]
async fn stopping_server_ends_its_streams_and_says_so() {
    let (_, server) = node().await;
    let mut stream = reqwest::get(format!("{}/v1/events", server.url()))
        .await
        .unwrap();
    read_until(&mut stream, ": open").await;
    let address = server.address();
    server.stop().await;
    read_until(&mut stream, "\"unavailable\"").await;
    assert!(TcpStream::connect(address).await.is_err());
}
