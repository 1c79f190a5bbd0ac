//! The server against clients that are many, slow, silent or greedy. Limits are small here, and
//! every wait is for a condition.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cortado_ethrpc::{Counters, Handle, Limits, serve};
use jsonrpsee::RpcModule;
use jsonrpsee::core::client::{ClientT, Error};
use jsonrpsee::rpc_params;
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Ends a test that hangs; nothing is measured against it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server with one method that answers at once, one that waits to be released, and one with a
/// large answer.
async fn server(limits: Limits) -> (Handle, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    let mut module = RpcModule::new(release.clone());
    module
        .register_method("quick", |_, _, _| "done")
        .expect("a new name");
    module
        .register_async_method("wait", |_, release, _| async move {
            release.notified().await;
            "released"
        })
        .expect("a new name");
    module
        .register_method("large", |_, _, _| "x".repeat(1 << 20))
        .expect("a new name");
    let addr = "127.0.0.1:0".parse().expect("an address");
    let handle = serve(addr, module, limits, Arc::default())
        .await
        .expect("binds");
    (handle, release)
}

async fn websocket(addr: SocketAddr) -> WsClient {
    WsClientBuilder::default()
        .build(format!("ws://{addr}"))
        .await
        .expect("connects")
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it never came");
}

/// Reads until the server hangs up.
async fn to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all));
    // A reset is an end too.
    let _ = reading.await.expect("the server never hung up");
    all
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_closed() {
    let (handle, _) = server(Limits {
        connections: 1,
        ..Limits::default()
    })
    .await;
    let counters = handle.counters();
    let first = TcpStream::connect(handle.addr()).await.expect("connects");
    until(|| counters.connections_accepted.get() == 1).await;
    let mut second = TcpStream::connect(handle.addr()).await.expect("connects");
    let answer = String::from_utf8(to_end(&mut second).await).expect("text");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{answer}"
    );
    assert_eq!(counters.connections_refused.get(), 1);
    // The place is free again when its holder leaves, a WebSocket too.
    drop(first);
    for _ in 0..3 {
        let client = loop {
            let url = format!("ws://{}", handle.addr());
            match WsClientBuilder::default().build(url).await {
                Ok(client) => break client,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let done: String = client
            .request("quick", rpc_params![])
            .await
            .expect("an answer");
        assert_eq!(done, "done");
    }
    handle.stop().await;
}

#[tokio::test]
async fn a_websocket_with_too_many_running_calls_is_refused_more() {
    let (handle, release) = server(Limits {
        in_flight_per_connection: 2,
        ..Limits::default()
    })
    .await;
    let counters = handle.counters();
    let client = Arc::new(websocket(handle.addr()).await);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.request::<String, _>("wait", rpc_params![]).await })
        })
        .collect();
    until(|| counters.calls.get() == 2).await;
    match client.request::<String, _>("quick", rpc_params![]).await {
        Err(Error::Call(error)) => {
            assert_eq!(error.code(), -32005);
            assert_eq!(
                error.message(),
                "too many calls at once on this connection: limit 2"
            );
        }
        other => panic!("has to be refused: {other:?}"),
    }
    assert_eq!(counters.in_flight_refused.get(), 1);
    // Others are not concerned, and the connection is as good as before when its calls end.
    let other = websocket(handle.addr()).await;
    assert!(
        other
            .request::<String, _>("quick", rpc_params![])
            .await
            .is_ok()
    );
    release.notify_waiters();
    for call in waiting {
        assert_eq!(call.await.expect("no panic").expect("released"), "released");
    }
    assert!(
        client
            .request::<String, _>("quick", rpc_params![])
            .await
            .is_ok()
    );
    handle.stop().await;
}

/// A WebSocket text frame as a client sends it, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    assert!(length < 126);
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    frame
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n\
    connection: upgrade\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_websocket_that_asks_much_and_reads_nothing_is_cut_off() {
    let limits = Limits {
        write_stall: Duration::from_millis(200),
        in_flight_per_connection: 8,
        ..Limits::default()
    };
    let (handle, _) = server(limits).await;
    let counters = handle.counters();
    let mut greedy = TcpStream::connect(handle.addr()).await.expect("connects");
    greedy.write_all(UPGRADE).await.expect("sent");
    let call = frame(r#"{"jsonrpc":"2.0","id":1,"method":"large"}"#);
    // It asks without end and never reads: the server stops reading, then hangs up, so that
    // writing fails.
    let asking = async {
        let mut asked = 0u64;
        while greedy.write_all(&call).await.is_ok() {
            asked += 1;
        }
        asked
    };
    let asked = tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("was never cut off");
    // Most of what it asked was never even read: answers did not pile up.
    assert!(
        counters.calls.get() < asked,
        "{} of {asked}",
        counters.calls.get()
    );
    assert!(
        websocket(handle.addr())
            .await
            .request::<String, _>("quick", rpc_params![])
            .await
            .is_ok()
    );
    handle.stop().await;
}

#[tokio::test]
async fn an_oversize_message_is_refused_and_the_websocket_survives_it() {
    let (handle, _) = server(Limits {
        request_bytes: 1_000,
        ..Limits::default()
    })
    .await;
    let mut client = TcpStream::connect(handle.addr()).await.expect("connects");
    client.write_all(UPGRADE).await.expect("sent");
    let mut long = vec![0x81, 0x80 | 126, 0x10, 0x00, 0, 0, 0, 0];
    long.extend([b' '; 0x1000]);
    client.write_all(&long).await.expect("sent");
    client
        .write_all(&frame(r#"{"jsonrpc":"2.0","id":1,"method":"quick"}"#))
        .await
        .expect("sent");
    // Answers are not masked, so their text can be read as it is.
    let mut heard = Vec::new();
    let listening = async {
        loop {
            let mut chunk = [0; 512];
            let count = client.read(&mut chunk).await.expect("open");
            assert_ne!(
                count,
                0,
                "hung up after {}",
                String::from_utf8_lossy(&heard)
            );
            heard.extend(&chunk[..count]);
            let text = String::from_utf8_lossy(&heard);
            if text.contains("-32007") && text.contains("limit of 1000") && text.contains("done") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, listening)
        .await
        .expect("it never came");
    handle.stop().await;
}

#[tokio::test]
async fn a_socket_that_stays_silent_is_closed() {
    let (handle, _) = server(Limits {
        idle: Duration::from_millis(100),
        ..Limits::default()
    })
    .await;
    // Said nothing; half a head; half a body.
    for start in [
        &b""[..],
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{",
    ] {
        let mut silent = TcpStream::connect(handle.addr()).await.expect("connects");
        silent.write_all(start).await.expect("sent");
        to_end(&mut silent).await;
    }
    handle.stop().await;
}

#[tokio::test]
async fn a_stopping_server_lets_running_calls_end_and_takes_no_new_ones() {
    let (handle, release) = server(Limits::default()).await;
    let (addr, counters) = (handle.addr(), handle.counters());
    let client = websocket(addr).await;
    let waiting =
        tokio::spawn(async move { client.request::<String, _>("wait", rpc_params![]).await });
    until(|| counters.calls.get() == 1).await;
    let stopping = tokio::spawn(handle.stop());
    // The listener closes at once.
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("still listens");
    release.notify_waiters();
    assert_eq!(
        waiting.await.expect("no panic").expect("released"),
        "released"
    );
    stopping.await.expect("stops");
}

#[tokio::test]
async fn dropping_the_handle_stops_the_server() {
    let (handle, _) = server(Limits::default()).await;
    let addr = handle.addr();
    drop(handle);
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("still listens");
}

#[test]
fn counters_have_names() {
    let counters = Counters::default();
    counters.oversized.inc();
    let counted: Vec<_> = counters
        .snapshot()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(counted, [("oversized", 1)]);
}
