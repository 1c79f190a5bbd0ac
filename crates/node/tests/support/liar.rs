//! A node that passes on what another says, altered.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use futures::StreamExt;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};
use tokio::task::JoinHandle;

type Alter = dyn Fn(&str, &mut Value) + Send + Sync;
type Redirect = dyn Fn(&str) -> String + Send + Sync;

#[derive(Clone)]
struct Lies {
    upstream: String,
    alter: Arc<Alter>,
    redirect: Arc<Redirect>,
}

pub struct Liar {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Liar {
    /// Alters the JSON of answers and of events.
    pub async fn start(
        upstream: String,
        alter: impl Fn(&str, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        Self::run(Lies {
            upstream,
            alter: Arc::new(alter),
            redirect: Arc::new(str::to_owned),
        })
        .await
    }

    /// Answers other questions than it was asked.
    pub async fn redirecting(
        upstream: String,
        redirect: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::run(Lies {
            upstream,
            alter: Arc::new(|_, _| {}),
            redirect: Arc::new(redirect),
        })
        .await
    }

    async fn run(lies: Lies) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pass_on).with_state(lies);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(State(lies): State<Lies>, request: Request) -> Response {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let target = (lies.redirect)(&target);
    let answer = reqwest::get(format!("{}{target}", lies.upstream))
        .await
        .unwrap();
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
    let response = Response::builder().status(status);
    if target.contains("/v1/events") && status.is_success() {
        let mut pending = String::new();
        let alter = lies.alter.clone();
        let events = answer.bytes_stream().map(move |chunk| {
            pending.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
            let mut whole = String::new();
            while let Some(end) = pending.find('\n') {
                let line: String = pending.drain(..=end).collect();
                match line.strip_prefix("data: ") {
                    Some(data) => {
                        let mut value: Value = serde_json::from_str(data).unwrap();
                        alter("/v1/events", &mut value);
                        whole.push_str(&format!("data: {value}\n"));
                    }
                    None => whole.push_str(&line),
                }
            }
            Ok::<_, std::convert::Infallible>(whole)
        });
        return response.body(Body::from_stream(events)).unwrap();
    }
    let mut value: Value = answer.json().await.unwrap();
    if status.is_success() {
        (lies.alter)(&target, &mut value);
    }
    response.body(Body::from(value.to_string())).unwrap()
}
